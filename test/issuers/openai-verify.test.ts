import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { Observation } from '../../src/core/types.ts'
import { classify } from '../../src/core/verdict.ts'
import { verifyOutcome } from '../../src/core/verdict-outcome.ts'
import { createOpenAIIssuer, type OpenAIIssuerOptions } from '../../src/issuers/openai.ts'
import { type Sandbox, taxonomyNames } from '../../src/sandbox/index.ts'
import { canary, issuerContext, patientMs, refusal, replying, sandbox, stub } from './support.ts'

const open = (options: OpenAIIssuerOptions, context = issuerContext()) =>
  createOpenAIIssuer({ timeoutMs: patientMs, ...options }, context)
const secret = new Secret(`key-${canary}`)

/** One probe of a server that answers everything in this way. */
async function seenFrom(
  answer: Parameters<typeof stub>[0],
  options: OpenAIIssuerOptions = {},
): Promise<Observation | undefined> {
  const place = await stub(answer)
  return (await open({ baseUrl: place.baseUrl, ...options }).verify(secret, {}))[0]
}

describe('belonging', () => {
  it('is yes under the configured organisation and project', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey().value)
    const expected = { organization: place.organization, project: place.project }
    const seen = await open({ baseUrl: place.baseUrl }).verify(key, expected)
    expect(verifyOutcome(seen, { expected })).toMatchObject({ isOurs: true, belonging: expected })
  })

  it('is no for a key of another organisation, whether headers are sent or not', async () => {
    const place = await sandbox()
    const { organization, project, serviceAccount } = place.other
    const foreign = new Secret(place.createServiceAccountKey({ project, serviceAccount }).value)
    const issuer = open({ baseUrl: place.baseUrl })
    const expected = { organization: place.organization }
    const sent = verifyOutcome(await issuer.verify(foreign, expected), { expected })
    expect(sent).toMatchObject({ isOurs: false, verdict: { cause: 'organization_mismatched' } })
    const known = { organization: place.organization, project: place.project }
    const unsent = verifyOutcome(await issuer.verify(foreign, {}), { expected: {}, known })
    expect(unsent).toMatchObject({ isOurs: false, verdict: { cause: 'key_foreign' } })
    expect(organization).not.toBe(place.organization)
  })

  it('sends the headers of the options where the expectation names none', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey().value)
    const issuer = open({ baseUrl: place.baseUrl, organization: 'org-nobody' })
    const [first] = await issuer.verify(key, {})
    expect(first).toMatchObject({ code: 'invalid_organization' })
  })
})

