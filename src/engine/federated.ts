import type { CredentialState, VersionRecord } from '../core/types.ts'
import type { Journal } from './federated-journal.ts'
import type { FederatedSetup } from './federated-setup.ts'
import type { EngineDeps } from './setup.ts'
import type { TokenKeeper } from './token-keeper.ts'

/** One credential with what looks after it. */
export interface Federated {
  readonly setup: FederatedSetup
  readonly keeper: TokenKeeper
  readonly journal: Journal
  readonly state: () => CredentialState
  readonly deps: EngineDeps
}

/** The ledger is written behind the hand-out, or cannot be written at all. */
export function withHeld({ state, keeper }: Federated): CredentialState {
  const held = keeper.held()?.record
  const recorded = state()
  if (held === undefined) return recorded
  const others = recorded.versions
    .filter((one) => one.version !== held.version)
    .map((one): VersionRecord => (one.stage === 'current' ? { ...one, stage: 'previous' } : one))
  return { ...recorded, versions: [...others, held], current: held.version }
}
