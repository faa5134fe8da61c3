import { raceSuite } from '../conformance/race-suite.ts'
import { googleDirectHarness } from './fakes/google-direct.ts'

raceSuite('google-secret-manager (read by an alias)', () => googleDirectHarness({ consumers: 'alias' }, 2), {
  seed: 2,
})
