import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { type HookOperationId, hookOperations } from '../api/hook-operations.ts'
import { type Operation, type OperationId, operations } from '../api/operations.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { versionIdPattern } from '../core/types.ts'
import type { Asked } from './audited.ts'
import type { Caller } from './auth/caller.ts'
import { type Admission, bodyTooLarge, cloudEventsType, unauthenticated, wrongType } from './checks.ts'
import type { ServerContext } from './context.ts'
import { addDashboard } from './dashboard/dashboard.ts'
import { overviewPath, wantsPage } from './dashboard/origins.ts'
import { hookHandlers } from './hook-routes.ts'
import { parseJson, showName } from './json-body.ts'
import { isOwnEnd } from './own-end.ts'
import { problemBody, problemHeaders, problemStatus, type Refusal, requestIdHeader } from './problem.ts'
import { createHandlers, type Handler } from './routes.ts'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | undefined
    /** What an act was about, once its handler knows: which token was made, whose request was approved. */
    about: string | undefined
  }
  interface FastifyContextConfig {
    operationId?: RouteId
    /** One of the dashboard, which looks by itself who asks. */
    page?: true
  }
}

type RouteId = OperationId | HookOperationId

const routed: Readonly<Record<RouteId, Operation>> = { ...operations, ...hookOperations }

/** Longer path parameters than any name, id or instance. */
const paramCharsMax = 400

/** The application behind the fast lane: every route of the contract, all checks, every error as problem+json. */
export async function createApp(context: ServerContext): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: context.limits.bodyBytesMax,
    genReqId: context.nextRequestId,
    requestIdHeader: false,
    // The contract has `/` for whoever shows a token; a browser shows none and asks for a page.
    rewriteUrl: (request) =>
      wantsPage(request) ? `${overviewPath}${(request.url ?? '/').slice(1)}` : (request.url ?? '/'),
    routerOptions: { maxParamLength: paramCharsMax },
    frameworkErrors: (error, request, reply) => {
      prepareReply(context, request, reply)
      sendProblem(context, request, reply, refusalOf(error, context))
    },
  })
  app.decorateRequest('caller', undefined)
  app.decorateRequest('about', undefined)
  app.removeAllContentTypeParsers()
  for (const type of ['application/json', cloudEventsType])
    app.addContentTypeParser(
      type,
      { parseAs: 'string' },
      async (_request: FastifyRequest, text: string | Buffer) =>
        text === '' ? undefined : parseJson(String(text)),
    )
  addChecks(app, context)
  const refusalFor = (thrown: unknown, request: FastifyRequest): Refusal => {
    const refusal = refusalOf(thrown, context)
    if (problemStatus(refusal) === 500) logFault(context, request, refusal, thrown)
    return refusal
  }
  app.setErrorHandler((thrown, request, reply) => {
    sendProblem(context, request, reply, refusalFor(thrown, request))
  })
  app.setNotFoundHandler((request, reply) => sendProblem(context, request, reply, refuseRoute(request)))
  const handlers = createHandlers(context)
  for (const id of Object.keys(operations) as OperationId[]) addRoute(app, context, id, handlers[id])
  for (const [id, handler] of Object.entries(hookHandlers(context)))
    addRoute(app, context, id as HookOperationId, handler)
  await addDashboard(app, context, { refusalOf: refusalFor })
  await app.ready()
  return app
}

function addRoute(app: FastifyInstance, context: ServerContext, id: RouteId, handler: Handler): void {
  const operation = routed[id]

  app.route({
    method: operation.method,
    url: operation.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    exposeHeadRoute: hasHead(operation),
    config: { operationId: id },
    handler: traced(context, id, async (request, reply) => {
      refuseQuery(request, operation)
      const { caller } = request
      if (caller === undefined) throw new KeyturnError('internal', 'a request came past the checks')
      const isAct = operation.method === 'POST' || operation.method === 'DELETE'
      if (isAct) {
        await context.audited.act(askedOf(context, request), 'asked')
        // As for a hand-out: taken back while the row was written.
        if (!context.auth.isLive(caller)) throw unauthenticated()
      }
      const answer: unknown = await handler({
        request,
        reply,
        name: credentialOf(request) ?? '',
        caller,
        actor: { name: caller.name },
      })
      // It is done, and that it was asked for is written down: nobody would be helped by an error now.
      if (isAct) await written(context, request, reply.statusCode)
      return answer
    }),
  })
}

