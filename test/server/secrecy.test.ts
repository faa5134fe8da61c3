import { connect } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Operation, operations } from '../../src/api/operations.ts'
import { canary, keyNumber } from './fake-service.ts'
import { bearer, type Harness, rawRequest, startServer } from './harness.ts'

/** Streams have no end, and are looked at apart. */
const asked = Object.values<Operation>(operations).filter(
  ({ mediaType }) => mediaType !== 'text/event-stream',
)
const secret = keyNumber(1)

const fill = (path: string, value: string) =>
  path.replace('{name}', 'openai').replaceAll(/\{\w+\}/g, encodeURIComponent(value))

async function answerText(response: Response): Promise<string> {
  return [...response.headers].join('\n') + (await response.text())
}

describe('no secret', () => {
  it('is in any answer but the hand-out, whoever asks and whatever is wrong', async () => {
    const harness = await startServer()
    for (const operation of asked) {
      if (operation.path === operations.getCredential.path) continue
      for (const token of [harness.operator, harness.app, secret])
        for (const value of ['version-1', secret]) {
          const response = await harness.send(
            operation.method,
            fill(operation.path, value),
            operation.method === 'GET' ? undefined : { apiKey: secret, reason: secret, [secret]: secret },
            { ...bearer(token), 'idempotency-key': secret.slice(0, 100) },
          )
          expect(await answerText(response), `${operation.method} ${operation.path}`).not.toContain(canary)
          expect(response.status).toBeLessThan(500)
        }
    }
    expect(harness.logs.join('\n')).not.toContain(canary)
  })

  it('is echoed from a URL, a query, a header or a broken body', async () => {
    const harness = await startServer()
    const texts = [
      await harness.get(`/v1/credentials/${secret}`),
      await harness.get(`/v1/credentials/${secret.toLowerCase()}`),
      await harness.get(`/${secret}?${secret}=${secret}`),
      await harness.get(`/%zz${secret}`),
      await harness.get(`/v1/credentials/openai?wait=${secret}`),
      await harness.get('/v1/credentials/openai/events', { 'last-event-id': secret }),
      await harness.get('/v1/credentials', { 'keyturn-instance': secret, host: secret }),
      await harness.send('POST', '/v1/credentials/openai/versions', `{"apiKey": "${secret}"`),
      await harness.send('POST', '/v1/credentials/openai/versions', `{"apiKey": ["${secret}"]}`),
      await harness.send('POST', '/v1/credentials/openai/versions', { apiKey: `${secret} ` }),
      await harness.send('POST', '/v1/credentials/openai/rotations', { mode: secret }),
      await harness.send('POST', '/v1/tokens', { name: secret, role: secret, credentials: [secret] }),
      await harness.send(secret.replaceAll('_', '-'), '/v1/tokens').catch(() => new Response('')),
    ]
    for (const response of texts) expect(await answerText(response)).not.toContain(canary)
    expect(harness.logs.join('\n')).not.toContain(canary)
  })

  it('is in the event stream', async () => {
    const harness = await startServer()
    const gone = new AbortController()
    const response = await fetch(`${harness.url}/v1/credentials/openai/events`, {
      headers: bearer(harness.app),
      signal: gone.signal,
    })
    harness.service.promote('openai')
    harness.service.emit({ credential: 'openai', kind: 'promoted' })
    await harness.server.stop()
    const text = await response.text()
    expect(text).toContain('event: promoted')
    expect(text).not.toContain(canary)
  })
})

describe('rubbish', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('..', '%00', '%2e%2e', '//', '?wait=', '{name}', 'openai', '__proto__', '%', '\u0000'),
  )
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'),
    path: fc.oneof(
      fc.array(piece, { maxLength: 5 }).map((pieces) => `/${pieces.join('/')}`),
      fc
        .tuple(fc.constantFrom(...asked.map(({ path }) => path)), piece)
        .map(([path, value]) => path.replaceAll(/\{\w+\}/g, value)),
    ),
    headers: fc.dictionary(
      fc.constantFrom(
        'if-none-match',
        'last-event-id',
        'keyturn-instance',
        'idempotency-key',
        'accept',
        'range',
        'x',
      ),
      fc.string({ maxLength: 60 }),
      { maxKeys: 4 },
    ),
    body: fc.oneof(fc.json(), fc.string({ unit: 'binary', maxLength: 200 })),
    hasToken: fc.boolean(),
  })

  it('in a request is answered with less than 500 and shows nothing', async () => {
    const harness = await startServer()
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, headers, body, hasToken }) => {
        const isOpenEnded = /^\/v1\/credentials\/openai(-prod)?\/events/.test(path)
        fc.pre(!isOpenEnded)
        const answer = await rawRequest(
          harness.port,
          bytesOf(harness, { method, path, headers, body, hasToken }),
        )
        expect(answer.status, answer.text).toBeLessThan(500)
        const isHandOut =
          method === 'GET' && answer.status === 200 && answer.body.startsWith('{"name":"openai')
        if (!isHandOut) expect(answer.text).not.toContain(canary)
      }),
      { numRuns: 300 },
    )
    expect(harness.logs.filter((line) => line.startsWith('error'))).toEqual([])
  })

  it('instead of a request gets a 400 or nothing, and the next caller is served', async () => {
    const harness = await startServer()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const text = await new Promise<string>((resolve) => {
          const socket = connect(harness.port, '127.0.0.1', () => socket.end(Buffer.from(bytes)))
          let received = ''
          socket.on('data', (chunk) => {
            received += chunk.toString('latin1')
          })
          socket.on('error', () => socket.destroy())
          socket.on('close', () => resolve(received))
        })
        expect(text).toMatch(/^(HTTP\/1\.1 4\d\d |$)/)
      }),
      { numRuns: 100 },
    )
    expect((await harness.get('/v1/credentials/openai')).status).toBe(200)
  })
})

function bytesOf(
  harness: Harness,
  request: { method: string; path: string; headers: Record<string, string>; body: string; hasToken: boolean },
): Buffer {
  const body = Buffer.from(request.body)
  const lines = [
    `${request.method} ${request.path} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    ...(request.hasToken ? [`Authorization: Bearer ${harness.operator}`] : []),
    ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    'Content-Type: application/json',
    `Content-Length: ${body.byteLength}`,
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body])
}
