import { raceSuite } from '../conformance/race-suite.ts'
import { awsHarness } from './fakes/harnesses.ts'

// AWS has one compare-and-swap, on AWSCURRENT: a tag that marks a version as retired is not part of it.
raceSuite('aws-secrets-manager', () => awsHarness(), { stopsRetired: false })
