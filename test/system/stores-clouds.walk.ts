import { describe } from 'vitest'
import { awsPlace, azurePlace } from './store-places-remote.ts'
import { wholeWalk } from './store-whole-walk.ts'

describe('stores of clouds, each with a service of its own', () => {
  wholeWalk('aws-secrets-manager', awsPlace)
  wholeWalk('azure-key-vault', azurePlace)
})
