import { expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { openStore } from '../../src/stores/index.ts'
import { storeSuite } from '../conformance/store-suite.ts'
import { memoryHarness } from './fakes/harnesses.ts'
import { testContext } from './fakes/system.ts'

storeSuite('memory', memoryHarness, { isWritable: true, skips: {} })

it('starts with the content it is given', async () => {
  const initial = { openai: { version: 'first', secret: new Secret('given'), meta: { keyId: 'key_1' } } }
  const store = await openStore({ kind: 'memory', initial }, testContext('.'))
  const read = await store.read('openai')
  expect(read?.secret.reveal()).toBe('given')
  expect(read?.meta).toEqual({ keyId: 'key_1' })
})

it('tells its watchers of each change, until they cancel', async () => {
  const store = await openStore({ kind: 'memory' }, testContext('.'))
  let changes = 0
  const cancel = store.watch?.('openai', () => {
    changes += 1
  })
  await store.stage('openai', { version: 'one', secret: new Secret('x1'), meta: {}, fence: 1 })
  expect(changes).toBe(1)
  cancel?.()
  await store.promote('openai', { to: 'one', expectCurrent: undefined, fence: 1 })
  expect(changes).toBe(1)
})
