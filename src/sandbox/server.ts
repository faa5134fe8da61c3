// The HTTP plumbing: limits, edges, faults, sending and a clean close.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { bearerOf } from './authenticate.ts'
import { type Route, refuse, type Services } from './call.ts'
import { closeServer, trackConnections } from './connections.ts'
import { answerControl, isControlPath } from './control.ts'
import { limits } from './defaults.ts'
import { type ApiError, apiError, bodyTooLarge, type TaxonomyName } from './errors.ts'
import { find, findRefusal, takeFaults, takeLateMint, takeLostAnswer } from './faults.ts'
import type { Fault } from './knobs.ts'
import { type Dispatched, dispatch } from './router.ts'
import { type Exchange, sendHang, sendJson, sendPage, sendRedirect, sendReset, sendStream } from './send.ts'
import { exchangeToken, TOKEN_PATH } from './token-exchange.ts'

/** One line of the request log. No header, query or body is kept, so no secret can be in it. */
export interface RequestRecord {
  readonly at: number
  readonly method: string
  readonly path: string
  readonly edge: number
  readonly keyId: string | null
  readonly requestId: string
  /** Absent while unanswered, and for good where no answer was sent. */
  status?: number
  /** The faults that were put on this request. */
  readonly faults: readonly string[]
}

export interface RunningServer {
  readonly port: number
  readonly requests: RequestRecord[]
  close(): Promise<void>
}

/** What the control routes show and do. */
export interface ControlSource {
  readonly state: () => unknown
  readonly deleteKey: (id: string) => boolean
}

export async function startServer(options: {
  services: Services
  host: string
  port: number
  control: ControlSource
}): Promise<RunningServer> {
  const { services, host, port, control } = options
  const closing = new AbortController()
  const requests: RequestRecord[] = []
  const chooseEdge = createEdgeChooser(services)
  // An `import` of it would load undici as well, which a server has no use for.
  const http = process.getBuiltinModule('node:http')
  const server = http.createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      keepAliveTimeout: limits.keepAliveMs,
      headersTimeout: limits.keepAliveMs + 1_000,
    },
    (request, response) => {
      connections.begin(request.socket, response)
      const handled = isControlPath(request.url ?? '')
        ? answerControl(request, response, { services, requests, control })
        : answer({
            request,
            response,
            services,
            requests,
            edge: chooseEdge(request),
            closing: closing.signal,
          })
      // A failure here is a defect of the sandbox. The caller sees a broken connection, as with a real outage.
      handled.catch(() => response.destroy())
    },
  )
  const connections = trackConnections(server, closing.signal)
  server.maxConnections = limits.connectionsMax
  await listen(server, host, port)
  let closed: Promise<void> | undefined
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    close: () => {
      closed ??= closeServer({ server, closing, services, connections })
      return closed
    },
  }
}

function createEdgeChooser(services: Services) {
  let turn = 0
  const byConnection = new WeakMap<Socket, number>()
  return (request: IncomingMessage): number => {
    const { edges, routing } = services.knobs.current()
    const pinned = request.headers['x-sandbox-edge']
    if (typeof pinned === 'string' && /^\d{1,2}$/.test(pinned)) return Number(pinned) % edges
    if (routing === 'request') return turn++ % edges
    const known = byConnection.get(request.socket)
    if (known !== undefined) return known % edges
    byConnection.set(request.socket, turn)
    return turn++ % edges
  }
}

async function answer(input: {
  request: IncomingMessage
  response: ServerResponse
  services: Services
  requests: RequestRecord[]
  edge: number
  closing: AbortSignal
}): Promise<void> {
  const { request, response, services, requests, edge, closing } = input
  const path = pathOf(request.url ?? '/')
  const secret = bearerOf(request.headers)
  const key = secret === undefined ? undefined : services.world.keyByValue(secret)
  const method = request.method ?? 'GET'
  const faults = takeFaults(services.knobs, { path, method, keyId: key?.id, edge })
  const at = services.now()
  const record: RequestRecord = {
    at,
    method,
    path,
    edge,
    keyId: key?.id ?? null,
    requestId: services.world.newId('req_'),
    faults: faults.map((fault) => fault.kind),
  }
  requests.push(record)
  requests.splice(0, Math.max(0, requests.length - limits.requestLogMax))

  const gone = new AbortController()
  response.on('close', () => gone.abort())
  const exchange: Exchange = {
    request,
    response,
    services,
    startedAt: at,
    edge,
    requestId: record.requestId,
    faults,
    closing,
    signal: AbortSignal.any([closing, gone.signal]),
    noteStatus: (status) => {
      record.status = status
    },
  }
  const latency = find(faults, 'latency')
  if (latency !== undefined) await services.sleep(latency.ms ?? 1_000, exchange.signal)
  if (await intercept(exchange)) return
  const raw = await readBody(request, limits.bodyBytesMax)
  if (raw === undefined) return sendJson(exchange, refuse(bodyTooLarge(limits.bodyBytesMax)), undefined)
  await converse(exchange, { path, method, raw, secret })
}

