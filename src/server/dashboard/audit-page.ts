import type { AuditRow } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { type AuditReader, queryOf } from '../audit-routes.ts'
import { type Html, html } from './html.ts'
import { problemBox } from './layout.ts'
import { when } from './words.ts'

const fields = ['credential', 'caller', 'action', 'outcome', 'kind', 'since', 'until'] as const

export interface AuditView {
  readonly rows: readonly AuditRow[]
  /** Rows before this one come next; undefined where there are none. */
  readonly olderBefore: number | undefined
  readonly asked: ReadonlyMap<string, string>
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
  try {
    const { filter } = queryOf(Object.fromEntries(asked))
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
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError) || thrown.code !== 'bad_request') throw thrown
    return { rows: [], olderBefore: undefined, asked, problem: thrown, now }
  }
}

function beforeOf(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

const labels: Readonly<Record<(typeof fields)[number], string>> = {
  credential: 'Credential',
  caller: 'Who (name or id)',
  action: 'Action',
  outcome: 'Outcome',
  kind: 'Kind',
  since: 'From (ISO 8601)',
  until: 'Before (ISO 8601)',
}

export function auditBody(view: AuditView): Html {
  const { rows, asked, problem, now } = view
  return html`<h1>Audit</h1>
<p class="hint">What this replica wrote down, newest first. <code>keyturn audit verify</code> proves that it is whole.</p>
<form class="search" method="get" action="/audit" role="search">
${fields.map((name) => field(name, asked.get(name) ?? ''))}
<button>Search</button>
</form>
${problem === undefined ? '' : problemBox(problem)}
<div id="rows">
${rows.length === 0 ? html`<p>No row fits${view.olderBefore !== undefined && ' in this part of the journal'}.</p>` : table(rows, now)}
${older(view)}
</div>`
}

function field(name: (typeof fields)[number], value: string): Html {
  if (name !== 'kind')
    return html`<span><label for="${name}">${labels[name]}</label><input id="${name}" name="${name}" value="${value}" maxlength="200" autocomplete="off" spellcheck="false"></span>`
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
  return html`<table class="cards"><caption class="unseen">Rows of the journal, newest first</caption>
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
<td data-label="When">${when(row.at, now)}</td>
<td data-label="Who"><span title="${caller?.id ?? ''}">${caller?.name ?? '–'}</span></td>
<td data-label="What">${row.action} <span class="hint">${row.kind}</span></td>
<td data-label="Outcome">${row.outcome} <span class="hint">${text('reason')}</span></td>
<td data-label="Credential">${credential === '' ? '–' : html`<a href="/credentials/${credential}" id="row-${row.seq}">${credential}</a>`}</td>
<td data-label="From">${text('source') || '–'}</td></tr>`
}

function older({ olderBefore, asked }: AuditView): Html {
  if (olderBefore === undefined) return html``
  const query = new URLSearchParams([...asked, ['before', String(olderBefore)]])
  return html`<nav class="pager" aria-label="Pages"><a id="older" href="/audit?${query.toString()}">Older rows</a></nav>`
}
