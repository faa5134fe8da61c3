import { describe } from 'vitest'
import { googleAliasPlace, googlePlace } from './store-places-remote.ts'
import { wholeWalk } from './store-whole-walk.ts'

describe('Google Secret Manager, each with a service of its own', () => {
  wholeWalk('google-secret-manager (REST, latest)', googlePlace)
  wholeWalk('google-secret-manager (gRPC, alias)', googleAliasPlace)
})
