import type { FastifyInstance } from 'fastify'
import { operations } from '../../api/operations.ts'
import { KeyturnError } from '../../core/errors.ts'
import { unauthenticated } from '../checks.ts'
import type { ServerContext } from '../context.ts'
import { problemStatus } from '../problem.ts'
import { type ActId, actIds, acts, type Subject } from './acts.ts'
import { confirmBody } from './confirm.ts'
import { formOf } from './form.ts'
import { demandSight, leasesOf } from './look-routes.ts'
import { isPrivate } from './origins.ts'
import { perform } from './perform.ts'
import { askedBy, type Visit, type Visits } from './visits.ts'

/** Each act has a page that says what it will do, and a form that does it. */
export function addActs(scope: FastifyInstance, context: ServerContext, visits: Visits): void {
  const config = { page: true } as const
  for (const id of actIds) {
    const path = `/credentials/:name/${id}`
    scope.get(
      path,
      { config },
      visits.look(async (visit) => {
        demandAct(id, visit, context, visits)
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

function demandAct(id: ActId, visit: Visit, context: ServerContext, visits: Visits): void {
  demandSight(visit, context, visits)
  visits.demand(visit, operations[acts[id].operation], visit.name)
}

async function act(id: ActId, visit: Visit, context: ServerContext, visits: Visits): Promise<unknown> {
  const { name, caller, reply, request } = visit
  const { auth, audited } = context
  demandAct(id, visit, context, visits)
  const form = formOf(request.body)
  if (id === 'bring' && !isPrivate(request.raw)) throw readable()
  const { operation } = acts[id]
  let about: string | undefined
  await audited.act(askedBy(visit, operation), 'asked')
  // As for the API: taken back while the row was written.
  if (!auth.isLive(caller)) throw unauthenticated()
  try {
    await perform(context, { id, name, caller, form, about: (what) => (about = what) })
  } catch (thrown) {
    if (!(thrown instanceof KeyturnError)) throw thrown
    const status = problemStatus({ error: thrown })
    await audited.refusal(askedBy(visit, operation, about), { code: thrown.code, status })
    if (thrown.code === 'approval_needed' && id === 'emergency')
      return reply.redirect(`/credentials/${name}?done=waiting`, 303)
    return confirm(id, { visit, context, visits, of: form.get('of'), problem: thrown, status })
  }
  await audited.act(askedBy(visit, operation, about), 'done')?.catch(() => undefined)
  return reply.redirect(`/credentials/${name}?done=${id}`, 303)
}

async function confirm(
  id: ActId,
  options: {
    readonly visit: Visit
    readonly context: ServerContext
    readonly visits: Visits
    readonly of: string | undefined
    readonly problem?: KeyturnError
    readonly status?: number
  },
): Promise<unknown> {
  const { visit, context, visits, of, problem, status } = options
  const { name, caller, session, request } = visit
  const { service, streams, approvals, system } = context
  const [summary, leases, waiting] = await Promise.all([
    service.summary(name),
    leasesOf(context, caller, name),
    of === undefined ? [] : approvals.list(name),
  ])
  const approval = waiting.find((one) => one.id === of)
  const subject: Subject = { summary, leases, approval, isPrivate: isPrivate(request.raw) }
  const radius = acts[id].hasRadius
    ? await service
        .blastRadius(name, approval?.version ?? undefined, streams.listening(name))
        // An emergency goes on without knowing whom it hits.
        .catch(() => undefined)
    : undefined
  const body = confirmBody({ id, subject, radius, csrf: session.csrf, of, problem, now: system.now() })
  return visits.show(visit, { title: `${acts[id].label.replace('…', '')}: ${name}`, body }, status)
}

function readable(): KeyturnError {
  return new KeyturnError('forbidden', 'A key is not taken over a connection that others can read.', {
    fix: 'Open the page over HTTPS or on this machine, or use keyturn bring; replace the key that was sent.',
  })
}
