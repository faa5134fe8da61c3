import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { needsHuman, renderDetail, renderList } from '../summary.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io, options } = context
  const name = argument(context, 0)
  const api = await context.api()
  if (options.has('watch')) {
    const { watchStatus } = await import('../watch-status.ts')
    return await watchStatus(context, api, name)
  }
  const view = { now: io.now(), out }
  if (name === '') {
    const all = await api.summaries()
    out.result({ items: all }, () => renderList(all, view))
    return all.some(needsHuman) ? exitCodes.needsHuman : exitCodes.done
  }
  const summary = await api.summary(name)
  out.result(summary, () => renderDetail(summary, view))
  return needsHuman(summary) ? exitCodes.needsHuman : exitCodes.done
}
