import type { BlastRadius } from '../../api/types.ts'
import { bodyLimits } from '../../api/validators.ts'
import { redactKeys } from '../../core/key-shape.ts'
import { type ActId, acts, type Subject } from './acts.ts'
import { type Html, html } from './html.ts'
import { problemBox } from './layout.ts'
import { counted, short, when } from './words.ts'

export interface ConfirmOptions {
  readonly id: ActId
  readonly subject: Subject
  /** Absent: it cannot be told now, or the act takes nothing from anybody. */
  readonly radius: BlastRadius | undefined
  readonly csrf: string
  /** Of this very form: sent twice, it is done once. */
  readonly once: string
  /** What the act is about: an approval, a version, an instance. */
  readonly of: string | undefined
  readonly problem?: { readonly message: string; readonly fix?: string | undefined } | undefined
  readonly now: number
}

/** What an act will do, before it does it. */
export function confirmBody({ id, subject, radius, csrf, once, of, problem, now }: ConfirmOptions): Html {
  const act = acts[id]
  const { name } = subject.summary
  const label = act.label.replace('…', '')
  const cannot = act.cannot?.(subject)
  return html`<p class="crumbs"><a href="/">Credentials</a> / <a href="/credentials/${name}">${name}</a></p>
<h1>${label}: ${name}</h1>
${problem === undefined ? '' : problemBox(problem)}
${cannot === undefined ? form({ id, subject, radius, csrf, once, of, now }) : html`<h2>It cannot be done now</h2><p class="box">${cannot}</p><p class="row"><a class="button" href="/credentials/${name}">Back</a></p>`}`
}

function form({ id, subject, radius, csrf, once, of, now }: Omit<ConfirmOptions, 'problem'>): Html {
  const act = acts[id]
  const { name } = subject.summary
  const isRefused = id === 'bring' && !subject.isPrivate
  return html`<h2>What it will do</h2>
<ul class="will">${act.will(subject).map((sentence) => html`<li>${sentence}</li>`)}</ul>
${act.hasRadius && html`<h2>Who loses what</h2>${radius === undefined ? html`<p>Who holds the key cannot be told now.</p>` : radiusList(radius, now)}`}
<form method="post" action="/credentials/${name}/${id}" class="stack">
<input type="hidden" name="csrf" value="${csrf}">
<input type="hidden" name="once" value="${once}">
${of !== undefined && html`<input type="hidden" name="of" value="${of}">`}
${act.fields?.(subject)}
${act.hasReason && html`<label for="reason">Why (for the history; never a key)</label><input id="reason" name="reason" value="${redactKeys(subject.sent.get('reason') ?? '')}" autocomplete="off" maxlength="${bodyLimits.reasonChars}">`}
<p class="row">${!isRefused && html`<button class="${act.isDanger ? 'danger' : 'primary'}">${act.label.replace('…', '')}</button>`} <a class="button" href="/credentials/${name}">Leave it</a></p>
</form>`
}

const holdersShownMax = 20

function radiusList(radius: BlastRadius, now: number): Html {
  const { holders, mirrors, sharedWith } = radius
  const silent = holders.filter(({ isSilent }) => isSilent).length
  const listening = holders.filter(({ isListening }) => isListening).length
  const asking = holders.length - listening - silent
  return html`<dl>
<div><dt>Key</dt><dd><code>${radius.fingerprint}</code>, version ${short(radius.version)}, ${radius.stage}</dd></div>
<div><dt>Last used</dt><dd>${radius.lastUse === 'told' ? when(radius.lastUsedAt, now) : radius.lastUse === 'never' ? 'never, as OpenAI says' : 'not known: OpenAI cannot be asked, or does not tell'}</dd></div>
<div><dt>Apps</dt><dd>${holders.length === 0 ? 'none is known to hold it; apps without a lease are not seen' : `${counted(holders.length, 'instance')}: ${listening} are told at once, ${asking} when they ask next, ${silent} are silent`}</dd></div>
${mirrors.map(({ id }) => html`<div><dt>Mirror</dt><dd>${id}: its readers hold no lease</dd></div>`)}
${sharedWith.map((other) => html`<div><dt>Also</dt><dd><strong>${other} holds this very key, and loses it too</strong></dd></div>`)}
<div><dt>Instead</dt><dd>${instead(radius)}</dd></div>
</dl>
${holders.length > 0 && html`<ul class="holders">${holders.slice(0, holdersShownMax).map(({ app, instance, seenAt, isSilent }) => html`<li>${app} ${instance}, seen ${when(seenAt, now)}${isSilent && ': silent'}</li>`)}</ul>`}`
}

function instead({ isCurrent, spare }: BlastRadius): string {
  if (spare === null)
    return isCurrent ? 'no other live key: a new one has to be made first' : 'nothing is handed out'
  return `${short(spare.version)} (${spare.stage}) is ${isCurrent ? 'alive and takes over' : 'handed out'}`
}
