import { raceSuite } from '../conformance/race-suite.ts'
import { azureHarness } from './fakes/azure-place.ts'

// Azure deletes no version and lists them 25 at a time: a thousand races over one secret would measure its pages. Nothing
// in it can stop a promotion whose version is being retired at that moment; the ledger's lease does.
for (let seed = 1; seed <= 25; seed += 1)
  raceSuite('azure-key-vault', () => azureHarness(), { races: 40, seed, stopsRetired: false })
