import type { ApprovalSummary, CredentialSummary, LeaseSummary } from '../../api/types.ts'
import { type Html, html } from './html.ts'
import { type State, stateMark, stateOf, states, stateWords } from './state.ts'
import { counted, sentence, spaced, when } from './words.ts'

/** So many rows on one page: a thousand credentials stay readable, and no page is larger than a phone likes. */
export const rowsMax = 100
const troublesShownMax = 2
const appsShownMax = 3
/** So few are seen at a glance: a search would only take their place. */
const searchedFrom = 6

export interface OverviewQuery {
  /** Part of a name. */
  readonly search: string
  readonly state: State | undefined
  /** From 1. */
  readonly page: number
}

/** A query that cannot be used is that of the whole list: an address somebody typed shows something in any case. */
export function overviewQuery(query: Readonly<Record<string, unknown>>): OverviewQuery {
  const { q, state, page } = query
  return {
    // Names have no capitals, but keyboards of phones begin with one.
    search: typeof q === 'string' ? q.trim().toLowerCase().slice(0, 63) : '',
    state: states.find((one) => one === state),
    page: typeof page === 'string' && /^[1-9]\d{0,3}$/.test(page) ? Number(page) : 1,
  }
}

export function lastPage(found: number): number {
  return Math.max(1, Math.ceil(found / rowsMax))
}

