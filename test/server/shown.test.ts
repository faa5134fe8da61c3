import { expect, it } from 'vitest'
import type { CredentialSummary, List } from '../../src/api/types.ts'
import { createCaller } from '../../src/server/auth/caller.ts'
import { summariesFor } from '../../src/server/shown.ts'
import { createFakeService } from './fake-service.ts'
import { startServer } from './harness.ts'

const many = Array.from({ length: 950 }, (_none, index) => `app-${index}`)
const reader = createCaller({
  id: 'a',
  name: 'a',
  kind: 'token',
  grants: [{ credentials: ['*'], may: ['read'] }],
})

it('of very many credentials a hundred are looked at, then others get their turn', async () => {
  const log: string[] = []
  const known = createFakeService(many)
  const service = {
    ...known,
    summary: async (name: string) => {
      log.push(name)
      return known.summary(name)
    },
  }
  const takeTurn = async () => void log.push('others')
  const found: CredentialSummary[] = []
  for await (const some of summariesFor({ service, takeTurn }, reader)) found.push(...some)
  expect(found.map(({ name }) => name)).toEqual(many)
  expect(log.flatMap((one, index) => (one === 'others' ? [index] : []))).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((piece) => piece * 100 + piece - 1),
  )
})

it('a list of very many is one list, in the order of the configuration', async () => {
  const harness = await startServer({ names: many })
  const answer = await harness.send('GET', '/v1/credentials')
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
  const { items } = (await answer.json()) as List<CredentialSummary>
  expect(items.map(({ name }) => name)).toEqual(many)
  const none = await harness.send('GET', '/v1/credentials?names=nobody')
  expect(await none.json()).toEqual({ items: [] })
})
