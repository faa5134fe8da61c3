import type {
  ApprovalSummary,
  CredentialSummary,
  LeaseSummary,
  RetirementSummary,
  RotationSummary,
} from '../../api/types.ts'
import type { CredentialEvent } from '../../core/types.ts'
import { type ActId, acts, actsOffered, asked, isRevocable } from './acts.ts'
import { type Html, html } from './html.ts'
import { users } from './overview.ts'
import { phaseList } from './phases.ts'
import { stateMark, stateOf } from './state.ts'
import { lanesMax, lanesOf, timeline } from './timeline.ts'
import { counted, exact, sentence, short, spaced, when, whenExactly } from './words.ts'

export interface CredentialView {
  readonly summary: CredentialSummary
  readonly leases: readonly LeaseSummary[]
  readonly approvals: readonly ApprovalSummary[]
  /** Newest first. */
  readonly verdicts: readonly CredentialEvent[]
  readonly mayOperate: boolean
  readonly now: number
  /** An act that was just done. */
  readonly done?: ActId | 'waiting' | undefined
}

const leasesShownMax = 200
const stepsShownMax = 30

export function credentialBody(view: CredentialView): Html {
  const { summary, now, mayOperate, done } = view
  const { name, versions, retirements } = summary
  return html`<p class="crumbs"><a href="/">Credentials</a></p>
<h1>${name}${summary.isInternal && html` <span class="tag">internal</span>`}</h1>
${done === undefined ? '' : doneBox(done, summary)}
<section id="live-state-of" data-live aria-label="State">${state(summary, view.leases, now)}</section>
${mayOperate && html`<section aria-labelledby="acts"><h2 id="acts">Act</h2><p class="hint">Each shows first what it will do.</p><div id="live-acts" data-live>${buttons(view)}</div></section>`}
<section aria-labelledby="rotation"><h2 id="rotation">Rotation</h2><div id="live-rotation" data-live>${rotation(summary, now)}</div></section>
<section aria-labelledby="versions"><h2 id="versions">Versions</h2><div id="live-versions" data-live>
${timeline(lanesOf({ versions, retirements, now }), now)}
${versions.length > lanesMax && html`<p class="hint">The picture shows the newest ${lanesMax} of ${versions.length}.</p>`}
${versionTable(view)}
${retirements.map((one) => retirement(one, now))}
</div></section>
<section aria-labelledby="verifications"><h2 id="verifications">Verifications</h2><div id="live-verdicts" data-live>${verdicts(view)}</div></section>
<section aria-labelledby="leases"><h2 id="leases">Who uses it</h2><div id="live-leases" data-live>${leases(view)}</div></section>`
}

function doneBox(done: NonNullable<CredentialView['done']>, { current }: CredentialSummary): Html {
  if (done === 'waiting') return html`<p class="box" role="status">It waits for a second person now.</p>`
  const check = current?.check ?? null
  // Having asked is not having been told that all is well.
  if (done === 'verify' && check?.verdict !== 'valid')
    return html`<p class="box" role="status">OpenAI was asked just now${check !== null && html`: <b>${spaced(check.verdict)}</b>. ${check.summary}`}</p>`
  return html`<p class="box good" role="status">${acts[done].doneWords}</p>`
}

