import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { within } from '../client/deadline.ts'
import { toClientError } from '../client/errors.ts'
import type { OpenAICredential } from '../client/types.ts'
import type { Timers } from '../core/ports.ts'
import { type AdmissionRules, type Admitted, admit } from './admission.ts'
import { createRoom, drain, takeBody } from './body.ts'
import type { Caller, Callers } from './callers.ts'
import { Exchange } from './exchange.ts'
import type { ProxyLimits } from './limits.ts'
import { endWith, refuseRaw } from './raw-refusals.ts'
import { type Refusal, sendRefusal } from './refusal.ts'
import * as say from './sentences.ts'
import type { Tally } from './tally.ts'
import type { Upstreams } from './upstream.ts'

export interface ProxyOptions extends AdmissionRules {
  readonly callers: Callers
  readonly upstreams: Upstreams
  readonly tally: Tally
  readonly limits: ProxyLimits
  readonly timers: Timers
}

export interface Proxy {
  /** Not listening yet: whoever made it says where. */
  readonly server: Server
  /** Takes no further requests, waits for those under way up to the limit, then ends all. */
  stop(): Promise<void>
}

/** One request that was let in, with what its answer goes to. */
interface Passing {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly admitted: Admitted
  readonly caller: Caller
  /** The caller waits for a word before it sends its body. */
  readonly isExpecting: boolean
}

export function createProxy(options: ProxyOptions): Proxy {
  const { limits, callers, upstreams, tally, timers } = options
  const room = createRoom(limits.buffersBytesMax)
  const server = openServer(limits)
  let isStopping = false
  /** Requests of callers that Keyturn has not let in yet. Together they may be as many as those of one that it has. */
  let unproven = 0
  let onIdle: (() => void) | undefined

  const refuse = (request: IncomingMessage, response: ServerResponse, refusal: Refusal) => {
    tally.refused(refusal.code)
    sendRefusal(response, refusal)
    drain(request, options)
  }
  const letIn = (request: IncomingMessage): { admitted: Admitted; caller: Caller } | Refusal => {
    if (isStopping) return say.stopping
    const admitted = admit(request, options)
    if ('status' in admitted) return admitted
    // Before anything is kept of the caller: what is not asked about would count as new for good.
    if (tally.active >= limits.requestsMax) return say.busy
    const { token, credential } = admitted
    const mayBeNew = unproven < limits.requestsPerCallerMax
    try {
      const caller = callers.find(token, credential, { mayBeNew })
      const isRoom = caller.usage.active < limits.requestsPerCallerMax && (mayBeNew || caller.isProven())
      return isRoom ? { admitted, caller } : say.busy
    } catch (thrown) {
      return say.noKey(toClientError(thrown, 'Finding the caller failed'), credential)
    }
  }
  const ended = ({ usage }: Caller) => {
    tally.active -= 1
    usage.active -= 1
    if (!isStopping) return
    server.closeIdleConnections()
    if (tally.active === 0) onIdle?.()
  }
  const forward = (credential: OpenAICredential, passing: Passing) => {
    const { request, response, admitted, caller, isExpecting } = passing
    if (response.destroyed) return
    if (isExpecting) response.writeContinue()
    const { rest, forwarded, length } = admitted
    takeBody({ request, length, room, limits }, (body) => {
      if (body instanceof Error) return
      new Exchange({
        request,
        response,
        caller,
        rest,
        forwarded,
        body,
        upstreams,
        limits,
        timers,
        tally,
      }).send(credential)
    })
  }
  const handle = (request: IncomingMessage, response: ServerResponse, isExpecting: boolean) => {
    // A caller must not go on with this connection.
    if (isStopping) response.shouldKeepAlive = false
    const found = letIn(request)
    if ('status' in found) {
      refuse(request, response, found)
      return
    }
    const { caller } = found
    tally.active += 1
    caller.usage.active += 1
    response.on('close', () => ended(caller))
    const asNew = caller.isProven() ? 0 : 1
    unproven += asNew
    caller.current().then(
      (credential) => {
        unproven -= asNew
        forward(credential, { request, response, ...found, isExpecting })
      },
      (thrown: unknown) => {
        unproven -= asNew
        const error = toClientError(thrown, 'Getting a key failed')
        refuse(request, response, say.noKey(error, caller.credential))
      },
    )
  }

  server.on('request', (request, response) => handle(request, response, false))
  server.on('checkContinue', (request, response) => handle(request, response, true))
  server.on('checkExpectation', (request, response) => refuse(request, response, say.expectationRefused))
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    tally.refused(say.tunnelRefused.code)
    endWith(socket, say.tunnelRefused)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    tally.refused(refuseRaw(error, socket, limits).code)
  })
  return {
    server,
    async stop() {
      isStopping = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      if (tally.active > 0) {
        const idle = new Promise<void>((resolve) => {
          onIdle = resolve
        })
        await within(timers, limits.drainMs, idle)
      }
      server.closeAllConnections()
      await closed
      await callers.end()
      await upstreams.close()
    },
  }
}

function openServer(limits: ProxyLimits): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: 1_000,
    // Looked at with the others, so that its refusal says why.
    requireHostHeader: false,
    noDelay: true,
  })
  server.maxConnections = limits.connectionsMax
  // One more than is allowed, so that more can be told: the parser leaves out the rest without a word.
  server.maxHeadersCount = limits.headersMax + 1
  // Longer than anything that is waited for: it ends only what nobody takes any more.
  server.timeout = limits.upstreamTimeoutMs + limits.keepAliveMs
  return server
}
