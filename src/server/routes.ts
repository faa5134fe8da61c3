import type { FastifyReply, FastifyRequest } from 'fastify'
import { openApiDocument } from '../api/openapi.ts'
import type { OperationId } from '../api/operations.ts'
import { type Readiness, routes, type TokenAnswer } from '../api/types.ts'
import * as bodies from '../api/validators.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { credentialNamePattern, versionIdPattern } from '../core/types.ts'
import type { Actor } from '../engine/service.ts'
import { alertHandlers } from './alert-routes.ts'
import { approvalHandlers } from './approval-routes.ts'
import { auditHandlers } from './audit-routes.ts'
import { type Found, isUnjudged } from './auth/authenticator.ts'
import { type Caller, covers } from './auth/caller.ts'
import type { ServerContext } from './context.ts'
import { eventsRoute, handOutRoute } from './credential-routes.ts'
import { formatFor, metricsTypes } from './exposition.ts'
import { isForwarded } from './forwarded.ts'
import type { Answer } from './idempotency.ts'
import { parseBody, showName } from './json-body.ts'
import { isOwnEnd } from './own-end.ts'
import { problemBody, problemStatus, problemType } from './problem.ts'
import { reportHandlers } from './reports.ts'
import { seesAll, summariesFor } from './shown.ts'
import { beyondMaker } from './token-plans.ts'

/** One request that has passed all checks. */
export interface Call {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** The credential in the path; empty where the route has none. */
  readonly name: string
  readonly caller: Caller
  readonly actor: Actor
}

export type Handler = (call: Call) => unknown

/** What each operation of the contract does. The compiler sees to it that none is missing. */
export function createHandlers(context: ServerContext): Readonly<Record<OperationId, Handler>> {
  return {
    getCredential: handOutRoute(context),
    streamEvents: eventsRoute(context),
    ...credentialHandlers(context),
    ...rotationHandlers(context),
    ...reportHandlers(context),
    ...auditHandlers(context),
    ...alertHandlers(context),
    ...leaseHandlers(context),
    ...approvalHandlers(context),
    ...tokenHandlers(context),
    ...processHandlers(context),
  }
}

function credentialHandlers(context: ServerContext) {
  const { service, approvals } = context
  return {
    listCredentials: async ({ request, reply, caller }) => {
      const asked = namesAsked(request)
      const pieces: string[] = []
      for await (const some of summariesFor(context, caller, (name) => asked?.has(name) !== false))
        pieces.push(JSON.stringify(some).slice(1, -1))
      // Text that is made already: to make it at once of thousands would hold everybody up.
      return reply.type('application/json; charset=utf-8').send(`{"items":[${pieces.join(',')}]}`)
    },
    reportRejection: async ({ request, name, actor }) =>
      service.report(name, parseBody(bodies.rejectionReport, request.body, true), actor),
    listVersions: async ({ name }) => ({ items: await service.versions(name) }),
    bringVersion: async ({ request, reply, name, actor }) => {
      const version = await service.bring(name, parseBody(bodies.bringRequest, request.body, true), actor)
      return reply.code(201).send(version)
    },
    verifyCredential: async ({ request, name, actor }) => {
      refuseBody(request)
      return service.verify(name, actor)
    },
    rollBack: async ({ request, name, actor }) =>
      service.rollback(name, parseBody(bodies.rollbackRequest, request.body, false), actor),
    revokeVersion: async ({ request, reply, name, caller, actor }) => {
      const version = param(request, 'version')
      if (!versionIdPattern.test(version)) throw notFound('version')
      const body = parseBody(bodies.revocationRequest, request.body, false)
      await approvals.need(name, { kind: 'revocation', version, request: body }, caller)
      return reply.code(202).send(await service.revoke(name, version, body, actor))
    },
  } satisfies Partial<Record<OperationId, Handler>>
}

/** Undefined: all of them. */
function namesAsked(request: FastifyRequest): ReadonlySet<string> | undefined {
  const { names } = request.query as { readonly names?: unknown }
  if (names === undefined) return undefined
  if (typeof names === 'string' && names.split(',').every((name) => credentialNamePattern.test(name)))
    return new Set(names.split(','))
  throw new KeyturnError('bad_request', 'The parameter `names` is not usable.', {
    fix: 'Send names of credentials with commas between, e.g. names=openai,openai-eval.',
  })
}

