import type { LeaseBook } from './leases.ts'
import type { Secret } from './secret.ts'
import type {
  Aftermath,
  CredentialEvent,
  CredentialName,
  CredentialState,
  KeyId,
  NewCredentialEvent,
  Observation,
  PermissionFinding,
  Rotation,
  TransportFailure,
  VersionId,
  VersionMeta,
} from './types.ts'

export type { Audit, AuditCaller, AuditEntry } from './audit.ts'
export type { PermissionFinding } from './types.ts'

/**
 * What the core and the engine ask of the outside. Each port says what the caller owes and what the implementer owes;
 * implementations are interchangeable, and one suite per port proves it (test/conformance).
 */

// ------------------------------------------------------------- environment

export interface Clock {
  /** Epoch milliseconds. */
  now(): number
}

export type Cancel = () => void

export interface Timers {
  /** Calls back once after `delayMs` (0 to 2^31-1). The callback must not throw. Does not keep the process alive when `background`. */
  after(delayMs: number, callback: () => void, options?: { readonly background?: boolean }): Cancel
}

export interface Random {
  bytes(count: number): Uint8Array
  /** UUID version 4, lower case. */
  uuid(): string
  /** Uniform in [0, 1). */
  fraction(): number
}

export interface Hash {
  /** Lower-case hex of SHA-256 over the UTF-8 bytes. */
  sha256Hex(text: string): string
}

/** One occurrence after another of a cron expression in a time zone; pure. */
export interface Occurrences {
  /** The first occurrence strictly after the instant, or undefined where there is none. */
  next(expression: string, timeZone: string, afterAt: number): number | undefined
}

export interface System extends Clock, Timers, Random, Hash {}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Structured log. Fields are plain data; a Secret among them prints as `[secret]`. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void

/** The regular beat that wakes the worker; node-cron in production, called by hand in tests. */
export interface Beat {
  start(onBeat: () => void): void
  stop(): void
}

// --------------------------------------------------------------- telemetry

/** One thing that is done, for figures and traces: in words of ours and of the configuration, never a secret. */
export interface TracedOperation {
  readonly part: 'verification' | 'issuer' | 'store' | 'ledger' | 'work'
  readonly name: string
  /** Of a store: its kind. */
  readonly kind?: string
  readonly credential?: CredentialName
  /** The rotation or the retirement that it is a part of, by its id: whatever bears one is one trace. */
  readonly walk?: string
}

/** What came of it. Outcomes and causes are of closed sets: they become labels. */
export interface TracedOutcome {
  readonly outcome: string
  readonly cause?: string
  readonly status?: number
  /** The issuer's own name of the call. */
  readonly requestId?: string
}

/** Who counts, times and traces. It changes nothing: what the work returns or throws goes through as it is. */
export interface Telemetry {
  run<Result>(
    operation: TracedOperation,
    work: () => Promise<Result>,
    told: (result: Result) => TracedOutcome,
  ): Promise<Result>
  /** How many keys of ours at this place nobody seems to have, after a look. */
  suspects(place: string, count: number): void
}

// ------------------------------------------------------------------- store

export interface StoreCapabilities {
  readonly kind: string
  readonly writable: boolean
  /** How `stage` keeps a pending key away from other readers. */
  readonly staging: 'native' | 'slot' | 'none'
  /** What guards `promote` against a second writer. */
  readonly cas: 'native' | 'lease' | 'none'
  /** What `destroy` can do to one version. */
  readonly destroy: 'version' | 'unlabel' | 'disable' | 'none'
  /** How long after a promotion another reader may still see the old value, in milliseconds. */
  readonly propagationMs: number
}

export interface StoredVersion {
  readonly version: VersionId
  readonly secret: Secret
  readonly meta: VersionMeta
}

export interface StoreDescription {
  readonly current?: VersionId
  readonly pending?: VersionId
  readonly previous?: VersionId
  /** The highest fence that changed anything here, where the store keeps it. */
  readonly fence?: number
  /** Every version the store can still name, newest first, bounded at 100. */
  readonly versions: readonly {
    readonly version: VersionId
    readonly isRetired: boolean
    readonly meta: VersionMeta
  }[]
}

export interface StageRequest {
  readonly version: VersionId
  /** The id that a rotation of AWS has for it already; another secret under it is `store_conflict`. */
  readonly token?: string
  readonly secret: Secret
  readonly meta: VersionMeta
  readonly fence: number
}

export interface PromoteRequest {
  readonly to: VersionId
  /** What must be current for the move to happen; undefined means that there must be no current version. */
  readonly expectCurrent: VersionId | undefined
  readonly fence: number
}

