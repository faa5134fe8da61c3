import type { BlackoutWindow } from '../../src/core/blackout.ts'
import type { Policy } from '../../src/core/types.ts'
import type { ReconcileTimes } from '../../src/engine/reconciler.ts'
import { startAt } from '../core/fixtures.ts'
import { type Dice, diceOf } from './dice.ts'

const secondMs = 1_000
const minuteMs = 60_000

/** What one history is like: all of it drawn from the seed. */
export interface SimOptions {
  readonly seed: number
  readonly replicas: number
  readonly credentials: readonly CredentialOptions[]
  readonly chaosMs: number
  /** How long it may take until all is well again, once nothing fails any more. */
  readonly convergeMs: number
  /** A history with more of them goes round. */
  readonly eventsMax: number
  /** Between two requests of an app; each app has one of these. */
  readonly appEveryMs: readonly number[]
  /** Faults that come by themselves, per call; storms raise it for a while. */
  readonly faultRate: number
  readonly crashRate: number
  readonly latencyMs: number
  /** Mean time between two acts of people or fate; Infinity for none. */
  readonly fateEveryMs: number
  readonly fate: FateWeights
  readonly beatMs: number
  readonly patienceMs: number
  readonly skewMs: number
  readonly drift: number
  readonly hasSteps: boolean
  readonly issuer: IssuerOptions
  readonly store: StoreOptions
  readonly reconcile: ReconcileTimes
  /** Also looked at is what goes wrong slowly. */
  readonly isLong?: boolean
}

export interface CredentialOptions {
  readonly name: string
  readonly mirrors: number
  readonly apps: number
  readonly isStocked: boolean
  /** A service account of its own, or the one that all share. */
  readonly account: string
  /** The second one, for spares. */
  readonly spareAccount: string
  readonly organization: string | undefined
  readonly schedule: string | undefined
  /** Most have none. */
  readonly blackout: readonly BlackoutWindow[]
  readonly policy: Partial<Policy>
}

export interface IssuerOptions {
  readonly edges: number
  readonly tellsLastUse: boolean
  readonly lastUseLagMs: number
  readonly listLagMs: number
  /** How often a new key is refused for a while by some edges, and for how long at most. */
  readonly lateActivation: number
  readonly activationMs: number
  /** The same for a deleted key that still works. */
  readonly lateDeath: number
  readonly deathMs: number
  /** A mint whose answer was lost may land this much later. */
  readonly lateMintMs: number
  readonly deletes: 'always' | 'refused' | 'sometimes'
  /** One answer now and then that calls a living key dead. */
  readonly glitchRate: number
}

export interface StoreOptions {
  /** Other readers may see the old value for this long. */
  readonly lagMs: number
  readonly watches: boolean
}

export const fates = [
  'rotate',
  'emergency',
  'compromised',
  'rehearse',
  'pause',
  'resume',
  'abort',
  'rollback',
  'revoke',
  'revokeLast',
  'bring',
  'bringDead',
  'verify',
  'plantGood',
  'plantDead',
  'plantForeign',
  'moveBack',
  'plantMirror',
  'vanish',
  'vanishOld',
  'condition',
  'storm',
  'outage',
  'ledgerStorm',
  'crash',
  'freeze',
  'step',
  'ledgerLost',
  'permission',
  'holdOld',
  'partition',
  'deleteAccount',
] as const
export type Fate = (typeof fates)[number]
export type FateWeights = Readonly<Record<Fate, number>>

const usual: FateWeights = {
  rotate: 10,
  emergency: 3,
  compromised: 2,
  rehearse: 2,
  pause: 1,
  resume: 2,
  abort: 2,
  rollback: 3,
  revoke: 2,
  revokeLast: 0.3,
  bring: 1.5,
  bringDead: 0.5,
  verify: 1,
  plantGood: 1.5,
  plantDead: 1,
  plantForeign: 1,
  moveBack: 1.5,
  plantMirror: 2,
  vanish: 3,
  vanishOld: 1,
  condition: 3,
  storm: 4,
  outage: 3,
  ledgerStorm: 1,
  crash: 5,
  freeze: 2,
  step: 1,
  ledgerLost: 1,
  permission: 0.7,
  holdOld: 2,
  partition: 1.5,
  deleteAccount: 2,
}

