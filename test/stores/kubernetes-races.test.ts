import { raceSuite } from '../conformance/race-suite.ts'
import { kubernetesHarness } from './fakes/harnesses.ts'

// The other half of the thousand is in kubernetes-races-more.test.ts, so that neither holds up a whole run.
raceSuite('kubernetes', () => kubernetesHarness(), { races: 500, seed: 1 })
