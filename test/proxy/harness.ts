import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { quietSend } from '../../src/client/quiet-send.ts'
import type { LogLevel } from '../../src/core/ports.ts'
import type { ProxyLimits } from '../../src/proxy/limits.ts'
import type { FilledFamily } from '../../src/proxy/metrics.ts'
import { type OpenProxyOptions, openProxy } from '../../src/proxy/open-proxy.ts'
import { defaultRoots } from '../../src/proxy/paths.ts'
import { createHosts } from '../../src/server/hosts.ts'
import { createSystem } from '../../src/system.ts'
import { type FakeService, startFakeService } from '../client/fake-service.ts'
import { type RawAnswer, rawRequest, until } from '../server/raw-request.ts'

export { until }

/** A key of the shape that OpenAI masks, made at run time so that none stands in the tree. */
let keys = 0
export function openAIKey(): string {
  keys += 1
  return ['sk', 'proj', `${keys}${'Ab3dEf6h'.repeat(18)}`, 'T3Bl', 'bkFJ', 'z9Yx'.repeat(8)].join('-')
}

/** As OpenAI shows a key that it refuses. */
export function masked(key: string): string {
  return `${key.slice(0, 8)}${'*'.repeat(40)}${key.slice(-4)}`
}

export interface Arrived {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  body: string
}

export type Handler = (request: IncomingMessage, response: ServerResponse, arrived: Arrived) => void

export interface Rig {
  readonly port: number
  readonly url: string
  readonly service: FakeService
  /** What the upstream got, in order. */
  readonly arrived: Arrived[]
  /** How the upstream answers; default: whole JSON after the body. */
  answer: Handler
  readonly key: string
  readonly logged: string[]
  readonly stop: () => Promise<void>
  readonly metrics: () => readonly FilledFamily[]
  /** Sends these lines and this body, on a connection that ends with it. */
  raw(lines: readonly string[], body?: string): Promise<RawAnswer>
  /** The same with the token, to be answered by the upstream. */
  ask(
    line: string,
    options?: { readonly headers?: readonly string[]; readonly body?: string },
  ): Promise<RawAnswer>
}

export interface RigOptions {
  readonly limits?: Partial<ProxyLimits>
  readonly upstream?: OpenProxyOptions['upstream']
  readonly credentials?: OpenProxyOptions['credentials']
  /** Whether Keyturn has an event stream. Default: yes. */
  readonly hasStream?: boolean
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

/** What OpenAI says to a key that is dead. */
export function refuseKey(response: ServerResponse, key: string): void {
  const error = {
    message: `Incorrect API key provided: ${masked(key)}. You can find your API key at the platform.`,
    type: 'invalid_request_error',
    param: null,
    code: 'invalid_api_key',
  }
  json(response, 401, { error }, { 'x-request-id': 'req_refused', 'www-authenticate': 'Bearer' })
}

/** A fake Keyturn, an upstream that does what the test says, and a real proxy between them. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const arrived: Arrived[] = []
  const logged: string[] = []
  const upstream = createServer((request, response) => {
    const one: Arrived = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: '',
    }
    arrived.push(one)
    response.on('error', () => undefined)
    rig.answer(request, response, one)
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`
  const key = openAIKey()
  const service = await startFakeService({ baseUrl, apiKey: key }, { hasStream: options.hasStream ?? true })
  const proxy = await openProxy({
    credentials: options.credentials ?? ['openai'],
    roots: new Set(defaultRoots),
    hosts: createHosts({ listenHost: '127.0.0.1', allowedHosts: [] }),
    service: { url: service.url, send: quietSend },
    upstream: options.upstream ?? new URL(baseUrl),
    instance: 'proxy-of-a-test',
    limits: { drainMs: 100, ...options.limits },
    system: createSystem(),
    log: (_level: LogLevel, message, fields) => logged.push(`${message} ${JSON.stringify(fields)}`),
  })
  await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve))
  const { port } = proxy.server.address() as AddressInfo
  onTestFinished(async () => {
    await proxy.stop()
    upstream.closeAllConnections()
    await new Promise((resolve) => upstream.close(resolve))
    await service.close()
  })
  const raw = (lines: readonly string[], body = '') =>
    rawRequest(port, Buffer.from([...lines, '', body].join('\r\n'), 'latin1'))
  const rig: Rig = {
    port,
    url: `http://127.0.0.1:${port}`,
    service,
    arrived,
    answer: whole,
    key,
    logged,
    stop: () => proxy.stop(),
    metrics: () => proxy.metrics(),
    raw,
    ask: (line, { headers = [], body = '' } = {}) =>
      raw(
        [
          `${line} HTTP/1.1`,
          'Host: localhost',
          `Authorization: Bearer ${service.token}`,
          ...headers,
          ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
          'Connection: close',
        ],
        body,
      ),
  }
  return rig
}

/** Takes the whole request, then answers. */
export const whole: Handler = (request, response, arrived) => {
  request.setEncoding('latin1')
  request.on('data', (text: string) => (arrived.body += text))
  request.on('end', () => json(response, 200, { ok: true }, { 'x-request-id': 'req_1' }))
}

/** A connection of which every byte is the test's. */
export function open(port: number): {
  readonly socket: Socket
  readonly text: () => string
  readonly closed: Promise<void>
} {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  onTestFinished(() => void socket.destroy())
  return { socket, text: () => text, closed }
}

/** The error in the shape that every SDK of OpenAI shows. */
export function errorIn(answer: Pick<RawAnswer, 'body'>): { message: string; code: string; type: string } {
  return (JSON.parse(answer.body) as { error: { message: string; code: string; type: string } }).error
}

/** A request on a connection that stays open. */
export function send(
  rig: Rig,
  options: { readonly headers?: readonly string[]; readonly body?: string; readonly line?: string } = {},
) {
  const { headers = [], body = '{}', line = 'POST /v1/chat/completions' } = options
  const connection = open(rig.port)
  const lines = [
    `${line} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${rig.service.token}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    '',
    body,
  ]
  connection.socket.write(lines.join('\r\n'))
  return connection
}

/** The upstream's end of one answer, in the hands of the test. */
export async function heldAnswer(rig: Rig): Promise<ServerResponse> {
  let held: ServerResponse | undefined
  rig.answer = (request, response) => {
    request.on('error', () => undefined)
    request.resume()
    held = response
  }
  return new Promise((resolve) => {
    void until(() => held !== undefined).then(() => resolve(held as ServerResponse))
  })
}
