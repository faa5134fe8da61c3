import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { limits } from '../../src/client/limits.ts'
import { createClient, getOpenAIKey, type KeyturnClientError } from '../../src/index.ts'
import { freePort } from '../free-port.ts'
import { type FakeService, problem, testKey } from './fake-service.ts'
import { clientOf, errorOf, handTime, serviceForTest, turnOfLoop } from './support.ts'

/** What a first key ends in that is never had. Time goes on so slowly that no try runs out of it on the wire. */
async function firstError(service: Pick<FakeService, 'url' | 'token'>): Promise<KeyturnClientError> {
  const hand = handTime()
  let isOver = false
  const asking = errorOf(clientOf(service, { platform: hand.platform }).getOpenAIKey()).finally(() => {
    isOver = true
  })
  while (!isOver) {
    hand.advance(1)
    await turnOfLoop()
  }
  return asking
}

describe('an answer that somebody on the way has touched', () => {
  it.each([
    { baseUrl: 'http://elsewhere.example/v1' },
    { baseUrl: 'http://127.0.0.1.elsewhere.example/v1' },
    { baseUrl: 'javascript:alert(1)' },
    { organization: 'org-1\r\nx-other: 1' },
    { project: '\u001B[31m' },
    { project: '' },
    { organization: 'o'.repeat(limits.idLengthMax + 1) },
  ])('is not taken: %o', async (change) => {
    const service = await serviceForTest()
    service.restore(change)
    const error = await firstError(service)
    expect(error.code).toBe('service_malformed')
  })

  it.each(['https://api.openai.com/v1', 'http://localhost:1/v1', 'http://[::1]:1/v1'])(
    'leaves base URLs alone that no key is read from on the way: %s',
    async (baseUrl) => {
      const service = await serviceForTest({ baseUrl })
      expect((await clientOf(service).getOpenAICredential()).baseUrl).toBe(baseUrl)
    },
  )
})

describe('a refusal whose words came from elsewhere', () => {
  it('forges no lines and moves no terminal', async () => {
    const service = await serviceForTest()
    const detail = 'no\u001B]0;title\u0007\u001B[2J\r\n2026 INFO all is well\u202E'
    service.override = (_request, response) => {
      problem(response, { status: 401, code: 'unauthenticated', detail, fix: 'run\u009B31m\nthis' })
      return true
    }
    const error = await errorOf(clientOf(service).getOpenAIKey())
    expect(error.message).toContain('all is well')
    expect(`${error.message}${error.fix ?? ''}`).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u)
  })
})

describe('a service in trouble that wants to be asked again at once', () => {
  it('is not hammered', async () => {
    const service = await serviceForTest()
    service.override = (_request, response) => {
      response.writeHead(503, { 'retry-after': '0' }).end()
      return true
    }
    await errorOf(clientOf(service, { timeoutMs: 600 }).getOpenAIKey())
    expect(service.seen.length).toBeLessThanOrEqual(Math.ceil(600 / limits.backoffBaseMs))
  })
})

describe('a Keyturn that is asked without encryption', () => {
  const told = async (url: string): Promise<readonly string[]> => {
    const service = await serviceForTest()
    const messages: string[] = []
    const client = clientOf(service, {
      url,
      fetch: (input, init) => {
        const { pathname } = new URL(input instanceof Request ? input.url : input)
        return fetch(`${service.url}${pathname}`, init)
      },
      onError: (error) => messages.push(`${error.code} ${error.message}`),
    })
    await client.getOpenAIKey()
    await client.getOpenAIKey()
    return messages
  }

  it.each(['http://keyturn.example', 'http://10.0.0.7:7420', 'http://127.0.0.1.nip.example'])(
    'is told of, once: %s',
    async (url) => {
      const messages = await told(url)
      expect(messages).toHaveLength(1)
      expect(messages[0]).toContain(`config_invalid Keyturn at ${url} is asked without encryption`)
    },
  )

  it.each(['https://keyturn.example', 'http://localhost:7420', 'http://127.0.0.9:7420'])(
    'is not told of where it is not so: %s',
    async (url) => {
      expect(await told(url)).toEqual([])
    },
  )
})

