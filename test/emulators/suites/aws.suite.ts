import { raceSuite } from '../../conformance/race-suite.ts'
import { awsHarness } from './aws-harness.ts'
import { emulatorSuite, fromEnvironment } from './deviations.ts'

const place = {
  endpoint: fromEnvironment('KEYTURN_SUITE_AWS'),
  env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'eu-central-1' },
}

emulatorSuite('aws-secrets-manager', () => awsHarness(place))

emulatorSuite(
  'aws-secrets-manager (JSON field)',
  () => awsHarness(place, { format: 'json', field: 'key', createIfAbsent: true }),
  {
    'keeps unicode and 64 KiB whole, and a newline at the end does no harm':
      'the document around the key takes some of the 64 KiB',
  },
)

raceSuite('aws-secrets-manager', () => awsHarness(place), { races: 100, stopsRetired: false })
