import { recordOf } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { SecretStore, StoredVersion } from '../core/ports.ts'
import type { VersionId } from '../core/types.ts'
import { mirroredAs } from './mirror-ids.ts'
import type { PerformContext } from './performing.ts'

/**
 * Before a pending key is ended. A promotion that nobody waited for any more, or a person, may have made it current:
 * readers of the store and the mirrors get the right key back first, and `retired` keeps it from coming back.
 */
export async function takeOutOfStores(version: VersionId, context: PerformContext): Promise<void> {
  const { setup, deps } = context
  const { current, fence } = context.state()
  if (current !== undefined && current !== version) {
    const read = await setup.store.read(setup.ref)
    await putBack({ ...setup, version, to: current, as: current }, read, context)
    for (const mirror of setup.mirrors)
      await putBackIn({ ...mirror, version, to: current, as: mirroredAs(current, deps.system) }, context)
  }
  await setup.store.retire(setup.ref, { version, fence })
}

interface Place {
  readonly store: SecretStore
  readonly ref: string
  readonly version: VersionId
  readonly to: VersionId
  /** What this place calls `to`. */
  readonly as: VersionId
}

/** A mirror that cannot be asked holds nothing up: it never got this key for current from here. One that has it does. */
async function putBackIn(place: Place, context: PerformContext): Promise<void> {
  let read: StoredVersion | undefined
  try {
    read = await place.store.read(place.ref)
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError && thrown.retryable)) throw thrown
    context.deps.log('warn', 'a mirror could not be asked whether it has a key that is given up', {
      credential: context.setup.name,
      error: thrown,
    })
    return
  }
  await putBack(place, read, context)
}

async function putBack(
  { store, ref, version, to, as }: Place,
  read: StoredVersion | undefined,
  context: PerformContext,
): Promise<void> {
  const { setup, keyring, deps } = context
  const state = context.state()
  const { fence } = state
  const isThere = read !== undefined && fingerprint(read.secret, deps.system) === printOf(version, context)
  if (!isThere) return
  const request = { to: as, expectCurrent: read.version, fence }
  const outcome = await store.promote(ref, request)
  const [secret, record] = [keyring.peek(setup.name, to), recordOf(state, to)]
  if (outcome.kind !== 'gone' || secret === undefined || record === undefined) return
  await store.stage(ref, { version: as, secret, meta: record.meta, fence })
  await store.promote(ref, request)
}

function printOf(version: VersionId, { state }: PerformContext): string | undefined {
  return recordOf(state(), version)?.fingerprint
}