describe('the first key', () => {
  it('is the one the service hands out, with all that belongs to it', async () => {
    const service = await serviceForTest()
    const client = clientOf(service)
    expect(await client.getOpenAIKey()).toBe(service.answer().apiKey)
    const { staleAfterSeconds: _, ...expected } = service.answer()
    expect({ ...(await client.getOpenAICredential()) }).toEqual(expected)
    const options = await client.openAIOptions()
    expect(options).toMatchObject({
      organization: 'org-test',
      project: 'proj_test',
      baseURL: service.answer().baseUrl,
    })
    expect(await options.apiKey()).toBe(service.answer().apiKey)
  })

  it('costs one call, however many ask at once', async () => {
    const service = await serviceForTest()
    const client = clientOf(service)
    const keys = await Promise.all(Array.from({ length: 10_000 }, () => client.getOpenAIKey()))
    expect(new Set(keys)).toEqual(new Set([service.answer().apiKey]))
    expect(service.seen).toHaveLength(1)
  })

  it('is asked for with the token, the instance and the wish for JSON, and nothing secret in the address', async () => {
    const service = await serviceForTest()
    await clientOf(service, { instance: 'app-7' }).getOpenAIKey()
    expect(service.seen[0]).toMatchObject({
      path: '/v1/credentials/openai',
      headers: {
        authorization: `Bearer ${service.token}`,
        'keyturn-instance': 'app-7',
        accept: 'application/json',
      },
    })
  })

  it('comes from the credential and the address that the environment names', async () => {
    const service = await serviceForTest()
    const env = {
      KEYTURN_URL: `${service.url}/`,
      KEYTURN_TOKEN: service.token,
      KEYTURN_CREDENTIAL: 'openai-prod',
    }
    const client = createClient({ env })
    await client.getOpenAIKey()
    client.close()
    expect(service.seen[0]?.path).toBe('/v1/credentials/openai-prod')
  })

  it('is asked for with the token of a file, read again each time', async () => {
    const service = await serviceForTest()
    let content = 'an-old-token\n'
    const readText = (path: string) => Promise.resolve(path === '/run/token' ? content : '')
    const env = { KEYTURN_TOKEN_FILE: '/run/token', KEYTURN_URL: service.url }
    const hand = handTime()
    const client = createClient({ env, platform: { ...hand.platform, readText } })
    expect((await errorOf(client.getOpenAIKey())).code).toBe('unauthenticated')
    content = `${service.token}\n`
    hand.freeze(limits.failureHeldMs)
    expect(await client.getOpenAIKey()).toBe(service.answer().apiKey)
    client.close()
  })

  it('ignores whatever a library calls the key function with', async () => {
    const service = await serviceForTest()
    const key: (...junk: unknown[]) => Promise<string> = clientOf(service).getOpenAIKey
    for (const junk of [undefined, null, {}, 7, 'name', [1], () => 1])
      expect(await key(junk)).toBe(service.answer().apiKey)
  })
})

