/** One promotion among those of the same turn. */
export interface Contender {
  readonly nonce: string
  /** Whom it found once it had been written, itself among them; undefined while it has not told, empty: it has withdrawn. */
  readonly seen: readonly string[] | undefined
}

export type Judgement =
  | { readonly kind: 'won'; readonly nonce: string }
  /** Nothing can be said before these have told whom they saw, or are known to be dead. */
  | { readonly kind: 'waiting'; readonly for: readonly string[] }
  /** All of them died before they told anything, or withdrew: nobody was told that he won. */
  | { readonly kind: 'nobody' }

/**
 * Who won a turn, without a compare-and-swap: Azure has none.
 *
 * Each contender (1) writes itself, (2) once that is acknowledged lists everybody who wrote, (3) tells in a tag of its own
 * version whom it saw, once and for all, and (4) judges. All that is asked of Azure is that a list shows what was
 * acknowledged before the list began.
 *
 * Why all judge alike. Draw an arrow from each contender to everyone it saw.
 * a. Of any two, at least one saw the other: whichever write was acknowledged later, its list began after both.
 * b. So the groups of those who can reach each other along arrows stand in one line, and the last group, out of which no
 *    arrow leads, can be reached from everybody.
 * c. The last group cannot change once its members have told: a newcomer whom none of them saw cannot be reached from it,
 *    though it can be reached from the newcomer (a).
 * d. What one contender can reach is smallest for the members of the last group, and is just that group. Everybody finds it
 *    among what he can reach himself, and its smallest nonce is the winner. Whoever saw nobody but himself is that group.
 *
 * Who finds that the version was retired meanwhile tells instead that it withdraws, and counts for nothing: it looks between
 * its own write and (3), and a retirement looks for such writes after its own mark, so that at least one meets the other.
 *
 * Those who died before (3) are left out once they cannot tell any more. A contender claims to have won only where its tell
 * was acknowledged within `tellWithinMs` of the beginning of its write; then it cancels the request, and asks what was
 * decided as any other would. Others give a silent one up `giveUpAfterMs` after they first found it, which is later than it
 * began, and judge by a list that begins after that: whatever was acknowledged in time is in it. This is the one assumption
 * about time: that a tell of which no answer came takes effect, if ever, within the difference after it was cancelled.
 */
export function judge(contenders: readonly Contender[], dead: ReadonlySet<string>): Judgement {
  const sets = new Map<string, ReadonlySet<string>>()
  const withdrawn = new Set<string>()
  for (const { nonce, seen } of contenders)
    if (seen?.length === 0) withdrawn.add(nonce)
    else if (seen !== undefined) sets.set(nonce, new Set(seen))
  const isLeftOut = (nonce: string): boolean => withdrawn.has(nonce) || (dead.has(nonce) && !sets.has(nonce))
  let last: ReadonlySet<string> | undefined
  const waitingFor = new Set<string>()
  for (const nonce of sets.keys()) {
    const reach = reachOf(nonce, sets, isLeftOut)
    const silent = [...reach].filter((each) => !sets.has(each))
    if (silent.length > 0) for (const each of silent) waitingFor.add(each)
    else if (last === undefined || reach.size < last.size) last = reach
  }
  const winner = last === undefined ? undefined : [...last].sort()[0]
  if (winner !== undefined) return { kind: 'won', nonce: winner }
  if (sets.size === 0) for (const { nonce } of contenders) if (!isLeftOut(nonce)) waitingFor.add(nonce)
  return waitingFor.size === 0 ? { kind: 'nobody' } : { kind: 'waiting', for: [...waitingFor] }
}

function reachOf(
  start: string,
  sets: ReadonlyMap<string, ReadonlySet<string>>,
  isLeftOut: (nonce: string) => boolean,
): ReadonlySet<string> {
  const reach = new Set([start])
  // A set that grows while it is walked is walked to its end.
  for (const nonce of reach) for (const next of sets.get(nonce) ?? []) if (!isLeftOut(next)) reach.add(next)
  return reach
}

/** From the beginning of a contender's write until its `seen` is acknowledged; what is not by then, is cancelled. */
export const tellWithinMs = 10_000
/** From when a contender was first found silent. */
export const giveUpAfterMs = 20_000
/** By Azure's clock against ours: older ones need not be waited for. */
export const longDeadMs = 120_000
