import { isRecord } from '../../core/json.ts'
import { inspectSecret } from '../../core/key-inspection.ts'
import { Secret } from '../../core/secret.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts } from '../facts.ts'
import type { Finding, Place } from '../finding.ts'
import type { Budget } from './budget.ts'
import { jsonOf, requestWithKey } from './keyed-request.ts'
import type { Way } from './layers.ts'
import { nearShare } from './rate-limits.ts'
import { costsFrom, type DayOfCosts, type Outlook, spendOutlook } from './spend.ts'

const variable = 'OPENAI_ADMIN_KEY'
/** The month and the week before it. */
const bucketsMax = 40

/** An administrator's key for this very address: from the environment, else a credential of Keyturn's. */
export function adminKeyFor(
  { env }: Pick<DoctorContext, 'env'>,
  facts: Facts,
  { target }: Way,
): Secret | undefined {
  if (target.kind === 'gateway') return undefined
  const text = env[variable]?.trim() ?? ''
  const own = /^[\x21-\x7e]+$/.test(text) ? new Secret(text) : undefined
  if (own !== undefined && inspectSecret(own).kind === 'admin') return own
  for (const { baseUrl, stored } of facts.keyturn?.credentials ?? [])
    if (
      stored.kind === 'found' &&
      baseUrl === target.baseUrl &&
      inspectSecret(stored.secret).kind === 'admin'
    )
      return stored.secret
  return undefined
}

interface Scope {
  readonly of: 'organization' | 'project'
  readonly path: string
  readonly project?: string
}

export interface SpendAsking {
  readonly way: Way
  readonly secret: Secret
  /** The key's project, where it is known. */
  readonly project: string | undefined
  readonly budget: Budget
}

/**
 * The hard spend limits against what was spent. What is not allowed or not told is passed over: an administrator's key that
 * may not read costs is nothing wrong with the program. Prepaid credit is told by no endpoint (November 2026).
 */
export async function lookAtSpend(context: DoctorContext, asking: SpendAsking): Promise<readonly Finding[]> {
  const { project } = asking
  const scopes: readonly Scope[] = [
    { of: 'organization', path: '/organization/spend_limit' },
    ...(project === undefined
      ? []
      : [
          {
            of: 'project',
            path: `/organization/projects/${encodeURIComponent(project)}/spend_limit`,
            project,
          } as const,
        ]),
  ]
  const found = await Promise.all(scopes.map((scope) => lookAtOne(context, asking, scope)))
  return found.filter((finding) => finding !== undefined)
}

async function lookAtOne(
  context: DoctorContext,
  { way, secret, budget }: SpendAsking,
  scope: Scope,
): Promise<Finding | undefined> {
  const now = context.system.now()
  const query = new URLSearchParams({
    start_time: String(Math.floor(costsFrom(now) / 1_000)),
    bucket_width: '1d',
    limit: String(bucketsMax),
    ...(scope.project === undefined ? {} : { 'project_ids[]': scope.project }),
  })
  const timeoutMs = budget.stepMs()
  const ask = (path: string) => requestWithKey(context, way, { method: 'GET', path, secret }, timeoutMs)
  const [limit, costs] = await Promise.all([ask(scope.path), ask(`/organization/costs?${query.toString()}`)])
  const place: Place = { kind: 'address', url: `${way.target.baseUrl}${scope.path}` }
  const limitJson = jsonOf(limit)
  const limitCents = limitJson?.['threshold_amount']
  if (limitJson?.['currency'] !== 'USD' || typeof limitCents !== 'number' || !(limitCents > 0))
    return undefined
  const enforcement = limitJson['enforcement']
  if (isRecord(enforcement) && enforcement['status'] === 'enforcing')
    return { ...reached(scope, limitCents), place }
  const days = daysOf(jsonOf(costs))
  if (days === undefined) return undefined
  const outlook = spendOutlook({ limitCents, days, now })
  return outlook.share >= nearShare ? { ...near(scope, outlook), place } : undefined
}

/** Undefined where it is no whole list of costs in dollars: half a sum would be a false one. */
function daysOf(json: Readonly<Record<string, unknown>> | undefined): readonly DayOfCosts[] | undefined {
  const data = json?.['data']
  if (!Array.isArray(data) || json?.['has_more'] === true || data.length > bucketsMax) return undefined
  const days: DayOfCosts[] = []
  for (const bucket of data as unknown[]) {
    if (!isRecord(bucket) || typeof bucket['start_time'] !== 'number' || !Array.isArray(bucket['results']))
      return undefined
    let amountUsd = 0
    for (const result of bucket['results'] as unknown[]) {
      const amount = isRecord(result) ? result['amount'] : undefined
      if (amount === undefined) continue
      if (!isRecord(amount) || amount['currency'] !== 'usd' || typeof amount['value'] !== 'number')
        return undefined
      amountUsd += amount['value']
    }
    days.push({ startAt: bucket['start_time'] * 1_000, amountUsd })
  }
  return days
}

const pages = {
  organization: 'https://platform.openai.com/settings/organization/limits',
  project: 'https://platform.openai.com/settings/proj/limits',
} as const
const words = { organization: 'organisation', project: 'project' } as const
const usd = (amount: number) => `$${amount.toFixed(2)}`

function near({ of }: Scope, outlook: Outlook): Finding {
  const { spentUsd, limitUsd, share, perDayUsd, endsAt } = outlook
  const end =
    endsAt === undefined
      ? 'which lasts until the limit begins anew next month'
      : `which lasts until ${new Date(endsAt).toISOString().slice(0, 16)}Z`
  return {
    code: 'spend_limit_near',
    severity: 'warning',
    seen: `${usd(spentUsd)} of the ${words[of]}'s monthly limit of ${usd(limitUsd)} are spent (${Math.floor(share * 100)}%); the last week spent ${usd(perDayUsd)} a day, ${end}.`,
    cause: `The ${words[of]}'s hard spend limit is nearly used up, and calls are refused once it is.`,
    fix: `Raise the limit at ${pages[of]}, or spend less`,
  }
}

function reached({ of }: Scope, limitCents: number): Finding {
  return {
    code: 'quota_exhausted',
    severity: 'error',
    seen: `The ${words[of]}'s monthly spend limit of ${usd(limitCents / 100)} is being enforced.`,
    cause: `The ${words[of]} has reached its own hard spend limit, so calls of models are refused.`,
    fix: `Raise the limit at ${pages[of]}, or wait for the next month`,
  }
}
