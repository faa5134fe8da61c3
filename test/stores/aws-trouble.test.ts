import { faultSuite } from '../conformance/fault-suite.ts'
import { awsHarness } from './fakes/harnesses.ts'

faultSuite('aws-secrets-manager', () => awsHarness())
