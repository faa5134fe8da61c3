import { describe } from 'vitest'
import { localPlace, modulePlace } from './store-places.ts'
import { wholeWalk } from './store-whole-walk.ts'

describe('stores of this machine and of your own, each with a service of its own', () => {
  wholeWalk('local', localPlace)
  wholeWalk('module (the store of docs/own-store.md)', modulePlace)
})
