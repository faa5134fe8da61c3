import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { KeyturnError } from '../../core/errors.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus, type Refusal } from '../problem.ts'
import { addActs } from './act-routes.ts'
import { setSession } from './cookies.ts'
import { formOf, parseForm } from './form.ts'
import { page, pageHeaders } from './layout.ts'
import { liveScript } from './live-script.ts'
import { addLooks } from './look-routes.ts'
import { isOwnPage, isPrivate, ownPath } from './origins.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { signInBody } from './sign-in.ts'
import { icon, style } from './style.ts'
import { createVisits, notOurs, sendPage, type Visits } from './visits.ts'

export interface DashboardRefusals {
  /** The error as the server tells it: with its status, and written into the log where it is a fault. */
  readonly refusalOf: (thrown: unknown, request: FastifyRequest) => Refusal
}

/**
 * The pages for people. They are no part of the contract: what they do is what the API does, by the same checks, as the
 * holder of the token that the session began with. Their cookie counts here, and for nothing under /v1.
 */
export async function addDashboard(
  app: FastifyInstance,
  context: ServerContext,
  { refusalOf }: DashboardRefusals,
): Promise<void> {
  const { system, audited } = context
  const sessions = createSessions({ secret: context.sessionSecret ?? system.bytes(32), system })
  const visits = createVisits(context, sessions)
  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      async (_request: FastifyRequest, text: string | Buffer) => parseForm(String(text)),
    )
    scope.addHook('onRequest', (_request, reply, done) => {
      reply.headers(pageHeaders)
      done()
    })
    scope.setErrorHandler(async (thrown, request, reply) => {
      const refusal = refusalOf(thrown, request)
      const { code } = refusal.error
      const asked = { action: 'dashboard', caller: request.caller, requestId: request.id, raw: request.raw }
      // Who cannot be written down is told all the same that it was refused: nothing was done.
      await audited.refusal(asked, { code, status: problemStatus(refusal) })?.catch(() => undefined)
      return visits.refuse(request, reply, refusal)
    })
    addAssets(scope)
    addSignIn(scope, context, sessions, visits)
    addLooks(scope, context, visits)
    addActs(scope, context, visits)
  })
}

function addAssets(scope: FastifyInstance): void {
  const assets = [
    ['/assets/style.css', 'text/css; charset=utf-8', style],
    ['/assets/live.js', 'text/javascript; charset=utf-8', liveScript],
    ['/assets/icon.svg', 'image/svg+xml', icon],
  ] as const
  for (const [path, type, text] of assets)
    scope.get(path, { config: { page: true } }, (_request, reply) =>
      reply.type(type).header('cache-control', 'private, max-age=60').send(text),
    )
}

function addSignIn(scope: FastifyInstance, context: ServerContext, sessions: Sessions, visits: Visits): void {
  const { checks, audited, isSandbox, version } = context
  const show = (
    request: FastifyRequest,
    reply: FastifyReply,
    shown: { readonly next: string; readonly problem?: KeyturnError; readonly status?: number },
  ): unknown => {
    const { next, problem, status = 200 } = shown
    const body = signInBody({
      next,
      isPrivate: isPrivate(request.raw),
      ...(problem === undefined ? {} : { problem }),
    })
    return sendPage(reply, status, page({ title: 'Sign in', body, isSandbox, version }))
  }
  scope.get('/signin', { config: { page: true } }, async (request, reply) => {
    const { next } = request.query as { readonly next?: unknown }
    const path = ownPath(typeof next === 'string' ? next : undefined)
    return visits.signedIn(request) === undefined
      ? show(request, reply, { next: path })
      : reply.redirect(path, 303)
  })
  scope.post('/signin', { config: { page: true } }, async (request, reply) => {
    if (!isOwnPage(request.raw)) throw notOurs()
    if (!isPrivate(request.raw)) return show(request, reply, { next: '/', status: 403 })
    const form = formOf(request.body)
    const next = ownPath(form.get('next'))
    const admission = await checks.identify(request.raw, form.get('token')?.trim() ?? '')
    const { caller } = admission
    const asked = { action: 'signIn', caller, requestId: request.id, raw: request.raw }
    const problem =
      admission.kind === 'refused'
        ? admission.refusal.error
        : caller?.kind !== 'token' || !caller.may('dashboard')
          ? mayNotLook()
          : undefined
    if (problem !== undefined || caller === undefined) {
      const error = problem ?? mayNotLook()
      const status = problemStatus({ error })
      await audited.refusal(asked, { code: error.code, status })
      const shown = error.code === 'unauthenticated' ? unknownToken() : error
      return show(request, reply, { next, problem: shown, status })
    }
    await audited.act(asked, 'done')
    return reply
      .header('set-cookie', setSession(request.raw, sessions.seal(sessions.begin(caller.id))))
      .redirect(next, 303)
  })
  scope.post(
    '/signout',
    { config: { page: true } },
    visits.send(async ({ request, reply, session, caller }) => {
      sessions.end(session)
      await audited.act({ action: 'signOut', caller, requestId: request.id, raw: request.raw }, 'done')
      return reply.header('set-cookie', setSession(request.raw, '')).redirect('/signin', 303)
    }),
  )
}

function unknownToken(): KeyturnError {
  return new KeyturnError('unauthenticated', 'This token is not known here, was revoked, or has expired.', {
    fix: 'Make one with: keyturn token create --role operator',
  })
}

function mayNotLook(): KeyturnError {
  return new KeyturnError('forbidden', 'This token may not look at the dashboard.', {
    fix: 'Use an operator token, or one that was made with --grant dashboard.',
  })
}