type Answer = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Asked all the time by what watches the service. */
const untraced: ReadonlySet<RouteId> = new Set(['getHealth', 'getReadiness', 'getMetrics'])

/** Behind the checks: nobody who is not let in begins a trace, or has one sampled. */
function traced(context: ServerContext, id: RouteId, answer: Answer): Answer {
  const { tracer } = context
  if (tracer === undefined || untraced.has(id)) return answer
  const { method, path } = routed[id]
  return async (request, reply) => {
    const credential = credentialOf(request)
    const span = {
      operation: id,
      method,
      route: path,
      requestId: request.id,
      headers: request.headers,
      ...(credential === undefined ? {} : { credential }),
    }
    const statusOf = (thrown: unknown): number =>
      thrown === undefined ? reply.statusCode : problemStatus(refusalOf(thrown, context))
    return await tracer.request(span, () => answer(request, reply), statusOf)
  }
}

/** An answer that was remembered may be a refusal; it did not come by the way of errors. */
async function written(context: ServerContext, request: FastifyRequest, status: number): Promise<void> {
  const asked = askedOf(context, request)
  const { audited } = context
  const row = status < 400 ? audited.act(asked, 'done') : audited.refusal(asked, { code: 'repeated', status })
  await row?.catch(() => undefined)
}

/** A stream has no length and no end, so there is nothing that HEAD could tell of it. */
function hasHead(operation: Operation): boolean {
  return operation.method === 'GET' && operation.mediaType !== 'text/event-stream'
}

function addChecks(app: FastifyInstance, context: ServerContext): void {
  const { checks, metrics } = context
  app.addHook('onRequest', (request, reply, done) => {
    prepareReply(context, request, reply)
    const refusal = checks.refuseTransport(request.raw)
    if (refusal !== undefined) return sendProblem(context, request, reply, refusal)
    const { operationId: id, page } = request.routeOptions.config
    if (page === true) return done()
    // Said here and not by the handler of unknown routes: on the way there Fastify looks at the body of some methods.
    if (id === undefined) return sendProblem(context, request, reply, refuseRoute(request))
    const settle = (admission: Admission): void => {
      request.caller = admission.caller
      if (admission.kind === 'refused') return sendProblem(context, request, reply, admission.refusal)
      done()
    }
    const admission = checks.admit(request.raw, routed[id], credentialOf(request))
    if (!(admission instanceof Promise)) return settle(admission)
    const fail = (thrown: unknown): void => done(toKeyturnError(thrown, 'finding out who asks'))
    admission.then(settle, fail)
  })
  // Not `onResponse`: for that hook Fastify keeps request and reply alive until the answer ends, which a stream never does.
  app.addHook('onSend', (request, reply, payload, done) => {
    const { operationId, page } = request.routeOptions.config
    metrics.count(operationId ?? (page === true ? 'dashboard' : 'none'), reply.statusCode)
    done(null, payload)
  })
}

function prepareReply(context: ServerContext, request: FastifyRequest, reply: FastifyReply): void {
  reply.header(requestIdHeader, request.id)
  reply.header('cache-control', 'no-store')
  reply.header('x-content-type-options', 'nosniff')
  if (context.isStopping()) reply.header('connection', 'close')
}

function credentialOf(request: FastifyRequest): string | undefined {
  return (request.params as Readonly<Record<string, string | undefined>> | undefined)?.['name']
}

function refuseQuery(request: FastifyRequest, operation: Operation): void {
  const known: readonly string[] = operation.query ?? []
  const unknown = Object.keys(request.query as object).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new KeyturnError('bad_request', `There is no parameter ${showName(unknown)} here.`, {
    fix: 'GET /openapi.json lists the parameters of each route.',
  })
}

