import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { KeyturnError } from '../../core/errors.ts'
import type { Caller } from '../auth/caller.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus } from '../problem.ts'
import { cookieLine, readCookie } from './cookies.ts'
import { formOf } from './form.ts'
import { page } from './layout.ts'
import { isOwnPage, isPrivate, ownPath } from './origins.ts'
import type { Session, Sessions } from './sessions.ts'
import { type Ended, signInBody } from './sign-in.ts'
import { notOurs, sendPage, type Visits } from './visits.ts'

const config = { page: true } as const

/** Signing in with a token, and out. */
export function addSignIn(
  scope: FastifyInstance,
  context: ServerContext,
  { sessions, end }: { readonly sessions: Sessions; readonly end: (session: Session) => Promise<void> },
  visits: Visits,
): void {
  const { checks, audited } = context
  scope.get('/signin', { config }, async (request, reply) => {
    const { next, ended } = request.query as { readonly next?: unknown; readonly ended?: unknown }
    const path = ownPath(typeof next === 'string' ? next : undefined)
    if ((await visits.signedIn(request)) !== undefined) return reply.redirect(path, 303)
    // A session that is none any more, or a form that came after it.
    const hadSession = (readCookie(request.raw, 'keyturn') ?? '') !== ''
    const why = ended === 'form' ? ended : hadSession ? 'session' : undefined
    return showSignIn(context, { request, reply, next: path, ended: why })
  })
  scope.post('/signin', { config }, async (request, reply) => {
    if (!isOwnPage(request.raw)) throw notOurs()
    if (!isPrivate(request.raw)) return showSignIn(context, { request, reply, next: '/', status: 403 })
    const form = formOf(request.body)
    const next = ownPath(form.get('next'))
    const admission = await checks.identify(request.raw, form.get('token')?.trim() ?? '')
    const { caller } = admission
    const refused = admission.kind === 'refused' ? admission.refusal.error : undefined
    const problem = refused ?? refuseLook(caller)
    const asked = { action: 'signIn', caller, requestId: request.id, raw: request.raw }
    if (problem !== undefined || caller === undefined) {
      const error = problem ?? mayNotLook()
      const status = problemStatus({ error })
      await audited.refusal(asked, { code: error.code, status })
      const shown = error.code === 'unauthenticated' ? unknownToken() : error
      return showSignIn(context, { request, reply, next, problem: shown, status })
    }
    await audited.act(asked, 'done')
    const session = sessions.begin(caller.id)
    return reply
      .header('set-cookie', cookieLine(request.raw, 'keyturn', sessions.seal(session)))
      .redirect(next, 303)
  })
  scope.post(
    '/signout',
    { config },
    visits.send(async ({ request, reply, session, caller }) => {
      await end(session)
      await audited.act({ action: 'signOut', caller, requestId: request.id, raw: request.raw }, 'done')
      return reply.header('set-cookie', cookieLine(request.raw, 'keyturn', '')).redirect('/signin', 303)
    }),
  )
}

export function showSignIn(
  { isSandbox, version, dashboard, system }: ServerContext,
  shown: {
    readonly request: FastifyRequest
    readonly reply: FastifyReply
    readonly next: string
    readonly ended?: Ended | undefined
    readonly problem?: KeyturnError
    readonly status?: number
  },
): unknown {
  const { request, reply, next, ended, problem, status = 200 } = shown
  const body = signInBody({
    next,
    ended,
    isPrivate: isPrivate(request.raw),
    issuer: dashboard.oidc?.issuer,
    ...(problem === undefined ? {} : { problem }),
  })
  return sendPage(reply, status, page({ title: 'Sign in', body, now: system.now(), isSandbox, version }))
}

/** Web tokens are signed in with at their issuer: pasted, one of an app would make a session. */
function refuseLook(caller: Caller | undefined): KeyturnError | undefined {
  return caller?.kind === 'token' && caller.may('dashboard') ? undefined : mayNotLook()
}

function unknownToken(): KeyturnError {
  return new KeyturnError('unauthenticated', 'This token is not known here, was revoked, or has expired.', {
    fix: 'Make one with: keyturn token create NAME --role operator',
  })
}

export function mayNotLook(): KeyturnError {
  return new KeyturnError('forbidden', 'Whoever this is may not look at the dashboard.', {
    fix: 'Use an operator token, one that was made with --grant dashboard, or a rule of access.jwt that grants it.',
  })
}