function rotationHandlers(context: ServerContext) {
  const { service } = context
  const act =
    (what: 'pause' | 'resume' | 'abort'): Handler =>
    async ({ request, name, actor }) => {
      refuseBody(request)
      return service.actOnRotation(name, rotationId(request), what, actor)
    }
  return {
    listRotations: async ({ name }) => ({ items: await service.rotations(name) }),
    startRotation: startRotation(context),
    getRotation: async ({ request, name }) => service.rotation(name, rotationId(request)),
    pauseRotation: act('pause'),
    resumeRotation: act('resume'),
    abortRotation: act('abort'),
  } satisfies Partial<Record<OperationId, Handler>>
}

function startRotation({ service, once, approvals }: ServerContext): Handler {
  return async ({ request, reply, name, caller, actor }) => {
    const body = parseBody(bodies.rotationRequest, request.body, false)
    if (body.mode === 'emergency') await approvals.need(name, { kind: 'emergency', request: body }, caller)
    const key = idempotencyKey(request)
    const work = async (): Promise<Answer> => {
      const rotation = await service.rotate(name, body, actor)
      return { status: 202, body: JSON.stringify(rotation), isRetryable: false }
    }
    const answer =
      key === undefined
        ? await work()
        : await once({ scope: `${caller.id} ${name}`, key, content: JSON.stringify(body) }, () =>
            work().catch((thrown: unknown) => refusedAnswer(thrown, request.id)),
          )
    if (answer.status !== 202)
      return reply.code(answer.status).type(problemType).send(Buffer.from(answer.body))
    const { id } = JSON.parse(answer.body) as { readonly id: string }
    return reply
      .code(202)
      .header('location', routes.rotation(name, id))
      .type('application/json; charset=utf-8')
      .send(answer.body)
  }
}

function refusedAnswer(thrown: unknown, requestId: string): Answer {
  const error = toKeyturnError(thrown, 'starting a rotation')
  const status = problemStatus({ error })
  return { status, body: problemBody({ error }, requestId), isRetryable: error.retryable || status >= 500 }
}

function leaseHandlers({ service, streams, leases }: ServerContext) {
  return {
    getBlastRadius: async ({ request, name }) => {
      const { version } = request.query as { readonly version?: unknown }
      if (version !== undefined && (typeof version !== 'string' || !versionIdPattern.test(version)))
        throw notFound('version')
      return service.blastRadius(name, version, streams.listening(name))
    },
    listLeases: async ({ name, caller }) => {
      const items = await service.leases(name)
      return { items: seesAll(caller, name) ? items : items.filter(({ app }) => app === caller.name) }
    },
    dropLease: async ({ request, reply, name, caller, actor }) => {
      const instance = param(request, 'instance')
      if (isOwnEnd(request, caller)) await leases.end(name, instance, caller)
      else await service.dropLease(name, instance, actor)
      return reply.code(204).send()
    },
  } satisfies Partial<Record<OperationId, Handler>>
}

function tokenHandlers({ tokens, service, auth }: ServerContext) {
  /** Rules go by the name, so that who chooses the name chooses what they give. */
  const refuseBeyond = (name: string, caller: Caller): void => {
    const ruled = auth.ruledGrants?.(name)
    if (ruled !== undefined && !covers(caller, ruled)) throw beyondMaker(name)
  }
  return {
    listTokens: () => ({ items: tokens.list() }),
    createToken: async ({ request, reply, caller }) => {
      const body = parseBody(bodies.tokenRequest, request.body, true)
      const { role = 'app', grants = ['read'] } = body
      const isForReading = role === 'app' && grants.includes('read')
      const internal = isForReading ? body.credentials?.find((name) => service.isInternal(name)) : undefined
      if (internal !== undefined) throw ungrantable(internal)
      refuseBeyond(body.name, caller)
      return reply.code(201).send(told(request, await tokens.create(body, caller)))
    },
    rotateToken: async ({ request, reply, caller }) => {
      const body = parseBody(bodies.tokenRotationRequest, request.body, true)
      refuseBeyond(body.name, caller)
      return reply.code(201).send(told(request, await tokens.rotate(body, caller)))
    },
    revokeToken: async ({ request, reply }) => {
      if (!(await tokens.revoke(param(request, 'id')))) throw notFound('token')
      return reply.code(204).send()
    },
  } satisfies Partial<Record<OperationId, Handler>>
}

