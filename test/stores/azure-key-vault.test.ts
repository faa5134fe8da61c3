import { storeSuite } from '../conformance/store-suite.ts'
import { azureHarness } from './fakes/azure-place.ts'

const skips = {
  'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
    'Azure takes 25 KB: azure-key-vault-values.test.ts has the same with that limit',
}

storeSuite('azure-key-vault', () => azureHarness(), { isWritable: true, skips })

storeSuite(
  "azure-key-vault (a field of other people's document)",
  () => azureHarness({ format: 'json', field: 'openai' }),
  { isWritable: true, skips },
)
