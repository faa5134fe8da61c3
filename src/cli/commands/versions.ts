import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { renderVersions } from '../summary.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const api = await context.api()
  const items = await api.versions(argument(context, 0))
  out.result({ items }, () => renderVersions(items, { now: io.now(), out }))
  return exitCodes.done
}
