import type { CredentialName } from './types.ts'

export interface Lease {
  readonly credential: CredentialName
  readonly instance: string
  readonly app: string
  /** The oldest generation that this instance may still be using. */
  readonly generation: number
  readonly seenAt: number
}

/** What the ledger keeps of who uses which generation. One app's instance is another than one of the same name of another app. */
export interface LeaseBook {
  /** All of them in one durable step, or none. */
  touchLease(...leases: readonly Lease[]): Promise<void>
  leases(name: CredentialName): Promise<readonly Lease[]>
  /** Of whichever app. */
  dropLease(name: CredentialName, instance: string): Promise<boolean>
  /**
   * Ends one app's own, where there is one. Where several share the ledger, what another process heard of it before that
   * and writes only now does not bring it back; what is heard of it later does.
   */
  endLease(lease: Pick<Lease, 'credential' | 'instance' | 'app'>): Promise<void>
}
