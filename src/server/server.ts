import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { toKeyturnError } from '../core/errors.ts'
import type { Audit, Ledger, Log, Signer, System } from '../core/ports.ts'
import { createTurnTaking } from '../core/turn-taking.ts'
import type { Alerting } from '../engine/alerting.ts'
import type { Service } from '../engine/service.ts'
import { createRecorder, type Recorder } from '../telemetry/recorder.ts'
import type { Tracer } from '../telemetry/tracer.ts'
import { type ApprovalsOptions, createApprovals, noApprovals } from './approvals.ts'
import type { AuditReader } from './audit-routes.ts'
import { type Audited, createAudited } from './audited.ts'
import { type Authenticator, tokenAuthenticator } from './auth/authenticator.ts'
import type { CertificateWay } from './auth/certificates.ts'
import { createChecks } from './checks.ts'
import type { ServerContext } from './context.ts'
import { createChanges } from './dashboard/changes.ts'
import type { DashboardOptions } from './dashboard/options.ts'
import { createFastLane, type FastLane, type FastLaneOptions } from './fast-lane.ts'
import { createSources, type TrustedProxy } from './forwarded.ts'
import { createHandOuts } from './hand-out.ts'
import type { Hooks } from './hook-routes.ts'
import { createHosts } from './hosts.ts'
import { openHttpServer, trackSockets } from './http-server.ts'
import { createOnce } from './idempotency.ts'
import { createLeases } from './leases.ts'
import { defaultLimits, type ServerLimits } from './limits.ts'
import { type Listen, listenOn, type SocketFile } from './listen.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { problemBody, problemHeaders, problemStatus, type Refusal } from './problem.ts'
import { createRates, noRates, type RateLimits } from './rates.ts'
import { expectationRefusal, refuseRaw } from './raw-refusals.ts'
import { endSilence } from './silence.ts'
import { createStreams } from './streams.ts'
import { createCoarseClock, every } from './ticker.ts'
import type { TlsOptions } from './tls.ts'
import type { TokenStore } from './tokens.ts'
import { createVisitors } from './visitors.ts'
import { createWaiters } from './waiters.ts'

export interface ServerOptions {
  readonly service: Service
  readonly tokens: TokenStore
  /** Who is let in. Default: whoever holds one of the tokens. */
  readonly authenticator?: Authenticator
  /** Where reads of secrets, acts and refusals are written down. Default: nowhere. */
  readonly audit?: Audit
  /** The same for what may come as often as somebody likes; it counts. Default: `audit`. */
  readonly auditRepeats?: Audit
  /** Shows what was written down. */
  readonly auditReader?: AuditReader
  /** Shows what fires, and tests channels. */
  readonly alerting?: Pick<Alerting, 'list' | 'test'>
  /** Signs reports. */
  readonly signer: Signer
  /** HTTPS. Default: plain HTTP. */
  readonly tls?: TlsOptions
  /** Is told of connections before TLS, and when the authorities of client certificates change. */
  readonly certificates?: Pick<CertificateWay, 'opened' | 'forget'>
  /** Who may connect to a Unix socket. Default: its user alone. */
  readonly socket?: SocketFile
  /** Port 0 lets the system choose. */
  readonly listen: Listen
  readonly log: Log
  readonly system: System
  readonly version: string
  readonly isSandbox: boolean
  readonly limits?: Partial<ServerLimits>
  /** Further names that the Host header may hold, without ports. */
  readonly allowedHosts?: readonly string[]
  /** Who may pass requests on for others. Default: nobody. */
  readonly trustedProxies?: readonly TrustedProxy[]
  /** Default: none. */
  readonly rateLimits?: RateLimits
  /** Which acts need two persons, and where they wait for the second. Default: none. */
  readonly approvals?: Pick<ApprovalsOptions, 'rules' | 'documents'>
  /** What was counted of stores, issuers, the ledger and walks. Default: nothing was. */
  readonly recorder?: Recorder
  /** Traces what the application answers; the fast lane is not traced. Default: nothing is. */
  readonly tracer?: Tracer
  /** How people sign in to the dashboard. Default: with tokens, in sessions of this process alone. */
  readonly dashboard?: DashboardOptions
  /** Which clouds may say when something is due. Default: none. */
  readonly hooks?: Hooks
  /** Where answers under an Idempotency-Key are kept. Default: in memory. */
  readonly remember?: Ledger['remember']
}

