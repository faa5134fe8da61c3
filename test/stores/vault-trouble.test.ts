import { faultSuite } from '../conformance/fault-suite.ts'
import { vaultHarness } from './fakes/harnesses.ts'

faultSuite('vault', () => vaultHarness())
