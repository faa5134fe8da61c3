import { faultSuite } from '../conformance/fault-suite.ts'
import { kubernetesHarness } from './fakes/harnesses.ts'

// A Secret is there or it is not.
faultSuite('kubernetes', () => kubernetesHarness(), { knowsDisabled: false })
