import type { Exchanger, Issuer, ProbeExpectation } from '../core/ports.ts'
import type { CredentialName, Policy } from '../core/types.ts'

/** A credential whose key is exchanged for a workload identity, with everything that is needed to look after it. */
export interface FederatedSetup {
  readonly name: CredentialName
  readonly exchanger: Exchanger
  /** Proves each token before it is handed out. */
  readonly issuer: Pick<Issuer, 'verify' | 'baseUrl'>
  readonly expected: ProbeExpectation
  /** The OpenAI service account that the workload becomes. */
  readonly serviceAccount: string
  /** How long before a token's expiry the next one is asked for; at most half of its life. */
  readonly refreshBufferMs: number
  /** Checking, retrying and staleness; nothing is minted, stored or mirrored. */
  readonly policy: Policy
}

/** Named limits of federated credentials. */
export const federatedLimits = {
  /** Tokens that are rejected one after another cause an exchange this often at most. */
  rejectionGapMs: 10_000,
  /** Failures in a row before somebody is told, while the token before is still good. */
  failuresAlerted: 3,
  /** The alarm rings at least this often, so that a clock that was set shows. */
  alarmMs: 60_000,
  /** Changes that wait for a ledger that cannot be written; beyond it the oldest is dropped. */
  journalMax: 100,
  /** A person who asks for an exchange waits at most this long for it to be written down. */
  journalWaitMs: 2_000,
} as const
