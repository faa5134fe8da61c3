import type { FastifyInstance, FastifyRequest } from 'fastify'
import { KeyturnError, toKeyturnError } from '../../core/errors.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus } from '../problem.ts'
import { cookieLine, readCookie } from './cookies.ts'
import { callbackPath, createOidc, type Journey, journeyMs } from './oidc.ts'
import { isPrivate, ownPath } from './origins.ts'
import { createSealer, sealedCharsMax } from './sealing.ts'
import type { Sessions } from './sessions.ts'
import { onwards } from './sign-in.ts'
import { mayNotLook, showSignIn } from './sign-in-routes.ts'
import { sendPage } from './visits.ts'

const config = { page: true } as const

/** Signing in at the issuer that the configuration names. What people may is said by the rules for web tokens. */
export function addOidc(
  scope: FastifyInstance,
  context: ServerContext,
  { secret, sessions }: { readonly secret: Uint8Array; readonly sessions: Sessions },
): void {
  const { system, audited, checks, log, dashboard } = context
  if (dashboard.oidc === undefined) return
  const oidc = createOidc(dashboard.oidc)
  const sealer = createSealer({ secret, purpose: 'journey 1', system })

  scope.get('/signin/issuer', { config, exposeHeadRoute: false }, async (request, reply) => {
    if (!isPrivate(request.raw)) return showSignIn(context, { request, reply, next: '/', status: 403 })
    const { next } = request.query as { readonly next?: unknown }
    try {
      const { url, journey } = await oidc.begin(
        ownPath(typeof next === 'string' ? next : undefined),
        system.now(),
      )
      const line = cookieLine(request.raw, 'keyturn-journey', sealer.seal(journey))
      return await reply.header('set-cookie', line).redirect(url, 303)
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError)) throw thrown
      log('warn', 'the issuer of the dashboard cannot be asked', { error: thrown })
      const status = problemStatus({ error: thrown })
      return showSignIn(context, { request, reply, next: '/', problem: thrown, status })
    }
  })

  /** Counted as a failure ahead: the issuer is asked for few who turn out to be nobody, or it may have enough of us. */
  const redeem = async (request: FastifyRequest, journey: Journey): Promise<string> => {
    const { raw } = request
    const question = request.url.indexOf('?')
    try {
      const idToken = await oidc.finish(question < 0 ? '' : request.url.slice(question), journey)
      checks.forgiveAttempt(raw)
      return idToken
    } catch (thrown) {
      const error = toKeyturnError(thrown, 'asking the issuer')
      if (error.retryable) checks.forgiveAttempt(raw)
      throw error
    }
  }

  scope.get(callbackPath, { config, exposeHeadRoute: false }, async (request, reply) => {
    const { raw } = request
    if (!isPrivate(raw)) return showSignIn(context, { request, reply, next: '/', status: 403 })
    reply.header('set-cookie', cookieLine(raw, 'keyturn-journey', ''))
    const journey = sealer.open(readCookie(raw, 'keyturn-journey') ?? '') as Journey | undefined
    let isAsked = false
    try {
      if (journey === undefined || system.now() >= journey.startedAt + journeyMs) throw strayed()
      const tooOften = checks.refuseAttempt(raw)
      if (tooOften !== undefined) throw tooOften
      isAsked = true
      const idToken = await redeem(request, journey)
      const admission = await checks.identify(raw, idToken)
      if (admission.kind === 'refused') {
        const { error } = admission.refusal
        throw error.code === 'unauthenticated' ? unruled() : error
      }
      const { caller } = admission
      if (!caller.may('dashboard')) throw mayNotLook()
      request.caller = caller
      const sealed = sessions.seal(sessions.begin(caller.id, idToken))
      if (sealed.length > sealedCharsMax) throw tooLarge()
      await audited.act({ action: 'signIn', caller, requestId: request.id, raw }, 'done')
      reply.header('set-cookie', cookieLine(raw, 'keyturn', sealed))
      // Not a redirect: whoever comes from the issuer would be sent on without the cookie.
      return sendPage(reply, 200, onwards(journey.next))
    } catch (thrown) {
      if (!(thrown instanceof KeyturnError)) throw thrown
      const status = problemStatus({ error: thrown })
      // Anybody can come back who never left: what the issuer was not asked about makes no log long.
      log(isAsked ? 'info' : 'debug', 'nobody was signed in by the issuer', {
        requestId: request.id,
        error: thrown,
      })
      const asked = { action: 'signIn', caller: request.caller, requestId: request.id, raw }
      await audited.refusal(asked, { code: thrown.code, status })
      return showSignIn(context, { request, reply, next: '/', problem: thrown, status })
    }
  })
}

function strayed(): KeyturnError {
  return new KeyturnError('forbidden', 'This way back does not belong to a way there from this browser.', {
    fix: 'Begin again; it has to be ended within ten minutes, in the same browser.',
  })
}

function unruled(): KeyturnError {
  return new KeyturnError('forbidden', 'The issuer knows you, and no rule here names you.', {
    fix: 'Add a rule under access.jwt whose issuer, audience (the client id) and claims fit; the log says what nearly fitted.',
  })
}

function tooLarge(): KeyturnError {
  return new KeyturnError('payload_too_large', 'The ID token is too large for a cookie.', {
    fix: 'Let the issuer put fewer claims into it: only the groups that the rules name, for example.',
  })
}
