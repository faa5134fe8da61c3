import { expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { away, FederatedWorld } from './federated-world.ts'
import { operator, World } from './world.ts'

it('a key that died leaves its credential without one, and the replica where it is: no other could do better', async () => {
  const world = new World({ names: ['alive', 'dead'], isApart: true, policy: { canMint: false } })
  const service = await world.ready()
  expect(service.readiness()).toMatchObject({ ready: true, isInService: true })
  for (const key of world.issuerOf('dead').keys) key.isRefused = true
  void service.report('dead', { version: world.handedOut('dead') ?? '', status: 401 }, operator)
  await world.time.until(() => !world.isHandedOut('dead'), 10_000)
  expect(service.readiness()).toMatchObject({ ready: false, isInService: true })
})

it('a replica that cannot read what the ledger says is good is not in service', async () => {
  const world = new World()
  await world.ready()
  await world.stop()
  const store = {
    ...world.store(),
    read: () => Promise.reject(new KeyturnError('store_denied', 'Forbidden.')),
  }
  const service = await world.start({ setup: { store } })
  expect(service.readiness()).toMatchObject({ ready: false, isInService: false })
})

it('a store that never had a key keeps nobody from answering that, and why', async () => {
  const world = new World({ isStocked: false, policy: { canMint: false } })
  const service = await world.start()
  await world.time.advance(5_000)
  expect(service.readiness()).toMatchObject({ ready: false, isInService: true })
})

it('where tokens are exchanged, it is in service once the first exchange was tried', async () => {
  const world = new FederatedWorld()
  world.exchange.failing = away
  const service = await world.start()
  expect(service.readiness()).toMatchObject({ ready: false, isInService: false })
  await world.time.until(() => service.readiness().isInService, 60_000)
  expect(service.readiness()).toMatchObject({ ready: false })
})