/** What is wrong first, then by name. */
export function selected(
  summaries: readonly CredentialSummary[],
  { search, state }: OverviewQuery,
): readonly CredentialSummary[] {
  const rank = (one: CredentialSummary): number => states.indexOf(stateOf(one))
  return summaries
    .filter((one) => one.name.includes(search) && (state === undefined || stateOf(one) === state))
    .toSorted((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
}

export interface OverviewOptions {
  readonly all: readonly CredentialSummary[]
  readonly rows: readonly CredentialSummary[]
  /** Of the rows on this page. */
  readonly leases: ReadonlyMap<string, readonly LeaseSummary[]>
  /** Acts of the rows that wait for a second person. */
  readonly waiting: ReadonlyMap<string, readonly ApprovalSummary[]>
  readonly query: OverviewQuery
  readonly found: number
  readonly now: number
}

export function overviewBody(options: OverviewOptions): Html {
  const { all, query, found } = options
  const isAsked = query.search !== '' || query.state !== undefined
  return html`<h1>Credentials</h1>
<div id="live-counts" data-live>${counts(options)}</div>
${(isAsked || all.length >= searchedFrom) && search(query, isAsked)}
<div id="live-rows" data-live>
${found === 0 ? nothing(all.length) : table(options)}
${pager(query, found)}
</div>`
}

function search(query: OverviewQuery, isAsked: boolean): Html {
  return html`<form class="search" method="get" action="/" role="search">
<label for="q">Name contains</label>
<input id="q" name="q" value="${query.search}" maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false">
<label for="state">State</label>
<select id="state" name="state">
<option value="">Any</option>
${states.map((one) => option(one, query.state))}
</select>
<button>Show</button>
${isAsked && html`<a class="button" href="/" id="show-all">Show all</a>`}
</form>`
}

function option(state: State, chosen: State | undefined): Html {
  return state === chosen
    ? html`<option value="${state}" selected>${stateWords(state)}</option>`
    : html`<option value="${state}">${stateWords(state)}</option>`
}

/** The one sentence that answers whether anybody has to do something. */
function counts({ all, waiting }: OverviewOptions): Html {
  const of = (state: State): number => all.filter((one) => stateOf(one) === state).length
  const bad = of('out') + of('attention')
  const unproven = of('unknown')
  const asked = [...waiting.values()].flat().length
  const isGood = all.length > 0 && bad + unproven + asked === 0
  const parts = [
    bad > 0 && `${counted(bad, 'credential')} of ${all.length} ${bad === 1 ? 'needs' : 'need'} somebody`,
    asked > 0 && `${counted(asked, 'act')} ${asked === 1 ? 'waits' : 'wait'} for a second person`,
    unproven > 0 && `${unproven} of ${all.length} not verified yet`,
  ].filter((part) => part !== false)
  const sentence =
    all.length === 0
      ? 'There is no credential that you may see.'
      : isGood
        ? `All well: ${counted(all.length, 'credential')}, nothing to do.`
        : `${parts.join(', ')}.`
  return html`<p class="verdict ${isGood ? 'good' : 'attention'}"><strong>${sentence}</strong></p>
<ul class="counts">${states
    .filter((state) => of(state) > 0)
    .map(
      (state) =>
        html`<li><a href="/?state=${state}" id="count-${state}">${stateMark(state)} <b>${of(state)}</b></a></li>`,
    )}</ul>`
}

function nothing(all: number): Html {
  return all === 0
    ? html`<p>Nothing is shown: your token has no grant on a credential.</p>`
    : html`<p>No credential fits. <a href="/" id="fit-all">Show all ${all}</a></p>`
}

function table({ rows, leases, waiting, now }: OverviewOptions): Html {
  // Of the rows of this page: whoever was asked to approve something looks for it.
  const isWaiting = ({ name }: CredentialSummary): number => ((waiting.get(name) ?? []).length > 0 ? 1 : 0)
  return html`<table class="cards overview">
<caption class="unseen">Credentials, those that need somebody first</caption>
<thead><tr><th scope="col">Credential</th><th scope="col">State</th><th scope="col">Key made</th><th scope="col">Turns</th><th scope="col">Used by</th><th scope="col">What to do</th></tr></thead>
<tbody>
${[...rows].toSorted((one, other) => isWaiting(other) - isWaiting(one)).map((one) => row(one, { leases: leases.get(one.name) ?? [], waiting: waiting.get(one.name) ?? [], now }))}
</tbody></table>`
}

function row(
  one: CredentialSummary,
  {
    leases,
    waiting,
    now,
  }: {
    readonly leases: readonly LeaseSummary[]
    readonly waiting: readonly ApprovalSummary[]
    readonly now: number
  },
): Html {
  const { name, current } = one
  return html`<tr>
<th scope="row"><a href="/credentials/${name}" id="to-${name}">${name}</a>${one.isInternal && html` <span class="tag">internal</span>`}</th>
<td data-label="State">${stateMark(stateOf(one))}</td>
<td data-label="Key made">${when(current?.createdAt ?? current?.addedAt, now)}${current !== null && html` <code class="hint">${current.fingerprint}</code>`}</td>
<td data-label="Turns">${turns(one, now)}</td>
<td data-label="Used by">${usersByApp(one, leases)}</td>
<td data-label="What to do">${todo(one, waiting)}</td>
</tr>`
}

function turns({ rotation, rotatesAt, blackoutUntil }: CredentialSummary, now: number): Html {
  if (rotation !== null && rotation.endedAt === null)
    return rotation.phase === 'halted' ? html`rotation halted` : html`now: ${spaced(rotation.phase)}`
  if (blackoutUntil !== null) return html`not before the blackout ends, ${when(blackoutUntil, now)}`
  if (rotatesAt === null) return html`on demand`
  return html`${Date.parse(rotatesAt) < now && 'due '}${when(rotatesAt, now)}`
}

/** Who is on the current key, and who is not yet. */
export function users({ generation }: CredentialSummary, leases: readonly LeaseSummary[]): string {
  if (leases.length === 0) return 'nobody with a lease'
  const behind = leases.filter((one) => one.generation < generation).length
  const all = counted(leases.length, 'instance')
  return behind === 0 ? `${all}, all on the current key` : `${all}, ${behind} on an older key`
}

/** The same with their names: those who are behind first, since it is for them that the old key lives on. */
function usersByApp({ generation }: CredentialSummary, leases: readonly LeaseSummary[]): Html {
  if (leases.length === 0) return html`nobody with a lease`
  const behindOf = (app: string): number =>
    leases.filter((one) => one.app === app && one.generation < generation).length
  const apps = [...new Set(leases.map(({ app }) => app))].toSorted(
    (one, other) => Math.sign(behindOf(other)) - Math.sign(behindOf(one)) || (one < other ? -1 : 1),
  )
  const more = apps.length - appsShownMax
  return html`<ul class="plain">${apps.slice(0, appsShownMax).map((app) => {
    const count = leases.filter((one) => one.app === app).length
    const behind = behindOf(app)
    const on = behind === 0 ? 'on this key' : `${behind === count ? 'on' : `${behind} on`} an older key`
    return html`<li>${app}: ${counted(count, 'instance')}, ${behind > 0 ? html`<span class="state attention"><span aria-hidden="true">▲ </span>${on}</span>` : on}</li>`
  })}${more > 0 && html`<li>and ${counted(more, 'other app')}</li>`}</ul>`
}

function todo({ name, troubles }: CredentialSummary, waiting: readonly ApprovalSummary[]): Html {
  if (troubles.length + waiting.length === 0) return html`nothing`
  const more = troubles.length - troublesShownMax
  return html`<ul class="plain">${waiting.map(
    ({ requestedBy, act }) =>
      html`<li><strong>${requestedBy} asked for ${act === 'emergency' ? 'an emergency rotation' : 'a revocation'}.</strong> A second person has to <a href="/credentials/${name}">approve it</a>.</li>`,
  )}${troubles
    .slice(0, troublesShownMax)
    .map(({ summary, fix }) => html`<li><strong>${sentence(summary)}</strong> ${fix}</li>`)}${
    more > 0 && html`<li>and ${more} more</li>`
  }</ul>`
}

function pager({ search, state, page }: OverviewQuery, found: number): Html {
  const last = lastPage(found)
  if (last === 1) return html``
  const to = (number: number): string =>
    `/?${new URLSearchParams({ q: search, state: state ?? '', page: String(number) }).toString()}`
  return html`<nav class="pager" aria-label="Pages">
${page > 1 && html`<a id="page-before" href="${to(page - 1)}" rel="prev">Before</a>`}
<span>Page ${page} of ${last}, ${found} credentials</span>
${page < last && html`<a id="page-next" href="${to(page + 1)}" rel="next">Next</a>`}
</nav>`
}
