import { raceSuite } from '../conformance/race-suite.ts'
import { memoryHarness } from './fakes/harnesses.ts'

raceSuite('memory', memoryHarness)
