import { raceSuite } from '../conformance/race-suite.ts'
import { localHarness } from './fakes/harnesses.ts'

raceSuite('local', localHarness)
