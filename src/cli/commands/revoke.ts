import type { VersionSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { Api } from '../api.ts'
import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { short } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const api = await context.api()
  const given = options.text('confirm')
  const isLastAllowed = options.has('evenIfLast')
  const confirm =
    given ?? (isLastAllowed ? await typed(context, 'even if it is the last working key') : undefined)
  const version = await revoke(context, api, confirm)
  out.result(version, () => [
    `${argument(context, 0)}: version ${short(version.version)} (${version.fingerprint}) is ${version.stage}`,
  ])
  return exitCodes.done
}

/** Where the service wants a confirmation, a person at a terminal is asked for it once. */
async function revoke(context: Context, api: Api, confirm: string | undefined): Promise<VersionSummary> {
  const { io, options } = context
  const reason = options.text('reason')
  const request = {
    ...(reason === undefined ? {} : { reason }),
    ...(options.has('evenIfLast') ? { evenIfLast: true } : {}),
  }
  const [name, version] = [argument(context, 0), argument(context, 1)]
  try {
    return await api.revoke(name, version, { ...request, ...(confirm === undefined ? {} : { confirm }) })
  } catch (error) {
    const isAsked = error instanceof KeyturnError && error.code === 'confirmation_needed'
    if (!isAsked) throw error
    if (confirm !== undefined || !io.stdin.isTerminal) throw unconfirmed(name, error.message)
    context.out.note(error.message)
    return await api.revoke(name, version, { ...request, confirm: await typed(context, 'for good') })
  }
}

async function typed(context: Context, what: string): Promise<string> {
  const name = argument(context, 0)
  const refused = unconfirmed(name, `revoking ${what} needs the name '${name}' typed as confirmation`)
  if (!context.io.stdin.isTerminal) throw refused
  const answer = await context.io.stdin.ask(
    `Revoke version ${argument(context, 1)} of '${name}' ${what}? Type the name: `,
  )
  if (answer?.trim() !== name) throw refused
  return name
}

function unconfirmed(name: string, message: string): KeyturnError {
  return new KeyturnError('confirmation_needed', message, {
    fix: `Add --confirm ${name}, or run it at a terminal and type the name.`,
  })
}
