import { recordOf } from '../core/credential.ts'
import { secretsWanted } from '../core/duties.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Cancel } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { CredentialName, CredentialState, VersionId } from '../core/types.ts'
import type { CredentialSetup, EngineDeps } from './setup.ts'

/**
 * The secrets of live versions, in memory, so that handing out and failing over never wait for the store. Each is
 * compared with the fingerprint under which it was verified: what somebody overwrote in the store is not taken.
 */
export interface Keyring {
  peek(name: CredentialName, version: VersionId): Secret | undefined
  /** From memory, else from the store; undefined where the store says that it is not there (or not the one that was verified). */
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
    const stored = await setup?.store.read(setup.ref, { version })
    if (stored === undefined) return undefined
    const record = recordOf(states.state(name), version)
    if (record !== undefined && record.fingerprint !== fingerprint(stored.secret, deps.system)) {
      deps.log('error', 'the value of a known version changed in the store; it is not used', {
        credential: name,
        version,
      })
      return undefined
    }
    of(name).set(version, stored.secret)
    return stored.secret
  }

  function follow(state: CredentialState): void {
    const wanted = secretsWanted(state)
    const held = of(state.name)
    const pending = new Set(state.rotation?.attempts.map((one) => one.version))
    const dying = new Set(
      state.retirements.filter((one) => one.endedAt === undefined).map((one) => one.version),
    )
    for (const version of held.keys()) {
      if (!wanted.includes(version) && !pending.has(version) && !dying.has(version)) held.delete(version)
    }
    if (isStopped || loading.has(state.name) || retries.has(state.name)) return
    const missing = wanted.filter((version) => !held.has(version))
    if (missing.length > 0) void load(state.name, missing, 0)
  }

  async function load(name: CredentialName, versions: readonly VersionId[], failures: number): Promise<void> {
    loading.add(name)
    let isFailed = false
    for (const version of versions) {
      try {
        if ((await get(name, version)) !== undefined) onLoaded(name)
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
    if (!isFailed || isStopped) return
    const delayMs = Math.min(30_000, 250 * 2 ** Math.min(failures, 10))
    const again = (): void => {
      retries.delete(name)
      const held = of(name)
      const missing = secretsWanted(states.state(name)).filter((version) => !held.has(version))
      if (missing.length > 0) void load(name, missing, failures + 1)
    }
    retries.set(name, deps.system.after(delayMs, again, { background: true }))
  }

  return {
    peek: (name, version) => secrets.get(name)?.get(version),
    get,
    put: (name, version, secret) => void of(name).set(version, secret),
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
