import type { CredentialSummary } from '../api/types.ts'
import { needsHuman, renderDetail, renderTable, renderTroubles, type View } from './summary.ts'
import { span } from './text.ts'

/** What `status --watch` shows at one moment. */
export interface Moment {
  readonly all: readonly CredentialSummary[]
  /** One credential in detail, and no list. */
  readonly isOne: boolean
  readonly rows: number
  /** How changes come to be known. */
  readonly source: string
  /** Since when the service has not answered. */
  readonly awayAt: number | undefined
}

/** A screen of the height that there is: what needs a person first, then what is going on. */
export function renderScreen(moment: Moment, view: View): string[] {
  const { paint } = view.out
  const away =
    moment.awayAt === undefined
      ? []
      : [paint('yellow', `the service has not answered for ${span(view.now - moment.awayAt)}; this is older`)]
  const foot = [...away, paint('dim', `${moment.source}; q ends`)]
  const height = Math.max(1, moment.rows - foot.length)
  const [first] = moment.all
  const lines =
    moment.isOne && first !== undefined
      ? shortened(renderDetail(first, view), height)
      : listLines(moment.all.toSorted(byNeed), height, view)
  return [...lines, ...foot]
}

function listLines(all: readonly CredentialSummary[], height: number, view: View): string[] {
  const title = view.out.paint('bold', titleOf(all))
  // No more are laid out than fit: with thousands of them a change every second has to be drawn.
  const seen = all.slice(0, height)
  const table = renderTable(seen, view)
  const troubles = seen.flatMap((summary) => renderTroubles(summary, view.out))
  const room = height - 1
  if (seen.length === all.length && table.length + troubles.length <= room)
    return [title, ...table, ...troubles]
  const below = troubles.slice(0, Math.max(0, Math.min(troubles.length, Math.floor(room / 3))))
  const above = table.slice(0, Math.max(1, room - below.length - 1))
  const left = all.length - (above.length - 1)
  return [title, ...above, ...(left > 0 ? [`… and ${left} more`] : []), ...below].slice(0, height)
}

function titleOf(all: readonly CredentialSummary[]): string {
  const count = (is: (summary: CredentialSummary) => boolean): number => all.filter(is).length
  const parts = [
    `${all.length} ${all.length === 1 ? 'credential' : 'credentials'}`,
    `in need of a person: ${count(needsHuman)}`,
    `under way: ${count(isMoving)}`,
  ]
  return parts.join(', ')
}

function isMoving({ rotation, retirements }: CredentialSummary): boolean {
  return [rotation, ...retirements].some((walk) => walk !== null && walk.endedAt === null)
}

function byNeed(one: CredentialSummary, other: CredentialSummary): number {
  return needOf(one) - needOf(other) || one.name.localeCompare(other.name)
}

function needOf(summary: CredentialSummary): number {
  if (needsHuman(summary)) return 0
  if (summary.troubles.length > 0) return 1
  return isMoving(summary) ? 2 : 3
}

function shortened(lines: readonly string[], height: number): readonly string[] {
  if (lines.length <= height) return lines
  return [...lines.slice(0, height - 1), `… ${lines.length - height + 1} more lines`]
}