export type PromoteOutcome =
  | { readonly kind: 'promoted' }
  /** It was current already: an answer was lost, or it is a replay. As good as promoted. */
  | { readonly kind: 'already' }
  /** Something else is current; nothing was changed. */
  | { readonly kind: 'conflict'; readonly current: VersionId | undefined }
  /** `to` is retired or no longer there; nothing was changed. */
  | { readonly kind: 'gone' }

/**
 * One secret store. `ref` is the name of the secret in it (a path, an ARN, a resource name: the driver says).
 *
 * The implementer owes: every call ends within the driver's timeout; absence is `undefined` and is returned only when
 * the store itself said so; every other failure is a KeyturnError with one of the `store_*` codes, whose message names
 * the ref and whose fix names the permission, name or address to mend; every mutation is safe to repeat; a pending
 * version is never what another reader of the store gets as the latest; a retired version can never be promoted.
 *
 * The caller owes: a fence that never falls; `version` ids that are never reused for another secret.
 */
export interface SecretStore {
  readonly capabilities: StoreCapabilities
  /** The current version, or the named one (also pending, previous and retired ones while their value is there). */
  read(ref: string, options?: { readonly version?: VersionId }): Promise<StoredVersion | undefined>
  describe(ref: string): Promise<StoreDescription | undefined>
  /** Puts a pending version there. The same id with the same secret is a success; with another one, `store_conflict`. */
  stage(ref: string, request: StageRequest): Promise<void>
  /** Moves current by compare-and-swap; the old current becomes previous. Also how a rollback and a failover are written. */
  promote(ref: string, request: PromoteRequest): Promise<PromoteOutcome>
  /** Marks a version as retired: terminal. Refuses (`store_conflict`) for the current one. Absent is a success. */
  retire(ref: string, request: { readonly version: VersionId; readonly fence: number }): Promise<void>
  /** Takes away the value of a pending or retired version as far as the store can. Absent is a success; the current one is refused. */
  destroy(ref: string, version: VersionId): Promise<'destroyed' | 'disabled' | 'unlabelled' | 'unsupported'>
  /** Replaces the metadata of a version, e.g. its new expiry. */
  annotate(ref: string, version: VersionId, meta: VersionMeta): Promise<void>
  /** Proves as far as possible without changing anything what this identity may do. */
  check(ref: string): Promise<readonly PermissionFinding[]>
  /** Calls back soon after the secret changed, where the store can tell. Spurious calls are allowed. */
  watch?(ref: string, onChange: () => void): Cancel
  close(): Promise<void>
}

// ------------------------------------------------------------------ issuer

export interface ProbeExpectation {
  readonly organization?: string
  readonly project?: string
  /** Scopes that apps need; each is proven without cost where that is possible. */
  readonly scopes?: readonly string[]
  /** Models that apps need; each must be visible to the key. */
  readonly models?: readonly string[]
}

export interface MintRequest {
  /** The unique name the key gets, so that it can be found again. */
  readonly marker: string
  readonly expiresInSeconds?: number
  readonly scopes?: readonly string[]
  /**
   * It is to be a spare for a key on this service account (undefined: nobody knows on which), so that it outlives that
   * account: of the two accounts that are configured it is made on the second, or on the first where that key is on the second.
   */
  readonly spareFor?: { readonly serviceAccount: string | undefined }
}

export interface IssuedKey {
  readonly keyId: KeyId
  readonly name: string
  readonly redacted: string
  readonly owner: 'service_account' | 'user' | 'unknown'
  readonly serviceAccount?: string
  readonly createdAt?: number
  readonly expiresAt?: number
  /** As the issuer says, which may lag; null: never used, undefined: not told. */
  readonly lastUsedAt?: number | null
}

export type MintOutcome =
  | {
      readonly kind: 'minted'
      readonly keyId: KeyId
      readonly secret: Secret
      /** Absent for a key that belongs to no service account, as an admin key does. */
      readonly serviceAccount?: string
      readonly createdAt: number
      readonly expiresAt?: number
      /** The issuer's own name of the call, for an auditor; here and below where it gave one. */
      readonly requestId?: string
    }
  /** The issuer said no, conclusively: nothing was made. */
  | { readonly kind: 'refused'; readonly observation: Observation }
  /** Nobody knows whether a key was made: timeout, 5xx, a connection that broke. */
  | { readonly kind: 'unknown'; readonly observation: Observation }
  /** Nothing was sent, since the row of the audit could not be written before it. */
  | { readonly kind: 'unsent' }

export type ListOutcome =
  | { readonly kind: 'listed'; readonly keys: readonly IssuedKey[] }
  | { readonly kind: 'failed'; readonly observation: Observation }

/** A key as an inventory has it: of whichever project and kind. */
export interface InventoryKey extends IssuedKey {
  readonly kind: 'project' | 'admin'
  readonly project?: { readonly id: string; readonly name: string }
  /** The service account or the person that has it, by the name people gave. */
  readonly ownerName?: string
}

