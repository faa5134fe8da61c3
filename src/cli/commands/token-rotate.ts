import { parseDuration } from '../../config/duration.ts'
import { argument, type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { handOver, tokenFile } from '../token-output.ts'
import { openTokens } from '../tokens.ts'

const overlapDefault = '1h'

export async function run(context: Context): Promise<ExitCode> {
  const { options } = context
  const overlap = options.text('overlap') ?? overlapDefault
  const overlapMs = parseDuration(overlap)
  if (overlapMs === undefined || overlapMs > 30 * 86_400_000)
    throw usage('--overlap takes a duration of at most 30 days', 'E.g. --overlap 1h, or 0s to end it now.')
  const file = tokenFile(context)
  const tokens = await openTokens(context)
  const name = argument(context, 0)
  const answer = await tokens.rotate({ name, overlapSeconds: Math.floor(overlapMs / 1_000) })
  const told = `new token ${answer.id} for ${answer.name}; the old one ends in ${overlap}`
  await handOver(context, { answer, told, file, tokens })
  return exitCodes.done
}