/** Drawn apart, so that the histories of old stay what they were. Minutes in place of days, as everything here. */
function blackoutOf(dice: Dice): readonly BlackoutWindow[] {
  if (!dice.chance(0.25)) return []
  const fromAt = startAt + dice.between(0, 5) * minuteMs
  const once = { fromAt, untilAt: fromAt + dice.between(1, 12) * minuteMs }
  const again = {
    expression: dice.pick(['*/7 * * * *', '3-59/10 * * * *', '*/20 * * * *']),
    timeZone: 'UTC',
    forMs: dice.between(1, 6) * minuteMs,
  }
  return dice.pick([[once], [again], [once, again]])
}

export function optionsOf(seed: number): SimOptions {
  const dice = diceOf(seed, 'options')
  const spares = diceOf(seed, 'spares')
  const credentials = dice.pick([...Array.from({ length: 16 }, () => 1), 2, 2, 3, 5])
  const replicas = dice.pick([1, 1, 1, 1, 2, 2, 2, 3])
  const isQuiet = dice.chance(0.1)
  const isShared = dice.chance(0.5)
  const hasSteps = replicas === 1 && dice.chance(0.2)
  const issuer = issuerOptions(dice)
  const store: StoreOptions = {
    lagMs: dice.chance(0.3) ? dice.between(500, 20 * secondMs) : 0,
    watches: dice.chance(0.5),
  }
  const drawn = Array.from({ length: credentials }, (_, index) =>
    selfMinting(
      withSpare(
        credentialOptions(index, isShared, dice, {
          issuer,
          store,
          blackout: blackoutOf(diceOf(seed, `blackout ${index}`)),
        }),
        spares,
      ),
      seed,
    ),
  )
  const hasSpares = drawn.some(({ policy }) => policy.standby === true)
  return {
    seed,
    replicas,
    credentials: drawn,
    chaosMs: (dice.chance(0.06) ? dice.between(6, 20) : dice.between(0.5, 4)) * minuteMs,
    convergeMs: 4 * 60 * minuteMs,
    eventsMax: 600_000,
    appEveryMs: [15 * secondMs, 30 * secondMs, 60 * secondMs],
    faultRate: isQuiet ? 0 : dice.pick([0, 0.01, 0.05, 0.15, 0.3]),
    crashRate: isQuiet ? 0 : dice.pick([0, 0, 0.002, 0.01, 0.04]),
    latencyMs: dice.pick([1, 20, 100, 1_000]),
    fateEveryMs: isQuiet ? 3 * minuteMs : dice.pick([4, 8, 16, 40]) * secondMs,
    fate: { ...fateWeights(dice, hasSteps), deleteAccount: hasSpares ? usual.deleteAccount : 0 },
    beatMs: dice.pick([20, 60]) * secondMs,
    patienceMs: dice.pick([0, 2_000, 2_000, 30_000]),
    skewMs: dice.pick([0, 0, 100, 5_000]),
    drift: dice.pick([0, 0, 1e-5, 1e-4]),
    hasSteps,
    issuer,
    store,
    reconcile: reconcileOptions(diceOf(seed, 'reconcile')),
  }
}

/** The daily look comes often, and in half of the histories the two proofs are near enough for the time of trouble. */
function reconcileOptions(dice: Dice): ReconcileTimes {
  return {
    everyMs: dice.pick([5, 10, 30]) * minuteMs,
    apartMs: dice.pick([1, 2, 60, 60]) * minuteMs,
    startMs: dice.pick([5, 20]) * secondMs,
    freshMs: 2 * minuteMs,
    retryMs: dice.pick([30, 60]) * secondMs,
  }
}

/** Some keep admin keys, which make each other; drawn apart, so that all other histories stay as they were. */
function selfMinting(credential: CredentialOptions, seed: number): CredentialOptions {
  const isSpared = credential.policy.standby === true
  if (isSpared || !diceOf(seed, `admin keys of ${credential.name}`).chance(0.12)) return credential
  const policy = { ...credential.policy, isSelfMinting: true, expiryManaged: false }
  return { ...credential, account: `admin_${credential.name}`, policy }
}

