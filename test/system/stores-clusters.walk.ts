import { describe } from 'vitest'
import { kubernetesPlace, vaultPlace } from './store-places-remote.ts'
import { wholeWalk } from './store-whole-walk.ts'

describe('stores of clusters, each with a service of its own', () => {
  wholeWalk('vault', vaultPlace)
  wholeWalk('kubernetes', kubernetesPlace)
})
