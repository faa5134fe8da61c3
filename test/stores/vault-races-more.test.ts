import { raceSuite } from '../conformance/race-suite.ts'
import { vaultHarness } from './fakes/harnesses.ts'

raceSuite('vault', () => vaultHarness(), { races: 500, seed: 2 })
