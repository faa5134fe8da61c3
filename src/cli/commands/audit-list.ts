import type { AuditRow } from '../../api/types.ts'
import { parseInstant } from '../../core/instant.ts'
import type { AuditFilter } from '../api.ts'
import { auditKinds } from '../choices.ts'
import { type Context, usage } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'

const followMs = 1_000
const limitDefault = 50

/** The latest rows that fit, or with --follow what comes from now on. */
export async function run(context: Context): Promise<ExitCode> {
  const { io, out, options } = context
  const api = await context.api()
  const filter = filterOf(context)
  const limit = Number(options.text('limit') ?? limitDefault)
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    throw usage(
      '--limit takes a whole number from 1 to 10000',
      `Leave it out for the latest ${limitDefault}.`,
    )
  let after = 0
  let latest: AuditRow[] = []
  const toEnd = async (onPage: (rows: readonly AuditRow[]) => void): Promise<void> => {
    for (let isEnd = false; !isEnd; ) {
      const page = await api.audit({ ...filter, after })
      onPage(page.items)
      after = page.through
      ;({ isEnd } = page)
    }
  }
  await toEnd((rows) => {
    latest = [...latest, ...rows].slice(-limit)
  })
  if (!options.has('follow')) {
    out.result({ items: latest }, () => layOut({ columns, rows: latest.map(cells) }, out.columns))
    return exitCodes.done
  }
  let isOver = false
  let wake = (): void => undefined
  const cancel = io.onSignal(() => {
    isOver = true
    wake()
  })
  const show = (rows: readonly AuditRow[]): void => {
    for (const row of rows)
      if (out.isJson) out.line(JSON.stringify(row))
      else out.line(cells(row).join('  '))
  }
  show(latest)
  while (!isOver) {
    await new Promise<void>((resolve) => {
      wake = resolve
      io.after(followMs, resolve)
    })
    if (!isOver) await toEnd(show)
  }
  cancel()
  return exitCodes.done
}

const columns: readonly Column[] = [
  { title: 'ROW', leaves: 2 },
  { title: 'AT' },
  { title: 'KIND', leaves: 1 },
  { title: 'ACTION' },
  { title: 'OUTCOME' },
  { title: 'CALLER', least: 10 },
  { title: 'CREDENTIAL', least: 12, leaves: 4 },
  { title: 'FROM', leaves: 3 },
]

function cells(row: AuditRow): string[] {
  const { caller, credential, source, count } = row as AuditRow & {
    readonly caller?: { readonly name?: string }
    readonly credential?: string
    readonly source?: string
    readonly count?: number
  }
  const outcome = count === undefined ? row.outcome : `${row.outcome} (${count} more)`
  return [
    String(row.seq),
    row.at,
    row.kind,
    row.action,
    outcome,
    caller?.name ?? '-',
    credential ?? '-',
    source ?? '-',
  ]
}

/** What the options ask for, with instants as the journal writes them. */
export function filterOf({ options }: Context): AuditFilter {
  const fields = ['kind', 'action', 'outcome', 'credential', 'caller', 'since', 'until'] as const
  const filter: { -readonly [name in keyof AuditFilter]: AuditFilter[name] } = {}
  for (const name of fields) {
    const value = options.text(name)
    if (value !== undefined)
      filter[name] = name === 'since' || name === 'until' ? instant(name, value) : value
  }
  if (filter.kind !== undefined && !auditKinds.some((kind) => kind === filter.kind))
    throw usage('there is no such kind of row', `Use --kind with one of: ${auditKinds.join(', ')}.`)
  return filter
}

function instant(name: string, value: string): string {
  const at = parseInstant(value)
  if (at === undefined)
    throw usage(`--${name} is no instant`, 'Write it as 2026-11-25T21:00:00Z, or as 2026-11-25.')
  return new Date(at).toISOString()
}
