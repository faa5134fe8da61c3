import type { Lease } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { EngineDeps } from './setup.ts'

/** Who holds which generation. Kept in memory and written at most this often per instance, unless it has moved on. */
const rewriteMs = 30_000
/** Instances remembered at once; beyond it the longest silent one is written and forgotten here. */
const instancesMax = 20_000

export interface LeaseKeeper {
  /** Never waits: the hand-out must not. */
  touch(lease: {
    readonly name: CredentialName
    readonly instance: string
    readonly app: string
    readonly generation: number
  }): void
  list(name: CredentialName): Promise<readonly Lease[]>
  drop(name: CredentialName, instance: string): Promise<boolean>
  flush(): Promise<void>
  stop(): Promise<void>
}

export function createLeaseKeeper(
  deps: Pick<EngineDeps, 'ledger' | 'system' | 'log'>,
  stateOf: (name: CredentialName) => CredentialState,
): LeaseKeeper {
  const written = new Map<string, Lease>()
  const waiting = new Map<string, Lease>()
  let writing: Promise<void> | undefined

  async function write(): Promise<void> {
    while (waiting.size > 0) {
      const [first] = waiting
      if (first === undefined) return
      const [key, lease] = first
      waiting.delete(key)
      try {
        await deps.ledger.touchLease(lease)
      } catch (thrown) {
        // Forgotten here, so that the next sign of life writes it again.
        written.delete(key)
        deps.log('warn', 'a lease could not be written', {
          credential: lease.credential,
          instance: lease.instance,
          error: thrown,
        })
        return
      }
    }
  }

  async function flush(): Promise<void> {
    while (waiting.size > 0 || writing !== undefined) {
      writing ??= write().finally(() => (writing = undefined))
      await writing
    }
  }

  return {
    touch({ name, instance, app, generation }) {
      const seenAt = deps.system.now()
      const key = `${name} ${instance}`
      const known = written.get(key)
      const bounded = Math.min(generation, stateOf(name).generation)
      if (known !== undefined && known.generation === bounded && seenAt - known.seenAt < rewriteMs) return
      const lease: Lease = { credential: name, instance, app, generation: bounded, seenAt }
      written.delete(key)
      written.set(key, lease)
      waiting.set(key, lease)
      const [oldest] = written.keys()
      if (written.size > instancesMax && oldest !== undefined) written.delete(oldest)
      writing ??= write().finally(() => (writing = undefined))
    },
    async list(name) {
      await flush()
      return deps.ledger.leases(name)
    },
    async drop(name, instance) {
      written.delete(`${name} ${instance}`)
      waiting.delete(`${name} ${instance}`)
      return deps.ledger.dropLease(name, instance)
    },
    flush,
    stop: flush,
  }
}
