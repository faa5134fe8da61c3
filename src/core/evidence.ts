import type { NewVersion } from './credential.ts'
import { redactKeys } from './key-shape.ts'
import type { KeyId, RotationMode, Step, Verdict, VerdictKind, VersionId, VersionOrigin } from './types.ts'

/**
 * What the steps of a walk rest on, as data: a note is for people who watch, evidence is for those who ask a year later.
 * Facts as they were seen, with the issuer's request ids, which it can look up. Never a secret, and bounded: lists hold
 * their latest entries and say how many there were.
 */
export type StepEvidence =
  /** A person, the schedule or a failover wanted it. */
  | {
      readonly kind: 'asked'
      readonly by: string
      readonly reason?: string
      readonly mode?: RotationMode
      readonly isCompromised?: boolean
    }
  /** What this identity may do in store, mirrors and issuer; `untested`: nobody can tell without doing it. */
  | {
      readonly kind: 'permissions'
      readonly granted: readonly string[]
      readonly untested: readonly string[]
      readonly total: number
    }
  | {
      readonly kind: 'minted'
      readonly key: KeyFacts | { readonly keyId: KeyId }
      readonly marker: string
      readonly requestId?: string
    }
  /** Keys of attempts whose answer was lost, found in the issuer's list and ended. */
  | { readonly kind: 'strays'; readonly ended: readonly KeyId[] }
  /** One answer of the issuer that decided. */
  | { readonly kind: 'answer'; readonly check: Check }
  | {
      readonly kind: 'verifications'
      readonly version: VersionId
      readonly checks: readonly Check[]
      readonly total: number
    }
  | {
      readonly kind: 'expiry'
      readonly keyId: KeyId
      readonly expiresAt?: number
      readonly requestId?: string
    }
  /** Moved by compare-and-swap under this fence. */
  | {
      readonly kind: 'promoted'
      readonly from: VersionId | null
      readonly to: VersionId
      readonly fence?: number
    }
  | { readonly kind: 'read_back'; readonly version: VersionId; readonly fingerprint?: string }
  | GateEvidence
  /** Marked as retired there, before anything is deleted. */
  | { readonly kind: 'retired'; readonly places: readonly string[] }
  | { readonly kind: 'deleted'; readonly keyId: KeyId; readonly requestId?: string }
  /** A pending key that was given up. */
  | ({ readonly kind: 'discarded'; readonly version: VersionId; readonly keyId?: KeyId } & Ending)
  | DeathEvidence
  /** What the store could do to the value: `destroyed`, `disabled`, `unlabelled` or `unsupported`. */
  | { readonly kind: 'destroyed'; readonly version: VersionId; readonly how?: string }

/** How a key was ended. */
export interface Ending {
  /** expiring: it was not to be deleted and expires within a second. left: nobody here can end it at the issuer. */
  readonly how?: 'deleted' | 'expiring' | 'left'
  readonly requestId?: string
  /** What the store could do to its value. */
  readonly value?: string
}

/** Why an old key was believed unused, when it was given up. */
export interface GateEvidence {
  readonly kind: 'gate'
  readonly overlapUntil: number
  /** It must have been unused for this long. */
  readonly quietMs: number
  readonly leases?: {
    readonly total: number
    readonly movedOn: readonly string[]
    /** Silent for so long that they count as gone, since the issuer would show their use. */
    readonly silent: readonly string[]
    readonly holding: readonly string[]
  }
  /** As the issuer tells it; null: never used, absent: it does not tell. */
  readonly lastUsedAt?: number | null
  /** When one of our own probes last used it: use within two seconds of it was ours. */
  readonly ownProbeAt?: number
  readonly isListed: boolean
  /** The store and the mirrors that were asked whether they still have it for current. */
  readonly asked?: readonly string[]
  /** It was given up all the same, as the policy says after its limit. */
  readonly heldBy?: string
}

export interface DeathEvidence {
  readonly kind: 'death'
  readonly keyId?: KeyId
  readonly probes: readonly DeathProbe[]
  readonly total: number
  /** Conclusive ones in a row, and since when. */
  readonly rejections: number
  readonly since?: number
}

/** One look whether a key is dead: the issuer's list, and the key itself. */
export interface DeathProbe {
  readonly at: number
  readonly listed: 'present' | 'absent' | 'unknown'
  /** Absent where the value is lost and nobody can ask the key itself. */
  readonly check?: Check
}

/** One verification, as it is kept. */
export interface Check {
  readonly at: number
  readonly verdict: VerdictKind
  readonly cause: string
  readonly status?: number
  readonly code?: string
  readonly requestId?: string
  /** Whether it answered under the configured organisation and project. */
  readonly isOurs?: boolean
}

/** Which key a walk is about; kept with the walk, since versions are forgotten earlier. */
export interface KeyFacts {
  readonly version: VersionId
  readonly fingerprint: string
  readonly origin: VersionOrigin
  readonly keyId?: KeyId
  readonly serviceAccount?: string
  readonly createdAt?: number
  readonly expiresAt?: number
}

/** What is written down of a move: one sentence for people, and what it rests on. */
export type Note = string | { readonly text: string; readonly evidence: StepEvidence | undefined }

/** The latest of many, and how many there were. */
export interface Tally<Entry> {
  readonly latest: readonly Entry[]
  readonly total: number
}

const latestMax = 8
const namesMax = 20
const nameLengthMax = 160

export function askedEvidence(
  asked: Omit<Extract<StepEvidence, { kind: 'asked' }>, 'kind'>,
): Extract<StepEvidence, { kind: 'asked' }> {
  const { by, reason, mode, isCompromised } = asked
  return {
    kind: 'asked',
    by,
    ...(reason === undefined ? {} : { reason }),
    ...(mode === undefined ? {} : { mode }),
    ...(isCompromised === undefined ? {} : { isCompromised }),
  }
}

export function checkOf(verdict: Verdict, at: number, isOurs?: boolean): Check {
  const { kind, cause, status, code, requestId } = verdict
  return {
    at,
    verdict: kind,
    cause,
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(isOurs === undefined ? {} : { isOurs }),
  }
}

export function keyFacts({ version, fingerprint, origin, meta }: NewVersion): KeyFacts {
  const { keyId, serviceAccount, createdAt, expiresAt } = meta
  return {
    version,
    fingerprint,
    origin,
    ...(keyId === undefined ? {} : { keyId }),
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}

export function tallied<Entry>(before: Tally<Entry> | undefined, entry: Entry): Tally<Entry> {
  return {
    latest: [...(before?.latest ?? []), entry].slice(-latestMax),
    total: (before?.total ?? 0) + 1,
  }
}

/** The first step says who wanted the walk and why, and stays; of the others the latest are kept, and it is said how many went. */
export function withStep(
  walk: { readonly steps: readonly Step[]; readonly stepsDropped?: number },
  line: Step,
  stepsMax: number,
): { readonly steps: readonly Step[]; readonly stepsDropped?: number } {
  const steps = [...walk.steps, line]
  const surplus = steps.length - stepsMax
  if (surplus <= 0) return { steps }
  return {
    steps: [...steps.slice(0, 1), ...steps.slice(1 + surplus)],
    stepsDropped: (walk.stepsDropped ?? 0) + surplus,
  }
}

/** Names that stores, operators and apps chose: people put keys into the strangest of them, and the ledger takes none. */
export function evidenceNames(names: readonly string[]): readonly string[] {
  return names.slice(0, namesMax).map((one) => redactKeys(one.slice(0, nameLengthMax)))
}
