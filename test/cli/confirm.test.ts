import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BlastRadius } from '../../src/api/types.ts'
import { run } from '../../src/cli/main.ts'
import { type FakeIoOptions, fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import { blastRadiusOf, instant, operatorToken, start, tokenSummary } from './samples.ts'

let service: FakeService

beforeEach(async () => {
  service = await fakeService()
})
afterEach(async () => {
  await service.close()
})

async function keyturn(line: string, options: FakeIoOptions = {}) {
  const env = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken }
  const io = fakeIo({ now: () => start, env, ...options })
  const code = await run(line.split(' '), io)
  return { code, out: io.out(), err: io.err() }
}

const changes = (): string[] =>
  service.asked.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`)

const holder = {
  app: 'billing',
  instance: 'web-1',
  generation: 3,
  seenAt: instant(-5),
  isSilent: false,
  isListening: false,
}

describe('a key in use', () => {
  const inUse: readonly (readonly [string, Partial<BlastRadius>])[] = [
    ['held by an app', { holders: [holder] }],
    ['current', { isCurrent: true, stage: 'current' }],
    ['in a mirror', { mirrors: [{ id: 'aws/openai', store: 'aws' }] }],
    ['shared with another credential', { sharedWith: ['openai-eval'] }],
  ]

  it.each(inUse)('%s is not revoked from a pipe without --confirm', async (_what, change) => {
    service.answer('GET /v1/credentials/openai/blast-radius?version=v-old', blastRadiusOf(change))
    const { code, out, err } = await keyturn('revoke openai v-old')
    expect({ code, out }).toEqual({ code: 3, out: '' })
    expect(err).toMatch(
      /openai: who loses what[\s\S]*that needs the name 'openai' typed[\s\S]*--confirm openai/,
    )
    expect(changes()).toEqual([])
    const confirmed = await keyturn('revoke openai v-old --confirm openai')
    expect(confirmed.code).toBe(0)
    expect(changes()).toEqual(['POST /v1/credentials/openai/versions/v-old/revocations'])
  })

  it('that nobody holds goes without a question', async () => {
    const silent = { ...holder, isSilent: true }
    service.answer(
      'GET /v1/credentials/openai/blast-radius?version=v-old',
      blastRadiusOf({ holders: [silent] }),
    )
    expect(await keyturn('revoke openai v-old')).toMatchObject({ code: 0, err: '' })
  })

  it('of which nothing can be told is taken for one', async () => {
    const route = 'GET /v1/credentials/openai/blast-radius?version=v-old'
    service.refuse(route, 503, 'store_unreachable', 'The store does not answer.')
    const { code, err } = await keyturn('revoke openai v-old')
    expect(code).toBe(3)
    expect(err).toMatch(/warning: who holds the key cannot be told now/)
    expect(changes()).toEqual([])
  })

  it('that is the only one says at once all that it needs', async () => {
    service.answer(
      'GET /v1/credentials/openai/blast-radius?version=v-old',
      blastRadiusOf({ isCurrent: true, spare: null }),
    )
    expect((await keyturn('revoke openai v-old')).err).toMatch(/last working key.*--even-if-last/)
  })
})

describe('a lease', () => {
  const lively = [{ app: 'billing', instance: 'web-2', generation: 3, seenAt: instant(-599) }]

  it('of an instance that lives is dropped only when the name was typed', async () => {
    service.answer('GET /v1/credentials/openai/leases', { items: lively })
    const { code, err } = await keyturn('leases openai --drop web-2')
    expect(code).toBe(3)
    expect(err).toMatch(/web-2 of billing holds generation 3 of 'openai', seen 9m 59s ago/)
    const no = await keyturn('leases openai --drop web-2', { isTerminal: true, typed: ['web-2'] })
    expect([no.code, changes()]).toEqual([3, []])
    const yes = await keyturn('leases openai --drop web-2', { isTerminal: true, typed: ['openai'] })
    expect([yes.code, changes()]).toEqual([0, ['DELETE /v1/credentials/openai/leases/web-2']])
  })

  it('of one that is silent goes without a question', async () => {
    service.answer('GET /v1/credentials/openai/leases', { items: [{ ...lively[0], seenAt: instant(-600) }] })
    expect(await keyturn('leases openai --drop web-2')).toMatchObject({ code: 0, err: '' })
  })

  it('that an app does not see is not said to be dropped, though the service answers alike', async () => {
    service.answer('GET /v1/credentials/openai/leases', { items: [] })
    const { code, err } = await keyturn('leases openai --drop web-2')
    expect([code, changes()]).toEqual([1, []])
    expect(err).toContain("'openai' has no lease of web-2")
  })

  it('takes --confirm only to be dropped', async () => {
    expect((await keyturn('leases openai --confirm openai')).code).toBe(2)
  })
})

describe('a token', () => {
  const used = (seconds: number) => ({ items: [{ ...tokenSummary, lastUsedAt: instant(-seconds) }] })

  it('that was used within a day is revoked only when the name of its owner was typed', async () => {
    service.answer('GET /v1/tokens', used(86_399))
    const { code, err } = await keyturn('token revoke tok_1')
    expect([code, changes()]).toEqual([3, []])
    expect(err).toMatch(
      /token tok_1 is the app token of billing, last used 23h 59m ago[\s\S]*--confirm billing/,
    )
    const confirmed = await keyturn('token revoke tok_1 --confirm billing')
    expect([confirmed.code, changes()]).toEqual([0, ['DELETE /v1/tokens/tok_1']])
  })

  it('that nobody used for longer goes without a question', async () => {
    service.answer('GET /v1/tokens', used(86_400))
    expect(await keyturn('token revoke tok_1')).toMatchObject({ code: 0, err: '' })
  })
})
