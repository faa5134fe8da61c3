import type { SecretStore } from '../../../src/core/ports.ts'
import {
  type AwsSecretsManagerOptions,
  type MemoryContent,
  openStore,
  type StoreContext,
} from '../../../src/stores/index.ts'
import type { KubernetesOptions } from '../../../src/stores/kubernetes.ts'
import type { VaultOptions } from '../../../src/stores/vault.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { openAws, startAws } from './aws-place.ts'
import { makeFolder } from './folder.ts'
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
export async function awsHarness(options: AwsSecretsManagerOptions = {}): Promise<StoreHarness> {
  const place = await startAws()
  place.fake.secrets.set('openai', { versions: new Map(), tags: new Map() })
  const another = (): Promise<SecretStore> => openAws(place, options)
  return harness(place.context, { ref: 'openai', another, cleanUp: () => place.end() })
}

export async function vaultHarness(
  options: VaultOptions = {},
  document?: Readonly<Record<string, unknown>>,
): Promise<StoreHarness> {
  const place = await startVault()
  const ref = 'team/openai'
  if (document !== undefined) place.fake.put(ref, { ...document })
  return harness(place.context, { ref, another: () => place.open(options), cleanUp: () => place.end() })
}

export async function kubernetesHarness(
  options: KubernetesOptions = {},
  data?: Readonly<Record<string, string>>,
): Promise<StoreHarness> {
  const place = await startKubernetes()
  if (data !== undefined) place.fake.put('openai', { ...data }, { type: 'example.com/theirs' })
  const ref = data === undefined ? 'openai' : 'apps/openai'
  return harness(place.context, { ref, another: () => place.open(options), cleanUp: () => place.end() })
}

async function harness(
  context: StoreContext & Recorded,
  parts: Pick<StoreHarness, 'ref' | 'another' | 'cleanUp'>,
): Promise<StoreHarness> {
  return {
    ...parts,
    store: await parts.another(),
    absentRef: 'nowhere',
    logged: () => context.lines.join('\n'),
  }
}
