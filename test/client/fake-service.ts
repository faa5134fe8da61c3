import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CredentialAnswer, EventMessage, Problem, RejectionReport } from '../../src/api/types.ts'

/** The HTTP contract as a client meets it, in as few lines as possible: one credential, its events and its reports. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly wait: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** The names in the client certificate, where one was shown that counts. */
  readonly shown?: string
}

export type Override = (request: Seen, response: ServerResponse) => boolean

export interface FakeService {
  readonly url: string
  readonly token: string
  readonly seen: Seen[]
  readonly reports: RejectionReport[]
  readonly streams: ReadonlySet<ServerResponse>
  answer(): CredentialAnswer
  /** Hands out another key: the generation rises, streams and held questions are told. */
  turn(change: Partial<CredentialAnswer>, options?: { readonly isQuiet?: boolean }): void
  /** Replaces the answer as it stands, without telling anybody. */
  restore(answer: Partial<CredentialAnswer>): void
  /** Looks at every request first; true: it was answered. */
  override: Override | undefined
  onReport: (report: RejectionReport) => void
  send(text: string): void
  /** Resolves when a request like this was seen, now or later. */
  request(matches: (request: Seen) => boolean): Promise<Seen>
  /** Resolves when this is true; looked at after every request and every end of one. */
  until(holds: () => boolean): Promise<void>
  hands(): Seen[]
  close(): Promise<void>
}

let counter = 0

/** Made at run time and of no shape that a scanner would take for a real key. */
export function testKey(): string {
  counter += 1
  return ['canary', 'key', String(counter), 'x'.repeat(24)].join('-')
}

export async function startFakeService(
  first: Partial<CredentialAnswer> = {},
  {
    isHolding = true,
    hasStream = true,
    tls,
  }: { isHolding?: boolean; hasStream?: boolean; tls?: ServerOptions | undefined } = {},
): Promise<FakeService> {
  const token = ['test', 'token', 'for', 'apps'].join('-')
  const seen: Seen[] = []
  const reports: RejectionReport[] = []
  const streams = new Set<ServerResponse>()
  const waiting = new Set<() => void>()
  const held = new Set<() => void>()
  let eventId = 0
  let answer: CredentialAnswer = {
    name: 'openai',
    apiKey: testKey(),
    organization: 'org-test',
    project: 'proj_test',
    baseUrl: 'http://127.0.0.1:9/v1',
    version: 'v1',
    fingerprint: '0123456789ab',
    stage: 'current',
    verdict: 'valid',
    verifiedAt: '2026-11-21T00:00:00.000Z',
    rotatesAt: null,
    staleAfterSeconds: 8_640_000,
    generation: 1,
    ...first,
  }
  const etag = () => `W/"${answer.generation}-${answer.version}-${answer.verdict}"`
  const changed = () => {
    for (const listener of waiting) listener()
  }
  const handOut = (request: Seen, response: ServerResponse) => {
    const generation = String(answer.generation)
    if (request.headers['if-none-match'] === etag()) {
      if (request.wait !== undefined && isHolding) {
        const release = () => {
          held.delete(release)
          clearTimeout(timer)
          handOut({ ...request, wait: undefined }, response)
        }
        const timer = setTimeout(release, request.wait * 1000)
        held.add(release)
        response.once('close', () => {
          held.delete(release)
          clearTimeout(timer)
        })
        return
      }
      response.writeHead(304, { etag: etag(), 'keyturn-generation': generation }).end()
      return
    }
    const headers = { 'content-type': 'application/json', etag: etag(), 'keyturn-generation': generation }
    response.writeHead(200, headers).end(JSON.stringify(answer))
  }
  const events = (response: ServerResponse) => {
    if (!hasStream) {
      problem(response, { status: 404, code: 'not_found', detail: 'There is no such route.' })
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'keyturn-app': 'b%C3%BCro' })
    response.write(': welcome\n\n')
    streams.add(response)
    response.once('close', () => {
      streams.delete(response)
      changed()
    })
  }
  const serve = (request: Seen, response: ServerResponse) => {
    if (service.override?.(request, response) === true) return
    const { authorization } = request.headers
    const isKnown = authorization === `Bearer ${token}`
    if (!isKnown && (authorization !== undefined || request.shown === undefined)) {
      problem(response, { status: 401, code: 'unauthenticated', detail: 'The token is not known.' })
      return
    }
    if (request.method === 'DELETE') response.writeHead(204).end()
    else if (request.path.endsWith('/events')) events(response)
    else if (request.path.endsWith('/reports')) {
      const report = JSON.parse(request.body) as RejectionReport
      reports.push(report)
      service.onReport(report)
      const { generation, version, verdict } = answer
      response.writeHead(202, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ generation, version, verdict }))
    } else handOut(request, response)
  }
  const listener = (incoming: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = []
    incoming.on('data', (part: Buffer) => parts.push(part))
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://localhost')
      const wait = url.searchParams.get('wait')
      const request: Seen = {
        method: incoming.method ?? '',
        path: url.pathname,
        wait: wait === null ? undefined : Number(wait),
        headers: incoming.headers,
        body: Buffer.concat(parts).toString(),
        ...shownOn(incoming),
      }
      seen.push(request)
      response.once('close', changed)
      serve(request, response)
      changed()
    })
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!holds()) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  const service: FakeService = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    seen,
    reports,
    streams,
    override: undefined,
    onReport: () => undefined,
    answer: () => answer,
    turn: (change, { isQuiet = false } = {}) => {
      const generation = answer.generation + 1
      answer = { ...answer, generation, version: `v${generation}`, ...change }
      if (isQuiet) return
      for (const release of held) release()
      const message: EventMessage = {
        credential: answer.name,
        kind: 'promoted',
        generation: answer.generation,
        at: '2026-11-21T00:00:00.000Z',
        data: {},
      }
      eventId += 1
      service.send(`id: ${eventId}\nevent: promoted\ndata: ${JSON.stringify(message)}\n\n`)
    },
    restore: (change) => {
      answer = { ...answer, ...change }
    },
    send: (text) => {
      for (const stream of streams) stream.write(text)
    },
    request: async (matches) => {
      await until(() => seen.some(matches))
      const found = seen.find(matches)
      if (found === undefined) throw new Error('The request that was just seen is gone.')
      return found
    },
    until,
    hands: () =>
      seen.filter((request) => request.method === 'GET' && /^\/v1\/credentials\/[^/]+$/.test(request.path)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return service
}

function shownOn({ socket }: IncomingMessage): Pick<Seen, 'shown'> {
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>
  return authorized === true ? { shown: getPeerCertificate?.call(socket).subjectaltname ?? '' } : {}
}

export function problem(
  response: ServerResponse,
  {
    status,
    code,
    detail,
    fix,
    headers,
  }: Pick<Problem, 'status' | 'code' | 'detail' | 'fix'> & { headers?: Record<string, string> },
): void {
  const body: Problem = {
    type: `urn:keyturn:error:${code}`,
    title: code,
    status,
    code,
    detail,
    ...(fix === undefined ? {} : { fix }),
  }
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers })
  response.end(JSON.stringify(body))
}
