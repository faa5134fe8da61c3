import { parseDuration } from '../../config/duration.ts'
import { allGrants, type Grant } from '../../core/grants.ts'
import { nearest } from '../../core/nearest.ts'
import { tokenRoles } from '../choices.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { assertAbsent, handOver, tokenFile } from '../token-output.ts'
import { openTokens } from '../tokens.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const asked = options.text('role') ?? 'app'
  const role = tokenRoles.find((known) => known === asked)
  if (role === undefined) throw usage('there is no such role', 'Use --role app or --role operator.')
  const credentials = options.list('credential')
  if (role === 'operator' && credentials.length > 0) {
    throw usage('an operator token is not bound to credentials', 'Leave --credential out, or use --role app.')
  }
  const wrong = credentials.find((name) => !/^[a-z0-9*-]{1,63}$/.test(name))
  if (wrong !== undefined)
    throw usage(
      'this is no name of a credential',
      'Use a-z, 0-9 and -, e.g. --credential openai, or a pattern such as team-*.',
    )
  const grants = options.list('grant').map(grantNamed)
  if (role === 'operator' && grants.length > 0)
    throw usage('an operator token has every grant', 'Leave --grant out, or --role operator.')
  const expiry = options.text('expires')
  const expiresMs = expiry === undefined ? undefined : parseDuration(expiry)
  if (expiry !== undefined && (expiresMs === undefined || expiresMs < 1_000)) {
    throw usage('--expires takes a duration of at least a second', 'E.g. --expires 90d.')
  }
  const file = tokenFile(context)
  assertAbsent(context, file)
  const tokens = await openTokens(context)
  const answer = await tokens.create({
    name: argument(context, 0),
    role,
    ...(role === 'app' ? { credentials: credentials.length === 0 ? ['*'] : credentials } : {}),
    ...(grants.length === 0 ? {} : { grants }),
    ...(expiresMs === undefined ? {} : { expiresInSeconds: Math.floor(expiresMs / 1_000) }),
  })
  if (!out.isJson) await warnOfUnknown(context, credentials)
  const told = `${answer.role} token ${answer.id} for ${answer.name}`
  await handOver(context, { answer, told, file, tokens })
  return exitCodes.done
}

function grantNamed(text: string): Grant {
  const grant = allGrants.find((one) => one === text)
  if (grant !== undefined) return grant
  throw usage('there is no such grant', `Use --grant with one of: ${allGrants.join(', ')}.`)
}

/** A misspelt name would make a token that reads nothing; one that is configured later is fine. */
async function warnOfUnknown(context: Context, names: readonly string[]): Promise<void> {
  if (names.length === 0 || context.options.has('local')) return
  const known = await (await context.api()).summaries()
  for (const name of names) {
    if (name.includes('*') || known.some((summary) => summary.name === name)) continue
    const near = nearest(
      name,
      known.map((summary) => summary.name),
    )
    const guess = near === undefined ? '' : `; did you mean ${near}?`
    context.out.warn(`no credential named '${name}' is configured${guess}`)
  }
}
