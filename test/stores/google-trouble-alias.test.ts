import { faultSuite } from '../conformance/fault-suite.ts'
import { googleHarness } from './fakes/google-place.ts'

faultSuite('google-secret-manager (read by an alias)', () => googleHarness({ consumers: 'alias' }), {
  stride: 2,
})
