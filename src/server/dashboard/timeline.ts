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

export const lanesMax = 12
/** In units of the bars, which are stretched to the room that there is. */
const width = 1_000
const pastWidth = 700
const height = 34
const margin = 7

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

/**
 * A picture of the lanes, each a line of text and a bar: it is as wide as the screen, the words grow with the text of the
 * page, and on a phone they stand above their bar. What the bars show is said in words besides, for those who do not see it.
 */
export function timeline(lanes: readonly Lane[], now: number): Html {
  if (lanes.length === 0) return html`<p>There is no version yet.</p>`
  const all = lanes.flatMap(({ stretches }) => stretches)
  const from = Math.min(now - 1_000, ...all.map((one) => one.from))
  const until = Math.max(now, ...all.map((one) => one.until))
  const nowX = until > now ? pastWidth : width
  // Two scales that meet at now: an overlap of a week would make an hour that has passed a line.
  const x = (at: number): number =>
    Math.round(
      at <= now ? ((at - from) / (now - from)) * nowX : nowX + ((at - now) / (until - now)) * (width - nowX),
    )
  return html`<ol class="timeline" aria-label="Versions and how they overlap">
${lanes.map((lane) => drawn(lane, x, x(now)))}
</ol>
<p class="axis${until > now && ' ahead'}" aria-hidden="true"><span>${relative(from - now)}</span><span>now</span>${until > now && html`<span>${relative(until - now)}</span>`}</p>
<ul class="legend">
<li><span class="swatch before" aria-hidden="true"></span> waiting, being proven</li>
<li><span class="swatch current" aria-hidden="true"></span> handed out</li>
<li><span class="swatch after" aria-hidden="true"></span> lives on beside its successor</li>
<li><span class="swatch planned" aria-hidden="true"></span> planned</li>
</ul>`
}

function drawn({ version, stage, stretches, sentence }: Lane, x: (at: number) => number, nowX: number): Html {
  return html`<li><span class="lane" aria-hidden="true"><code>${short(version)}</code> ${stage}</span>
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true" focusable="false"><title>${sentence}</title>
${stretches.map(
  ({ kind, from, until }) =>
    html`<rect class="${kind}" x="${x(from)}" y="${margin}" width="${Math.max(3, x(until) - x(from))}" height="${height - 2 * margin}"></rect>`,
)}<line class="now" x1="${nowX}" x2="${nowX}" y1="0" y2="${height}"></line></svg>
<span class="unseen">${sentence}</span></li>`
}
