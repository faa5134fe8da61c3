import type { FastifyInstance } from 'fastify'
import { KeyturnError } from '../../core/errors.ts'
import type { Asked } from '../audited.ts'
import { unauthenticated } from '../checks.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus } from '../problem.ts'
import { type ActId, actIds, acts, type Subject } from './acts.ts'
import { confirmBody } from './confirm.ts'
import { formOf } from './form.ts'
import { demandSight, leasesOf } from './look-routes.ts'
import { isFromElsewhere, isPrivate } from './origins.ts'
import { perform } from './perform.ts'
import { askedBy, noSuchPage, type Visit, type Visits } from './visits.ts'

/** Each act has a page that says what it will do, and a form that does it. */
export function addActs(scope: FastifyInstance, context: ServerContext, visits: Visits): void {
  const config = { page: true } as const
  scope.get(
    '/credentials/:name/*',
    { config },
    visits.look(async () => {
      throw noSuchPage()
    }),
  )
  for (const id of actIds) {
    const path = `/credentials/:name/${id}`
    scope.get(
      path,
      { config },
      visits.look(async (visit) => {
        demandAct(visit, context, visits)
        // A page of another site could bring it under a double click that is meant for something else.
        if (isFromElsewhere(visit.request.raw)) return visit.reply.redirect(`/credentials/${visit.name}`, 303)
        const { of } = visit.request.query as { readonly of?: unknown }
        return confirm(id, { visit, context, visits, of: typeof of === 'string' ? of : undefined })
      }),
    )
    scope.post(
      path,
      { config },
      visits.send((visit) => act(id, visit, context, visits)),
    )
  }
}

function demandAct(visit: Visit, context: ServerContext, visits: Visits): void {
  demandSight(visit, context, visits)
  // Of the routes of the API, one is an app's as well, for what is its own: here none is.
  visits.demand(visit, { access: 'operate' }, visit.name)
}

async function act(id: ActId, visit: Visit, context: ServerContext, visits: Visits): Promise<unknown> {
  const { name, reply, request } = visit
  demandAct(visit, context, visits)
  const form = formOf(request.body)
  if (id === 'bring' && !isPrivate(request.raw)) throw readable()
  const outcome = await onlyOnce(context, { id, visit, form }, () => attempt(id, visit, context, form))
  if (outcome.kind !== 'refused') return reply.redirect(`/credentials/${name}?done=${outcome.kind}`, 303)
  const problem = new KeyturnError(outcome.code, outcome.message, { fix: outcome.fix })
  return confirm(id, { visit, context, visits, of: form.get('of'), form, problem, status: outcome.status })
}

type Outcome =
  | { readonly kind: ActId | 'waiting' }
  | {
      readonly kind: 'refused'
      readonly code: KeyturnError['code']
      readonly message: string
      readonly fix: string
      readonly status: number
    }

/** What was done cannot be asked for again by the same form: a double click is one act. What was refused can. */
async function onlyOnce(
  { once, audited }: ServerContext,
  sent: { readonly id: ActId; readonly visit: Visit; readonly form: ReadonlyMap<string, string> },
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const { id, visit, form } = sent
  const key = form.get('once') ?? ''
  if (!oncePattern.test(key)) return work()
  const content = `${visit.name} ${id} ${form.get('of') ?? ''}`
  try {
    const answer = await once({ scope: `dashboard ${visit.caller.id}`, key, content }, async () => {
      const outcome = await work()
      const isRefused = outcome.kind === 'refused'
      return {
        status: isRefused ? outcome.status : 303,
        body: JSON.stringify(outcome),
        isRetryable: isRefused,
      }
    })
    return JSON.parse(answer.body) as Outcome
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError) || thrown.code === 'unauthenticated') throw thrown
    // The ledger remembers what was done, and cannot be reached; the form is kept, as for any refusal.
    const refused = refusedBy(thrown)
    await audited.refusal(askedBy(visit, acts[id].operation), refused)
    return refused
  }
}

function refusedBy(error: KeyturnError): Extract<Outcome, { kind: 'refused' }> {
  const { code, message, fix = '' } = error
  return { kind: 'refused', code, message, fix, status: problemStatus({ error }) }
}

const oncePattern = /^[0-9a-f-]{36}$/

async function attempt(
  id: ActId,
  visit: Visit,
  context: ServerContext,
  form: ReadonlyMap<string, string>,
): Promise<Outcome> {
  const { name, caller } = visit
  const { auth, audited } = context
  const { operation } = acts[id]
  const target = await targetOf(id, name, context, form.get('of'))
  let about = target.about
  const asked = (): Asked => ({ ...askedBy(visit, operation, about), ...target.version })
  await audited.act(asked(), 'asked')
  // As for the API: taken back while the row was written.
  if (!auth.isLive(caller)) throw unauthenticated()
  try {
    await perform(context, { id, name, caller, form, about: (what) => (about = what) })
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError)) throw thrown
    const refused = refusedBy(thrown)
    await audited.refusal(asked(), refused)
    const isWaiting = thrown.code === 'approval_needed' && (id === 'emergency' || id === 'revoke')
    return isWaiting ? { kind: 'waiting' } : refused
  }
  await audited.act(asked(), 'done')?.catch(() => undefined)
  return { kind: id }
}

/** What goes into the audit is what there is: of a field of a form it might be anything. */
async function targetOf(
  id: ActId,
  name: string,
  { service }: ServerContext,
  of: string | undefined,
): Promise<{ readonly about?: string | undefined; readonly version?: { readonly version: string } }> {
  if (id === 'revoke') {
    const found = (await service.summary(name)).versions.find(({ version }) => version === of)
    return found === undefined ? {} : { version: { version: found.version } }
  }
  if (id !== 'forget') return {}
  return { about: (await service.leases(name)).find(({ instance }) => instance === of)?.instance }
}

async function confirm(
  id: ActId,
  options: {
    readonly visit: Visit
    readonly context: ServerContext
    readonly visits: Visits
    readonly of: string | undefined
    /** What was sent and refused. */
    readonly form?: ReadonlyMap<string, string>
    readonly problem?: KeyturnError
    readonly status?: number
  },
): Promise<unknown> {
  const { visit, context, visits, of, form = new Map(), problem, status } = options
  const { name, caller, session, request } = visit
  const { service, streams, approvals, system } = context
  const [summary, leases, waiting] = await Promise.all([
    service.summary(name),
    leasesOf(context, caller, name),
    of === undefined ? [] : approvals.list(name),
  ])
  const approval = waiting.find((one) => one.id === of)
  const version = id === 'revoke' ? summary.versions.find((one) => one.version === of) : undefined
  const now = system.now()
  const subject: Subject = {
    summary,
    leases,
    approval,
    version,
    leasesOf: leases.filter(({ instance }) => instance === of),
    isPrivate: isPrivate(request.raw),
    who: caller.name,
    sent: form,
    now,
  }
  const radius = acts[id].hasRadius
    ? await service
        .blastRadius(name, version?.version ?? approval?.version ?? undefined, streams.listening(name))
        // An emergency goes on without knowing whom it hits.
        .catch(() => undefined)
    : undefined
  const once = system.uuid()
  const body = confirmBody({ id, subject, radius, csrf: session.csrf, once, of, problem, now })
  return visits.show(visit, { title: `${acts[id].label.replace('…', '')}: ${name}`, body }, status)
}

function readable(): KeyturnError {
  return new KeyturnError('forbidden', 'A key is not taken over a connection that others can read.', {
    fix: 'Open the page over HTTPS or on this machine, or use keyturn bring; replace the key that was sent.',
  })
}
