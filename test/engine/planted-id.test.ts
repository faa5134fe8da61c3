import { expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { minuteMs } from '../core/fixtures.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

/** Metadata in a store is the word of whoever can write there. It must not decide which key the admin key deletes. */
it('an operator revokes the very key of a planted version, and not the one that its metadata names', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { activationGraceMs: 0 } })
  await world.ready()
  const somebodyElses = world.issuer.plant()
  const planted = world.issuer.plant()
  const store = world.store()
  const { current } = (await store.describe('openai')) ?? {}
  const { fence } = await world.state()
  const meta = { keyId: somebodyElses.keyId }
  await store.stage('openai', { version: 'planted', secret: planted.secret, meta, fence })
  await store.promote('openai', { to: 'planted', expectCurrent: current, fence })
  await world.time.until(() => world.handedOut() === 'planted', 10 * minuteMs)
  const revoking = world.service.revoke('openai', 'planted', { reason: 'who put that there?' }, operator)
  await world.time.until(() => planted.isDeleted || somebodyElses.isDeleted, 10 * minuteMs)
  await revoking
  expect([planted.isDeleted, somebodyElses.isDeleted]).toEqual([true, false])
})

it('a value that somebody staged under a lost attempt is discarded without the key that its metadata names', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { activationGraceMs: 0 } })
  await world.ready()
  const somebodyElses = world.issuer.plant()
  world.issuer.breakCall('mint', 'before')
  const open = world.issuer.hold('list')
  await world.service.rotate('openai', {}, operator)
  await world.time.until(() => world.issuer.count('list') > 0, 10 * minuteMs)
  const { rotation, fence } = await world.state()
  const version = rotation?.attempts.at(-1)?.version ?? ''
  const secret = new Secret(['not', 'a', 'key', 'of', 'anybody'].join('-'))
  await world.store().stage('openai', { version, secret, meta: { keyId: somebodyElses.keyId }, fence })
  world.issuer.mend('mint')
  open()
  await world.walkRotation()
  expect(somebodyElses.isDeleted).toBe(false)
  expect((await world.state()).rotation?.phase).toBe('done')
})
