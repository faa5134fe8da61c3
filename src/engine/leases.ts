import { KeyturnError } from '../core/errors.ts'
import type { Lease } from '../core/leases.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { EngineDeps } from './setup.ts'

/** Who holds which generation. Kept in memory and written at most this often per instance, unless it has moved on. */
const rewriteMs = 30_000
/** Instances remembered at once, and as many waiting to be written; beyond it the longest silent one is forgotten here. */
const instancesMax = 20_000
/** A ledger that refused a lease is left alone for this long: signs of life come with every request. */
const restMs = 5_000
/** One durable write is for so many at most, and the next one leaves room for everything else: it holds up the process. */
const batchMax = 200
const betweenBatchesMs = 20

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
  /** One app's own: what was heard of it until now is written no more. */
  end(lease: {
    readonly name: CredentialName
    readonly instance: string
    readonly app: string
  }): Promise<void>
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
    let size = batchMax
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, size)
      try {
        await deps.ledger.touchLease(...batch.map(([, lease]) => lease))
        // Touched again meanwhile, it is written again.
        for (const [key, lease] of batch) if (waiting.get(key) === lease) waiting.delete(key)
      } catch (thrown) {
        if (!isItsOwnFault(thrown)) {
          restsUntil = deps.system.now() + restMs
          log('leases could not be written; trying again', batch, thrown)
          break
        }
        // One that can never be written must not keep the others from it.
        if (batch.length === 1) forget(batch, thrown)
        size = 1
      }
      if (waiting.size > 0) await pause()
    }
    writing = undefined
  }

  function forget(batch: readonly (readonly [string, Lease])[], thrown: unknown): void {
    for (const [key] of batch) waiting.delete(key)
    log('a lease cannot be written, and was dropped', batch, thrown)
  }

  function log(message: string, batch: readonly (readonly [string, Lease])[], error: unknown): void {
    deps.log('warn', message, { credential: batch[0]?.[1].credential, waiting: waiting.size, error })
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => void deps.system.after(betweenBatchesMs, resolve))
  }

  async function flush(): Promise<void> {
    // What began before may be about to end; what came meanwhile is written by the second.
    await writing
    if (waiting.size > 0) await (writing ??= write())
  }

  return {
    touch({ name, instance, app, generation }) {
      const seenAt = deps.system.now()
      const key = keyOf({ name, instance, app })
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
      for (const map of [known, waiting])
        for (const key of map.keys()) if (key.startsWith(`${name} ${instance} `)) map.delete(key)
      return deps.ledger.dropLease(name, instance)
    },
    async end({ name, instance, app }) {
      for (const map of [known, waiting]) map.delete(keyOf({ name, instance, app }))
      await writing
      await deps.ledger.endLease({ credential: name, instance, app })
    },
    flush,
  }
}

function keyOf(lease: { readonly name: string; readonly instance: string; readonly app: string }): string {
  return `${lease.name} ${lease.instance} ${lease.app}`
}

/** The ledger's own troubles pass; what it refuses to hold, it refuses for ever. */
function isItsOwnFault(thrown: unknown): boolean {
  return thrown instanceof KeyturnError && !thrown.code.startsWith('ledger_')
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
