import { handedOut } from './credential.ts'
import { isPressing } from './expiry-margin.ts'
import type { Occurrences } from './ports.ts'
import type { Blackout, CredentialState, Policy } from './types.ts'

/** A time in which nothing moves that nobody asks for then: a cron expression of its beginning and how long, or once. */
export type BlackoutWindow =
  | { readonly expression: string; readonly timeZone: string; readonly forMs: number }
  | { readonly fromAt: number; readonly untilAt: number }

/** Windows that follow each other without a gap are one; more of them than this are not joined at once. */
const joinsMax = 50

/**
 * The blackout that an instant lies in, windows that touch or overlap taken together; undefined outside of all. A pure
 * function of the windows and the instant: what it remembers is only the last answer, since it is asked far more often
 * than windows begin or end.
 */
export function blackoutsOf(
  windows: readonly BlackoutWindow[],
  occurrences: Occurrences,
): (at: number) => Blackout | undefined {
  const during = (at: number): Blackout | undefined =>
    joined(windows.map((one) => windowAt(one, at, occurrences)))
  let known:
    | { readonly from: number; readonly until: number; readonly blackout: Blackout | undefined }
    | undefined
  return (at) => {
    if (known !== undefined && known.from <= at && at < known.until) return known.blackout
    let blackout = during(at)
    for (let joins = 0; blackout !== undefined && joins < joinsMax; joins++) {
      const { from, until } =
        joined([blackout, during(blackout.until), during(blackout.from - 1)]) ?? blackout
      if (from === blackout.from && until === blackout.until) break
      blackout = { from, until }
    }
    known =
      blackout === undefined
        ? { from: at, until: nextBeginning(windows, at, occurrences), blackout }
        : { ...blackout, blackout }
    return blackout
  }
}

/** Of a window that comes again the first beginning that lies no longer back than it lasts: it is the one that is still on. */
function windowAt(window: BlackoutWindow, at: number, occurrences: Occurrences): Blackout | undefined {
  if ('fromAt' in window)
    return window.fromAt <= at && at < window.untilAt
      ? { from: window.fromAt, until: window.untilAt }
      : undefined
  const from = occurrences.next(window.expression, window.timeZone, at - window.forMs)
  return from === undefined || from > at ? undefined : { from, until: from + window.forMs }
}

function joined(parts: readonly (Blackout | undefined)[]): Blackout | undefined {
  const found = parts.filter((one) => one !== undefined)
  if (found.length === 0) return undefined
  return {
    from: Math.min(...found.map(({ from }) => from)),
    until: Math.max(...found.map(({ until }) => until)),
  }
}

function nextBeginning(windows: readonly BlackoutWindow[], at: number, occurrences: Occurrences): number {
  const beginnings = windows.map((one) => {
    if ('fromAt' in one) return one.fromAt > at ? one.fromAt : Number.POSITIVE_INFINITY
    return occurrences.next(one.expression, one.timeZone, at) ?? Number.POSITIVE_INFINITY
  })
  return Math.min(...beginnings)
}

/**
 * Until when what nobody asks for now is held back; undefined where nothing holds it: outside of a blackout, where no key
 * is handed out, and where the key expires in it or soon after, which is worse than any change at the wrong time.
 */
export function heldUntil(state: CredentialState, policy: Policy, at: number): number | undefined {
  const blackout = policy.blackoutAt?.(at)
  if (blackout === undefined || handedOut(state) === undefined) return undefined
  return isPressing(state, policy, blackout) ? undefined : blackout.until
}

/** The same for the promotion of the rotation under way: what a person asked for, or an app needs, is never held. */
export function promotionHeldUntil(state: CredentialState, policy: Policy, at: number): number | undefined {
  const { rotation } = state
  const isUnasked = rotation?.requestedBy === 'schedule' && rotation.mode === 'normal'
  return isUnasked ? heldUntil(state, policy, at) : undefined
}
