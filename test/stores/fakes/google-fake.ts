import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createGoogleState,
  type GoogleFakeState,
  idOf,
  type Message,
  Refusal,
  subjectOf,
} from './google-fake-state.ts'
import { closeServer, createFaults, failInstead, type HttpFaults, readBody } from './http-faults.ts'

/**
 * Secret Manager on loopback. One state, which refuses what the real one refuses (google-fake.test.ts), behind REST here and
 * behind gRPC in google-fake-grpc.ts; the paths and shapes are those that the SDK's two transports really send.
 */
export interface GoogleFake extends GoogleFakeState, HttpFaults {
  readonly endpoint: string
  /** `AddSecretVersion openai` and the like, as they came in. */
  readonly requests: string[]
  /** Called before a request is carried out, e.g. to change something in between. */
  onRequest: (line: string) => void | Promise<void>
  /** Whether a request without a bearer token is refused, as the real one does. Default false: tokens are Google's. */
  needsToken: boolean
  close(): Promise<void>
}

const statusOf: ReadonlyMap<number, readonly [number, string]> = new Map([
  [3, [400, 'INVALID_ARGUMENT']],
  [5, [404, 'NOT_FOUND']],
  [6, [409, 'ALREADY_EXISTS']],
  [7, [403, 'PERMISSION_DENIED']],
  [8, [429, 'RESOURCE_EXHAUSTED']],
  [9, [400, 'FAILED_PRECONDITION']],
  [10, [409, 'ABORTED']],
  [12, [501, 'UNIMPLEMENTED']],
  [13, [500, 'INTERNAL']],
  [14, [503, 'UNAVAILABLE']],
  [16, [401, 'UNAUTHENTICATED']],
])

export async function startGoogleFake(): Promise<GoogleFake> {
  const faults = createFaults()
  const requests: string[] = []
  const server = createServer((request, response) => void answer(request, response))
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request)
    const { rpc, message } = decode(request.method ?? '', request.url ?? '', body)
    const line = `${rpc} ${idOf(subjectOf(rpc, message))}`
    requests.push(line)
    await fake.onRequest(line)
    const fault = faults.take(line)
    if (fault === 'slow_down')
      return void response.writeHead(429, json).end(JSON.stringify(errorBody(429, '1s')))
    if (fault !== undefined && failInstead(fault, response, errorBody)) return
    const send = (status: number, answered: unknown): void => {
      if (fault === 'lost') return
      if (fault === 'broken') response.destroy()
      else response.writeHead(status, json).end(JSON.stringify(answered))
    }
    try {
      if (fake.needsToken && !/^Bearer \S+$/.test(request.headers.authorization ?? ''))
        throw new Refusal(16, 'Request is missing required authentication credential.')
      send(200, encode(fake.call(rpc, message)))
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown
      const [status, word] = statusOf.get(thrown.code) ?? [500, 'UNKNOWN']
      send(status, { error: { code: status, message: thrown.message, status: word } })
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const fake: GoogleFake = {
    ...createGoogleState(),
    ...faults,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    onRequest: () => undefined,
    needsToken: false,
    close: () => closeServer(server),
  }
  return fake
}

const routes: readonly (readonly [string, RegExp, string])[] = [
  ['POST', /^(?<parent>projects\/[^/]+(?:\/locations\/[^/]+)?)\/secrets$/, 'CreateSecret'],
  ['GET', /^(?<name>projects\/.+\/secrets\/[^/:]+)$/, 'GetSecret'],
  ['PATCH', /^(?<secretName>projects\/.+\/secrets\/[^/:]+)$/, 'UpdateSecret'],
  ['POST', /^(?<parent>projects\/.+\/secrets\/[^/:]+):addVersion$/, 'AddSecretVersion'],
  ['GET', /^(?<name>projects\/.+\/secrets\/[^/:]+\/versions\/[^/:]+):access$/, 'AccessSecretVersion'],
  ['GET', /^(?<parent>projects\/.+\/secrets\/[^/:]+)\/versions$/, 'ListSecretVersions'],
  ['POST', /^(?<name>projects\/.+\/secrets\/[^/:]+\/versions\/[^/:]+):destroy$/, 'DestroySecretVersion'],
  ['POST', /^(?<resource>projects\/.+\/secrets\/[^/:]+):testIamPermissions$/, 'TestIamPermissions'],
]

/** By the google.api.http rules in service.proto. */
function decode(
  method: string,
  url: string,
  body: string,
): { readonly rpc: string; readonly message: Message } {
  const { pathname, searchParams } = new URL(url, 'http://fake')
  const path = decodeURIComponent(pathname).replace(/^\/v1\//, '')
  for (const [verb, pattern, rpc] of routes) {
    const match = verb === method ? pattern.exec(path) : null
    if (match === null) continue
    const { secretName, ...named } = { ...match.groups }
    const query = Object.fromEntries([...searchParams].filter(([name]) => !name.startsWith('$')))
    const json = body === '' ? {} : (JSON.parse(body) as Readonly<Record<string, unknown>>)
    if (rpc === 'CreateSecret') return { rpc, message: { ...query, ...named, secret: json } }
    if (rpc === 'UpdateSecret') {
      const paths = (query['updateMask'] ?? '').split(',').filter((each) => each !== '')
      return { rpc, message: { secret: { ...json, name: secretName }, updateMask: { paths } } }
    }
    if (rpc !== 'AddSecretVersion') return { rpc, message: { ...query, ...named, ...json } }
    const { data, ...payload } = { ...(json['payload'] as Readonly<Record<string, string>> | undefined) }
    const bytes = data === undefined ? {} : { data: Buffer.from(data, 'base64') }
    return { rpc, message: { ...named, payload: { ...payload, ...bytes } } }
  }
  return { rpc: `${method} ${path}`, message: {} }
}

const states = ['STATE_UNSPECIFIED', 'ENABLED', 'DISABLED', 'DESTROYED']

/** JSON of protobuf: bytes in base64, instants as text, and enums as numbers since the SDK asks for that. */
function encode(value: unknown, key = ''): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map((each) => encode(each))
  if (key === 'state') return states.indexOf(String(value))
  if (key.endsWith('Time') && typeof value === 'number') return new Date(value).toISOString()
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, encode(each, name)]))
}

const json = { 'content-type': 'application/json' }

function errorBody(status: number, retryDelay = '0.010s'): unknown {
  const [, [, word] = [status, 'UNKNOWN']] = [...statusOf].find(([, [each]]) => each === status) ?? []
  const details = status === 429 ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }] : []
  return { error: { code: status, message: 'as the test asked', status: word, details } }
}