describe('declared scopes and models', () => {
  it('are proven without cost', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey().value)
    const expected = {
      scopes: ['api.responses.write', 'model.request', 'api.model.read'],
      models: ['gpt-5'],
    }
    const seen = await open({ baseUrl: place.baseUrl }).verify(key, expected)
    expect(seen.map((one) => one.kind === 'answer' && [one.probe, one.status])).toEqual([
      ['models', 200],
      ['scope:api.responses.write', 400],
      ['scope:model.request', 400],
    ])
    expect(verifyOutcome(seen, { expected })).toMatchObject({
      verdict: { kind: 'valid' },
      lacksDeclared: false,
    })
  })

  it('that are missing make a genuine key restricted', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey({ scopes: ['api.model.read'] }).value)
    const expected = { scopes: ['api.responses.write'] }
    const seen = await open({ baseUrl: place.baseUrl }).verify(key, expected)
    expect(verifyOutcome(seen, { expected })).toMatchObject({
      isOurs: true,
      lacksDeclared: true,
      verdict: { kind: 'restricted', missingScopes: ['api.responses.write'] },
    })
  })

  it('prove a key that may not list models', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey({ scopes: ['api.responses.write'] }).value)
    const expected = { scopes: ['api.responses.write'] }
    const seen = await open({ baseUrl: place.baseUrl }).verify(key, expected)
    expect(seen[0]).toMatchObject({ status: 403, missingScopes: ['api.model.read'] })
    expect(verifyOutcome(seen, { expected }).verdict.kind).toBe('valid')
  })

  it('include a model that is closed to the project', async () => {
    const place = await sandbox({ knobs: { forbiddenModels: ['gpt-4o'] } })
    const key = new Secret(place.createServiceAccountKey().value)
    const expected = { models: ['gpt-5', 'gpt-4o'] }
    const seen = await open({ baseUrl: place.baseUrl }).verify(key, expected)
    expect(seen[1]).toMatchObject({ probe: 'model:gpt-4o', code: 'model_not_found' })
    expect(verifyOutcome(seen, { expected }).verdict).toMatchObject({ cause: 'declared_model_missing' })
  })

  it('stay untested where nothing is known that costs nothing, which is logged once', async () => {
    const place = await sandbox()
    const key = new Secret(place.createServiceAccountKey().value)
    const context = issuerContext()
    const issuer = open({ baseUrl: place.baseUrl }, context)
    const expected = { scopes: ['api.scope.of.tomorrow'] }
    await issuer.verify(key, expected)
    const seen = await issuer.verify(key, expected)
    expect(seen).toHaveLength(1)
    expect(context.logged.map((line) => line.fields)).toEqual([{ scope: 'api.scope.of.tomorrow' }])
  })

  it('tell of models whose end is announced, and believe no day that is none', async () => {
    const ending = (id: unknown, shutdown_date: unknown) => ({ id, object: 'model', shutdown_date })
    const data = [
      ending('gpt-4o', '2027-01-14'),
      ending('gpt-5', null),
      ending('gpt-6', 'soon'),
      ending('gpt-7', 20_270_114),
      ending('gpt-8', '2027-01-14\u001b[2J'),
      ending(['gpt-9'], '2027-01-14'),
      { id: 'gpt-10' },
    ]
    const place = await stub(replying(200, { object: 'list', data }))
    const [first] = await open({ baseUrl: place.baseUrl }).verify(secret, {})
    expect(first).toMatchObject({ modelEnds: new Map([['gpt-4o', '2027-01-14']]) })
  })

  it('are bounded in number', async () => {
    const place = await stub(replying(200, { object: 'list', data: [] }))
    const models = Array.from({ length: 50 }, (_, index) => `model-${index}`)
    const seen = await open({ baseUrl: place.baseUrl }).verify(secret, { models })
    expect(seen).toHaveLength(33)
  })
})

/** The end that OpenAI echoes, which no word and no id has by chance: neither has two capitals side by side. */
function keyWithAnEndOfItsOwn(place: Sandbox): string {
  const { value } = place.createServiceAccountKey()
  return /[A-Z]{2}/.test(value.slice(-4)) ? value : keyWithAnEndOfItsOwn(place)
}

describe('every refusal of the taxonomy, over the wire', () => {
  it.each(taxonomyNames)('%s has a verdict and leaks no sentence', async (kind) => {
    const place = await sandbox({ knobs: { faults: [{ kind }] } })
    const key = keyWithAnEndOfItsOwn(place)
    const [first] = await open({ baseUrl: place.baseUrl }).verify(new Secret(key), {})
    if (first === undefined) throw new Error('expected an observation')
    expect(first).toMatchObject({ kind: 'answer', isIssuers: true })
    expect(classify(first).cause).not.toBe('answer_unexpected')
    expect(classify(first).kind === 'rejected').toBe(['invalid_api_key', 'expired_api_key'].includes(kind))
    const told = JSON.stringify(first)
    expect(told).not.toContain(key.slice(-4))
    expect(told).not.toContain(' ')
  })
})

