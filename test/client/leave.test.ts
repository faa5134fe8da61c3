import { expect, it } from 'vitest'
import { openClient } from '../../src/client/create-client.ts'
import { type FakeService, testKey } from './fake-service.ts'
import { handTime, serviceForTest, turnOfLoop } from './support.ts'

const ends = ({ seen }: FakeService) => seen.filter(({ method }) => method === 'DELETE')

it('ends the lease once and is silent until somebody asks for a key, who waits for an answer', async () => {
  const service = await serviceForTest()
  const { client, leave, tell } = openClient({ ...service, env: {} })
  await client.getOpenAIKey()
  await service.until(() => service.streams.size === 1)
  await tell()
  await Promise.all([leave(), leave()])
  await leave()
  await service.until(() => service.streams.size === 0)
  expect(ends(service)).toHaveLength(1)
  expect(service.seen.at(-1)).toBe(ends(service)[0])

  const next = testKey()
  service.turn({ apiKey: next })
  expect(await client.getOpenAIKey()).toBe(next)
  await service.until(() => service.streams.size === 1)
  await tell()
  await leave()
  expect(ends(service)).toHaveLength(2)
  client.close()
})

it('asks nothing by itself, however long it takes, also where a request ends', async () => {
  const hand = handTime()
  const service = await serviceForTest({}, { hasStream: false })
  const { client, leave, use } = openClient({ ...service, env: {}, platform: hand.platform })
  await client.getOpenAIKey()
  const release = use(0)
  await turnOfLoop()
  await leave()
  release()
  hand.advance(290_000)
  await turnOfLoop()
  expect(service.seen.at(-1)?.method).toBe('DELETE')
  client.close()
})

it('hands out the key that it has where Keyturn is away when it is asked again', async () => {
  const service = await serviceForTest()
  const { client, leave } = openClient({ ...service, env: {}, onError: () => undefined })
  const key = await client.getOpenAIKey()
  await turnOfLoop()
  await leave()
  await service.close()
  expect(await client.getOpenAIKey()).toBe(key)
  client.close()
})

it('says nothing where there is no key, where one is asked for in the same turn, and where it was closed', async () => {
  const service = await serviceForTest()
  const { client, leave } = openClient({ ...service, env: {} })
  await leave()
  await client.getOpenAIKey()
  await client.getOpenAIKey()
  await leave()
  await turnOfLoop()
  client.close()
  await leave()
  expect(ends(service)).toEqual([])
})
