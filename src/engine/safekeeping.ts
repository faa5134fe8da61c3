import { handedOut, isLive, recordOf } from '../core/credential.ts'
import { nextTurnAt } from '../core/expiry.ts'
import {
  entryFor,
  isRuledOut,
  isUncontradicted,
  type Remembered,
  usableUntil,
} from '../core/last-known-good.ts'
import type { CredentialEvent, CredentialName, CredentialState, VersionRecord } from '../core/types.ts'
import type { Keyring } from './keyring.ts'
import type { LastKnownGood } from './last-known-good.ts'
import type { CredentialSetup } from './setup.ts'

/**
 * Between the states of the engine and the last-known-good file: what is handed out is in the file, what is out is taken
 * away from it before the ledger says so, and what the file holds is not waited for from a store.
 */
export interface Safekeeping {
  /** A key that this change takes out of use leaves the disk first, so that no restart brings it back. */
  beforeCommit(next: CredentialState): Promise<void> | undefined
  /** After each change, and after each secret that was loaded. */
  follow(state: CredentialState, events?: readonly CredentialEvent[]): void
  /** Puts the remembered secret into the keyring where the ledger still has that key as good; once per credential. */
  seed(state: CredentialState): void
  /** Its secret came from the file, and neither store nor issuer was heard of since. */
  isUnheardOf(state: CredentialState, record: VersionRecord): boolean
  /** The store has been read and agrees. Whether anybody has to be told. */
  heard(name: CredentialName): boolean
  /** What is handed out where the ledger knows nothing at all, or the value of what it knows cannot be read yet. */
  fallback(state: CredentialState): { readonly entry: Remembered; readonly until: number } | undefined
  /** Above this a generation has to be, or apps would not take it. */
  generationSeen(state: CredentialState): number
}

export function createSafekeeping(
  file: LastKnownGood | undefined,
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  keyring: Keyring,
  clock: { now(): number },
): Safekeeping {
  if (file === undefined) return none
  const startedAt = clock.now()
  const seeded = new Map<CredentialName, Remembered>()
  /** What the file held before anything of this start changed it. */
  const found = new Map<CredentialName, Remembered | undefined>()
  const lastEventIds = new Map<CredentialName, number>()

  function made(state: CredentialState, record: VersionRecord): Remembered | undefined {
    const setup = setups.get(state.name)
    const secret = keyring.peek(state.name, record.version)
    const binding = file?.expected(state.name)?.binding
    const { verifiedAt } = record
    if (setup === undefined || secret === undefined || verifiedAt === undefined || binding === undefined)
      return undefined
    const { organization, project } = setup.expected
    const { expiresAt } = record.meta
    const rotatesAt = nextTurnAt(state, setup.policy)
    return {
      name: state.name,
      version: record.version,
      fingerprint: record.fingerprint,
      stage: record.stage,
      secret,
      generation: state.generation,
      ...(organization === undefined ? {} : { organization }),
      ...(project === undefined ? {} : { project }),
      baseUrl: setup.issuer.baseUrl,
      verdict: record.verdict?.kind ?? 'unknown',
      verifiedAt,
      ...(expiresAt === undefined || verifiedAt >= expiresAt ? {} : { expiresAt }),
      ...(rotatesAt === undefined ? {} : { rotatesAt }),
      staleAfterMs: setup.policy.staleAfterMs,
      lastEventId: Math.max(lastEventIds.get(state.name) ?? 0, file?.kept(state.name)?.lastEventId ?? 0),
      binding,
    }
  }
  const wanted = (state: CredentialState): Remembered | undefined =>
    entryFor(state, file.kept(state.name), (record) => made(state, record))
  /** Others turned the key while this process was away, and its value cannot be read: the one before lives on for the overlap. */
  const isLeftBehind = ({ version }: Remembered, state: CredentialState): boolean => {
    const record = recordOf(state, version)
    return record !== undefined && handedOut(state) !== undefined && isLive(record, clock.now())
  }
  const isKept = ({ name }: CredentialState): boolean => setups.get(name)?.isInternal !== true

  return {
    beforeCommit(next) {
      const before = file.kept(next.name)
      if (before === undefined || !isKept(next)) return undefined
      const entry = wanted(next)
      return isSameKey(before, entry) ? undefined : file.put(next.name, entry, 'urgent')
    },
    follow(state, events = []) {
      if (!isKept(state)) return
      const lastId = events.at(-1)?.id
      if (lastId !== undefined) lastEventIds.set(state.name, lastId)
      const before = file.kept(state.name)
      const entry = wanted(state)
      if (isEqual(before, entry)) return
      const how = before === undefined ? 'soon' : isSameKey(before, entry) ? 'lazy' : 'urgent'
      void file.put(state.name, entry, how)
    },
    seed(state) {
      if (found.has(state.name)) return
      found.set(state.name, file.kept(state.name))
      const entry = file.usable(state.name)
      if (entry === undefined || isRuledOut(entry, state)) return
      const { version, fingerprint, secret, name } = entry
      const isKnown = state.versions.some((one) => one.version === version && one.fingerprint === fingerprint)
      if (!isKnown) return
      keyring.put(name, version, secret)
      seeded.set(name, entry)
    },
    isUnheardOf(state, record) {
      const entry = seeded.get(state.name)
      if (entry?.version !== record.version) return false
      const isStoreHeard =
        state.storeReadAt !== undefined && state.storeReadAt >= startedAt && state.storeTrouble === undefined
      return !isStoreHeard && (record.verifiedAt ?? 0) <= startedAt
    },
    heard: (name) => seeded.delete(name),
    fallback(state) {
      const entry = file.usable(state.name)
      if (entry === undefined || !(isUncontradicted(entry, state) || isLeftBehind(entry, state)))
        return undefined
      return { entry, until: usableUntil(entry, file.maxAgeMs) }
    },
    generationSeen(state) {
      const entry = found.get(state.name)
      if (entry === undefined) return 0
      const current = state.versions.find((one) => one.version === state.current)
      return current?.fingerprint === entry.fingerprint ? entry.generation : entry.generation + 1
    },
  }
}

const none: Safekeeping = {
  beforeCommit: () => undefined,
  follow: () => undefined,
  seed: () => undefined,
  isUnheardOf: () => false,
  heard: () => false,
  fallback: () => undefined,
  generationSeen: () => 0,
}

function isSameKey(one: Remembered, other: Remembered | undefined): boolean {
  return (
    one.version === other?.version &&
    one.fingerprint === other.fingerprint &&
    one.generation === other.generation
  )
}

function isEqual(one: Remembered | undefined, other: Remembered | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  const names = Object.keys(other) as (keyof Remembered)[]
  const isAlike = (name: keyof Remembered): boolean =>
    name === 'secret' ? one.secret.equals(other.secret) : one[name] === other[name]
  return names.length === Object.keys(one).length && names.every(isAlike)
}