/** Names are chosen by who makes the token: without its id nobody could tell later whose it was. */
function told(request: FastifyRequest, made: TokenAnswer): TokenAnswer {
  request.about = `${made.id} ${made.name}`
  return made
}

function processHandlers(context: ServerContext) {
  const { service, auth, metrics, version, isSandbox } = context
  let openApi: string | undefined
  return {
    getInventory: () => service.inventory(),
    getHealth: () => ({ status: 'ok' }),
    getReadiness: async ({ request, reply }) => {
      if (context.isStopping())
        throw new KeyturnError('stopping', 'Keyturn is stopping.', {
          fix: 'Ask another replica.',
          retryable: true,
        })
      const readiness = service.readiness()
      const { authorization } = request.headers
      const { socket, rawHeaders } = request.raw
      const caller = await auth.authenticate({
        authorization,
        socket,
        isPassedOn: () => isForwarded(rawHeaders),
      })
      const credentials = namedTo(caller, readiness)
      const isUp = isOfReplica(request) ? readiness.isInService : readiness.ready
      return reply.code(isUp ? 200 : 503).send({ ...readiness, credentials })
    },
    getMetrics: async ({ request, reply }) => {
      const format = formatFor(request.headers.accept)
      return reply.type(metricsTypes[format]).send(await metrics.render(format))
    },
    getOpenApi: ({ reply }) => {
      openApi ??= JSON.stringify(openApiDocument(version))
      return reply.type('application/json; charset=utf-8').send(openApi)
    },
    getIndex: ({ reply }) => reply.type('text/plain; charset=utf-8').send(indexPage(version, isSandbox)),
  } satisfies Partial<Record<OperationId, Handler>>
}

function isOfReplica(request: FastifyRequest): boolean {
  const { scope } = request.query as { readonly scope?: unknown }
  if (scope === undefined) return false
  if (scope === 'replica') return true
  throw new KeyturnError('bad_request', `The parameter ${showName('scope')} is not usable.`, {
    fix: 'Send ?scope=replica, or no scope for all credentials.',
  })
}

/** Whether all is well is for everybody; which credentials there are is for those who may see them. */
function namedTo(caller: Found, { credentials }: Readiness): Readiness['credentials'] {
  if (caller === undefined || isUnjudged(caller)) return []
  return credentials.filter(
    ({ name, isInternal }) => caller.sees(name) && (!isInternal || seesAll(caller, name)),
  )
}

function indexPage(version: string, isSandbox: boolean): string {
  return [
    `Keyturn ${version}${isSandbox ? ' (sandbox: no key here opens anything at OpenAI)' : ''}`,
    '',
    'Hands out an OpenAI API key that works, and turns it.',
    '',
    'The contract:  /openapi.json',
    'Readiness:     /readyz',
    'A credential:  curl -H "Authorization: Bearer $TOKEN" …/v1/credentials/NAME',
    'The manual:    docs/api.md of the package',
    '',
  ].join('\n')
}

const rotationIdPattern = /^[A-Za-z0-9._-]{1,128}$/

function rotationId(request: FastifyRequest): string {
  const id = param(request, 'id')
  if (!rotationIdPattern.test(id)) throw notFound('rotation')
  return id
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key === 'string' && /^[\x21-\x7e]{1,128}$/.test(key)) return key
  throw new KeyturnError('bad_request', 'The header Idempotency-Key is not usable.', {
    fix: 'Send 1 to 128 visible ASCII characters, e.g. a UUID.',
  })
}

function param(request: FastifyRequest, name: string): string {
  return (request.params as Readonly<Record<string, string>>)[name] ?? ''
}

function refuseBody(request: FastifyRequest): void {
  parseBody(bodies.noBody, request.body, false)
}

function ungrantable(name: string): KeyturnError {
  return new KeyturnError('bad_request', `${name} is internal: no token can read it.`, {
    fix: 'Leave it out; an operator token is enough to turn it and to see how it does.',
  })
}

function notFound(what: string): KeyturnError {
  return new KeyturnError('not_found', `There is no such ${what}.`, {
    fix: `List them first, and use an id from there.`,
  })
}
