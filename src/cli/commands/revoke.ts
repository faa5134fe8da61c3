import type { VersionSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { redactKeys } from '../../core/key-shape.ts'
import type { Api } from '../api.ts'
import { isInUse, showBlastRadius } from '../blast-radius.ts'
import { argument, type Context, reasonOf } from '../command.ts'
import { confirmed } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { short } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const [name, id] = [argument(context, 0), argument(context, 1)]
  const reason = reasonOf(options)
  const api = await context.api()
  const isLastAllowed = options.has('evenIfLast')
  const radius = await showBlastRadius(context, api, { name, version: id, isOnlyInUse: !isLastAllowed })
  const what = `Revoking version ${redactKeys(id)} of '${name}' ${isLastAllowed ? 'even if it is the last working key' : 'for good'}`
  const isOnly = radius?.isCurrent === true && radius.spare === null && !isLastAllowed
  const alsoNeeds = 'It may be the last working key, and that needs --even-if-last as well.'
  // What cannot be told may be in use.
  const isAsked = isLastAllowed || radius === undefined || isInUse(radius)
  const confirm = isAsked
    ? await confirmed(context, { name, what, ...(isOnly ? { alsoNeeds } : {}) })
    : options.text('confirm')
  const version = await revoke(context, api, { confirm, what, reason })
  out.result(version, () => [
    `${name}: version ${short(version.version)} (${version.fingerprint}) is ${version.stage}`,
    `  until it is proven dead: 'keyturn status ${name} --watch'`,
  ])
  return exitCodes.done
}

/** Where the service wants a confirmation, a person at a terminal is asked for it once. */
async function revoke(
  context: Context,
  api: Api,
  {
    confirm,
    what,
    reason,
  }: { readonly confirm: string | undefined; readonly what: string; readonly reason: string | undefined },
): Promise<VersionSummary> {
  const { io, options } = context
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
    if (confirm !== undefined || !io.stdin.isTerminal)
      throw new KeyturnError('confirmation_needed', error.message, {
        fix: `Add --confirm ${name}, or run it at a terminal and type the name.`,
      })
    context.out.note(error.message)
    return await api.revoke(name, version, { ...request, confirm: await confirmed(context, { name, what }) })
  }
}
