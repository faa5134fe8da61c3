import type { InventoryAnswer, InventoryKeySummary } from '../../api/types.ts'
import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import type { Output } from '../output.ts'
import { cut, fittingTable, type Paint, short, span, when } from '../text.ts'

/** Names are as long as people make them; all of them stands in the JSON. */
const nameColumns = 24

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const api = await context.api()
  const inventory = await api.inventory()
  const now = io.now()
  out.result(inventory, () => render(inventory, { now, out, columns: out.columns }))
  for (const { what, summary, fix } of inventory.gaps)
    out.warn(`${what} could not be listed: ${summary}${fix === '' ? '' : ` ${fix}`}`)
  return inventory.gaps.length === 0 ? exitCodes.done : exitCodes.failed
}

interface View {
  readonly now: number
  readonly out: Pick<Output, 'paint'>
  readonly columns: number
}

/** Left out one after another where the terminal is too narrow. */
const droppable = ['OWNER', 'EXPIRES', 'PROJECT', 'NAME', 'LAST USED']

function render({ items, gaps }: InventoryAnswer, view: View): string[] {
  if (items.length === 0) return [gaps.length === 0 ? 'There is no key.' : 'No key could be listed.']
  const cells = items.map((item) => cellsOf(item, view))
  const rows = [Object.keys(cells[0] ?? {}), ...cells.map((row) => Object.values(row))]
  return fittingTable(rows, { columns: view.columns, droppable })
}

function cellsOf(item: InventoryKeySummary, { now, out }: View): Readonly<Record<string, string>> {
  const holders = item.holders.map(
    ({ credential, version, stage }) => `${credential} ${short(version)} ${stage}`,
  )
  return {
    STATE: painted(item.standing, out.paint),
    'HELD BY': holders.join(', ') || '-',
    PROJECT: item.kind === 'admin' ? '(admin)' : cut(item.projectName ?? item.project ?? '-', nameColumns),
    KEY: item.redacted ?? item.keyId,
    NAME: cut(item.name, nameColumns),
    OWNER: cut(item.owner ?? '-', nameColumns),
    AGE: item.createdAt === null ? '-' : span(now - Date.parse(item.createdAt)),
    'LAST USED': item.isNeverUsed === true ? 'never' : when(item.lastUsedAt, now),
    EXPIRES: when(item.expiresAt, now),
  }
}

function painted(standing: InventoryKeySummary['standing'], paint: Paint): string {
  if (standing === 'suspect' || standing === 'unlisted') return paint('red', standing)
  if (standing === 'held') return paint('green', standing)
  return standing === 'ending' ? paint('yellow', standing) : standing
}
