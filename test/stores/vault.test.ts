import { storeSuite } from '../conformance/store-suite.ts'
import { vaultHarness } from './fakes/harnesses.ts'

storeSuite('vault', () => vaultHarness(), { isWritable: true, skips: {} })

storeSuite(
  "vault (a field of other people's document)",
  () =>
    vaultHarness(
      { field: 'openai' },
      { openai: '', host: 'db.example.com', port: 5432, nested: { deep: ['kept'] } },
    ),
  { isWritable: true, skips: {} },
)