function refuseRoute(request: FastifyRequest): Refusal {
  const path = request.url.split('?', 1)[0] ?? ''
  const allowed = new Set<string>()
  for (const operation of Object.values<Operation>(operations))
    if (isPathOf(operation, path)) {
      allowed.add(operation.method)
      if (hasHead(operation)) allowed.add('HEAD')
    }
  if (allowed.size === 0)
    return {
      error: new KeyturnError('not_found', 'There is no such route.', {
        fix: 'GET /openapi.json lists the routes.',
      }),
    }
  const allow = [...allowed].sort().join(', ')
  return {
    error: new KeyturnError('method_not_allowed', 'This route does not take this method.', {
      fix: `Use ${allow}.`,
    }),
    headers: { allow },
  }
}

function isPathOf(operation: Operation, path: string): boolean {
  const parts = path.split('/')
  const wanted = operation.path.split('/')
  return (
    parts.length === wanted.length &&
    wanted.every((part, index) => (part.startsWith('{') ? parts[index] !== '' : part === parts[index]))
  )
}

/** Fastify's own errors by their codes; their messages may quote what was sent, so none is passed on. */
function refusalOf(thrown: unknown, context: ServerContext): Refusal {
  if (thrown instanceof KeyturnError) return { error: thrown }
  const { code, statusCode } = (thrown ?? {}) as { readonly code?: unknown; readonly statusCode?: unknown }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return { error: bodyTooLarge(context.limits) }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return { error: wrongType() }
  const isTheirs = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  if (!isTheirs) return { error: toKeyturnError(thrown, 'Keyturn failed to answer') }
  return {
    error: new KeyturnError('bad_request', 'The request is malformed.', {
      fix: 'Check the encoding of the URL and the length of the body.',
    }),
    status: statusCode === 414 ? 414 : 400,
  }
}

/** A refusal is written down before it leaves, like what it refuses. */
function sendProblem(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
): void {
  const send = (refused: Refusal): void => {
    void reply
      .code(problemStatus(refused))
      .headers(problemHeaders(refused, request.id))
      // As bytes: to text Fastify would add a charset, which this media type does not have.
      .send(Buffer.from(problemBody(refused, request.id)))
  }
  const { code } = refusal.error
  const facts = { code, status: problemStatus(refusal) }
  const written =
    code === 'audit_unavailable' ? undefined : context.audited.refusal(askedOf(context, request), facts)
  if (written === undefined) send(refusal)
  else
    written.then(
      () => send(refusal),
      (thrown: unknown) => send({ error: toKeyturnError(thrown, 'writing the audit row') }),
    )
}

function askedOf(context: ServerContext, request: FastifyRequest): Asked {
  const params = (request.params ?? {}) as Readonly<Record<string, string | undefined>>
  const { name, version, id, instance } = params
  const about = request.about ?? id ?? instance
  return {
    action: request.routeOptions.config.operationId ?? 'none',
    caller: request.caller,
    ...(name !== undefined && context.service.names.includes(name) ? { credential: name } : {}),
    ...(version !== undefined && versionIdPattern.test(version) ? { version } : {}),
    ...(about === undefined ? {} : { about }),
    ...(isRepeatable(request) ? { isRepeatable: true } : {}),
    requestId: request.id,
    raw: request.raw,
  }
}

/** Apps do these as often as they like, and must not fill the journal with it. */
function isRepeatable(request: FastifyRequest): boolean {
  const { operationId } = request.routeOptions.config
  if (operationId !== 'dropLease') return operationId === 'reportRejection'
  return request.caller !== undefined && isOwnEnd(request, request.caller)
}

function logFault(context: ServerContext, request: FastifyRequest, refusal: Refusal, thrown: unknown): void {
  context.log('error', 'a request failed', {
    requestId: request.id,
    operation: request.routeOptions.config.operationId ?? 'none',
    error: refusal.error,
    thrown,
  })
}
