import { storeSuite } from '../conformance/store-suite.ts'
import { awsHarness } from './fakes/harnesses.ts'

storeSuite('aws-secrets-manager', () => awsHarness(), { isWritable: true, skips: {} })

storeSuite('aws-secrets-manager (JSON field)', () => awsHarness({ format: 'json', field: 'key' }), {
  isWritable: true,
  skips: {
    'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
      'the document around the key takes some of the 64 KiB',
  },
})
