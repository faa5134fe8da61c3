import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'

/** The key alone on standard output, so that it can be written into a file; its id beside it. */
export async function run(context: Context): Promise<ExitCode> {
  const { out } = context
  const key = await (await context.api()).signingKey()
  if (!out.isJson) out.note(`key id ${key.keyId}`)
  out.result(key, () => key.pem.trim().split('\n'))
  return exitCodes.done
}
