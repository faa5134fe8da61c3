import type { BlastHolder, BlastRadius } from '../api/types.ts'
import { type ChangeContext, currentOf, eventOf, nextLive } from '../core/credential.ts'
import { mirrorOf } from '../core/mirrors.ts'
import type { IssuedKey } from '../core/ports.ts'
import { matchesRedacted } from '../core/redacted.ts'
import type { CredentialName, CredentialState, VersionRecord } from '../core/types.ts'
import type { OperationsContext } from './operations.ts'
import { type EngineDeps, engineLimits } from './setup.ts'

/** Whether an app listens to the event stream: only the server can tell. */
export type IsListening = (app: string, instance: string) => boolean

/** Who loses what when one key is revoked now: asked before a person confirms it. Changes nothing. */
export async function blastRadius(
  target: VersionRecord,
  isListening: IsListening,
  context: OperationsContext,
): Promise<BlastRadius> {
  const { setup, book, deps } = context
  const state = book.state(setup.name)
  const now = deps.system.now()
  const isCurrent = target.version === state.current
  const holders = await holdersOf(state, { isCurrent, now, isListening }, context)
  const key = await issuedKeyOf(target, context)
  const spare = isCurrent ? nextLive(state, now) : currentOf(state)
  const { createdAt = target.addedAt } = target.meta
  return {
    credential: setup.name,
    version: target.version,
    fingerprint: target.fingerprint,
    stage: target.stage,
    keyId: key?.keyId ?? target.meta.keyId ?? null,
    isCurrent,
    createdAt: new Date(createdAt).toISOString(),
    lastUse: key?.lastUsedAt === undefined ? 'unknown' : key.lastUsedAt === null ? 'never' : 'told',
    lastUsedAt: typeof key?.lastUsedAt === 'number' ? new Date(key.lastUsedAt).toISOString() : null,
    holders,
    mirrors: setup.mirrors
      .filter(({ id }) => isHeldIn(id, target, state))
      .map(({ id, store }) => ({ id, store: store.capabilities.kind })),
    sharedWith: sharers(target, context).map(({ name }) => name),
    spare:
      spare === undefined
        ? null
        : { version: spare.version, fingerprint: spare.fingerprint, stage: spare.stage },
  }
}

/** Of what is current everybody may hold it; of an older one those who have not moved on. */
export async function holdersOf(
  state: CredentialState,
  asked: { readonly isCurrent: boolean; readonly now: number; readonly isListening: IsListening },
  { deps }: { readonly deps: Pick<EngineDeps, 'ledger'> },
): Promise<readonly BlastHolder[]> {
  const leases = await deps.ledger.leases(state.name)
  return leases
    .filter(({ generation }) => asked.isCurrent || generation < state.generation)
    .map(({ app, instance, generation, seenAt }) => ({
      app,
      instance,
      generation,
      seenAt: new Date(seenAt).toISOString(),
      isSilent: seenAt < asked.now - engineLimits.leaseSilentMs,
      isListening: asked.isListening(app, instance),
    }))
    .toSorted((one, other) => `${one.app} ${one.instance}`.localeCompare(`${other.app} ${other.instance}`))
}

/** As the issuer lists it now; undefined where it cannot be asked or does not know it. */
async function issuedKeyOf(
  { version, meta }: VersionRecord,
  { setup, keyring, deps }: OperationsContext,
): Promise<IssuedKey | undefined> {
  try {
    const listed = await setup.issuer.list?.()
    if (listed?.kind !== 'listed') return undefined
    if (meta.keyId !== undefined) return listed.keys.find(({ keyId }) => keyId === meta.keyId)
    const secret = await keyring.get(setup.name, version)
    const fitting =
      secret === undefined ? [] : listed.keys.filter((one) => matchesRedacted(secret, one.redacted))
    return fitting.length === 1 ? fitting[0] : undefined
  } catch (thrown) {
    deps.log('warn', 'the issuer could not be asked when a key was last used', {
      credential: setup.name,
      error: thrown,
    })
    return undefined
  }
}

function isHeldIn(id: string, { version }: VersionRecord, state: CredentialState): boolean {
  const mirror = mirrorOf(state, id)
  return mirror?.current === version || mirror?.holds.some((one) => one.version === version) === true
}

function sharers({ fingerprint }: VersionRecord, { others }: OperationsContext): readonly CredentialState[] {
  return others().filter(({ versions }) =>
    versions.some((one) => one.fingerprint === fingerprint && one.stage !== 'retired'),
  )
}

/**
 * A key in the wrong hands is in them under every name it has. The other credentials that hold it are told at once, and
 * it never comes back there either; what they hand out now is left to them, since without it they have no key at all.
 */
export async function warnSharers(context: OperationsContext): Promise<void> {
  const { setup, book } = context
  const current = currentOf(book.state(setup.name))
  if (current === undefined) return
  for (const { name } of sharers(current, context))
    await book.change(name, (state, { now }) => warned(state, current, { from: setup.name, now }))
}

function warned(
  state: CredentialState,
  { fingerprint }: VersionRecord,
  { from, now }: Pick<ChangeContext, 'now'> & { readonly from: CredentialName },
): { readonly state: CredentialState; readonly events: readonly ReturnType<typeof eventOf>[] } | undefined {
  const isNews = (one: VersionRecord): boolean =>
    one.fingerprint === fingerprint && one.isLeaked !== true && one.compromised !== true
  const hit = state.versions.filter(isNews)
  if (hit.length === 0) return undefined
  const versions = state.versions.map(
    (one): VersionRecord =>
      isNews(one)
        ? { ...one, ...(one.version === state.current ? { isLeaked: true } : { compromised: true }) }
        : one,
  )
  const next = { ...state, versions }
  const summary = `${from} holds the same key, which was said there to be in the wrong hands: it is about to be revoked.`
  const fix = `Turn it now: keyturn rotate ${state.name} --emergency --compromised`
  const event = { code: 'key_compromised', version: hit[0]?.version, summary, fix }
  return { state: next, events: [eventOf(next, 'alert', now, event)] }
}
