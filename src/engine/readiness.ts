import type { Readiness } from '../api/types.ts'
import { currentOf, handedOut } from '../core/credential.ts'
import { isExpired } from '../core/last-known-good.ts'
import type { CredentialName } from '../core/types.ts'
import type { Book } from './book.ts'
import { lastKnownGoodOf } from './last-known-good-summary.ts'
import type { RunningService } from './service.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'
import { troublesOf } from './summaries.ts'

/** Whether each credential can be handed out, and what keeps it from that. */
export function readiness(
  book: Book,
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  handOut: RunningService['handOut'],
  options: { readonly version: string; readonly isSandbox: boolean; readonly deps: EngineDeps },
): Readiness {
  const now = options.deps.system.now()
  let isInService = true
  const credentials = [...setups.values()].map((setup) => {
    const { name } = setup
    const state = book.state(name)
    const given = handOut(name)
    const record = handedOut(state)
    const isProven = record !== undefined && !isExpired(record, now)
    const trouble =
      given?.kind === 'unavailable' ? given.summary : (troublesOf(state, setup, now)[0]?.summary ?? null)
    const isInternal = setup.isInternal === true
    const ready = isInternal ? record !== undefined : given?.kind === 'available'
    // The ledger is the same for all replicas: what it has no proven key for, none of them hands out.
    if (!ready && !isInternal && isProven) isInService = false
    return {
      name,
      isInternal,
      ready,
      verdict: currentOf(state)?.verdict?.kind ?? null,
      trouble,
      ...lastKnownGoodOf(given),
    }
  })
  return {
    // Apps get their keys without an admin key too: that it is missing must not take this process out of service.
    ready: credentials.every((one) => one.ready || one.isInternal),
    isInService,
    version: options.version,
    isSandbox: options.isSandbox,
    credentials,
  }
}
