import type {
  Hash,
  Issuer,
  Ledger,
  Log,
  Occurrences,
  ProbeExpectation,
  SecretStore,
  System,
  Telemetry,
} from '../core/ports.ts'
import type { CredentialName, MirrorId, Policy } from '../core/types.ts'
import type { Pace } from './pace.ts'

/** One credential with everything that is needed to look after it; made by the composition root. */
export interface CredentialSetup {
  readonly name: CredentialName
  /** The secret's name in the store. */
  readonly ref: string
  readonly store: SecretStore
  /** Copies in other stores; `policy.mirrors` names the same ones. */
  readonly mirrors: readonly MirrorSetup[]
  readonly issuer: Issuer
  /**
   * Keyturn's own, an admin key: the same walks, but nobody is handed it and no token can read it. Only `secretOf` of
   * the service's options tells it, to issuers. Default false.
   */
  readonly isInternal?: boolean
  /** The internal credential whose key this one's issuer mints with. */
  readonly mintsWith?: CredentialName
  readonly expected: ProbeExpectation
  /** Scopes of minted keys; empty: all permissions. */
  readonly mintScopes: readonly string[]
  readonly policy: Policy
  readonly schedule:
    | { readonly expression: string; readonly timeZone: string; readonly jitterMs: number }
    | undefined
}

export interface MirrorSetup {
  readonly id: MirrorId
  readonly ref: string
  readonly store: SecretStore
}

export interface EngineDeps {
  readonly system: System & Hash
  readonly log: Log
  readonly ledger: Ledger
  readonly occurrences: Occurrences
  /** Who holds claims: stable where one process owns the ledger, so that a restart takes its own claims over at once. */
  readonly owner: string
  /** Part of every marker, so that one installation never touches another's keys. */
  readonly installation: string
  /** How often the issuer may be asked for each organisation. Default: one of its own for every service. */
  readonly pace?: Pace
  /** Default: nothing is counted, timed or traced. */
  readonly telemetry?: Telemetry
}

/** Named limits of the engine. */
export const engineLimits = {
  /** Credentials being worked on at once by one replica. */
  runnersMax: 64,
  /** What other processes did to the ledger and nobody told us of is looked for this often. */
  askAllEveryMs: 30_000,
  /** Looks at stores that are made without a claim: at once, and how seldom each is made with one. */
  patrolsMax: 16,
  storeConfirmMs: 6 * 3_600_000,
  /** Secrets read ahead from stores at once, and states of other replicas read from the ledger. */
  loadsMax: 16,
  /** Conflicting commits in a row before it is a bug. */
  commitTries: 50,
  /** With more credentials than this their stores are polled only: each watch is a file handle or a connection. */
  watchesMax: 200,
  claimMs: 60_000,
  renewEveryMs: 20_000,
  /** A silent instance is believed gone after this long where the issuer tells when its key was used last. */
  leaseSilentMs: 600_000,
  /** An operator or an app waits at most this long for a probe it asked for. */
  probeWaitMs: 15_000,
  reportWaitMs: 3_000,
  /** A store that refuses what was just minted is tried this often before the key is given up and swept. */
  stageTries: 4,
  /** Keys that were withdrawn within this time of each other were withdrawn together. */
  massRejectionMs: 600_000,
  /** What another replica wrote and could not be read here is read again after this long. */
  followAgainMs: 1_000,
  stopMs: 10_000,
  /** While stopping, a ledger that fails is tried this often more, this far apart. */
  stopTries: 5,
  stopPauseMs: 200,
  /** A lane or a credential that failed by a bug rests this long, doubling up to the second. */
  faultRestMs: 1_000,
  faultRestMaxMs: 60_000,
  /** One `tick` ends after this long, whatever is still to be waited for: the next one goes on. */
  drainMs: 600_000,
  /** A clock that goes back by more than this was set, and due times are brought back into reach. */
  setBackMs: 60_000,
} as const
