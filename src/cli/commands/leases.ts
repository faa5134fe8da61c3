import type { LeaseSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { argument, type Context, usage } from '../command.ts'
import { confirmed } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'
import { when } from '../text.ts'

/** Not heard of for so long, an instance is believed to have ended; the service says `isSilent` after the same time. */
const silentMs = 600_000

export async function run(context: Context): Promise<ExitCode> {
  const { out, io, options } = context
  const name = argument(context, 0)
  const instance = options.text('drop')
  const api = await context.api()
  if (instance !== undefined) {
    const leases = (await api.leases(name)).filter((one) => one.instance === instance)
    // The service tells an app nothing of leases that are not its own, and agrees.
    if (leases.length === 0)
      throw new KeyturnError('not_found', `'${name}' has no lease of ${instance} that this token may drop`, {
        fix: `keyturn leases ${name} shows which there are; an operator's token drops everybody's.`,
      })
    await confirmedLoss(context, { name, instance, leases })
    await api.dropLease(name, instance)
    out.result({ name, dropped: instance }, () => [
      `${name}: the lease of ${instance} is dropped; it no longer keeps an old key alive`,
    ])
    return exitCodes.done
  }
  if (options.text('confirm') !== undefined)
    throw usage('--confirm goes with --drop', 'Leave it out: nothing else wants the name.')
  const { generation } = await api.summary(name)
  const items = await api.leases(name)
  out.result({ generation, items }, () => render(items, generation, { now: io.now(), out }))
  return exitCodes.done
}

/** An instance that was heard of lately lives: with its lease dropped, its key may be revoked under it. */
async function confirmedLoss(
  context: Context,
  {
    name,
    instance,
    leases,
  }: { readonly name: string; readonly instance: string; readonly leases: readonly LeaseSummary[] },
): Promise<void> {
  const { io, out } = context
  const now = io.now()
  const alive = leases.filter(({ seenAt }) => Date.parse(seenAt) > now - silentMs)
  if (alive.length === 0) return
  for (const { app, generation, seenAt } of alive)
    out.note(`${instance} of ${app} holds generation ${generation} of '${name}', seen ${when(seenAt, now)}`)
  const what = `Dropping the lease of ${instance}, which lives: it may lose the key that it uses`
  await confirmed(context, { name, what })
}

/** Those that have not moved on first: it is for them that people look. */
function render(
  leases: readonly LeaseSummary[],
  current: number,
  { now, out }: { readonly now: number; readonly out: Pick<Context['out'], 'columns'> },
): readonly string[] {
  if (leases.length === 0) return ['No app holds a lease.']
  const rows = leases
    .toSorted((one, other) => one.generation - other.generation || one.app.localeCompare(other.app))
    .map(({ app, instance, generation, seenAt }) => [
      app,
      instance,
      generation < current ? `${generation} (current is ${current})` : String(generation),
      when(seenAt, now),
    ])
  return layOut({ columns, rows }, out.columns)
}

const columns: readonly Column[] = [
  { title: 'APP', least: 12 },
  { title: 'INSTANCE', least: 12 },
  { title: 'GENERATION' },
  { title: 'SEEN' },
]
