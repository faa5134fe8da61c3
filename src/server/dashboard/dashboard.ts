import type { FastifyInstance, FastifyRequest } from 'fastify'
import { KeyturnError } from '../../core/errors.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus, type Refusal } from '../problem.ts'
import { every } from '../ticker.ts'
import { addActs } from './act-routes.ts'
import { parseForm } from './form.ts'
import { pageHeaders } from './layout.ts'
import { liveScript } from './live-script.ts'
import { addLooks } from './look-routes.ts'
import { addOidc } from './oidc-routes.ts'
import { isLoadedElsewhere } from './origins.ts'
import { createSessions, type Session } from './sessions.ts'
import { addSignIn } from './sign-in-routes.ts'
import { createSignedOut, lookEveryMs } from './signed-out.ts'
import { icon, style } from './style.ts'
import { createVisits } from './visits.ts'

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
  const { system, audited, log, changes } = context
  const { sessionSecret, documents } = context.dashboard
  const secret = sessionSecret ?? system.bytes(32)
  const signedOut = createSignedOut({
    documents: sessionSecret === undefined ? undefined : documents,
    system,
    log,
  })
  const sessions = createSessions({ secret, system, signedOut })
  const visits = createVisits(context, { sessions, signedOut })
  const end = async (session: Session): Promise<void> => {
    const told = signedOut.add(session)
    changes.dismiss()
    await told
  }
  // Pages that are open ask for nothing by themselves, and whoever signed out here may be the last to have asked.
  const stopLooking = every(system, lookEveryMs, () => {
    if (changes.count > 0 || signedOut.isOwing) void signedOut.look().then(() => changes.dismiss())
  })
  app.addHook('onClose', (_app, done) => {
    stopLooking()
    done()
  })
  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      async (_request: FastifyRequest, text: string | Buffer) => parseForm(String(text)),
    )
    scope.addHook('onRequest', (request, reply, done) => {
      reply.headers(pageHeaders)
      // Another port of the same host is the same site: its pages would have the browser send the session along.
      done(isLoadedElsewhere(request.raw) ? loadedElsewhere() : undefined)
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
    addSignIn(scope, context, { sessions, end }, visits)
    addOidc(scope, context, { secret, sessions })
    addLooks(scope, context, visits)
    addActs(scope, context, visits)
  })
}

function loadedElsewhere(): KeyturnError {
  return new KeyturnError('forbidden', 'The dashboard is not loaded into pages of other sites.', {
    fix: 'Open its address itself.',
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
