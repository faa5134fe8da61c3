import { storeSuite } from '../conformance/store-suite.ts'
import { kubernetesHarness } from './fakes/harnesses.ts'

storeSuite('kubernetes', () => kubernetesHarness(), { isWritable: true, skips: {} })

storeSuite(
  "kubernetes (a key of other people's Secret, in a namespace by name)",
  () =>
    kubernetesHarness(
      { key: 'OPENAI_API_KEY' },
      { OPENAI_API_KEY: '', host: 'db.example.com', 'tls.key': 'theirs' },
    ),
  { isWritable: true, skips: {} },
)
