import { array, assert, asyncProperty, constantFrom, integer, oneof, record } from 'fast-check'
import { expect, it } from 'vitest'
import type { Problem } from '../../src/api/types.ts'
import { type Harness, type RawAnswer, rawRequest, startServer } from './harness.ts'

const path = '/v1/credentials/openai'

/** Whatever tells a request apart from another; GOOD, OTHER and ETAG stand for what only a running server has. */
const lines = [
  'Authorization: Bearer GOOD',
  'authorization: bearer GOOD',
  'AUTHORIZATION: Bearer GOOD ',
  'Authorization: Bearer OTHER',
  'Authorization: Bearer  GOOD',
  'Authorization: Bearer GOOD, Bearer GOOD',
  'Authorization:',
  'Proxy-Authorization: Bearer GOOD',
  'Host: localhost',
  'hOST: 127.0.0.1:80',
  'Host: localhost.evil.example',
  'Host: evil.localhost.',
  'Host: localhost, evil.example',
  'Host:',
  'X-Forwarded-Host: evil.example',
  'Origin: null',
  'origin: http://localhost',
  'Origin:',
  'If-None-Match: ETAG',
  'if-none-match: "x", ETAG',
  'If-None-Match: *',
  'If-None-Match: W/',
  'If-None-Match:',
  'If-Match: "x"',
  'Range: bytes=0-1',
  'Content-Length: 0',
  'Content-Length: 2',
  'Content-Type: application/json',
  'Content-Encoding: gzip',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Expect: 200-maybe',
  'Upgrade: h2c',
  'Connection: upgrade',
  'Keyturn-Instance: web-1',
  'keyturn-instance: web 1',
  'Keyturn-Instance:',
  'Keyturn-Generation-In-Flight: 1',
  'keyturn-generation-in-flight: 1, 1',
  'Keyturn-Generation-In-Flight: x',
  'X-HTTP-Method-Override: DELETE',
  'Cookie: token=GOOD',
]
const usual = ['Host: localhost', 'Authorization: Bearer GOOD']

const requests = record({
  method: oneof(
    { weight: 8, arbitrary: constantFrom('GET') },
    constantFrom('HEAD', 'POST', 'get', 'OPTIONS'),
  ),
  version: oneof({ weight: 8, arbitrary: constantFrom('1.1') }, constantFrom('1.0')),
  target: oneof(
    { weight: 8, arbitrary: constantFrom((at: string) => at) },
    constantFrom(
      (at: string) => `http://localhost${at}`,
      (at: string) => `http://evil.example${at}`,
      (at: string) => `/${at}`,
      (at: string) => at.replace('openai', '%6fpenai'),
      (at: string) => at.replace('openai', 'nobody'),
      (at: string) => at.replace('openai', 'openai-prod'),
    ),
  ),
  leftOut: oneof({ weight: 6, arbitrary: constantFrom(-1) }, integer({ min: 0, max: 1 })),
  // Half of the rest matters only beside the name of an instance.
  instance: constantFrom<readonly string[]>([], ['Keyturn-Instance: web-1']),
  twice: oneof(
    constantFrom<readonly string[]>([]),
    constantFrom(...lines).map((line) => [line, line]),
  ),
  extra: array(constantFrom(...lines), { maxLength: 4 }),
})

async function ask(harness: Harness, etag: string, at: string, head: string): Promise<RawAnswer> {
  const text = head
    .replace('TARGET', at)
    .replaceAll('GOOD', harness.app)
    .replaceAll('OTHER', harness.other)
    .replaceAll('ETAG', etag)
  return rawRequest(harness.port, text)
}

/** All that a caller can act on. Request ids differ, and the fast lane has none. */
function judgement({ status, headers, body }: RawAnswer): unknown {
  const said = ['content-type', 'etag', 'cache-control', 'keyturn-generation', 'www-authenticate', 'allow']
  const isProblem = headers.get('content-type') === 'application/problem+json' && body !== ''
  const { instance: _differs, ...problem } = isProblem
    ? (JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as Problem)
    : {}
  return { status, headers: said.map((name) => headers.get(name)), body: isProblem ? problem : body }
}

it('judges a request in the fast lane as it does behind it, whatever it looks like', async () => {
  const harness = await startServer()
  // Loads the application: what comes while it loads is judged by when its bytes turn out to be no HTTP.
  const etag = (await harness.get(`${path}?wait=0`)).headers.get('etag') ?? ''
  await assert(
    asyncProperty(requests, async ({ method, version, target, leftOut, instance, twice, extra }) => {
      const headers = [...usual.filter((_line, index) => index !== leftOut), ...instance, ...twice, ...extra]
      headers.push('Connection: close')
      const head = `${method} TARGET HTTP/${version}\r\n${headers.join('\r\n')}\r\n\r\n`
      // A query sends the same request to the application.
      const [fast, behind] = await Promise.all([
        ask(harness, etag, target(path), head),
        ask(harness, etag, `${target(path)}?wait=0`, head),
      ])
      expect(judgement(fast), head).toEqual(judgement(behind))
      const isGood = headers.some((line) => /^authorization: bearer (?:GOOD|OTHER)/i.test(line))
      if (!isGood) expect(fast.text).not.toContain('apiKey')
    }),
    { numRuns: 1_000 },
  )
})

it.each(['http://evil.example', 'http://localhost', 'https://localhost:1', 'x://'])(
  'takes no request that names another host than its Host header could: %s',
  async (origin) => {
    const harness = await startServer()
    for (const query of ['', '?wait=0']) {
      const head = `GET ${origin}${path}${query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${harness.app}\r\nConnection: close\r\n\r\n`
      const answer = await rawRequest(harness.port, head)
      expect(answer.status).toBe(400)
      expect(answer.body).not.toContain('apiKey')
    }
  },
)
