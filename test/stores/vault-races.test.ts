import { raceSuite } from '../conformance/race-suite.ts'
import { vaultHarness } from './fakes/harnesses.ts'

// The other half of the thousand is in vault-races-more.test.ts, so that neither holds up a whole run.
raceSuite('vault', () => vaultHarness(), { races: 500, seed: 1 })
