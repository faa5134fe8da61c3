import type { SecretStore } from '../../src/core/ports.ts'
import { type StoreHarness, storeSuite } from '../conformance/store-suite.ts'
import { addVersion, type FakeAzureSecrets } from './fakes/azure-fake-vault.ts'
import { openInProcess } from './fakes/azure-in-process.ts'
import { azureHarness } from './fakes/azure-place.ts'
import { testContext } from './fakes/system.ts'

const skips = {
  'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
    'Azure takes 25 KB: azure-key-vault-values.test.ts has the same with that limit',
}

storeSuite('azure-key-vault', () => azureHarness(), { isWritable: true, skips })

/** What differs is what stands in the value, and not how it gets there: the wire is left out. */
async function documentHarness(): Promise<StoreHarness> {
  const secrets: FakeAzureSecrets = new Map()
  const document = { host: 'db.example.com', port: 5432, nested: { deep: ['kept'] } }
  addVersion(secrets, 'openai', { value: JSON.stringify(document) })
  const context = testContext('.')
  const gate = async (): Promise<void> => undefined
  const another = (): Promise<SecretStore> =>
    openInProcess(secrets, gate, { context, format: 'json', field: 'openai' })
  return {
    store: await another(),
    ref: 'openai',
    absentRef: 'nowhere',
    another,
    logged: () => context.lines.join('\n'),
    cleanUp: async () => undefined,
  }
}

storeSuite("azure-key-vault (a field of other people's document)", documentHarness, {
  isWritable: true,
  skips,
})
