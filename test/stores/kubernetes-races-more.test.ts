import { raceSuite } from '../conformance/race-suite.ts'
import { kubernetesHarness } from './fakes/harnesses.ts'

raceSuite('kubernetes', () => kubernetesHarness(), { races: 500, seed: 2 })
