import { keepFor } from '../core/federation.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionRecord } from '../core/types.ts'
import type { FederatedSetup } from './federated-setup.ts'
import type { HandOut } from './service.ts'

/** A token that was issued, with its value; not necessarily proven yet. */
export interface IssuedToken {
  readonly secret: Secret
  readonly takenAt: number
  readonly expiresAt: number
  readonly refreshAt: number
}

/** The one that is handed out. */
export interface HeldToken extends IssuedToken {
  readonly record: VersionRecord
  readonly generation: number
  /** Rejected conclusively: it goes as soon as the next one is there, or could not be had. */
  readonly isDead: boolean
}

export function tokenHandOut(held: HeldToken, setup: FederatedSetup, now: number): HandOut {
  const { record, secret, generation } = held
  return {
    kind: 'available',
    name: setup.name,
    version: record.version,
    fingerprint: record.fingerprint,
    stage: record.stage,
    secret,
    organization: setup.expected.organization,
    project: setup.expected.project,
    baseUrl: setup.issuer.baseUrl,
    verdict: record.verdict?.kind ?? 'unknown',
    // It is proven before it is held.
    verifiedAt: record.verifiedAt ?? held.takenAt,
    rotatesAt: held.refreshAt,
    staleAfterMs: keepFor(held, now, setup.policy.staleAfterMs).staleAfterMs,
    generation,
  }
}
