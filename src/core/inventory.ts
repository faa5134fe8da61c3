import { isOut } from './credential.ts'
import type { InventoryKey } from './ports.ts'
import type { Suspect } from './reconcile.ts'
import { matchesRedacted } from './redacted.ts'
import type { Secret } from './secret.ts'
import type { CredentialName, CredentialState, KeyId, Stage, VersionId } from './types.ts'

/**
 * suspect   a key of ours that nobody seems to have: revoked once that is proven twice
 * unlisted  held by us and not listed by the issuer
 * held      a live version of a credential
 * ending    retired, or on its way there
 * unknown   of people and of others
 */
export type Standing = 'suspect' | 'unlisted' | 'held' | 'ending' | 'unknown'

/** What needs attention first. */
const order: readonly Standing[] = ['suspect', 'unlisted', 'held', 'ending', 'unknown']

export interface Holder {
  readonly credential: CredentialName
  readonly version: VersionId
  readonly stage: Stage
}

export interface InventoryRow {
  readonly key: Pick<InventoryKey, 'keyId' | 'kind' | 'name' | 'redacted' | 'owner'> & Partial<InventoryKey>
  readonly standing: Standing
  readonly holders: readonly Holder[]
}

/** Who holds what of all that is listed, and what is held and not listed. Pure. */
export function inventoryOf(input: {
  readonly keys: readonly InventoryKey[]
  readonly states: readonly CredentialState[]
  readonly suspects: readonly Suspect[]
  /** Values of versions whose id at the issuer nobody knows. */
  readonly secrets: readonly {
    readonly credential: CredentialName
    readonly version: VersionId
    readonly secret: Secret
  }[]
  /** Credentials all of whose keys would be listed, had they any. */
  readonly listed: ReadonlySet<CredentialName>
}): readonly InventoryRow[] {
  const { keys, states, suspects, secrets, listed } = input
  const holders = holdersOf(states)
  for (const { credential, version, secret } of secrets) {
    const fitting = keys.filter(({ redacted }) => matchesRedacted(secret, redacted))
    const [only] = fitting
    const stage = states
      .find(({ name }) => name === credential)
      ?.versions.find((one) => one.version === version)?.stage
    if (only === undefined || fitting.length > 1 || stage === undefined) continue
    add(holders, only.keyId, { credential, version, stage })
  }
  const suspected = new Set(suspects.map(({ keyId }) => keyId))
  const rows = keys.map((key): InventoryRow => {
    const held = holders.get(key.keyId) ?? []
    return { key, holders: held, standing: standingOf(held, suspected.has(key.keyId), states) }
  })
  return [...rows, ...unlistedOf(keys, states, listed)].toSorted(compare)
}

/** By ids that the issuer gave; of versions that were found, the id is the word of whoever put them there. */
function holdersOf(states: readonly CredentialState[]): Map<KeyId, Holder[]> {
  const holders = new Map<KeyId, Holder[]>()
  for (const { name, versions } of states)
    for (const { version, stage, origin, meta } of versions)
      if (meta.keyId !== undefined && origin !== 'found')
        add(holders, meta.keyId, { credential: name, version, stage })
  return holders
}

function add(holders: Map<KeyId, Holder[]>, keyId: KeyId, holder: Holder): void {
  const known = holders.get(keyId) ?? []
  const isThere = known.some((one) => one.credential === holder.credential && one.version === holder.version)
  if (!isThere) holders.set(keyId, [...known, holder])
}

function standingOf(
  held: readonly Holder[],
  isSuspect: boolean,
  states: readonly CredentialState[],
): Standing {
  if (held.length === 0) return isSuspect ? 'suspect' : 'unknown'
  const isEnding = ({ credential, version, stage }: Holder): boolean => {
    const walk = states
      .find(({ name }) => name === credential)
      ?.retirements.find((one) => one.version === version)
    return stage === 'retired' || (walk !== undefined && walk.phase !== 'kept')
  }
  return held.every(isEnding) ? 'ending' : 'held'
}

function unlistedOf(
  keys: readonly InventoryKey[],
  states: readonly CredentialState[],
  listed: ReadonlySet<CredentialName>,
): readonly InventoryRow[] {
  const known = new Set(keys.map(({ keyId }) => keyId))
  return states
    .filter(({ name }) => listed.has(name))
    .flatMap(({ name, versions }) =>
      versions.flatMap((record): readonly InventoryRow[] => {
        const { keyId, marker = '', createdAt, expiresAt } = record.meta
        if (keyId === undefined || known.has(keyId) || record.origin !== 'minted' || isOut(record)) return []
        const key = {
          keyId,
          kind: 'project',
          name: marker,
          redacted: '',
          owner: 'unknown',
          ...(createdAt === undefined ? {} : { createdAt }),
          ...(expiresAt === undefined ? {} : { expiresAt }),
        } as const
        const holder = { credential: name, version: record.version, stage: record.stage }
        return [{ key, standing: 'unlisted', holders: [holder] }]
      }),
    )
}

/** Within one standing by project, the oldest first. */
function compare(one: InventoryRow, other: InventoryRow): number {
  const byStanding = order.indexOf(one.standing) - order.indexOf(other.standing)
  if (byStanding !== 0) return byStanding
  const [place, otherPlace] = [placeOf(one), placeOf(other)]
  if (place !== otherPlace) return place < otherPlace ? -1 : 1
  return (one.key.createdAt ?? 0) - (other.key.createdAt ?? 0)
}

function placeOf({ key }: InventoryRow): string {
  return key.project?.name ?? key.kind
}
