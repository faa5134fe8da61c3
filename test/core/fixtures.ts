import { type ChangeContext, initialState } from '../../src/core/credential.ts'
import { type RetirementEvent, stepRetirement } from '../../src/core/retirement.ts'
import { type RotationEvent, step } from '../../src/core/rotation.ts'
import type {
  CredentialState,
  Policy,
  Retirement,
  Rotation,
  Verdict,
  VerdictKind,
  VersionRecord,
} from '../../src/core/types.ts'

/** An instant like any other, so that a forgotten `now` shows as 1970. */
export const startAt = 1_790_000_000_000
export const minuteMs = 60_000
export const hourMs = 3_600_000
export const dayMs = 86_400_000

export function policyOf(change: Partial<Policy> = {}): Policy {
  return {
    canMint: true,
    isManual: false,
    storeWritable: true,
    mirrors: [],
    overlapMs: hourMs,
    drainLimitMs: 6 * hourMs,
    afterLimit: 'wait',
    quietMs: 10 * minuteMs,
    provingCount: 3,
    provingSettleMs: 2_000,
    activationGraceMs: 30_000,
    attemptsMax: 3,
    phaseDeadlineMs: 15 * minuteMs,
    retryBaseMs: 1_000,
    retryMaxMs: minuteMs,
    verifyEveryMs: 5 * minuteMs,
    verifyCloselyEveryMs: 30_000,
    verifyCloselyForMs: 10 * minuteMs,
    rejectionGapMs: 300,
    automaticPerDayMax: 3,
    deadProbes: 3,
    deadSpanMs: 2 * minuteMs,
    deadLimitMs: 30 * minuteMs,
    storePollMs: minuteMs,
    pendingExpirySeconds: 3_600,
    keyExpirySeconds: 31_536_000,
    expiryManaged: true,
    staleAfterMs: 100 * dayMs,
    standby: false,
    standbyMaxAgeMs: 90 * dayMs,
    ...change,
  }
}

export function verdictOf(kind: VerdictKind, change: Partial<Verdict> = {}): Verdict {
  return {
    kind,
    cause: `cause_${kind}`,
    summary: `It is ${kind}.`,
    fix: `Mend ${kind}.`,
    rotationCanHelp: kind === 'rejected',
    ...change,
  }
}

/** Names that are never drawn twice, in an order that a failing test can be read by. */
export function namer(): { readonly uuid: () => string; readonly marker: () => string } {
  let drawn = 0
  const next = (prefix: string): string => `${prefix}-${++drawn}`
  return { uuid: () => next('v'), marker: () => next('marker') }
}

export function changeContext(
  now: number,
  policy: Policy = policyOf(),
  names = namer(),
): ChangeContext & { readonly fraction: number } {
  return { now, policy, fraction: 0.5, ...names }
}

export interface Walked<T> {
  readonly at: T
  readonly now: number
}

/** Steps a rotation through events, a second apart each, or at the delay that stands before an event. */
export function walkRotation(
  from: Walked<Rotation>,
  events: readonly (RotationEvent | number)[],
  policy: Policy,
  names = namer(),
): Walked<Rotation> {
  let { at, now } = from
  for (const event of events) {
    if (typeof event === 'number') {
      now += event
      continue
    }
    now += 1_000
    at = step(at, event, { now, policy, fresh: { marker: names.marker(), version: names.uuid() } })
  }
  return { at, now }
}

export function walkRetirement(
  from: Walked<Retirement>,
  events: readonly (RetirementEvent | number)[],
  policy: Policy,
): Walked<Retirement> {
  let { at, now } = from
  for (const event of events) {
    if (typeof event === 'number') {
      now += event
      continue
    }
    now += 1_000
    at = stepRetirement(at, event, { now, policy })
  }
  return { at, now }
}

/** Small, fast and the same on every machine: a property shrinks on its seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export function recordWith(version: string, change: Partial<VersionRecord> = {}): VersionRecord {
  return {
    version,
    stage: 'previous',
    origin: 'minted',
    fingerprint: `f-${version}`,
    meta: { keyId: `key-${version}` },
    addedAt: startAt - 3 * dayMs,
    verifiedAt: startAt,
    ...change,
  }
}

/** A state of these records, in which the store agrees about what is current. */
export function stateOf(
  records: readonly VersionRecord[],
  change: Partial<CredentialState> = {},
): CredentialState {
  const current = records.find((one) => one.stage === 'current')?.version
  return {
    ...initialState('openai', startAt),
    generation: 0,
    versions: records,
    ...(current === undefined ? {} : { current, storeCurrent: current }),
    ...change,
  }
}
