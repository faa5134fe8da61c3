import type { Lease } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { EngineDeps } from './setup.ts'

/** Who holds which generation. Kept in memory and written at most this often per instance, unless it has moved on. */
const rewriteMs = 30_000
/** Instances remembered at once, and as many waiting to be written; beyond it the longest silent one is forgotten here. */
const instancesMax = 20_000
/** A ledger that refused a lease is left alone for this long: signs of life come with every request. */
const restMs = 5_000

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
  /** Writes what waits; what the ledger refuses goes on waiting. Never rejects. */
  flush(): Promise<void>
}

export function createLeaseKeeper(
  deps: Pick<EngineDeps, 'ledger' | 'system' | 'log'>,
  stateOf: (name: CredentialName) => CredentialState,
): LeaseKeeper {
  const known = new Map<string, Lease>()
  const waiting = new Map<string, Lease>()
  let writing: Promise<void> | undefined
  let restsUntil = Number.NEGATIVE_INFINITY

  async function write(): Promise<void> {
    for (let next = first(waiting); next !== undefined; next = first(waiting)) {
      const [key, lease] = next
      try {
        await deps.ledger.touchLease(lease)
        // Touched again meanwhile, it is written again.
        if (waiting.get(key) === lease) waiting.delete(key)
      } catch (thrown) {
        restsUntil = deps.system.now() + restMs
        deps.log('warn', 'leases could not be written; trying again', {
          credential: lease.credential,
          waiting: waiting.size,
          error: thrown,
        })
        break
      }
    }
    writing = undefined
  }

  async function flush(): Promise<void> {
    // What began before may be about to end; what came meanwhile is written by the second.
    await writing
    if (waiting.size > 0) await (writing ??= write())
  }

  return {
    touch({ name, instance, app, generation }) {
      const seenAt = deps.system.now()
      const key = `${name} ${instance}`
      const before = known.get(key)
      const bounded = Math.min(generation, stateOf(name).generation)
      const isNews = before?.generation !== bounded || Math.abs(seenAt - before.seenAt) >= rewriteMs
      if (isNews) {
        const lease: Lease = { credential: name, instance, app, generation: bounded, seenAt }
        remember(known, key, lease)
        remember(waiting, key, lease)
      }
      // A clock that was set back must not let the rest last for hours.
      const isResting = seenAt < restsUntil && restsUntil - seenAt <= restMs
      if (waiting.size > 0 && writing === undefined && !isResting) writing = write()
    },
    async list(name) {
      await flush()
      return deps.ledger.leases(name)
    },
    async drop(name, instance) {
      known.delete(`${name} ${instance}`)
      waiting.delete(`${name} ${instance}`)
      return deps.ledger.dropLease(name, instance)
    },
    flush,
  }
}

function first<Key, Value>(map: ReadonlyMap<Key, Value>): readonly [Key, Value] | undefined {
  return map.entries().next().value
}

function remember(map: Map<string, Lease>, key: string, lease: Lease): void {
  map.delete(key)
  map.set(key, lease)
  const oldest = first(map)
  if (map.size > instancesMax && oldest !== undefined) map.delete(oldest[0])
}