describe('a first key that cannot be had', () => {
  const refusals = [
    { status: 401, code: 'unauthenticated', retryable: false },
    { status: 403, code: 'forbidden', retryable: false },
    { status: 404, code: 'not_found', retryable: false },
  ] as const

  for (const { status, code, retryable } of refusals)
    it(`is refused with one sentence and a fix, after one call: ${status}`, async () => {
      const service = await serviceForTest()
      service.override = (_, response) => {
        problem(response, { status, code, detail: 'It is so.', fix: 'Do this.' })
        return true
      }
      const error = await errorOf(clientOf(service).getOpenAIKey())
      expect(error).toMatchObject({ code, status, retryable, fix: 'Do this.' })
      expect(error.message).toContain('the credential "openai"')
      expect(error.message).toMatch(/It is so\. Do this\.$/)
      expect(error.message).not.toContain(service.token)
      expect(service.seen).toHaveLength(1)
    })

  it('is tried again while there is time when the service has no proven key, and then says what the service says', async () => {
    const service = await serviceForTest()
    service.override = (_, response) => {
      problem(response, {
        status: 503,
        code: 'no_verified_key',
        detail: 'Both keys are dead.',
        fix: 'Bring a key.',
      })
      return true
    }
    const error = await firstError(service)
    expect(error).toMatchObject({
      code: 'no_verified_key',
      status: 503,
      retryable: true,
      fix: 'Bring a key.',
    })
    expect(service.seen.length).toBeGreaterThan(1)
  })

  it.each([
    ['the service has one', 'no_verified_key'],
    ['the service can tell who asks', 'caller_unverifiable'],
  ])('is had as soon as %s', async (_what, code) => {
    const service = await serviceForTest()
    let left = 2
    service.override = (_, response) => {
      if (left-- <= 0) return false
      problem(response, {
        status: 503,
        code,
        detail: 'Not yet.',
        headers: { 'retry-after': '0' },
      })
      return true
    }
    expect(await clientOf(service).getOpenAIKey()).toBe(service.answer().apiKey)
    expect(service.seen).toHaveLength(3)
  })

  it('is not waited for beyond the time it may take: a Retry-After that is too long ends the tries', async () => {
    const service = await serviceForTest()
    service.override = (_, response) => {
      problem(response, {
        status: 503,
        code: 'stopping',
        detail: 'Going down.',
        headers: { 'retry-after': '60' },
      })
      return true
    }
    const error = await errorOf(clientOf(service).getOpenAIKey())
    expect(error).toMatchObject({ code: 'stopping', retryAfterMs: 60_000 })
    expect(service.seen).toHaveLength(1)
  })

  it('fails at once for all who wait, and for those who come right after, without another call', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf({ ...service, token: 'a-wrong-token' }, { platform: hand.platform })
    const errors = await Promise.all(Array.from({ length: 100 }, () => errorOf(client.getOpenAIKey())))
    expect(new Set(errors.map((error) => error.code))).toEqual(new Set(['unauthenticated']))
    await errorOf(client.getOpenAIKey())
    expect(service.seen).toHaveLength(1)
    hand.freeze(limits.failureHeldMs)
    await errorOf(client.getOpenAIKey())
    expect(service.seen).toHaveLength(2)
  })

  it('says that nothing listens there', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const error = await firstError({ url, token: 'a-token' })
    expect(error).toMatchObject({ code: 'service_unreachable', retryable: true })
    expect(error.message).toContain('ECONNREFUSED')
    expect(error.message).toContain(url)
  })

  it('ends in time when the service hangs', async () => {
    const service = await serviceForTest()
    service.override = () => true
    const error = await errorOf(clientOf(service, { timeoutMs: 300 }).getOpenAIKey())
    expect(error.code).toBe('timeout')
  })

  it.each([
    ['a page', 'text/html', '<html>Please log in</html>'],
    ['other JSON', 'application/json', '{"apiKey":"x"}'],
    ['broken JSON', 'application/json', '{"apiKey":'],
    ['a key with a line break', 'application/json', JSON.stringify({ apiKey: 'a\r\nb' })],
    ['endless text', 'application/json', ' '.repeat(limits.bodyBytesMax + 1)],
  ])('is not taken from what is not Keyturn: %s', async (_, type, body) => {
    const service = await serviceForTest()
    service.override = (_request, response) => {
      response.writeHead(200, { 'content-type': type }).end(body)
      return true
    }
    const error = await firstError(service)
    expect(error.code).toBe('service_malformed')
    expect(error.message).not.toContain('log in')
  })

  it('does not follow a redirect, which would carry the token elsewhere', async () => {
    const [service, other] = [await serviceForTest(), await serviceForTest()]
    service.override = (_, response) => {
      response.writeHead(302, { location: `${other.url}/v1/credentials/openai` }).end()
      return true
    }
    expect((await firstError(service)).code).toBe('service_malformed')
    expect(other.seen).toHaveLength(0)
  })

  it('does not repeat the words of a stranger', async () => {
    const service = await serviceForTest()
    const secret = testKey()
    service.override = (_, response) => {
      response.writeHead(403, { 'content-type': 'text/html' }).end(`you sent ${secret}`)
      return true
    }
    const error = await errorOf(clientOf(service).getOpenAIKey())
    expect(inspect(error)).not.toContain(secret)
  })

  it.each<[string, Record<string, string>, KeyturnClientError['code']]>([
    ['no token', { KEYTURN_URL: 'http://127.0.0.1:9' }, 'config_missing'],
    ['a token of two lines', { KEYTURN_URL: 'http://127.0.0.1:9', KEYTURN_TOKEN: 'a\nb' }, 'config_invalid'],
    [
      'a token file that is not there',
      { KEYTURN_URL: 'http://127.0.0.1:9', KEYTURN_TOKEN_FILE: '/nowhere/token' },
      'config_invalid',
    ],
  ])('says what is wrong with the set-up: %s', async (_, env, code) => {
    const error = await errorOf(createClient({ env }).getOpenAIKey())
    expect(error.code).toBe(code)
    expect(error.fix).toMatch(/token/i)
  })

  it.each([
    [{ KEYTURN_URL: 'not an address' }, 'config_invalid'],
    [{ KEYTURN_URL: 'ftp://host' }, 'config_invalid'],
    [{ KEYTURN_URL: 'http://user:hunter2@host' }, 'config_invalid'],
    [{ KEYTURN_CREDENTIAL: 'Open AI' }, 'bad_request'],
  ])('refuses options that cannot be used: %o', (env, code) => {
    expect(() => createClient({ env })).toThrow(expect.objectContaining({ code }))
    expect(() => createClient({ env })).not.toThrow(/hunter2|ftp|user:/)
  })

  it('rejects, and does not throw, where a name given to the function is none', async () => {
    expect((await errorOf(getOpenAIKey('Open AI'))).code).toBe('bad_request')
  })
})

