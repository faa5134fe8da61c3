import { raceSuite } from '../conformance/race-suite.ts'
import { awsHarness } from './fakes/harnesses.ts'

// AWS has one compare-and-swap, on AWSCURRENT, and the tag that marks a version as retired is not part of it: a promotion
// and a retirement of one version find out afterwards, and a race that both leave has no winner.
raceSuite('aws-secrets-manager', () => awsHarness(), { races: 500, seed: 2, stopsRetired: false })
