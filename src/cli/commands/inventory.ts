import type { InventoryAnswer, InventoryKeySummary } from '../../api/types.ts'
import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'
import type { Output } from '../output.ts'
import { type Paint, short, span, when } from '../text.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const api = await context.api()
  const inventory = await api.inventory()
  const now = io.now()
  out.result(inventory, () => render(inventory, { now, out }))
  for (const { what, summary, fix } of inventory.gaps)
    out.warn(`${what} could not be listed: ${summary}${fix === '' ? '' : ` ${fix}`}`)
  return inventory.gaps.length === 0 ? exitCodes.done : exitCodes.failed
}

interface View {
  readonly now: number
  readonly out: Pick<Output, 'paint' | 'columns'>
}

const columns: readonly Column[] = [
  { title: 'STATE' },
  { title: 'HELD BY', least: 16 },
  { title: 'PROJECT', least: 10, leaves: 3 },
  { title: 'KEY' },
  { title: 'NAME', least: 12, leaves: 4 },
  { title: 'OWNER', least: 10, leaves: 1 },
  { title: 'AGE' },
  { title: 'LAST USED', leaves: 5 },
  { title: 'EXPIRES', leaves: 2 },
]

function render({ items, gaps }: InventoryAnswer, view: View): string[] {
  if (items.length === 0) return [gaps.length === 0 ? 'There is no key.' : 'No key could be listed.']
  return layOut({ columns, rows: items.map((item) => cellsOf(item, view)) }, view.out.columns)
}

function cellsOf(item: InventoryKeySummary, { now, out }: View): readonly string[] {
  const holders = item.holders.map(
    ({ credential, version, stage }) => `${credential} ${short(version)} ${stage}`,
  )
  return [
    painted(item.standing, out.paint),
    holders.join(', ') || '-',
    item.kind === 'admin' ? '(admin)' : (item.projectName ?? item.project ?? '-'),
    item.redacted ?? item.keyId,
    item.name,
    item.owner ?? '-',
    item.createdAt === null ? '-' : span(now - Date.parse(item.createdAt)),
    item.isNeverUsed === true ? 'never' : when(item.lastUsedAt, now),
    when(item.expiresAt, now),
  ]
}

function painted(standing: InventoryKeySummary['standing'], paint: Paint): string {
  if (standing === 'suspect' || standing === 'unlisted') return paint('red', standing)
  if (standing === 'held') return paint('green', standing)
  return standing === 'ending' ? paint('yellow', standing) : standing
}