function state(summary: CredentialSummary, leased: readonly LeaseSummary[], now: number): Html {
  const { current, rotatesAt, blackoutUntil, standby, mirrors, troubles, lastKnownGood } = summary
  return html`<p class="big">${stateMark(stateOf(summary))}</p>
${troubles.map(
  ({ summary: what, fix, since }) =>
    html`<div class="box bad"><p><strong>${sentence(what)}</strong></p><p>${fix}</p>${since !== null && html`<p class="hint">Since ${exact(since)}</p>`}</div>`,
)}
<dl>
<div><dt>Key made</dt><dd>${whenExactly(current?.createdAt ?? current?.addedAt, now)}</dd></div>
<div><dt>Fingerprint</dt><dd><code>${current?.fingerprint ?? '–'}</code></dd></div>
<div><dt>Last proven</dt><dd>${whenExactly(current?.verifiedAt, now)}</dd></div>
<div><dt>Turns</dt><dd>${rotatesAt === null ? 'on demand' : html`${Date.parse(rotatesAt) < now && 'due '}${whenExactly(rotatesAt, now)}`}</dd></div>
${current !== null && current.expiresAt !== null && html`<div><dt>Expires</dt><dd>${whenExactly(current.expiresAt, now)}</dd></div>`}
${blackoutUntil !== null && html`<div><dt>Blackout ends</dt><dd>${whenExactly(blackoutUntil, now)}</dd></div>`}
<div><dt>Used by</dt><dd>${users(summary, leased)}</dd></div>
<div><dt>Kept in</dt><dd>${[summary.store, ...mirrors.map(({ id, isInLine }) => `${id}${isInLine ? '' : ' (not in line)'}`)].join(', ')}</dd></div>
<div><dt>Made by</dt><dd>${summary.issuer}</dd></div>
${standby !== null && html`<div><dt>Spare</dt><dd>${standby.ready > 0 ? 'ready' : `none: ${standby.reason ?? 'being made'}`}</dd></div>`}
${lastKnownGood !== undefined && html`<div><dt>Served from</dt><dd>the last-known-good file, proven ${whenExactly(lastKnownGood.verifiedAt, now)}</dd></div>`}
</dl>`
}

function buttons({ summary, approvals, now }: CredentialView): Html {
  const to = (id: ActId, of?: string): string => addressOf(summary.name, id, of)
  return html`${approvals.map(
    (approval) => html`<div class="box">
<p><strong>${approval.requestedBy} asked ${approval.act === 'emergency' && 'for '}${asked(approval)}</strong> ${when(approval.requestedAt, now)}${approval.reason !== null && html`: ${approval.reason}`}. A second person has to approve it.</p>
<p><a class="button danger" id="approve-${approval.id}" href="${to('approve', approval.id)}">Approve…</a> <a class="button" id="withdraw-${approval.id}" href="${to('withdraw', approval.id)}">Withdraw…</a></p></div>`,
  )}
<ul class="acts">${actsOffered(summary).map(
    (id) =>
      html`<li><a class="button ${acts[id].isDanger ? 'danger' : ''}" id="act-${id}" href="${to(id)}">${acts[id].label}</a></li>`,
  )}</ul>`
}

function addressOf(name: string, id: ActId, of?: string): string {
  return `/credentials/${name}/${id}${of === undefined ? '' : `?of=${encodeURIComponent(of)}`}`
}

/** Of one row among many: what it is about is said to those who hear links one by one. */
function rowAct(name: string, id: ActId, of: string, row = of): Html {
  return html`<a id="${id}-${row}" href="${addressOf(name, id, of)}">${acts[id].label}<span class="unseen"> ${short(of)}</span></a>`
}

function rotation({ rotation: one, troubles }: CredentialSummary, now: number): Html {
  if (one === null) return html`<p>None runs.</p>`
  return html`<p><strong>${one.mode} rotation</strong>, ${one.endedAt === null ? 'begun' : 'ended'} ${when(one.endedAt ?? one.startedAt, now)}, asked for by ${one.requestedBy}: ${one.reason}${one.isPaused && html` <span class="tag">paused</span>`}${one.outcome !== null && html` <span class="tag">${spaced(one.outcome)}</span>`}</p>
${phaseList(one)}
${faults(one, troubles)}
${steps(one.steps, now)}`
}

/** What stands on top of the page already is not said again. */
function faults({ halt, failure }: RotationSummary, troubles: CredentialSummary['troubles']): Html {
  return html`${[halt, failure].flatMap((why) =>
    why === null || troubles.some(({ summary }) => summary === why.summary)
      ? []
      : [html`<div class="box bad"><p><strong>${why.summary}</strong></p><p>${why.fix}</p></div>`],
  )}`
}

function steps(all: RotationSummary['steps'], now: number): Html {
  return html`<details><summary>${counted(all.length, 'step')}</summary><ol class="steps">${all
    .slice(-stepsShownMax)
    .map(
      ({ at, phase, note }) => html`<li>${when(at, now)} <b>${spaced(phase)}</b> ${note}</li>`,
    )}</ol></details>`
}

