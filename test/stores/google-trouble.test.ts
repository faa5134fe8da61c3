import { faultSuite } from '../conformance/fault-suite.ts'
import { googleHarness } from './fakes/google-place.ts'

faultSuite('google-secret-manager', () => googleHarness(), { stride: 3 })