describe('answers that are not what they should be', () => {
  const unknowns: readonly (readonly [string, Parameters<typeof stub>[0], string])[] = [
    ['a page', replying(200, '<html>Welcome</html>', { 'content-type': 'text/html' }), 'foreign_answer'],
    ['JSON of another kind', replying(200, { status: 'ok' }), 'foreign_answer'],
    ['an object that is no list', replying(200, { object: 'thing' }), 'foreign_answer'],
    ['a cut-off body', replying(200, '{"object":"list","data":[{"id"'), 'foreign_answer'],
    ['nothing', replying(200, ''), 'foreign_answer'],
    [
      'a rejection without a request id',
      replying(401, refusal('invalid_api_key'), { 'x-request-id': '' }),
      'foreign_refusal',
    ],
    [
      'a rejection without all four fields',
      replying(401, { error: { code: 'invalid_api_key', message: 'No.' } }),
      'foreign_refusal',
    ],
    ["Azure's rejection", replying(401, { error: { code: '401', message: 'Denied.' } }), 'foreign_refusal'],
    ['a gateway', replying(502, '<html></html>'), 'gateway_failing'],
    ['a wrong address', replying(404, 'not found'), 'address_wrong'],
  ]
  it.each(unknowns)('conclude nothing: %s', async (_name, answer, cause) => {
    const first = await seenFrom(answer)
    expect(first !== undefined && classify(first)).toMatchObject({ kind: 'unknown', cause })
  })

  it('never repeat what was sent, wherever it is echoed', async () => {
    const echo = ['sk', 'proj', canary, canary].join('-')
    const body = refusal(echo, `Incorrect API key provided: ${echo}.`, `type ${echo}`)
    const headers = { 'x-request-id': echo, 'openai-organization': echo, 'openai-project': echo }
    const place = await stub(replying(401, body, headers))
    const context = issuerContext()
    const seen = await open({ baseUrl: place.baseUrl }, context).verify(new Secret(echo), {
      scopes: [`scope.${canary}`],
    })
    expect(JSON.stringify(seen)).not.toContain('canary')
    expect(JSON.stringify(context.logged)).not.toContain('canary')
  })

  it('take scopes out of the sentence, and nothing else', async () => {
    const message = `You have insufficient permissions for this operation. Missing scopes: api.responses.write, ${['sk', canary].join('-')} model.request. Check that you have ${canary}.`
    const first = await seenFrom(replying(401, refusal(null, message)))
    expect(first).toMatchObject({
      hint: 'missing_scopes',
      missingScopes: ['api.responses.write'],
    })
    expect(JSON.stringify(first)).not.toContain('canary')
  })

  it('bound and read Retry-After', async () => {
    const throttled = (value: string) =>
      seenFrom(replying(429, refusal('rate_limit_exceeded', 'Slow.', 'requests'), { 'retry-after': value }))
    expect(await throttled('7')).toMatchObject({ retryAfterMs: 7_000 })
    expect(await throttled('99999999')).toMatchObject({ retryAfterMs: 86_400_000 })
    expect(await throttled('soon')).not.toHaveProperty('retryAfterMs')
    const past = await throttled('Fri, 20 Nov 2020 12:00:00 GMT')
    expect(past).toMatchObject({ retryAfterMs: 0 })
  })

  it('are read up to a limit', async () => {
    const first = await seenFrom((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_1' })
      const chunk = Buffer.alloc(1024 * 1024, 32)
      for (let megabyte = 0; megabyte < 6; megabyte += 1) response.write(chunk)
      response.end()
    })
    expect(first).toEqual({ kind: 'no_answer', failure: 'too_large', probe: 'models' })
  })

  it('may not take longer than the timeout, also when they drip', async () => {
    const first = await seenFrom(
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_1' })
        response.write('{"object":')
      },
      { timeoutMs: 100 },
    )
    expect(first).toEqual({ kind: 'no_answer', failure: 'timeout', probe: 'models' })
  })

  it('may break off', async () => {
    const first = await seenFrom((request) => request.socket.destroy())
    expect(first).toEqual({ kind: 'no_answer', failure: 'reset', probe: 'models' })
    const midway = await seenFrom((_request, response) => {
      response.writeHead(200, { 'content-length': '100', 'x-request-id': 'req_1' })
      response.write('{', () => response.destroy())
    })
    expect(midway).toEqual({ kind: 'no_answer', failure: 'reset', probe: 'models' })
  })

  it.each([301, 302, 303, 307, 308])(
    'are not followed: %i, and the other server sees nothing',
    async (status) => {
      const thief = await stub(replying(200, { object: 'list', data: [] }))
      const first = await seenFrom(replying(status, '', { location: `${thief.baseUrl}/models` }))
      expect(first).toEqual({ kind: 'no_answer', failure: 'redirect', probe: 'models' })
      expect(thief.seen).toEqual([])
    },
  )
})