/** A few kinds of trouble are left out in each history, so that the others are seen in depth. */
function fateWeights(dice: Dice, hasSteps: boolean): FateWeights {
  const drawn = fates
    .filter((name) => name !== 'deleteAccount')
    .map((name) => [name, dice.chance(0.35) ? 0 : usual[name]] as const)
  const weights = Object.fromEntries(drawn) as Record<Fate, number>
  // Where a clock was set back by an hour and the ledger is lost then, fences begin below those that the store has seen.
  return { ...weights, rotate: usual.rotate, ...(hasSteps ? { step: 2, ledgerLost: 1 } : { step: 0 }) }
}

function issuerOptions(dice: Dice): IssuerOptions {
  return {
    edges: dice.pick([1, 2, 3]),
    tellsLastUse: dice.chance(0.6),
    lastUseLagMs: dice.pick([0, 5 * secondMs, 30 * secondMs]),
    listLagMs: dice.pick([0, 0, secondMs, 5 * secondMs]),
    lateActivation: dice.pick([0, 0.2, 0.6]),
    activationMs: dice.pick([2, 10, 25]) * secondMs,
    lateDeath: dice.pick([0, 0.3, 0.7]),
    deathMs: dice.pick([3, 20, 120]) * secondMs,
    lateMintMs: dice.pick([0, 20, 300]) * secondMs,
    deletes: dice.pick(['always', 'always', 'always', 'always', 'sometimes', 'refused'] as const),
    glitchRate: dice.pick([0, 0, 0.003]),
  }
}

function credentialOptions(
  index: number,
  isShared: boolean,
  dice: Dice,
  {
    issuer,
    store,
    blackout,
  }: {
    readonly issuer: IssuerOptions
    readonly store: StoreOptions
    readonly blackout: readonly BlackoutWindow[]
  },
): CredentialOptions {
  const overlapMs = Math.max(store.lagMs, dice.pick([1, 1, 2, 5]) * minuteMs)
  const closelyMs = dice.pick([30, 60]) * secondMs
  return {
    name: index === 0 ? 'openai' : `openai-${index + 1}`,
    mirrors: dice.pick([0, 0, 0, 1, 1, 2]),
    apps: dice.pick([1, 1, 1, 2, 3]),
    isStocked: dice.chance(0.7),
    account: isShared ? 'svc_shared' : `svc_${index + 1}`,
    spareAccount: isShared ? 'svc_shared_spare' : `svc_${index + 1}_spare`,
    organization: dice.chance(0.75) ? 'org-ours' : undefined,
    schedule: dice.chance(0.4) ? dice.pick(['*/5 * * * *', '*/10 * * * *', '*/25 * * * *']) : undefined,
    blackout,
    policy: {
      overlapMs,
      drainLimitMs: dice.pick([5, 20]) * minuteMs,
      afterLimit: dice.chance(0.15) ? 'revoke' : 'wait',
      quietMs: Math.max(issuer.lastUseLagMs + 5 * secondMs, dice.pick([30 * secondMs, 2 * minuteMs])),
      provingCount: dice.pick([1, 2, 3]),
      provingSettleMs: dice.pick([0, 2, 10]) * secondMs,
      activationGraceMs: 30 * secondMs,
      attemptsMax: dice.pick([2, 3, 5]),
      phaseDeadlineMs: dice.pick([3, 15]) * minuteMs,
      retryBaseMs: secondMs,
      retryMaxMs: dice.pick([30, 60, 120]) * secondMs,
      verifyEveryMs: dice.pick([5, 10, 30]) * minuteMs,
      verifyCloselyEveryMs: closelyMs,
      verifyCloselyForMs: dice.pick([2, 5]) * minuteMs,
      rejectionGapMs: 300,
      automaticPerDayMax: dice.pick([1, 3, 10]),
      deadProbes: dice.pick([2, 3]),
      deadSpanMs: dice.pick([10, 20, 120]) * secondMs,
      deadLimitMs: 30 * minuteMs,
      storePollMs: dice.pick([2, 5, 10]) * minuteMs,
      pendingExpirySeconds: 3_600,
      keyExpirySeconds: 31_536_000,
      expiryManaged: dice.chance(0.8),
    },
  }
}

/** Drawn apart, so that histories without a spare stay what they were. */
function withSpare(credential: CredentialOptions, dice: Dice): CredentialOptions {
  const standby = dice.chance(0.35)
  const standbyMaxAgeMs = dice.pick([20, 120, 24 * 60]) * minuteMs
  return { ...credential, policy: { ...credential.policy, standby, standbyMaxAgeMs } }
}
