import type { LeaseSummary } from '../../api/types.ts'
import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { when } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io, options } = context
  const name = argument(context, 0)
  const instance = options.text('drop')
  const api = await context.api()
  if (instance !== undefined) {
    await api.dropLease(name, instance)
    out.result({ name, dropped: instance }, () => [
      `${name}: the lease of ${instance} is dropped; it no longer keeps an old key alive`,
    ])
    return exitCodes.done
  }
  const { generation } = await api.summary(name)
  const items = await api.leases(name)
  out.result({ generation, items }, () => render(items, generation, { now: io.now(), out }))
  return exitCodes.done
}

/** Those that have not moved on first: it is for them that people look. */
function render(
  leases: readonly LeaseSummary[],
  current: number,
  { now, out }: { readonly now: number; readonly out: Pick<Context['out'], 'table'> },
): readonly string[] {
  if (leases.length === 0) return ['No app holds a lease.']
  const header = ['APP', 'INSTANCE', 'GENERATION', 'SEEN']
  const rows = leases
    .toSorted((one, other) => one.generation - other.generation || one.app.localeCompare(other.app))
    .map(({ app, instance, generation, seenAt }) => [
      app,
      instance,
      generation < current ? `${generation} (current is ${current})` : String(generation),
      when(seenAt, now),
    ])
  return out.table([header, ...rows])
}
