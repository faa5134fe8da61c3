import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Operation } from '../../api/operations.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { Asked } from '../audited.ts'
import type { Caller } from '../auth/caller.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus, type Refusal } from '../problem.ts'
import { cookieLine, readCookie } from './cookies.ts'
import { formOf } from './form.ts'
import { type Html, html } from './html.ts'
import { page, problemBox } from './layout.ts'
import { isFromElsewhere, isOwnPage, ownPath } from './origins.ts'
import { isOwnForm, type Session, type Sessions } from './sessions.ts'
import { onwards } from './sign-in.ts'
import type { SignedOut } from './signed-out.ts'

/** A request of somebody who is signed in and may look. */
export interface Visit {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly caller: Caller
  readonly session: Session
  /** Of the page's address; empty where it has none. */
  readonly name: string
}

export interface SignedIn {
  readonly session: Session
  readonly caller: Caller
}

export type Render = (visit: Visit) => Promise<unknown>

/** Everything that comes before a page: who is signed in, what they may, and whether a form is one of ours. */
export interface Visits {
  /** A page for those who hold `dashboard`. */
  look(render: Render): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
  /** A form of such a page. */
  send(render: Render): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
  /** Throws where the API would refuse the operation. */
  demand(visit: Visit, access: Pick<Operation, 'access'>, credential?: string): void
  /** Who is signed in; undefined for nobody, and for who was and is no longer let in. */
  signedIn(request: FastifyRequest): Promise<SignedIn | undefined>
  /** Whether that still counts, without asking anybody. */
  isLive(signedIn: SignedIn, request: FastifyRequest): boolean
  show(
    visit: Visit,
    shown: { readonly title: string; readonly body: Html; readonly live?: string },
    status?: number,
  ): unknown
  /** A page that says what was refused; for whoever asks, signed in or not. */
  refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): Promise<unknown>
}

/** The script's own requests: they keep nobody signed in. */
const liveHeader = 'keyturn-live'
const toLook = { access: 'dashboard' } as const

export function createVisits(
  context: ServerContext,
  { sessions, signedOut }: { readonly sessions: Sessions; readonly signedOut: Pick<SignedOut, 'look'> },
): Visits {
  const { auth, checks, system, isSandbox, takeTurn, version } = context

  const callerOf = async ({ by, idToken }: Session, { raw }: FastifyRequest): Promise<Caller | undefined> =>
    idToken === undefined ? auth.recall?.(by) : checks.recognize(raw, idToken)
  const sessionOf = ({ raw }: FastifyRequest): Session | undefined =>
    sessions.open(readCookie(raw, 'keyturn') ?? '')
  const signedIn: Visits['signedIn'] = async (request) => {
    // Nobody waits for the ledger who has no session anyway.
    if (sessionOf(request) !== undefined) await signedOut.look()
    const session = sessionOf(request)
    const caller = session === undefined ? undefined : await callerOf(session, request)
    return session === undefined || caller?.may('dashboard') !== true ? undefined : { session, caller }
  }
  const demand: Visits['demand'] = ({ caller }, operation, credential) => {
    const admission = checks.judge(caller, operation, credential)
    if (admission.kind !== 'refused') return
    const { error } = admission.refusal
    throw error.code === 'not_found' ? noSuchPage() : error
  }
  const nobody = (request: FastifyRequest, reply: FastifyReply): unknown => {
    // Acts are asked for on the page of their credential: it alone leads to what they are about.
    const path = ownPath(request.url.split('?', 1)[0]?.replace(/(?<=^\/credentials\/[^/]+)\/.*$/, ''))
    const isSent = request.method !== 'GET'
    const isLink = !isSent && isFromElsewhere(request.raw)
    if (isLink) return sendPage(reply, 200, onwards(path))
    const query = new URLSearchParams({
      ...(path === '/' ? {} : { next: path }),
      ...(isSent && path !== '/' ? { ended: 'form' } : {}),
    }).toString()
    return reply.redirect(query === '' ? '/signin' : `/signin?${query}`, 303)
  }
  const visitOf = async (request: FastifyRequest, reply: FastifyReply): Promise<Visit | undefined> => {
    const found = await signedIn(request)
    if (found === undefined) return undefined
    request.caller = found.caller
    const renewed = request.headers[liveHeader] === undefined ? sessions.renewed(found.session) : undefined
    if (renewed !== undefined)
      reply.header('set-cookie', cookieLine(request.raw, 'keyturn', sessions.seal(renewed)))
    const { name = '' } = (request.params ?? {}) as { readonly name?: string }
    const visit = { request, reply, name, ...found }
    demand(visit, toLook)
    return visit
  }
  return {
    signedIn,
    isLive: ({ session, caller }, request) => sessionOf(request)?.id === session.id && auth.isLive(caller),
    demand,
    look: (render) => async (request, reply) => {
      const visit = await visitOf(request, reply)
      if (visit === undefined) return nobody(request, reply)
      // One page is begun at a time.
      await takeTurn()
      return render(visit)
    },
    send: (render) => async (request, reply) => {
      if (!isOwnPage(request.raw)) throw notOurs()
      const visit = await visitOf(request, reply)
      if (visit === undefined) return nobody(request, reply)
      if (!isOwnForm(visit.session, formOf(request.body).get('csrf'))) throw notOurs()
      return render(visit)
    },
    show({ reply, caller, session }, { title, body, live }, status = 200) {
      const mayAudit = context.auditReader !== undefined && caller.may('audit')
      const text = page({
        title,
        body,
        signedIn: { name: caller.name, csrf: session.csrf, mayAudit },
        ...(live === undefined ? {} : { live }),
        now: system.now(),
        isSandbox,
        version,
      })
      return sendPage(reply, status, text)
    },
    async refuse(request, reply, refusal) {
      const found = await signedIn(request)
      const mayAudit = context.auditReader !== undefined && found?.caller.may('audit') === true
      const { error } = refusal
      const status = problemStatus(refusal)
      const title = status >= 500 ? 'It did not work' : status === 404 ? 'Not found' : 'Refused'
      const body = html`<h1>${title}</h1>${problemBox(error)}<p class="hint">Request ${request.id}, code ${error.code}.</p><p><a href="/">To the credentials</a></p>`
      const who =
        found === undefined
          ? {}
          : { signedIn: { name: found.caller.name, csrf: found.session.csrf, mayAudit } }
      return sendPage(reply, status, page({ title, body, ...who, now: system.now(), isSandbox, version }))
    },
  }
}

export function sendPage(reply: FastifyReply, status: number, text: string): unknown {
  return reply.code(status).type('text/html; charset=utf-8').send(text)
}

/** What of a request goes into the audit. */
export function askedBy({ request, caller, name }: Visit, action: string, about?: string): Asked {
  return {
    action,
    caller,
    ...(name === '' ? {} : { credential: name }),
    ...(about === undefined ? {} : { about }),
    requestId: request.id,
    raw: request.raw,
  }
}

/** The same for a name that is not there and for one that may not be seen, as over the API. */
export function noSuchPage(): KeyturnError {
  return new KeyturnError('not_found', 'There is no such page, or you may not see it.', {
    fix: 'The overview shows all that you may see.',
  })
}

export function notOurs(): KeyturnError {
  return new KeyturnError('forbidden', 'This form did not come from a page of this session.', {
    fix: 'Go back, load the page anew, and send its form.',
  })
}