describe('the way there', () => {
  const fetchThatThrows = (thrown: unknown) => issuerContext({ fetch: () => Promise.reject(thrown) })
  const fetchFailed = (cause: unknown) => Object.assign(new TypeError('fetch failed'), { cause })
  const coded = (code: string) => Object.assign(new Error('no'), { code })

  it.each([
    ['dns', fetchFailed(coded('ENOTFOUND'))],
    ['dns', fetchFailed(coded('EAI_AGAIN'))],
    ['connect', fetchFailed(coded('ECONNREFUSED'))],
    ['connect', fetchFailed(coded('UND_ERR_CONNECT_TIMEOUT'))],
    ['connect', fetchFailed(new AggregateError([coded('ENETUNREACH'), coded('ETIMEDOUT')]))],
    ['tls', fetchFailed(coded('DEPTH_ZERO_SELF_SIGNED_CERT'))],
    ['tls', fetchFailed(coded('ERR_TLS_CERT_ALTNAME_INVALID'))],
    ['tls', fetchFailed(coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'))],
    ['timeout', fetchFailed(coded('UND_ERR_HEADERS_TIMEOUT'))],
    ['timeout', new DOMException('late', 'TimeoutError')],
    ['reset', fetchFailed(coded('UND_ERR_SOCKET'))],
    ['reset', fetchFailed(undefined)],
    ['reset', 'a string'],
    ['aborted', new DOMException('off', 'AbortError')],
  ] as const)('failed at %s', async (failure, thrown) => {
    const issuer = open({ baseUrl: 'http://127.0.0.1:1/v1' }, fetchThatThrows(thrown))
    expect(await issuer.verify(secret, {})).toEqual([{ kind: 'no_answer', failure, probe: 'models' }])
  })

  it('is really refused where nobody listens', async () => {
    const issuer = open({ baseUrl: 'http://127.0.0.1:1/v1' })
    expect(await issuer.verify(secret, {})).toMatchObject([{ kind: 'no_answer' }])
  })

  it('ends in time with a fetch that heeds no signal', async () => {
    const context = issuerContext({ fetch: () => new Promise(() => undefined) })
    const issuer = open({ baseUrl: 'http://127.0.0.1:1/v1', timeoutMs: 100 }, context)
    expect(await issuer.verify(secret, {})).toMatchObject([{ failure: 'timeout' }])
  })

  it('is https, except on loopback, and without anything that does not belong there', () => {
    for (const baseUrl of [
      'http://api.openai.com/v1',
      'http://127.0.0.1.evil.example/v1',
      'ftp://127.0.0.1/v1',
      'api.openai.com',
      `https://user:${canary}@api.openai.com/v1`,
      `https://api.openai.com/v1?key=${canary}`,
      'https://api.openai.com/v1#x',
    ])
      expect(() => open({ baseUrl })).toThrow(expect.objectContaining({ code: 'config_invalid' }))
    expect(() => open({ baseUrl: `https://u:${canary}@h/v1` })).not.toThrow(canary)
    expect(open({}).baseUrl).toBe('https://api.openai.com/v1')
    expect(open({ baseUrl: 'http://[::1]:8080/v1/' }).baseUrl).toBe('http://[::1]:8080/v1')
  })

  it('has a timeout within bounds and ids that are ids', () => {
    for (const options of [
      { timeoutMs: 99 },
      { timeoutMs: 60_001 },
      { timeoutMs: 150.5 },
      { organization: 'org 1' },
      { projectId: '../x' },
      { serviceAccountId: 'a/b' },
    ])
      expect(() => open(options)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  })
})