export interface RunningServer {
  /** `http://127.0.0.1:7420`, or `unix:/path`. */
  readonly url: string
  readonly port?: number
  /** Takes no more connections, ends streams and long-polls, lets requests finish, then destroys what is left. */
  stop(): Promise<void>
}

/** The application is loaded when it is first needed, or this long after the start: hand-outs do not need it. */
const appDelayMs = 1_000
/** How often connections that have become idle are looked for while stopping. */
const idleSweepMs = 20
const dropLogEveryMs = 10_000

/** Starts the HTTP API. `address_in_use`, `config_invalid` where it cannot listen. */
export async function createServer(options: ServerOptions): Promise<RunningServer> {
  const { system, log } = options
  const limits = { ...defaultLimits, ...options.limits }
  const state = { isStopping: false }
  const clock = createCoarseClock(system)
  const { context, createLane, close } = assemble(options, limits, clock, () => state.isStopping)
  const app = lazyApp(context)
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    endSilence(response, limits.silenceMs)
    app.handle(request, response)
  }
  const lane = createLane({
    otherwise: handle,
    refuse: (response, error) => answer(response, { error }, context),
  })
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (!state.isStopping && lane(request, response)) return
    handle(request, response)
  }
  const { server, stopWatching } = await openHttpServer({ ...options, limits, onRequest }).catch(
    (thrown: unknown) => {
      close()
      throw thrown
    },
  )
  harden(server, limits, context)
  const sockets = trackSockets(server)

  const stop = async () => {
    if (state.isStopping) return
    state.isStopping = true
    cancelLoading()
    stopWatching()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    close()
    const sweep = () => {
      server.closeIdleConnections()
      // Node takes a connection on which nothing was ever sent for a busy one; pools open such ahead of need.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }
    const stopSweeping = every(system, idleSweepMs, sweep)
    const cancelDeadline = system.after(limits.stopMs, () => {
      log('warn', 'requests did not finish in time and were cut off', { afterMs: limits.stopMs })
      server.closeAllConnections()
    })
    await closed
    cancelDeadline()
    stopSweeping()
    await app.close()
  }

  let cancelLoading = () => {}
  try {
    const listening = await listenOn(server, options.listen, {
      isTls: options.tls !== undefined,
      ...options.socket,
    })
    cancelLoading = system.after(appDelayMs, app.start, { background: true })
    return { ...listening, stop }
  } catch (thrown) {
    stopWatching()
    close()
    throw thrown
  }
}

function assemble(
  options: ServerOptions,
  limits: ServerLimits,
  clock: ReturnType<typeof createCoarseClock>,
  isStopping: () => boolean,
) {
  const { auditReader, alerting } = options
  const { service, tokens, signer, system, log, version, isSandbox, listen } = options
  const auth = options.authenticator ?? tokenAuthenticator(tokens)
  const hosts = createHosts({
    listenHost: listen.kind === 'tcp' ? listen.host : undefined,
    allowedHosts: options.allowedHosts ?? [],
  })
  const sources = createSources({ trustedProxies: options.trustedProxies ?? [] })
  const rates =
    options.rateLimits === undefined ? noRates : createRates({ limits: options.rateLimits, clock })
  const handOuts = createHandOuts({ service, clock, hash: system })
  const leases = createLeases({ service, clock })
  const waiters = createWaiters({ service, system, limits })
  const streams = createStreams({ service, auth, leases, system, log, limits })
  const changes = createChanges({ service, auth, system })
  const stopListening = auth.onChange(() => waiters.wakeAll())
  const metrics: Metrics = createMetrics({
    service,
    system,
    recorder: options.recorder ?? createRecorder(),
    leases,
    version,
    isSandbox,
    streams: () => streams.count,
    waiters: () => waiters.count,
    ...(auditReader === undefined ? {} : { audit: () => auditReader.status() }),
  })
  const visitors = createVisitors({ auth, hosts, clock, apps: metrics.apps })
  const audited: Audited = createAudited({
    audit: options.audit,
    ...(options.auditRepeats === undefined ? {} : { repeats: options.auditRepeats }),
    sources,
  })
  const createLane = (rest: Pick<FastLaneOptions, 'otherwise' | 'refuse'>): FastLane =>
    createFastLane({
      ...rest,
      audited,
      handOuts,
      visitors,
      auth,
      rates,
      leases,
      metrics,
      headersMax: limits.headersMax,
      silenceMs: limits.silenceMs,
    })
  const context: ServerContext = {
    service,
    tokens,
    auth,
    audited,
    auditReader,
    alerting,
    signer,
    handOuts,
    leases,
    waiters,
    streams,
    changes,
    dashboard: options.dashboard ?? {},
    hooks: options.hooks ?? {},
    checks: createChecks({ hosts, sources, rates, limits, auth, service }),
    metrics,
    tracer: options.tracer,
    approvals: createApprovals({
      ...(options.approvals ?? noApprovals),
      system,
      isKnown: isKnownTo(tokens, system),
    }),
    once: createOnce(system, options.remember),
    limits,
    system,
    log,
    version,
    isSandbox,
    isStopping,
    nextRequestId: requestIds(system),
    takeTurn: createTurnTaking((callback) => void system.after(0, callback, { background: true })),
  }
  const close = () => {
    stopListening()
    visitors.close()
    streams.close()
    changes.close()
    waiters.close()
    clock.stop()
  }
  return { context, createLane, close }
}

