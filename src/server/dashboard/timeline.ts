import type { RetirementSummary, VersionSummary } from '../../api/types.ts'
import { type Html, html } from './html.ts'
import { relative, short } from './words.ts'

/** One stretch of the life of a version. `until` beyond now is what is planned. */
export interface Stretch {
  readonly kind: 'before' | 'current' | 'after' | 'planned'
  readonly from: number
  readonly until: number
}

export interface Lane {
  readonly version: string
  readonly stage: string
  readonly stretches: readonly Stretch[]
  readonly sentence: string
}

const lanesMax = 12
const laneHeight = 34
const width = 1_000
const labelWidth = 215
const pastWidth = 750

/** When each version waited, was handed out, and lived on beside its successor. Newest first, as they come. */
export function lanesOf(options: {
  readonly versions: readonly VersionSummary[]
  readonly retirements: readonly RetirementSummary[]
  readonly now: number
}): readonly Lane[] {
  const { versions, retirements, now } = options
  const promotions = versions
    .flatMap(({ promotedAt }) => (promotedAt === null ? [] : [Date.parse(promotedAt)]))
    .toSorted((one, other) => one - other)
  return versions.slice(0, lanesMax).map((one) => {
    const retirement = retirements.find(({ version }) => version === one.version)
    const bornAt = Date.parse(one.addedAt)
    const promotedAt = one.promotedAt === null ? undefined : Date.parse(one.promotedAt)
    const endedAt = endOf(one, retirement) ?? now
    const nextAt =
      promotedAt === undefined || one.stage === 'current'
        ? undefined
        : promotions.find((at) => at > promotedAt)
    const stretches: Stretch[] = []
    const add = (kind: Stretch['kind'], from: number, until: number): void => {
      if (until > from) stretches.push({ kind, from, until })
    }
    add('before', bornAt, promotedAt ?? endedAt)
    if (promotedAt !== undefined) {
      const handedUntil = Math.min(nextAt ?? endedAt, endedAt)
      add('current', promotedAt, handedUntil)
      add('after', handedUntil, endedAt)
    }
    if (retirement?.endedAt === null) add('planned', now, Date.parse(retirement.overlapUntil))
    return { version: one.version, stage: one.stage, stretches, sentence: sentenceOf(one, stretches, now) }
  })
}

/** Undefined for what lives on. Of a key that was only tried, its last check is the last that is known of it. */
function endOf(one: VersionSummary, retirement: RetirementSummary | undefined): number | undefined {
  const isTried = one.stage === 'retired' && one.withdrawnAt === null && retirement === undefined
  const last = isTried ? (one.check?.checkedAt ?? one.addedAt) : undefined
  const ends = [one.withdrawnAt, retirement?.endedAt, last].flatMap((at) =>
    at === null || at === undefined ? [] : [Date.parse(at)],
  )
  return ends.length === 0 ? undefined : Math.min(...ends)
}

const words: Readonly<Record<Stretch['kind'], string>> = {
  before: 'waited',
  current: 'handed out',
  after: 'lived on beside the next',
  planned: 'lives on',
}

function sentenceOf({ version, stage }: VersionSummary, stretches: readonly Stretch[], now: number): string {
  const parts = stretches.map(
    ({ kind, from, until }) => `${words[kind]} from ${relative(from - now)} to ${relative(until - now)}`,
  )
  return `${short(version)} (${stage}): ${parts.join(', ') || 'made just now'}`
}

/** A picture of the lanes; what it shows is said in words besides, for those who do not see it. */
export function timeline(lanes: readonly Lane[], now: number): Html {
  if (lanes.length === 0) return html`<p>There is no version yet.</p>`
  const all = lanes.flatMap(({ stretches }) => stretches)
  const from = Math.min(now - 1_000, ...all.map((one) => one.from))
  const until = Math.max(now, ...all.map((one) => one.until))
  const nowX = until > now ? pastWidth : width - 10
  // Two scales that meet at now: an overlap of a week would make an hour that has passed a line.
  const x = (at: number): number =>
    Math.round(
      at <= now
        ? labelWidth + ((at - from) / (now - from)) * (nowX - labelWidth)
        : nowX + ((at - now) / (until - now)) * (width - 10 - nowX),
    )
  const height = lanes.length * laneHeight + 28
  const axis = height - 6
  return html`<div class="scrolls" tabindex="0" role="region" aria-label="Timeline of the versions">
<svg class="timeline" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="timeline-title timeline-words">
<title id="timeline-title">Versions and how they overlap</title>
<desc id="timeline-words">${lanes.map(({ sentence }) => sentence).join('. ')}.</desc>
${lanes.map((lane, index) => drawn(lane, index * laneHeight, x))}
<line class="now" x1="${x(now)}" x2="${x(now)}" y1="0" y2="${height - 22}"></line>
<text class="axis" x="${labelWidth}" y="${axis}">${relative(from - now)}</text>
<text class="axis" x="${x(now)}" y="${axis}" text-anchor="${until > now ? 'middle' : 'end'}">now</text>
${until > now && html`<text class="axis" x="${width - 10}" y="${axis}" text-anchor="end">${relative(until - now)}</text>`}
</svg></div>
<ul class="legend">
<li><span class="swatch before" aria-hidden="true"></span> waiting, being proven</li>
<li><span class="swatch current" aria-hidden="true"></span> handed out</li>
<li><span class="swatch after" aria-hidden="true"></span> lives on beside its successor</li>
<li><span class="swatch planned" aria-hidden="true"></span> planned</li>
</ul>`
}

function drawn({ version, stage, stretches }: Lane, y: number, x: (at: number) => number): Html {
  return html`<text class="lane" x="0" y="${y + 20}">${short(version)} <tspan class="stage">${stage}</tspan></text>
${stretches.map(
  ({ kind, from, until }) =>
    html`<rect class="${kind}" x="${x(from)}" y="${y + 6}" width="${Math.max(3, x(until) - x(from))}" height="20" rx="3"></rect>`,
)}`
}
