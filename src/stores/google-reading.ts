import type { SecretStore, StoredVersion } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { VersionId, VersionMeta } from '../core/types.ts'
import type { StoreContext } from './context.ts'
import type { GoogleAccess } from './google-calls.ts'
import type { Newest } from './google-newest.ts'
import { settle } from './settle.ts'
import { digestOf } from './slot-state.ts'

/** What is known of a number, without its value. */
interface Known {
  readonly number: number
  readonly digest: string
  readonly version: VersionId
  readonly meta: VersionMeta
  readonly untilAt: number
}

export interface CurrentReading {
  readonly failuresMax: number
  /** One access, and no look at metadata. */
  current(ref: string): Promise<Newest | GoogleAccess>
  keyIn(ref: string, text: string): Promise<Secret | undefined>
}

/** Metadata that another replica changed is seen after this. */
const knownMsMax = 5 * 60_000
const knownMax = 20_000

/**
 * Every replica polls the current key. Google counts reads of metadata by 600 a minute for a whole project and accesses by
 * 90,000 (https://cloud.google.com/secret-manager/quotas, 2026-11-21), so that a key whose number is known costs one access.
 */
export function readingByNumber(
  store: SecretStore,
  reading: CurrentReading,
  { system }: StoreContext,
): SecretStore {
  const known = new Map<string, Known>()

  const quickly = async (
    ref: string,
  ): Promise<{ readonly number: number; readonly key: Secret; readonly digest: string } | undefined> => {
    const found = await reading.current(ref)
    if (found.kind !== 'found') return undefined
    const key = await reading.keyIn(ref, found.text)
    return key === undefined ? undefined : { number: found.number, key, digest: digestOf(key, system) }
  }
  const readCurrent = async (ref: string): Promise<StoredVersion | undefined> => {
    const quick = await settle(ref, system, reading, async () => ({ done: await quickly(ref) }))
    const entry = known.get(ref)
    if (quick !== undefined && entry?.number === quick.number && entry.digest === quick.digest) {
      if (system.now() < entry.untilAt) return { version: entry.version, secret: quick.key, meta: entry.meta }
    }
    known.delete(ref)
    // Has attempts of its own.
    const stored = await store.read(ref)
    // Where it changed between the two, the next read finds out more.
    if (stored === undefined || quick === undefined || !stored.secret.equals(quick.key)) return stored
    if (known.size >= knownMax) known.clear()
    const { version, meta } = stored
    const { number, digest } = quick
    known.set(ref, { number, digest, version, meta, untilAt: system.now() + knownMsMax })
    return stored
  }

  return {
    ...store,
    async read(ref, options) {
      return options?.version === undefined ? readCurrent(ref) : store.read(ref, options)
    },
    async promote(ref, request) {
      known.delete(ref)
      return store.promote(ref, request)
    },
    async annotate(ref, version, meta) {
      known.delete(ref)
      return store.annotate(ref, version, meta)
    },
  }
}
