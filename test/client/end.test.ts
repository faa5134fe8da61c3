import { expect, it, onTestFinished } from 'vitest'
import { openClient } from '../../src/client/create-client.ts'
import { limits } from '../../src/client/limits.ts'
import { createClient } from '../../src/index.ts'
import type { FakeService } from './fake-service.ts'
import { clientOf, errorOf, handTime, serviceForTest, turnOfLoop } from './support.ts'

const ends = ({ seen }: FakeService) => seen.filter(({ method }) => method === 'DELETE')

it('says that this instance uses no key any more, once, after which nothing is asked', async () => {
  const service = await serviceForTest()
  const { client, tell } = openClient({ ...service, env: {}, instance: 'worker/1' })
  await client.getOpenAIKey()
  await service.until(() => service.streams.size === 1)
  await tell()
  await Promise.all([client.end(), client.end()])
  expect(ends(service).map(({ path, headers }) => [path, headers['keyturn-instance']])).toEqual([
    ['/v1/credentials/openai/leases/worker%2F1', 'worker/1'],
  ])
  expect(service.seen.at(-1)).toBe(ends(service)[0])
  await service.until(() => service.streams.size === 0)
  expect((await errorOf(client.getOpenAIKey())).code).toBe('stopping')
})

it('says it once more where something was under way, which may arrive after the first', async () => {
  const service = await serviceForTest()
  const client = clientOf(service)
  await client.getOpenAIKey()
  service.override = ({ path }) => path.endsWith('/events')
  await service.request(({ path }) => path.endsWith('/events'))
  await client.end()
  expect(ends(service)).toHaveLength(2)
})

it('says nothing where no key was asked for, where a request is under way, or where it was closed before', async () => {
  const service = await serviceForTest()
  await clientOf(service).end()
  const closed = clientOf(service)
  await closed.getOpenAIKey()
  closed.close()
  await closed.end()
  const opened = openClient({ url: service.url, token: service.token, env: {} })
  await opened.client.getOpenAIKey()
  const release = opened.use(1)
  await opened.client.end()
  release()
  expect(ends(service)).toEqual([])
})

it('waits for a service that does not answer no longer than its bound, and for one that refuses not at all', async () => {
  const hand = handTime()
  const service = await serviceForTest()
  const client = clientOf(service, { platform: hand.platform })
  await client.getOpenAIKey()
  service.override = ({ method }) => method === 'DELETE'
  let isEnded = false
  const ending = client.end().then(() => {
    isEnded = true
  })
  await service.request(({ method }) => method === 'DELETE')
  hand.advance(limits.endMs - 1)
  await turnOfLoop()
  expect(isEnded).toBe(false)
  hand.advance(1)
  await ending

  const refused = clientOf(service)
  service.override = undefined
  await refused.getOpenAIKey()
  service.override = (request, response) => {
    if (request.method === 'DELETE') response.writeHead(503).end()
    return request.method === 'DELETE'
  }
  await refused.end()
  const gone = clientOf(service)
  await gone.getOpenAIKey()
  await service.close()
  await expect(gone.end()).resolves.toBeUndefined()
})

it('ends a resolver in this process, which has no lease', async () => {
  let stops = 0
  const client = createClient({
    env: {},
    openEmbedded: async () => ({
      handOut: () => undefined,
      onHandOut: () => () => undefined,
      report: () => Promise.reject(new Error('not asked')),
      stop: () => void (stops += 1),
    }),
  })
  onTestFinished(() => client.close())
  await errorOf(client.getOpenAIKey())
  await client.end()
  expect(stops).toBe(1)
})