export interface Inventory {
  readonly keys: readonly InventoryKey[]
  /** What could not be listed in full: its keys may be missing. */
  readonly gaps: readonly { readonly what: string; readonly observation: Observation }[]
}

export type RevokeOutcome =
  /** The issuer confirmed, or says that there is no such key. */
  | { readonly kind: 'gone'; readonly requestId?: string }
  /** It will not delete this key. */
  | { readonly kind: 'refused'; readonly observation: Observation }
  | { readonly kind: 'unknown'; readonly observation: Observation }

export type ExpiryOutcome =
  | { readonly kind: 'set'; readonly expiresAt: number; readonly requestId?: string }
  | { readonly kind: 'refused'; readonly observation: Observation }
  | { readonly kind: 'unknown'; readonly observation: Observation }

/**
 * Who makes and kills keys. Reports what it saw and judges nothing.
 *
 * The implementer owes: every call ends within its timeout; nothing is retried that could make a second key; no answer
 * text of the issuer leaves the driver; redirects are not followed.
 */
export interface Issuer {
  readonly kind: string
  readonly canMint: boolean
  /** Where apps send their requests; goes into the hand-out. */
  readonly baseUrl: string
  /** Probes the key, one observation per call made, the decisive one first. Free of charge. */
  verify(secret: Secret, expectation: ProbeExpectation): Promise<readonly Observation[]>
  mint?(request: MintRequest): Promise<MintOutcome>
  /** Names what `list` tells of: issuers of one place list the same keys. There wherever `list` is. */
  readonly place?: string
  /** All keys of the place where this issuer mints (every page, every owner). */
  list?(): Promise<ListOutcome>
  /** Every key of the organisation that the admin key can see, with what could not be listed. For people. */
  inventory?(): Promise<Inventory>
  revoke?(keyId: KeyId): Promise<RevokeOutcome>
  setExpiry?(keyId: KeyId, expiresInSeconds: number): Promise<ExpiryOutcome>
  /** Proves before minting that the admin key works and may do what a rotation needs; `forSpare`: and a spare. */
  check?(asked?: { readonly forSpare: boolean }): Promise<readonly PermissionFinding[]>
  /** What the issuer itself keeps of a key that was minted and ended again, in plain sentences: its audit log. Calls nobody. */
  traces?(key: {
    readonly keyId: KeyId
    readonly marker?: string
    readonly serviceAccount?: string
  }): readonly string[]
  close(): Promise<void>
}

// ---------------------------------------------------------------- exchange

/** Why this machine had no token to exchange. Sentences of ours, as in errors: no value, no answer of anybody. */
export interface SubjectProblem {
  readonly summary: string
  readonly fix: string
}

/** What one token exchange saw. Facts without judgement: `explainExchange` says what they mean. */
export type ExchangeOutcome =
  | { readonly kind: 'issued'; readonly token: Secret; readonly lifetimeMs: number }
  /** Nothing was sent to the issuer. */
  | { readonly kind: 'no_subject'; readonly problem: SubjectProblem }
  | {
      readonly kind: 'answer'
      readonly status: number
      /** True only for a JSON body of the form of RFC 6749, 5.2. */
      readonly isOAuth: boolean
      /** Its `error`: a short token of letters and underscores. */
      readonly code?: string
      readonly requestId?: string
      readonly retryAfterMs?: number
    }
  | { readonly kind: 'no_answer'; readonly failure: TransportFailure }

/**
 * Trades what proves a workload's identity for a short-lived bearer token of the issuer.
 *
 * The implementer owes: one exchange is one request to the issuer, never repeated; every call ends within its timeout;
 * the subject token is obtained anew each time, because it rotates; no text of the other side and no token leaves it but
 * as a Secret; redirects are not followed. It does not reject.
 */
export interface Exchanger {
  exchange(): Promise<ExchangeOutcome>
  /** Breaks off what is under way. Safe to repeat. */
  close(): Promise<void>
}

// ------------------------------------------------------------------- audit

/** A flattened JWS (RFC 7515): three texts in base64url, the payload being the exact bytes of what was signed. */
export interface SignedDocument {
  readonly payload: string
  readonly protected: string
  readonly signature: string
}

