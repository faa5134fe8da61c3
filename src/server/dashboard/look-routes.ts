import type { FastifyInstance } from 'fastify'
import type { CredentialSummary, LeaseSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { CredentialEvent } from '../../core/types.ts'
import { credentialNamePattern } from '../../core/types.ts'
import type { Caller } from '../auth/caller.ts'
import type { ServerContext } from '../context.ts'
import { asSeen, isShown, seesAll, summariesFor } from '../shown.ts'
import { type ActId, actIds } from './acts.ts'
import { auditBody, auditView } from './audit-page.ts'
import { credentialBody } from './credential.ts'
import { overviewPath } from './origins.ts'
import { lastPage, overviewBody, overviewQuery, rowsMax, selected } from './overview.ts'
import type { Visit, Visits } from './visits.ts'

const config = { page: true } as const
/** How far back the events are looked at for changes of the verdict. */
const eventsBack = 400
const verdictsMax = 30

/** The pages that only show. */
export function addLooks(scope: FastifyInstance, context: ServerContext, visits: Visits): void {
  scope.get(
    overviewPath,
    { config },
    visits.look((visit) => overview(visit, context, visits)),
  )
  scope.get(
    '/credentials/:name',
    { config },
    visits.look((visit) => credential(visit, context, visits)),
  )
  scope.get(
    '/audit',
    { config },
    visits.look((visit) => audit(visit, context, visits)),
  )
  scope.get(
    '/changes',
    { config, exposeHeadRoute: false },
    visits.look(async (visit) => changes(visit, context, visits)),
  )
}

async function overview(visit: Visit, context: ServerContext, visits: Visits): Promise<unknown> {
  const { approvals, system } = context
  const { caller, request } = visit
  const all: CredentialSummary[] = []
  for await (const some of summariesFor(context, caller)) all.push(...some)
  const asked = overviewQuery(request.query as Readonly<Record<string, unknown>>)
  const found = selected(all, asked)
  // An old link may name a page that is no longer there.
  const query = { ...asked, page: Math.min(asked.page, lastPage(found.length)) }
  const rows = found.slice((query.page - 1) * rowsMax, query.page * rowsMax)
  const leases = new Map(
    await Promise.all(rows.map(async ({ name }) => [name, await leasesOf(context, caller, name)] as const)),
  )
  const waiting = new Map(
    await Promise.all(
      rows
        .filter(({ name }) => approvals.mayWait(name) && seesAll(caller, name))
        .map(async ({ name }) => [name, await approvals.list(name)] as const),
    ),
  )
  const body = overviewBody({ all, rows, leases, waiting, query, found: found.length, now: system.now() })
  return visits.show(visit, { title: 'Credentials', body, live: '' })
}

async function credential(visit: Visit, context: ServerContext, visits: Visits): Promise<unknown> {
  const { service, approvals, system } = context
  const { name, caller, request } = visit
  demandSight(visit, context, visits)
  const { done } = request.query as { readonly done?: unknown }
  const isWhole = seesAll(caller, name)
  const [summary, leases, waiting, verdicts] = await Promise.all([
    service.summary(name),
    leasesOf(context, caller, name),
    isWhole ? approvals.list(name) : [],
    verdictsOf(context, name),
  ])
  const body = credentialBody({
    summary: asSeen(summary, caller),
    leases,
    approvals: waiting,
    verdicts: isWhole ? verdicts : [],
    mayOperate: caller.may('operate', name),
    now: system.now(),
    done: done === 'waiting' ? done : actIds.find((id): id is ActId => id === done),
  })
  return visits.show(visit, { title: name, body, live: name })
}

async function audit(visit: Visit, context: ServerContext, visits: Visits): Promise<unknown> {
  const { auditReader: reader, system } = context
  visits.demand(visit, { access: 'audit' })
  if (reader === undefined)
    throw new KeyturnError('not_found', 'This service keeps no audit journal.', {
      fix: 'Ask a service that was started with keyturn serve.',
    })
  const query = visit.request.query as Readonly<Record<string, unknown>>
  const view = await auditView({ reader, query, now: system.now() })
  const status = view.problem === undefined ? 200 : 400
  return visits.show(visit, { title: 'Audit', body: auditBody(view) }, status)
}

/** Says that something changed and nothing else, for as long as the session lives. */
function changes(visit: Visit, context: ServerContext, visits: Visits): unknown {
  const { request, reply, caller, session } = visit
  const { of } = request.query as { readonly of?: unknown }
  const name = typeof of === 'string' ? of : undefined
  if (name !== undefined) demandSight({ ...visit, name }, context, visits)
  const isLive = (): boolean => visits.isLive({ session, caller }, request)
  const isOf = (credential: string): boolean =>
    name === undefined ? isShown(context.service, caller, credential) : name === credential
  if (!context.changes.open({ response: reply.raw, caller, isOf, isLive }))
    throw new KeyturnError('too_many_requests', 'Too many pages are open.', {
      fix: 'Close some; the page works without, and shows what was when it was loaded.',
      retryable: true,
    })
  reply.hijack()
  return reply
}

/** As the API does: what somebody may not see is not there. */
export function demandSight(visit: Visit, { service }: ServerContext, visits: Visits): void {
  const { name, caller } = visit
  const isNamed = credentialNamePattern.test(name)
  // An internal one is there for those alone who look after it.
  const isTheirs = isNamed && seesAll(caller, name) && service.isInternal(name)
  visits.demand(visit, { access: isTheirs ? ['operate', 'audit'] : 'seen' }, name)
}

export async function leasesOf(
  { service }: ServerContext,
  caller: Caller,
  name: string,
): Promise<readonly LeaseSummary[]> {
  const leases = await service.leases(name)
  return seesAll(caller, name) ? leases : leases.filter(({ app }) => app === caller.name)
}

async function verdictsOf({ service }: ServerContext, name: string): Promise<readonly CredentialEvent[]> {
  const last = await service.lastEventId(name)
  const events = await service.events(name, Math.max(0, last - eventsBack))
  return events
    .filter(({ kind }) => kind === 'verdict')
    .slice(-verdictsMax)
    .toReversed()
}