/** Of tokens this can be told; what else there is ends by itself sooner than an approval. */
function isKnownTo(tokens: TokenStore, system: System): ApprovalsOptions['isKnown'] {
  return ({ id, kind }) =>
    kind !== 'token' ||
    tokens
      .list()
      .some((one) => one.id === id && (one.expiresAt === null || system.now() < Date.parse(one.expiresAt)))
}

/** Unique within this process and, by its random beginning, among all. */
function requestIds(system: System): () => string {
  // In hexadecimal: no id looks like a key, which would be redacted where people search for it.
  const beginning = Buffer.from(system.bytes(6)).toString('hex')
  let count = 0
  return () => {
    count += 1
    return `${beginning}-${count.toString(36)}`
  }
}

function lazyApp(context: ServerContext) {
  let loading: Promise<FastifyInstance> | undefined
  let loaded: FastifyInstance | undefined
  const load = () => {
    loading ??= import('./app.ts').then(async ({ createApp }) => {
      loaded = await createApp(context)
      return loaded
    })
    // Whoever waits for it answers with the error; a load that nobody waits for is tried again by none.
    loading.catch((thrown: unknown) => {
      context.log('error', 'the application could not be loaded', {
        error: toKeyturnError(thrown, 'loading'),
      })
    })
    return loading
  }
  return {
    /** Loads it ahead of the first request that needs it. */
    start: () => void load(),
    handle(request: IncomingMessage, response: ServerResponse) {
      if (loaded !== undefined) return loaded.routing(request, response)
      load().then(
        (app) => app.routing(request, response),
        (thrown: unknown) => answer(response, { error: toKeyturnError(thrown, 'loading') }, context),
      )
    },
    async close() {
      await (await loading?.catch(() => undefined))?.close()
    },
  }
}

function answer(response: ServerResponse, refusal: Refusal, context: ServerContext): void {
  const id = context.nextRequestId()
  response.writeHead(problemStatus(refusal), problemHeaders(refusal, id))
  response.end(problemBody(refusal, id))
  endSilence(response, context.limits.silenceMs)
}

function harden(server: Server, limits: ServerLimits, context: ServerContext): void {
  const { system, log } = context
  server.maxConnections = limits.connectionsMax
  server.maxRequestsPerSocket = 0
  // None is left out: what is beyond `headersMax` is refused, not forgotten.
  server.maxHeadersCount = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    refuseRaw(error, socket, limits, context.nextRequestId(), (code, status) =>
      context.audited.unreadable(socket, { code, status }),
    ),
  )
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) =>
    answer(response, expectationRefusal(), context),
  )
  let droppedUntil = 0
  server.on('drop', () => {
    if (system.now() < droppedUntil) return
    droppedUntil = system.now() + dropLogEveryMs
    log('warn', 'connections are refused: too many are open', { connectionsMax: limits.connectionsMax })
  })
}
