import type { InventoryAnswer, InventoryKeySummary } from '../api/types.ts'
import { toKeyturnError } from '../core/errors.ts'
import { type InventoryRow, inventoryOf } from '../core/inventory.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { InventoryKey } from '../core/ports.ts'
import type { Suspect } from '../core/reconcile.ts'
import type { Secret } from '../core/secret.ts'
import type { CredentialName, CredentialState, VersionId } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import type { Keyring } from './keyring.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

interface Context {
  readonly setups: readonly CredentialSetup[]
  readonly keyring: Keyring
  readonly deps: Pick<EngineDeps, 'ledger' | 'system' | 'log'>
  readonly suspects: () => Promise<readonly Suspect[]>
}

type Gap = InventoryAnswer['gaps'][number]

/** Every key of the organisation, and who holds it. Asked for by a person: nothing of it is kept or logged. */
export async function takeInventory(context: Context): Promise<InventoryAnswer> {
  const { setups, deps } = context
  const gaps: Gap[] = []
  const { keys, listed } = await listAll(setups, gaps)
  const states = await deps.ledger.readAll()
  const secrets = await secretsOf(states, context, gaps)
  const suspects = await context.suspects()
  const rows = inventoryOf({ keys, states, suspects, secrets, listed })
  return { at: new Date(deps.system.now()).toISOString(), items: rows.map(summaryOf), gaps }
}

/** Once for each organisation, as far as the configuration tells them apart. */
async function listAll(
  setups: readonly CredentialSetup[],
  gaps: Gap[],
): Promise<{ readonly keys: readonly InventoryKey[]; readonly listed: ReadonlySet<CredentialName> }> {
  const keys = new Map<string, InventoryKey>()
  const listed = new Set<CredentialName>()
  const asked = new Map<string, boolean>()
  const able = setups.filter(({ issuer }) => issuer.inventory !== undefined)
  for (const { name, issuer, expected } of able) {
    const where = `${issuer.baseUrl} ${expected.organization ?? issuer.place ?? ''}`
    const isKnownWhole = asked.get(where)
    if (isKnownWhole === undefined) {
      const isWhole = await listOne({ name, issuer }, keys, gaps)
      asked.set(where, isWhole)
      if (isWhole) listed.add(name)
    } else if (isKnownWhole) listed.add(name)
  }
  if (able.length === 0)
    gaps.push({
      what: 'the keys of the organisation',
      summary: 'No admin key is configured, so no keys can be listed.',
      fix: 'Configure the issuer’s admin key, project and service account (docs/configuration.md).',
    })
  return { keys: [...keys.values()], listed }
}

async function listOne(
  { name, issuer }: Pick<CredentialSetup, 'name' | 'issuer'>,
  keys: Map<string, InventoryKey>,
  gaps: Gap[],
): Promise<boolean> {
  try {
    const found = await issuer.inventory?.()
    for (const key of found?.keys ?? []) keys.set(key.keyId, key)
    for (const { what, observation } of found?.gaps ?? []) {
      const { summary, fix } = classify(observation)
      gaps.push({ what, summary, fix })
    }
    return found !== undefined && found.gaps.length === 0
  } catch (thrown) {
    const { message, fix } = toKeyturnError(thrown, 'listing keys')
    gaps.push({ what: `the keys where ${name} is minted`, summary: message, fix: fix ?? '' })
    return false
  }
}

/** Of versions whose id at the issuer is not known, or only by the word of a store: they are found by their values. */
async function secretsOf(
  states: readonly CredentialState[],
  { setups, keyring }: Context,
  gaps: Gap[],
): Promise<
  readonly { readonly credential: CredentialName; readonly version: VersionId; readonly secret: Secret }[]
> {
  const secrets = []
  for (const { name } of setups)
    for (const { version, stage, origin, meta } of states.find((one) => one.name === name)?.versions ?? []) {
      if (stage === 'retired' || (meta.keyId !== undefined && origin !== 'found')) continue
      try {
        const secret = await keyring.get(name, version)
        if (secret !== undefined) secrets.push({ credential: name, version, secret })
      } catch (thrown) {
        const { message, fix } = toKeyturnError(thrown, 'reading a key from the store')
        gaps.push({ what: `whose key version ${version} of ${name} is`, summary: message, fix: fix ?? '' })
      }
    }
  return secrets
}

/** People name keys as they like: what looks like one is not shown, nor said anywhere else. */
function shown(text: string): string {
  return looksLikeKey(text) ? '[not shown]' : text
}

function summaryOf({ key, standing, holders }: InventoryRow): InventoryKeySummary {
  const { createdAt, lastUsedAt, expiresAt } = key
  return {
    keyId: key.keyId,
    kind: key.kind,
    name: shown(key.name),
    redacted: key.redacted === '' ? null : key.redacted,
    project: key.project?.id ?? null,
    projectName: key.project === undefined ? null : shown(key.project.name),
    owner: key.ownerName === undefined ? (key.serviceAccount ?? null) : shown(key.ownerName),
    ownerKind: key.owner,
    createdAt: iso(createdAt),
    lastUsedAt: iso(lastUsedAt ?? undefined),
    isNeverUsed: lastUsedAt === undefined ? null : lastUsedAt === null,
    expiresAt: iso(expiresAt),
    standing,
    holders,
  }
}

function iso(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}
