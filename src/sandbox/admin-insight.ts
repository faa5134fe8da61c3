// What an administrator can look up besides keys: rate limits, the spend limit, costs and the audit log.

import { listReply, projectOf } from './admin-common.ts'
import { type AuthenticCall, json, type Reply, type Route, refuse } from './call.ts'
import { badRequest, missingParameter, notFound } from './errors.ts'
import { inferenceModels } from './models.ts'
import type { AuditRecord } from './records.ts'
import { seconds } from './views.ts'

const read = { area: 'admin', scopes: ['api.management.read', 'api.management.write'] } as const

export const insightRoutes: readonly Route[] = [
  { ...read, method: 'GET', pattern: '/organization/projects/:project/rate_limits', handle: listRateLimits },
  { ...read, method: 'GET', pattern: '/organization/projects/:project/spend_limit', handle: projectSpend },
  { ...read, method: 'GET', pattern: '/organization/spend_limit', handle: organizationSpend },
  {
    ...read,
    // ASSUMPTION: a scope of its own besides those of the administration.
    scopes: [...read.scopes, 'api.usage.read'],
    method: 'GET',
    pattern: '/organization/costs',
    handle: listCosts,
  },
  { ...read, method: 'GET', pattern: '/organization/audit_logs', handle: listAuditLogs },
]

function listRateLimits(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  return listReply(call, {
    all: inferenceModels.map((model) => ({ id: `rl-${model}`, model })),
    isShown: () => true,
    view: ({ model }) => rateLimitView(model, call.knobs),
    limit: 100,
  })
}

export function rateLimitView(
  model: string,
  knobs: { requestsPerMinute: number | null; tokensPerMinute: number | null },
) {
  return {
    object: 'project.rate_limit' as const,
    id: `rl-${model}`,
    model,
    max_requests_per_1_minute: knobs.requestsPerMinute ?? 30_000,
    max_tokens_per_1_minute: knobs.tokensPerMinute ?? 150_000_000,
  }
}

function projectSpend(call: AuthenticCall): Reply {
  const project = projectOf(call)
  if ('error' in project) return refuse(project.error)
  return spendReply(call, 'project_spend_limit_exceeded', (amount, status) => ({
    object: 'project.spend_limit' as const,
    ...spendView(amount, status),
  }))
}

function organizationSpend(call: AuthenticCall): Reply {
  return spendReply(call, 'organization_spend_limit_exceeded', (amount, status) => ({
    object: 'organization.spend_limit' as const,
    ...spendView(amount, status),
  }))
}

export function spendView(amount: number, status: 'inactive' | 'enforcing') {
  return {
    currency: 'USD' as const,
    interval: 'month' as const,
    threshold_amount: amount,
    enforcement: { status },
  }
}

function spendReply(
  call: AuthenticCall,
  exceeded: string,
  view: (amount: number, status: 'inactive' | 'enforcing') => unknown,
): Reply {
  const amount = call.knobs.spendLimitAmount
  if (amount === null) return refuse(notFound('No spend limit is set.'))
  return json(view(amount, call.knobs.billing === exceeded ? 'enforcing' : 'inactive'))
}

const DAY_SECONDS = 86_400
const BUCKETS = { usual: 7, max: 180 }

/** Days in UTC, oldest first, one page after another; every project has the costs of the whole organisation. */
function listCosts(call: AuthenticCall): Reply {
  const number = (name: string) => {
    const text = call.query.get(name)
    return text === null ? undefined : /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  }
  const start = number('start_time')
  const end = number('end_time') ?? Number.POSITIVE_INFINITY
  const limit = number('limit') ?? BUCKETS.usual
  if (start === undefined) return refuse(missingParameter('start_time'))
  if (Number.isNaN(start + end))
    return refuse(badRequest("Invalid 'start_time' or 'end_time'.", 'start_time'))
  if (!(limit >= 1 && limit <= BUCKETS.max))
    return refuse(badRequest(`Invalid 'limit': expected 1 to ${BUCKETS.max}.`, 'limit'))
  if ((call.query.get('bucket_width') ?? '1d') !== '1d')
    return refuse(badRequest("Invalid 'bucket_width': only '1d' is supported.", 'bucket_width'))
  const today = seconds(call.at) - (seconds(call.at) % DAY_SECONDS)
  const { dailyCosts } = call.knobs
  const days = dailyCosts
    .map((amount, index) => ({ amount, at: today - (dailyCosts.length - 1 - index) * DAY_SECONDS }))
    .filter(({ at }) => at + DAY_SECONDS > start && at < end)
  const from = Math.max(0, number('page') ?? 0)
  const page = days.slice(from, from + limit)
  const next = from + limit < days.length ? String(from + limit) : null
  return json({
    object: 'page' as const,
    data: page.map(({ amount, at }) => costsView(amount, at)),
    has_more: next !== null,
    next_page: next,
  })
}

export function costsView(amount: number, at: number) {
  return {
    object: 'bucket' as const,
    start_time: at,
    end_time: at + DAY_SECONDS,
    results: [
      {
        object: 'organization.costs.result' as const,
        amount: { value: amount, currency: 'usd' },
        line_item: null,
        project_id: null,
      },
    ],
  }
}

function listAuditLogs(call: AuthenticCall): Reply {
  const bounds = timeBounds(call.query)
  if (bounds === undefined)
    return refuse(
      badRequest("Invalid 'effective_at': expected Unix seconds.", 'effective_at', 'invalid_type'),
    )
  const { world } = call.services
  const wanted = (name: string, value: string | null) => {
    const values = [...call.query.getAll(`${name}[]`), ...call.query.getAll(name)]
    return values.length === 0 || (value !== null && values.includes(value))
  }
  return listReply(call, {
    all: world.data.audit.toReversed().filter((entry) => entry.organization === call.key.organization),
    isShown: (entry) =>
      entry.at <= call.at &&
      bounds.every((isInside) => isInside(seconds(entry.at))) &&
      wanted('event_types', entry.type) &&
      wanted('project_ids', entry.project) &&
      wanted('resource_ids', entry.resource) &&
      wanted('actor_ids', entry.actorKey),
    view: (entry) => auditView(entry, world.project(entry.project ?? '')?.name ?? 'Default project'),
  })
}

export function auditView(entry: AuditRecord, projectName: string) {
  return {
    id: entry.id,
    type: entry.type,
    effective_at: seconds(entry.at),
    ...(entry.project === null ? {} : { project: { id: entry.project, name: projectName } }),
    ...(entry.actorKey === null
      ? {}
      : { actor: { type: 'api_key' as const, api_key: { id: entry.actorKey, type: 'user' as const } } }),
    [entry.type]: entry.details,
  }
}

type Bound = (value: number) => boolean

function timeBounds(query: URLSearchParams): Bound[] | undefined {
  const bounds: Bound[] = []
  const comparisons: Record<string, (value: number, limit: number) => boolean> = {
    gt: (value, limit) => value > limit,
    gte: (value, limit) => value >= limit,
    lt: (value, limit) => value < limit,
    lte: (value, limit) => value <= limit,
  }
  for (const [name, compare] of Object.entries(comparisons)) {
    const raw = query.get(`effective_at[${name}]`)
    if (raw === null) continue
    if (!/^\d+$/.test(raw)) return undefined
    bounds.push((value) => compare(value, Number(raw)))
  }
  return bounds
}
