import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore, System } from '../../src/core/ports.ts'
import { boundedCredential } from '../../src/stores/azure-credential.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { type AzureFake, azureResource, startAzureFake } from './fakes/azure-fake.ts'
import { type AzurePlace, startAzure } from './fakes/azure-place.ts'
import { closeServer, type HttpFaultKind } from './fakes/http-faults.ts'
import { impatience } from './fakes/impatience.ts'
import { testContext } from './fakes/system.ts'

let place: AzurePlace
let store: SecretStore

beforeEach(async () => {
  place = await startAzure()
  store = await place.open()
})
afterEach(() => place.end())

/** Nothing takes time: neither pauses nor waiting for what gets no answer. */
function hurried(): System {
  const system = impatience(place.fake)
  return {
    ...system,
    after: (delayMs, callback, options) =>
      system.after(options?.background === true ? delayMs : 0, callback, options),
  }
}

/** The error and all that hangs on it, each property of it, hidden ones and getters too. */
function everythingOf(error: Error): string {
  const shown: string[] = []
  const met = new Set<unknown>()
  const walk = (value: unknown): void => {
    if (typeof value === 'string') shown.push(value)
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || met.has(value)) return
    met.add(value)
    shown.push(
      value.constructor?.name ?? '',
      inspect(value, { depth: Infinity, showHidden: true, getters: true }),
    )
    for (const name of Reflect.ownKeys(value)) {
      shown.push(String(name))
      walk(Reflect.get(value, name))
    }
  }
  walk(error)
  return [...shown, JSON.stringify(error), String(error), error.stack ?? ''].join('\n')
}

function expectNothingTold(error: Error, where: string): void {
  const shown = everythingOf(error)
  for (const hidden of [canary, place.fake.clientSecret, 'token.of.'])
    expect(shown.includes(hidden), `${where} shows ${hidden.slice(0, 8)}`).toBe(false)
  expect(shown, where).not.toMatch(/RestError|PipelineRequest|authorization:|Bearer |AADSTS|IncomingMessage/i)
}

describe('what is thrown', () => {
  const kinds: readonly HttpFaultKind[] = [
    400,
    401,
    403,
    404,
    409,
    418,
    429,
    500,
    503,
    307,
    'proxy_page',
    'huge',
    'hang',
    'reset',
    'lost',
    'broken',
  ]
  it.each(kinds)('after %s tells nothing of the request, its headers or its body', async (kind) => {
    const { version } = await establish(store, 'openai')
    const other = await establish(store, 'openai')
    const staged = await stageNew(store, 'openai')
    const once = await place.open({ maxAttempts: 1 }, { ...place.context, system: hurried() })
    await once.read('openai')
    const promote = { to: staged.version, expectCurrent: other.version, fence: 1 }
    const calls: readonly (readonly [on: RegExp, call: () => Promise<unknown>])[] = [
      [/^GET/, () => once.read('openai')],
      [/^GET .*versions/, () => once.describe('openai')],
      [/^PUT/, () => stageNew(once, 'openai')],
      [/^PATCH/, () => once.retire('openai', { version, fence: 1 })],
      [/^PUT/, () => once.promote('openai', promote)],
    ]
    for (const [on, call] of calls) {
      place.fake.fault(kind, { on: (line) => on.test(line), times: 99 })
      const thrown = await call().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      place.fake.clear()
      if (thrown instanceof Error) expectNothingTold(thrown, `${kind} ${on.source}`)
      else expect([kind, thrown]).toEqual([404, undefined])
    }
  })

  it('where no token is to be had tells nothing of what was sent for it', async () => {
    const lines = [/openid-configuration/, /oauth2/]
    for (const kind of [400, 401, 500, 'reset', 'proxy_page', 'huge'] as const)
      for (const line of lines) {
        const fresh = await place.open({ maxAttempts: 1 })
        place.fake.fault(kind, { on: (each) => line.test(each), times: 99 })
        expectNothingTold(await failure(fresh.read('openai')), `${kind} ${line.source}`)
        place.fake.clear()
      }
  })
})

describe('a vault that asks for a token elsewhere', () => {
  let elsewhere: AzureFake
  beforeEach(async () => {
    elsewhere = await startAzureFake()
  })
  afterEach(() => elsewhere.close())

  const sentFor = (resource: string): number =>
    place.fake.requests.filter(({ body }) => body.includes(encodeURIComponent(resource))).length

  it.each([
    'https://management.azure.com',
    'https://graph.microsoft.com',
    'https://evil.example.com',
    'https://vault.azure.net.evil.example.com',
    'http://vault.azure.net',
    'https://net',
    'api://something',
  ])('gets none for %s, and no key', async (resource) => {
    place.fake.challengeWith({ resource })
    for (const call of [() => store.read('openai'), () => stageNew(store, 'openai')]) {
      const error = await failure(call())
      expect(error.code).toBe('store_malformed')
      expectNothingTold(error, resource)
    }
    expect(sentFor(resource)).toBe(0)
    expect(place.fake.requests.filter(({ hasToken }) => hasToken)).toEqual([])
    expect(place.fake.requests.some(({ body }) => body.includes(canary))).toBe(false)
  })

  it('does not send Keyturn to another authority: what it logs in with goes to its own alone', async () => {
    place.fake.challengeWith({ authority: `${elsewhere.address}/${place.fake.tenantId}` })
    await establish(store, 'openai')
    expect(elsewhere.requests).toEqual([])
    const fresh = await place.open()
    place.fake.challengeWith({ authority: `${elsewhere.address}/${elsewhere.tenantId}` })
    const error = await failure(fresh.read('openai'))
    expect(error.code).toBe('store_denied')
    expectNothingTold(error, 'another tenant')
    expect(elsewhere.requests).toEqual([])
    expect(place.fake.requests.some(({ line }) => line.includes(elsewhere.tenantId))).toBe(false)
  })

  it('nor to one without TLS', async () => {
    let asked = 0
    const plain = createServer((_request, response) => {
      asked += 1
      response.writeHead(500).end()
    })
    await new Promise<void>((resolve) => void plain.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = plain.address() as AddressInfo
      place.fake.challengeWith({ authority: `http://127.0.0.1:${port}/${place.fake.tenantId}` })
      await establish(store, 'openai')
      expect(asked).toBe(0)
    } finally {
      await closeServer(plain)
    }
  })
})

it.each([
  ['https://v.vault.azure.net', `${azureResource}/.default`, true],
  ['https://v.vault.azure.net', 'https://vault.azure.cn/.default', false],
  ['https://v.vault.azure.net', 'https://azure.net/.default', false],
  ['https://v.vault.azure.cn', 'https://vault.azure.cn/.default', true],
  ['https://v.vault.azurestack.example.com', 'https://vault.azurestack.example.com/.default', true],
  ['https://v.vault.azurestack.example.com', 'https://graph.microsoft.com/.default', false],
])('a token for %s is asked for %s: %s', async (vault, scope, isAsked) => {
  let asked = 0
  const getToken = async (): Promise<{ token: string; expiresOnTimestamp: number }> => {
    asked += 1
    return { token: 'x', expiresOnTimestamp: 1 }
  }
  const token = boundedCredential({ getToken }, { context: testContext('.'), vault }).getToken(scope)
  if (isAsked) await token
  else expect((await failure(token)).code).toBe('store_malformed')
  expect(asked).toBe(isAsked ? 1 : 0)
})
