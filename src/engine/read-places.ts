import type { SecretStore } from '../core/ports.ts'
import type { Held, PlaceReading } from '../core/reconcile.ts'
import type { CredentialName } from '../core/types.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/** A store names no more versions than this: there may be older ones. */
const namedMax = 100
const atOnceMax = 8

/**
 * All that every store and mirror of these credentials has: every version that is not retired, with its value. Undefined
 * where one of them could not be read, since what could not be read is not absent. It is told once for each.
 */
export async function readPlaces(
  setups: readonly CredentialSetup[],
  deps: Pick<EngineDeps, 'log'>,
): Promise<readonly PlaceReading[] | undefined> {
  const places = setups.flatMap(({ name, store, ref, mirrors }) => [
    { name, store, ref, id: 'the store' },
    ...mirrors.map((mirror) => ({ name, ...mirror })),
  ])
  const readings: PlaceReading[] = []
  let isWhole = true
  for (let first = 0; first < places.length; first += atOnceMax)
    await Promise.all(
      places.slice(first, first + atOnceMax).map(async ({ name, store, ref, id }) => {
        try {
          readings.push(await readPlace(name, store, ref))
        } catch (thrown) {
          isWhole = false
          deps.log('warn', 'a store could not be searched for keys, so nothing is taken for an orphan', {
            credential: name,
            place: id,
            error: thrown,
          })
        }
      }),
    )
  return isWhole ? readings : undefined
}

async function readPlace(credential: CredentialName, store: SecretStore, ref: string): Promise<PlaceReading> {
  const description = await store.describe(ref)
  const current = await store.read(ref)
  const versions = description?.versions ?? []
  const retired = new Set(versions.filter(({ isRetired }) => isRetired).map(({ version }) => version))
  const named = new Map(versions.map(({ version, meta }) => [version, meta]))
  const { current: its, pending, previous } = description ?? {}
  const live = new Set([...named.keys(), its, pending, previous].filter((one) => one !== undefined))
  const held: Held[] = current === undefined ? [] : [current]
  for (const version of live) {
    if (retired.has(version) || version === current?.version) continue
    const read = await store.read(ref, { version })
    held.push({ version, secret: read?.secret, meta: read?.meta ?? named.get(version) ?? {} })
  }
  const oldestAt = versions.at(-1)?.meta.createdAt ?? Number.POSITIVE_INFINITY
  return {
    credential,
    held,
    wholeSince: versions.length < namedMax ? Number.NEGATIVE_INFINITY : oldestAt,
  }
}
