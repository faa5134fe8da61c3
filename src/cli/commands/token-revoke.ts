import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { openTokens } from '../tokens.ts'

export async function run(context: Context): Promise<ExitCode> {
  const id = argument(context, 0)
  const tokens = await openTokens(context)
  await tokens.revoke(id)
  context.out.result({ id, revoked: true }, () => [`token ${id} is revoked`])
  return exitCodes.done
}