describe('the warm key', () => {
  it('is the same promise for all who ask in one turn of the loop', async () => {
    const client = clientOf(await serviceForTest())
    await client.getOpenAIKey()
    expect(client.getOpenAIKey()).toBe(client.getOpenAIKey())
  })

  it('looks at no clock twice in one turn of the loop', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    let reads = 0
    const now = () => {
      reads += 1
      return hand.platform.now?.() ?? 0
    }
    const client = clientOf(service, { platform: { ...hand.platform, now } })
    await client.getOpenAIKey()
    await turnOfLoop()
    reads = 0
    for (let call = 0; call < 1_000; call += 1) await client.getOpenAIKey()
    expect(reads).toBeLessThan(5)
    expect(service.seen).toHaveLength(1)
  })

  it('is not shown when the credential is printed, and not lost when it is copied', async () => {
    const service = await serviceForTest()
    const credential = await clientOf(service).getOpenAICredential()
    const { apiKey } = service.answer()
    expect(`${inspect(credential)} ${JSON.stringify(credential)}`).not.toContain(apiKey)
    expect({ ...credential }.apiKey).toBe(apiKey)
  })
})

describe('the age of a key', () => {
  it('may grow up to what the service allows, and then one call is made for all', async () => {
    const service = await serviceForTest({ staleAfterSeconds: 100 })
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    await client.getOpenAIKey()
    hand.freeze(99_999)
    await turnOfLoop()
    await client.getOpenAIKey()
    expect(service.seen).toHaveLength(1)
    hand.freeze(1)
    await turnOfLoop()
    await Promise.all(Array.from({ length: 10_000 }, () => client.getOpenAIKey()))
    expect(service.seen).toHaveLength(2)
  })

  it('is bounded by the option too', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform, staleAfterMs: 50 })
    await client.getOpenAIKey()
    hand.freeze(50)
    await turnOfLoop()
    await client.getOpenAIKey()
    expect(service.seen).toHaveLength(2)
  })

  it('ends in a clear error when Keyturn stays away for too long', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform, timeoutMs: 1 })
    await client.getOpenAIKey()
    await service.close()
    hand.freeze(101 * 86_400_000)
    await turnOfLoop()
    const error = await errorOf(client.getOpenAIKey())
    expect(error.code).toBe('service_unreachable')
    expect(error.message).toContain('101 days')
  })

  it.each([false, true])(
    'makes a process that slept ask before it serves (steady clock frozen: %s)',
    async (isSteadyFrozen) => {
      const service = await serviceForTest()
      const hand = handTime({ isSteadyFrozen })
      const client = clientOf(service, { platform: hand.platform })
      await client.getOpenAIKey()
      const fresh = testKey()
      service.turn({ apiKey: fresh }, { isQuiet: true })
      hand.freeze(limits.freshWithinMs)
      await turnOfLoop()
      const keys = await Promise.all(Array.from({ length: 100 }, () => client.getOpenAIKey()))
      expect(new Set(keys)).toEqual(new Set([fresh]))
      expect(service.seen).toHaveLength(2)
    },
  )

  it('does not keep a process that slept waiting for a service that is away', async () => {
    const service = await serviceForTest()
    const hand = handTime()
    const client = clientOf(service, { platform: hand.platform })
    const key = await client.getOpenAIKey()
    service.override = () => true
    hand.freeze(limits.freshWithinMs)
    await turnOfLoop()
    const served = client.getOpenAIKey()
    await hand.timer(limits.wakeWaitMs)
    await service.request((seen) => seen === service.seen[1])
    hand.advance(limits.wakeWaitMs)
    expect(await served).toBe(key)
  })
})

describe('a client that was closed', () => {
  it('refuses with a sentence, and asks no more', async () => {
    const service = await serviceForTest()
    const client = clientOf(service)
    await client.getOpenAIKey()
    client.close()
    client.close()
    expect((await errorOf(client.getOpenAIKey())).code).toBe('stopping')
    expect((await errorOf(client.openAIOptions())).code).toBe('stopping')
  })

  it('refuses those who wait', async () => {
    const service = await serviceForTest()
    service.override = () => true
    const client = clientOf(service)
    const waiting = errorOf(client.getOpenAIKey())
    await service.request(() => true)
    client[Symbol.dispose]()
    expect((await waiting).code).toBe('stopping')
  })
})
