/** How a credential is treated, as plain data. Part of the words of Keyturn: types.ts has them all. */

/** How one credential is to be treated. All of it comes from configuration; defaults are in config.ts. */
export interface Policy {
  readonly canMint: boolean
  /**
   * The keys of this credential make and end each other, as the admin keys of an issuer do: without one that works no
   * other can be made. Default false.
   */
  readonly isSelfMinting?: boolean
  readonly isManual: boolean
  readonly storeWritable: boolean
  /** The copies that are kept in line, in the order they are named in. */
  readonly mirrors: readonly string[]
  readonly overlapMs: number
  /** Who makes the overlap longer than it is configured, for people. */
  readonly overlapBecause?: string
  readonly drainLimitMs: number
  readonly afterLimit: 'wait' | 'revoke'
  /** The old key must have been unused for this long by the issuer's account. */
  readonly quietMs: number
  readonly provingCount: number
  readonly provingSettleMs: number
  /** For this long after minting a rejection of the new key may be activation lag and is not believed. */
  readonly activationGraceMs: number
  readonly attemptsMax: number
  readonly phaseDeadlineMs: number
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  readonly verifyEveryMs: number
  /** What was configured, where the rate of the organisation makes `verifyEveryMs` longer. */
  readonly verifyConfiguredMs?: number
  /** Keys of which nothing is known are asked no sooner than this, where the rate of the organisation wants it. */
  readonly verifyUnsureEveryMs?: number
  readonly verifyCloselyEveryMs: number
  readonly verifyCloselyForMs: number
  readonly rejectionGapMs: number
  readonly automaticPerDayMax: number
  readonly deadProbes: number
  readonly deadSpanMs: number
  readonly deadLimitMs: number
  readonly storePollMs: number
  /**
   * Every replica looks at the store by itself at every `storePollMs` and writes nothing down where it finds what it
   * knows; then a look that is claimed and written down is due only this seldom. Absent: each look is.
   */
  readonly storeConfirmMs?: number
  readonly pendingExpirySeconds: number
  readonly keyExpirySeconds: number
  readonly expiryManaged: boolean
  readonly staleAfterMs: number
  /** The blackout that an instant lies in; pure. Absent: there are none. */
  readonly blackoutAt?: (at: number) => Blackout | undefined
  /** Whether a spare on another service account is kept ready. */
  readonly standby: boolean
  /** A spare that is older is replaced. */
  readonly standbyMaxAgeMs: number
}

/** A time in which nothing moves that nobody asks for then. */
export interface Blackout {
  readonly from: number
  readonly until: number
}