/** The faults that keep a request from ever reaching OpenAI. */
async function intercept(exchange: Exchange): Promise<boolean> {
  const { faults } = exchange
  const page = find(faults, 'proxy_page')
  const redirect = find(faults, 'redirect')
  if (find(faults, 'hang') !== undefined) await sendHang(exchange)
  else if (find(faults, 'reset') !== undefined) sendReset(exchange)
  else if (page !== undefined) sendPage(exchange, page.status ?? 502)
  else if (redirect !== undefined)
    sendRedirect(exchange, redirect.location ?? 'https://login.proxy.invalid/', redirect.status ?? 302)
  else return false
  return true
}

async function converse(
  exchange: Exchange,
  input: { path: string; method: string; raw: string; secret: string | undefined },
): Promise<void> {
  const { services, faults, request } = exchange
  const { path, method, raw, secret } = input
  const forced = findRefusal(faults)
  if (forced !== undefined) {
    const error = forcedError(forced, secret, services)
    return sendJson(exchange, refuse(error), undefined)
  }
  const headers = { ...request.headers }
  if (find(faults, 'strip_authorization') !== undefined) delete headers.authorization
  const at = services.now()
  const knobs = services.knobs.current()
  if (path === TOKEN_PATH && method === 'POST') {
    const reply = exchangeToken({ headers, rawBody: raw }, { world: services.world, knobs, at })
    return sendJson(exchange, reply, undefined)
  }
  const dispatched = dispatch(
    {
      services,
      knobs,
      method,
      path,
      parameters: {},
      query: queryOf(request.url ?? '/'),
      headers,
      body: undefined,
      edge: exchange.edge,
      at,
      landsAt: at,
      requestId: exchange.requestId,
      breakStream: breakStream(faults),
    },
    raw,
    (route) => latenessOf(route, exchange),
  )
  if (isLost(dispatched, exchange)) return loseAnswer(exchange)
  const { reply, key } = dispatched
  if (reply.kind === 'stream') await sendStream(exchange, reply, key)
  else sendJson(exchange, reply, key)
}

function forcedError(fault: Fault, secret: string | undefined, services: Services): ApiError {
  const key = secret === undefined ? undefined : services.world.keyByValue(secret)
  return apiError(fault.kind as TaxonomyName, {
    ...(secret === undefined ? {} : { secret }),
    ...(key === undefined ? {} : { organization: key.organization }),
    ...(key?.project === undefined || key.project === null ? {} : { project: key.project }),
  })
}

function breakStream(faults: readonly Fault[]): TaxonomyName | undefined {
  if (find(faults, 'stream_overloaded') !== undefined) return 'server_is_overloaded'
  return find(faults, 'stream_error') === undefined ? undefined : 'server_error'
}

function latenessOf(route: Route, exchange: Exchange): number {
  if (route.family === undefined) return 0
  const fault = find(exchange.faults, 'apply_late')
  if (fault !== undefined) return fault.ms ?? 1_000
  const { lateMints, lateMintMs } = exchange.services.knobs.current()
  return route.family === 'mint' && lateMints > 0 ? lateMintMs : 0
}

/** Only a write that was applied can lose its answer; a refused one uses up nothing. */
function isLost(dispatched: Dispatched, exchange: Exchange): boolean {
  const { reply, route } = dispatched
  if (route?.family === undefined || reply.kind !== 'json' || reply.status >= 300) return false
  if (find(exchange.faults, 'apply_late') ?? find(exchange.faults, 'lose_answer')) return true
  const isLate = route.family === 'mint' && takeLateMint(exchange.services.knobs) !== undefined
  return isLate || takeLostAnswer(exchange.services.knobs, route.family)
}

async function loseAnswer(exchange: Exchange): Promise<void> {
  const form = exchange.services.knobs.current().loseAnswersBy
  if (form === 'hang') await sendHang(exchange)
  else if (form === 'reset') sendReset(exchange)
  else if (form === 'proxy_page') sendPage(exchange, 502)
  else sendJson(exchange, refuse(apiError('server_error')), undefined)
}

/** The body as text, or nothing when it is too long. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bytesMax) chunks.push(chunk)
    else if (bytes > bytesMax * 4) return undefined
  }
  return bytes > bytesMax ? undefined : Buffer.concat(chunks).toString('utf8')
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '/'
}

function queryOf(url: string): URLSearchParams {
  const mark = url.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
