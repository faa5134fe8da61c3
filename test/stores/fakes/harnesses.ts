import type { SecretStore } from '../../../src/core/ports.ts'
import {
  type AwsSecretsManagerOptions,
  type MemoryContent,
  openStore,
  type StoreContext,
} from '../../../src/stores/index.ts'
import type { KubernetesOptions } from '../../../src/stores/kubernetes.ts'
import type { VaultOptions } from '../../../src/stores/vault.ts'
import type { FaultHarness, StoreFault } from '../../conformance/fault-suite.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import type { AwsFake } from './aws-fake.ts'
import { openAws, startAws } from './aws-place.ts'
import { makeFolder } from './folder.ts'
import type { HttpFaultKind, HttpFaults } from './http-faults.ts'
import { impatience } from './impatience.ts'
import { startKubernetes } from './kubernetes-place.ts'
import { type Recorded, testContext } from './system.ts'
import { startVault } from './vault-place.ts'

/** One place for each store that can be written, as the shared suites want it. */

export async function memoryHarness(): Promise<StoreHarness> {
  const context = testContext('.')
  const content: MemoryContent = new Map()
  const another = (): Promise<SecretStore> => openStore({ kind: 'memory', content }, context)
  return harness(context, { ref: 'openai', another, cleanUp: async () => undefined })
}

export async function localHarness(): Promise<StoreHarness> {
  const { path, remove } = await makeFolder()
  const context = testContext(path)
  const opened: SecretStore[] = []
  return harness(context, {
    ref: 'team/openai key',
    async another() {
      const store = await openStore({ kind: 'local' }, context)
      opened.push(store)
      return store
    },
    async cleanUp() {
      for (const store of opened) await store.close()
      await remove()
    },
  })
}

/** A secret without any version, as an operator makes one for Keyturn. */
export async function awsHarness(
  options: AwsSecretsManagerOptions = {},
): Promise<FaultHarness & { readonly fake: AwsFake }> {
  const place = await startAws()
  const { fake } = place
  const makeEmpty = (ref: string): string => {
    fake.secrets.set(ref, { versions: new Map(), tags: new Map() })
    return ref
  }
  const another = (more: AwsSecretsManagerOptions = {}): Promise<SecretStore> =>
    openAws(place, { ...options, ...more })
  let made = 0
  return {
    ...(await harness(place.context, { ref: makeEmpty('openai'), another, cleanUp: () => place.end() })),
    fake,
    once: () => another({ maxAttempts: 1 }),
    impatient: () => another({ maxAttempts: 1, requestTimeoutMs: 300 }),
    nowhere: () => another({ maxAttempts: 1, endpoint: 'http://127.0.0.1:1' }),
    fail: (kind, options) => fake.fault({ kind, ...options }),
    heal: () => fake.clear(),
    requests: () => fake.requests.length,
    freshRef: () => makeEmpty(`openai-${(made += 1)}`),
    disable() {
      const secret = fake.secrets.get('openai')
      if (secret !== undefined) secret.deletedAt = 1_795_000_000
    },
  }
}

export async function vaultHarness(
  options: VaultOptions = {},
  document?: Readonly<Record<string, unknown>>,
): Promise<FaultHarness> {
  const place = await startVault()
  const { fake } = place
  const ref = 'team/openai'
  if (document !== undefined) fake.put(ref, { ...document })
  const another = (more: VaultOptions = {}): Promise<SecretStore> => place.open({ ...options, ...more })
  return {
    ...(await harness(place.context, { ref, another, cleanUp: () => place.end() })),
    once: () => another({ maxAttempts: 1 }),
    impatient: () =>
      place.open({ ...options, maxAttempts: 1 }, { ...place.context, system: impatience(fake) }),
    nowhere: () => another({ maxAttempts: 1, address: 'http://127.0.0.1:1' }),
    ...httpFaults(fake),
    disable() {
      const newest = fake.mount.documents.get(ref)
      const version = newest?.versions.get(newest.current)
      if (version !== undefined) version.deletedAt = 1
    },
  }
}

export async function kubernetesHarness(
  options: KubernetesOptions = {},
  data?: Readonly<Record<string, string>>,
): Promise<FaultHarness> {
  const place = await startKubernetes()
  const { fake } = place
  if (data !== undefined) fake.put('openai', { ...data }, { type: 'example.com/theirs' })
  const ref = data === undefined ? 'openai' : 'apps/openai'
  const another = (more: KubernetesOptions = {}): Promise<SecretStore> => place.open({ ...options, ...more })
  return {
    ...(await harness(place.context, { ref, another, cleanUp: () => place.end() })),
    once: () => another({ maxAttempts: 1 }),
    impatient: () =>
      place.open({ ...options, maxAttempts: 1 }, { ...place.context, system: impatience(fake) }),
    async nowhere() {
      const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' }
      return place.open({ ...options, maxAttempts: 1 }, { ...place.context, env })
    },
    ...httpFaults(fake),
  }
}

const httpFaultOf: Readonly<Record<StoreFault, HttpFaultKind>> = {
  denied: 403,
  throttled: 429,
  slow_down: 'slow_down',
  internal: 500,
  proxy_page: 'proxy_page',
  hang: 'hang',
  reset: 'reset',
  broken: 'broken',
}

/** For fakes over HTTP; a secret of theirs is made by its first write. */
function httpFaults(
  fake: HttpFaults & { readonly requests: readonly unknown[] },
): Pick<FaultHarness, 'fail' | 'heal' | 'requests' | 'freshRef'> {
  let made = 0
  return {
    fail: (kind, options) => fake.fault(httpFaultOf[kind], options),
    heal: () => fake.clear(),
    requests: () => fake.requests.length,
    freshRef: () => `openai-${(made += 1)}`,
  }
}

async function harness(
  context: StoreContext & Recorded,
  parts: {
    readonly ref: string
    readonly another: () => Promise<SecretStore>
    readonly cleanUp: () => Promise<void>
  },
): Promise<StoreHarness> {
  return {
    ...parts,
    another: () => parts.another(),
    store: await parts.another(),
    absentRef: 'nowhere',
    logged: () => context.lines.join('\n'),
  }
}