export interface PublicSigningKey {
  /** The thumbprint of the key (RFC 7638). */
  readonly keyId: string
  readonly jwk: { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  readonly pem: string
}

/** Signs for the installation. The private half stays inside; the first call may make it. */
export interface Signer {
  publicKey(): Promise<PublicSigningKey>
  /** `typ` says what kind of document it is, so that none passes for another. */
  sign(payload: string, typ: string): Promise<SignedDocument>
}

// ------------------------------------------------------------------ ledger

export interface LedgerCommit {
  /** The state as it shall be. Its `revision` is the one that was read; the ledger stores it plus one. */
  readonly state: CredentialState
  /** Only where the commit belongs to a claim: the fence under which the work was done. */
  readonly fence?: number
  /** When the worker must look at it again. */
  readonly dueAt: number
  readonly events: readonly NewCredentialEvent[]
  /** Nothing but when was looked: lost in a power cut, it is looked again. It need not be flushed, but must be seen. */
  readonly isRepeatable?: boolean
}

export type CommitOutcome =
  | {
      readonly kind: 'committed'
      readonly state: CredentialState
      readonly events: readonly CredentialEvent[]
    }
  /** Somebody else changed it, or the claim is no longer ours. Read again. */
  | { readonly kind: 'conflict' }

export interface Claim {
  readonly state: CredentialState
  readonly fence: number
  readonly untilAt: number
}

export interface LedgerDocument {
  /** As it was put, through JSON. */
  readonly value: unknown
  /** Begins at 1 and rises with every change. */
  readonly revision: number
}

/**
 * Keeps all that must survive a crash and is no secret. Durable when the promise resolves. Clocks: `now` is passed in
 * where the ledger is embedded; a shared ledger uses its own.
 */
export interface Ledger extends LeaseBook {
  /** Makes the credential's row where there is none, and returns its state. */
  open(name: CredentialName, initial: CredentialState): Promise<CredentialState>
  /** The same for many in one step, each under its own name; in their order. */
  openAll?(initials: readonly CredentialState[]): Promise<readonly CredentialState[]>
  read(name: CredentialName): Promise<CredentialState | undefined>
  readAll(): Promise<readonly CredentialState[]>
  /**
   * Claims up to `limit` credentials that are due and nobody else's; raises their fence. `names` narrows it. What the
   * same owner holds already counts as free: it has restarted, and asks for nothing that it is still working on.
   */
  claim(request: {
    readonly owner: string
    readonly now: number
    readonly leaseMs: number
    readonly limit: number
    readonly names?: readonly CredentialName[]
  }): Promise<readonly Claim[]>
  renew(request: {
    readonly owner: string
    readonly name: CredentialName
    readonly fence: number
    readonly untilAt: number
  }): Promise<boolean>
  release(request: {
    readonly owner: string
    readonly name: CredentialName
    readonly fence: number
  }): Promise<void>
  commit(commit: LedgerCommit): Promise<CommitOutcome>
  /**
   * Calls back soon after another process has changed a credential, where several share the ledger, and after a time in
   * which that could not be told. Spurious calls are allowed.
   */
  watch?(onChange: (name: CredentialName) => void): Cancel
  /** How far our clock is behind the ledger's (negative: ahead), where that is so far that nothing is claimed. */
  clockOffMs?(): number | undefined
  /** The earliest instant at which anything unclaimed is due. `names` narrows it. */
  nextDueAt(names?: readonly CredentialName[]): Promise<number | undefined>
  /** Events after the given id, oldest first, at most `limit` (default 500). Kept for a bounded number per credential. */
  events(name: CredentialName, afterId: number, limit?: number): Promise<readonly CredentialEvent[]>
  lastEventId(name: CredentialName): Promise<number>
  /** Ended and running rotations, newest first. Written by `commit` from the state. */
  rotations(name: CredentialName, limit?: number): Promise<readonly Rotation[]>
  rotation(name: CredentialName, id: string): Promise<Rotation | undefined>
  /**
   * What ended after it was set off by a rotation, or concerned a version: retirements of old keys, looks for keys whose
   * minting was never answered. In the order of their ends. Written by `commit` from the state, once each, and kept as
   * long as the rotation; what no rotation set off is kept in a bounded number.
   */
  aftermath(
    name: CredentialName,
    of: { readonly rotation: string } | { readonly version: VersionId },
  ): Promise<readonly Aftermath[]>
  /** A small value under a name, e.g. the installation id; written once by compare-and-swap on absence. */
  once(key: string, value: string): Promise<string>
  /** A small object under a name, for jobs that concern no single credential; undefined where there is none. */
  document(key: string): Promise<LedgerDocument | undefined>
  /**
   * Replaces it whole, by compare-and-swap: `revision` is the one that was read, 0 where there was none. False: somebody
   * else was faster, and nothing was changed.
   */
  putDocument(request: {
    readonly key: string
    readonly value: object
    readonly revision: number
  }): Promise<boolean>
  /** Remembers the answer to an idempotent request; returns the first one remembered under this key. */
  remember(request: {
    readonly key: string
    readonly requestHash: string
    readonly answer: string
    readonly at: number
  }): Promise<{ readonly requestHash: string; readonly answer: string }>
  close(): Promise<void>
}
