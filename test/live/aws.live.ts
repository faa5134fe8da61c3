import { awsHarness } from '../emulators/suites/aws-harness.ts'
import { emulatorSuite } from '../emulators/suites/deviations.ts'

const place = { env: process.env }

emulatorSuite('aws-secrets-manager', () => awsHarness(place, { createIfAbsent: true }))
