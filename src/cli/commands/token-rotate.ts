import { parseDuration } from '../../config/duration.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { openTokens } from '../tokens.ts'

const overlapDefault = '1h'

export async function run(context: Context): Promise<ExitCode> {
  const { out, options } = context
  const overlap = options.text('overlap') ?? overlapDefault
  const overlapMs = parseDuration(overlap)
  if (overlapMs === undefined || overlapMs > 30 * 86_400_000)
    throw usage('--overlap takes a duration of at most 30 days', 'E.g. --overlap 1h, or 0s to end it now.')
  const tokens = await openTokens(context)
  const name = argument(context, 0)
  const answer = await tokens.rotate({ name, overlapSeconds: Math.floor(overlapMs / 1_000) })
  if (out.isJson) {
    out.result(answer, () => [])
    return exitCodes.done
  }
  out.note(`new token ${answer.id} for ${answer.name}, shown only now; the old one ends in ${overlap}:`)
  out.raw(answer.token)
  return exitCodes.done
}
