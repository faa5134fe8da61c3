import { backoffMs } from '../core/backoff.ts'
import { recordOf } from '../core/credential.ts'
import { secretsToHandOut, secretsWanted } from '../core/duties.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Cancel, StoredVersion } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { CredentialName, CredentialState, VersionId, VersionRecord } from '../core/types.ts'
import { createGate } from './gate.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'

/** Between attempts to read a secret from a store that fails. */
const retryBaseMs = 250
const retryMaxMs = 30_000

/**
 * The secrets of live versions, in memory, so that handing out and failing over never wait for the store. Each is
 * compared with the fingerprint under which it was verified: what somebody overwrote in the store is not taken.
 */
export interface Keyring {
  peek(name: CredentialName, version: VersionId): Secret | undefined
  /** From memory, else from the store, else what a mirror has for current; undefined where the store says that it is not there (or not the one that was verified). */
  get(name: CredentialName, version: VersionId): Promise<Secret | undefined>
  put(name: CredentialName, version: VersionId, secret: Secret): void
  drop(name: CredentialName, version: VersionId): void
  /** Loads what the state wants and is not here, with retries in the background; calls `onLoaded` for each credential that got one. */
  follow(state: CredentialState): void
  stop(): void
}

export function createKeyring(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  deps: Pick<EngineDeps, 'system' | 'log'>,
  states: { state(name: CredentialName): CredentialState },
  onLoaded: (name: CredentialName) => void,
): Keyring {
  const secrets = new Map<CredentialName, Map<VersionId, Secret>>()
  const retries = new Map<CredentialName, Cancel>()
  const loading = new Set<CredentialName>()
  /** A store that comes back, or that every replica starts on, is not asked for everything at once. */
  const gate = createGate(engineLimits.loadsMax)
  let isStopped = false

  function of(name: CredentialName): Map<VersionId, Secret> {
    const known = secrets.get(name)
    if (known !== undefined) return known
    const made = new Map<VersionId, Secret>()
    secrets.set(name, made)
    return made
  }

  async function get(name: CredentialName, version: VersionId): Promise<Secret | undefined> {
    const known = of(name).get(version)
    if (known !== undefined) return known
    const setup = setups.get(name)
    if (setup === undefined) return undefined
    const record = recordOf(states.state(name), version)
    const stored = (await setup.store.read(setup.ref, { version })) ?? (await inMirror(setup, record))
    if (stored === undefined) return undefined
    if (record !== undefined && record.fingerprint !== fingerprint(stored.secret, deps.system)) {
      deps.log('error', 'the value of a known version changed in the store; it is not used', {
        credential: name,
        version,
      })
      return undefined
    }
    if (!isStopped) of(name).set(version, stored.secret)
    return stored.secret
  }

  /** What was adopted from a mirror is there alone until it is written to the store, which a crash may come before. */
  async function inMirror(
    { name, mirrors }: CredentialSetup,
    record: VersionRecord | undefined,
  ): Promise<StoredVersion | undefined> {
    if (record === undefined) return undefined
    for (const { id, store, ref } of mirrors) {
      try {
        const read = await store.read(ref)
        if (read !== undefined && fingerprint(read.secret, deps.system) === record.fingerprint) return read
      } catch (thrown) {
        deps.log('warn', 'a mirror could not be asked for a key that the store does not have', {
          credential: name,
          mirror: id,
          error: thrown,
        })
      }
    }
    return undefined
  }

  function follow(state: CredentialState): void {
    const wanted = new Set(secretsWanted(state))
    const held = of(state.name)
    for (const version of held.keys()) if (!wanted.has(version)) held.delete(version)
    if (isStopped || loading.has(state.name) || retries.has(state.name)) return
    const missing = missingOf(state)
    if (missing.length > 0) void load(state.name, missing, 0)
  }

  /** Of what is wanted only that which may be handed out soon is loaded ahead; the rest when it is asked for. */
  function missingOf(state: CredentialState): readonly VersionId[] {
    const held = of(state.name)
    return secretsToHandOut(state).filter((version) => !held.has(version))
  }

  /** Never rejects. */
  async function load(name: CredentialName, versions: readonly VersionId[], failures: number): Promise<void> {
    loading.add(name)
    let isFailed = false
    for (const version of versions) {
      try {
        const secret = await gate.run(async () => (isStopped ? undefined : await get(name, version)))
        if (secret !== undefined && !isStopped) onLoaded(name)
      } catch (thrown) {
        isFailed = true
        deps.log('warn', 'a secret could not be read from the store; trying again', {
          credential: name,
          version,
          error: thrown,
        })
      }
    }
    loading.delete(name)
    if (isStopped) return
    // What the state began to want meanwhile is loaded now; what the store does not have waits for the next change.
    const missing = missingOf(states.state(name)).filter((version) => isFailed || !versions.includes(version))
    if (missing.length === 0) return
    if (!isFailed) return void load(name, missing, 0)
    // With jitter: all credentials of a store lose it in the same moment.
    const delayMs = backoffMs({ retryBaseMs, retryMaxMs }, failures) * (0.5 + deps.system.fraction() / 2)
    const again = (): void => {
      retries.delete(name)
      const still = missingOf(states.state(name))
      if (still.length > 0) void load(name, still, failures + 1)
    }
    retries.set(name, deps.system.after(delayMs, again, { background: true }))
  }

  return {
    peek: (name, version) => secrets.get(name)?.get(version),
    get,
    put(name, version, secret) {
      if (!isStopped) of(name).set(version, secret)
    },
    drop: (name, version) => void of(name).delete(version),
    follow,
    stop() {
      isStopped = true
      for (const cancel of retries.values()) cancel()
      retries.clear()
      secrets.clear()
    },
  }
}
