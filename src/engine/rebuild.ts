import type { NewVersion } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { installationIn } from '../core/marker.ts'
import type { IssuedKey, StoreDescription, StoredVersion } from '../core/ports.ts'
import { matchesRedacted } from '../core/redacted.ts'
import { toldMeta } from '../core/told-meta.ts'
import { listed, type PerformContext } from './performing.ts'

/** So many versions besides the current one are taken up again; a store holds two or three that live. */
const othersMax = 10

export interface Rebuilt {
  readonly current: NewVersion
  /** Versions that the store still has and that are not retired: nobody else would ever end them. */
  readonly others: readonly NewVersion[]
}

/**
 * A ledger that knows no version of a credential, and a store that has some: the ledger is new, or it was lost. What lives
 * is taken up again from the store with its metadata, so that an old key that was draining does not live on unseen.
 *
 * Whether a key is Keyturn's own, and which one at the issuer, is never the store's word alone, or whoever can write there
 * would choose what is revoked: the issuer has to list exactly one key whose redacted value is this secret's and whose
 * name is the marker that stands beside it. Any other is a found one, which only a person has revoked.
 */
export async function rebuilt(current: StoredVersion, context: PerformContext): Promise<Rebuilt> {
  const { setup } = context
  const description = await describe(context)
  const names = (description?.versions ?? [])
    .filter(({ version, isRetired }) => !isRetired && version !== current.version)
    .slice(0, othersMax)
  const stored = await Promise.all(names.map(({ version }) => setup.store.read(setup.ref, { version })))
  const readable = stored.filter((one) => one !== undefined)
  const isMarked = [current, ...readable].some(({ meta }) => meta.marker !== undefined)
  const keys = isMarked ? ((await listed(context)) ?? []) : []
  return {
    current: versionOf(current, keys, context),
    others: readable.map((one) => versionOf(one, keys, context)),
  }
}

/** A reader that may not see the rest of the store does without. */
async function describe({ setup }: PerformContext): Promise<StoreDescription | undefined> {
  try {
    return await setup.store.describe(setup.ref)
  } catch (thrown) {
    if (thrown instanceof KeyturnError && thrown.code === 'store_denied') return undefined
    throw thrown
  }
}

function versionOf(
  { version, secret, meta }: StoredVersion,
  keys: readonly IssuedKey[],
  { deps }: PerformContext,
): NewVersion {
  const base = { version, fingerprint: fingerprint(secret, deps.system) }
  const fitting = keys.filter(({ redacted }) => matchesRedacted(secret, redacted))
  const [own] = fitting
  if (
    own === undefined ||
    fitting.length > 1 ||
    own.name !== meta.marker ||
    installationIn(own.name) === undefined
  )
    return { ...base, meta, origin: 'found' }
  return { ...base, meta: toldMeta(meta, own), origin: 'minted' }
}