function versionTable({ summary: { name, versions }, mayOperate, now }: CredentialView): Html {
  const hasActs = mayOperate && versions.some(isRevocable)
  return html`<table class="cards"><caption class="unseen">Versions, newest first</caption>
<thead><tr><th scope="col">Version</th><th scope="col">Stage</th><th scope="col">Fingerprint</th><th scope="col">Made</th><th scope="col">Promoted</th><th scope="col">Last check</th>${hasActs && html`<th scope="col">Act</th>`}</tr></thead>
<tbody>${versions.map(
    (one) => html`<tr><th scope="row"><code title="${one.version}">${short(one.version)}</code></th>
<td data-label="Stage">${one.stage}${one.isCompromised && html` <span class="tag bad">compromised</span>`}</td>
<td data-label="Fingerprint"><code>${one.fingerprint}</code></td>
<td data-label="Made">${when(one.createdAt ?? one.addedAt, now)}</td>
<td data-label="Promoted">${when(one.promotedAt, now)}</td>
<td data-label="Last check">${one.check === null ? 'not yet' : html`${spaced(one.check.verdict)}, ${when(one.check.checkedAt, now)}`}</td>
${hasActs && (isRevocable(one) ? html`<td data-label="Act">${rowAct(name, 'revoke', one.version)}</td>` : html`<td class="empty"></td>`)}</tr>`,
  )}</tbody></table>`
}

function retirement(one: RetirementSummary, now: number): Html {
  if (one.endedAt !== null) return html``
  return html`<div class="box"><p><strong>${short(one.version)} is being retired</strong>: ${spaced(one.phase)} since ${when(one.steps.at(-1)?.at ?? one.startedAt, now)}; its overlap ends ${when(one.overlapUntil, now)}.${one.heldBy !== null && html` Held by ${one.heldBy}.`}</p>
${one.halt !== null && html`<p><strong>${one.halt.summary}</strong> ${one.halt.fix}</p>`}</div>`
}

function verdicts({ summary, verdicts: events, now }: CredentialView): Html {
  const check = summary.current?.check ?? null
  return html`${check === null ? html`<p>${summary.current === null ? 'There is no current key.' : 'The current key was not checked yet.'}</p>` : html`<p>Last: <b>${spaced(check.verdict)}</b>, ${when(check.checkedAt, now)}. ${check.summary}</p>`}
${
  events.length === 0
    ? html`<p>The verdict has not changed for as long as the events go back.</p>`
    : html`<h3>Changes of the verdict</h3><ol class="steps">${events.map(
        ({ at, data }) =>
          html`<li>${when(new Date(at).toISOString(), now)} <b>${spaced(text(data['verdict']))}</b> ${text(data['summary'])} <code>${short(text(data['version']))}</code></li>`,
      )}</ol>`
}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function leases({ summary, leases: all, mayOperate, now }: CredentialView): Html {
  if (all.length === 0)
    return html`<p>No app has a lease. Apps that use the client library, or send <code>Keyturn-Instance</code>, show here.</p>`
  const more = all.length - leasesShownMax
  return html`<table class="cards"><caption class="unseen">Leases of apps</caption>
<thead><tr><th scope="col">App</th><th scope="col">Instance</th><th scope="col">Key</th><th scope="col">Seen</th>${mayOperate && html`<th scope="col">Act</th>`}</tr></thead>
<tbody>${all.slice(0, leasesShownMax).map(
    ({
      app,
      instance,
      generation,
      seenAt,
    }) => html`<tr><th scope="row">${app}</th><td data-label="Instance" class="long">${instance}</td>
<td data-label="Key">${generation >= summary.generation ? 'the current one' : html`<span class="state attention"><span aria-hidden="true">▲ </span>an older one</span>`}</td>
<td data-label="Seen">${when(seenAt, now)}</td>
${mayOperate && html`<td data-label="Act">${rowAct(summary.name, 'forget', instance, `${app}-${instance}`)}</td>`}</tr>`,
  )}</tbody></table>${more > 0 && html`<p>and ${more} more</p>`}`
}
