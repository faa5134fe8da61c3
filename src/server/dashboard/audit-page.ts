import { operations } from '../../api/operations.ts'
import type { AuditRow } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { type AuditReader, queryOf } from '../audit-routes.ts'
import { type Html, html } from './html.ts'
import { problemBox } from './layout.ts'
import { exact, relative } from './words.ts'

type FieldName = (typeof fields)[number]

const fields = ['credential', 'caller', 'action', 'outcome', 'kind', 'since', 'until'] as const

export interface AuditView {
  readonly rows: readonly AuditRow[]
  /** Rows before this one come next; undefined where there are none. */
  readonly olderBefore: number | undefined
  readonly asked: ReadonlyMap<FieldName, string>
  readonly problem: KeyturnError | undefined
  readonly now: number
}

const rowsMax = 100
/** How far one page of a search looks back. */
const windowMax = 5_000
const pageMax = 1_000

/** The newest rows that fit, a bounded way back; the rest is a page further. */
export async function auditView(options: {
  readonly reader: AuditReader
  readonly query: Readonly<Record<string, unknown>>
  readonly now: number
}): Promise<AuditView> {
  const { reader, query, now } = options
  const asked = new Map(
    fields.flatMap((name) => {
      const value = query[name]
      return typeof value === 'string' && value.trim() !== '' ? [[name, value.trim()] as const] : []
    }),
  )
  const unusable = [...asked.keys()].find((name) => !isUsable(name, asked))
  if (unusable !== undefined)
    return { rows: [], olderBefore: undefined, asked, problem: notSearchable(unusable), now }
  const { filter } = queryOf(Object.fromEntries([...asked].map(meant)))
  const newest = reader.status().seq + 1
  const before = Math.min(newest, beforeOf(query['before']) ?? newest)
  const from = Math.max(0, before - 1 - (asked.size === 0 ? rowsMax : windowMax))
  const found: AuditRow[] = []
  for (let after = from; after < before - 1; ) {
    const { items, through, isEnd } = await reader.page({ after, limit: pageMax, filter })
    found.push(...items.filter(({ seq }) => seq < before))
    if (isEnd || through <= after) break
    after = through
  }
  const rows = found.slice(-rowsMax).toReversed()
  const isCut = found.length > rowsMax
  const lowest = isCut ? (rows.at(-1)?.seq ?? 0) : from + 1
  return { rows, olderBefore: lowest > 1 ? lowest : undefined, asked, problem: undefined, now }
}

/** As people write it, and as this page shows it: `2026-11-26 03:00 UTC`. */
const instantPattern = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?) ?(?:UTC|Z)?$/i

function meant([name, value]: readonly [string, string]): readonly [string, string] {
  if (name === 'credential') return [name, value.toLowerCase()]
  return name === 'since' || name === 'until'
    ? [name, value.replace(instantPattern, '$1T$2Z')]
    : [name, value]
}

function isUsable(name: FieldName, asked: ReadonlyMap<FieldName, string>): boolean {
  try {
    queryOf(Object.fromEntries([meant([name, asked.get(name) ?? ''])]))
    return true
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'bad_request') return false
    throw thrown
  }
}

function notSearchable(name: FieldName): KeyturnError {
  const isInstant = name === 'since' || name === 'until'
  return new KeyturnError('bad_request', `What stands under “${labels[name]}” cannot be searched for.`, {
    fix: isInstant
      ? 'Write a day or an instant of UTC, such as 2026-11-26 or 2026-11-26 03:00.'
      : 'Write it as it stands in a row, or leave it empty.',
  })
}

function beforeOf(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

const labels: Readonly<Record<FieldName, string>> = {
  credential: 'Credential',
  caller: 'Who (name or id)',
  action: 'Action',
  outcome: 'Outcome',
  kind: 'Kind',
  since: 'From (UTC)',
  until: 'Before (UTC)',
}

export function auditBody(view: AuditView): Html {
  const { rows, asked, problem, now } = view
  return html`<h1>Audit</h1>
<p class="hint">What this replica wrote down, newest first. <code>keyturn audit verify</code> proves that it is whole.</p>
<form class="search fields" method="get" action="/audit" role="search">
${fields.map((name) => field(name, asked.get(name) ?? ''))}
<button>Search</button>
${asked.size > 0 && html`<a class="button" href="/audit" id="all-rows">All rows</a>`}
</form>
${problem === undefined ? '' : problemBox(problem)}
<div id="rows">
${problem !== undefined ? '' : rows.length === 0 ? html`<p>No row fits${view.olderBefore !== undefined && ' in this part of the journal'}.</p>` : table(rows, now)}
${older(view)}
</div>`
}

/** Beside those of the API: people signing in, and what the engine did by itself. */
const otherActions = ['signIn', 'signOut', 'mint', 'setExpiry', 'revoke', 'rotation', 'promoted'] as const

/** Nobody knows the names of the operations by heart. */
const actions = html`<datalist id="actions">${[
  'getCredential',
  ...Object.entries(operations).flatMap(([id, { method }]) => (method === 'GET' ? [] : [id])),
  ...otherActions,
]
  .toSorted()
  .map((one) => html`<option value="${one}"></option>`)}</datalist>`

function field(name: FieldName, value: string): Html {
  if (name !== 'kind')
    return html`<span><label for="${name}">${labels[name]}</label><input id="${name}" name="${name}" value="${value}" maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false"${name === 'action' && html` list="actions"`}>${name === 'action' && actions}</span>`
  return html`<span><label for="kind">${labels.kind}</label><select id="kind" name="kind"><option value="">Any</option>${[
    'read',
    'act',
    'refusal',
    'journal',
  ].map((one) =>
    one === value ? html`<option selected>${one}</option>` : html`<option>${one}</option>`,
  )}</select></span>`
}

function table(rows: readonly AuditRow[], now: number): Html {
  return html`<table class="cards audit"><caption class="unseen">Rows of the journal, newest first</caption>
<thead><tr><th scope="col">Row</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Outcome</th><th scope="col">Credential</th><th scope="col">From</th></tr></thead>
<tbody>${rows.map((row) => line(row, now))}</tbody></table>`
}

function line(row: AuditRow, now: number): Html {
  const told = row as AuditRow & Readonly<Record<string, unknown>>
  const caller = told['caller'] as { readonly name?: string; readonly id?: string } | undefined
  const text = (name: string): string => {
    const value = told[name]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  }
  const credential = text('credential')
  return html`<tr><th scope="row">${row.seq}</th>
<td data-label="When"><time datetime="${row.at}" title="${relative(Date.parse(row.at) - now)}">${exact(row.at)}</time></td>
<td data-label="Who"><span title="${caller?.id ?? ''}">${caller?.name ?? '–'}</span></td>
<td data-label="What">${row.action} <span class="hint">${row.kind}</span></td>
<td data-label="Outcome" class="long">${row.outcome} <span class="hint">${text('reason')}</span></td>
<td data-label="Credential" class="long">${credential === '' ? '–' : html`<a href="/credentials/${credential}" id="row-${row.seq}">${credential}</a>`}</td>
<td data-label="From">${text('source') || '–'}</td></tr>`
}

function older({ olderBefore, asked }: AuditView): Html {
  if (olderBefore === undefined) return html``
  const query = new URLSearchParams([...asked, ['before', String(olderBefore)]])
  return html`<nav class="pager" aria-label="Pages"><a id="older" href="/audit?${query.toString()}">Older rows</a></nav>`
}
