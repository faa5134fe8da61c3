import type { Secret } from '../../core/secret.ts'
import type { DoctorContext } from '../context.ts'
import type { Finding, Place } from '../finding.ts'
import type { Attempt, RawAnswer } from '../network.ts'
import type { Authentication } from './authenticate.ts'
import type { Budget } from './budget.ts'
import { requestWithKey } from './keyed-request.ts'
import type { Way } from './layers.ts'
import { visibleModels } from './models.ts'
import { nearShare, rateLimitInWords, rateLimitsOf, usedShare } from './rate-limits.ts'

interface Asking {
  readonly way: Way
  readonly secret: Secret
  readonly authentication: Authentication
  readonly budget: Budget
}

/** The least that the responses endpoint takes for an answer (November 2026). */
const outputTokensMin = 16

/** A call that costs next to nothing, for what only a call of a model shows: quota and the limits of the model. */
export async function askModel(
  context: DoctorContext,
  asking: Asking,
): Promise<{ readonly attempt: Attempt<RawAnswer>; readonly asked: string } | undefined> {
  const { way, secret, authentication, budget } = asking
  const model = context.options.model ?? cheapest(visibleModels(authentication.observations) ?? [])
  if (model === undefined) return undefined
  const isChatOnly = !authentication.provenScopes.includes('api.responses.write')
  const call = isChatOnly
    ? {
        path: '/chat/completions',
        body: { model, messages: [{ role: 'user', content: '.' }], max_completion_tokens: 1 },
      }
    : { path: '/responses', body: { model, input: '.', max_output_tokens: outputTokensMin, store: false } }
  const attempt = await requestWithKey(
    context,
    way,
    {
      method: 'POST',
      ...call,
      secret,
      organization: authentication.sentOrganization?.value,
      project: authentication.sentProject?.value,
    },
    budget.stepMs(),
  )
  return { attempt, asked: `POST ${call.path}` }
}

/** By its name: prices are in no answer of the API. The smallest size of a family, the shortest name of those. */
export function cheapest(models: readonly string[]): string | undefined {
  const chat = models.filter(
    (id) =>
      /^(?:gpt-|o\d)/.test(id) && !/audio|realtime|transcribe|tts|image|search|instruct|codex|pro\b/.test(id),
  )
  const rank = (id: string) => (id.includes('nano') ? 0 : id.includes('mini') ? 1 : 2)
  return chat.toSorted((left, right) => rank(left) - rank(right) || left.length - right.length)[0]
}

/** One finding for the limit that is nearest. */
export function rateLimitFinding(answer: RawAnswer, place: Place): Finding | undefined {
  const [nearestLimit] = rateLimitsOf(answer)
    .filter((limit) => usedShare(limit) >= nearShare)
    .toSorted((left, right) => usedShare(right) - usedShare(left))
  if (nearestLimit === undefined) return undefined
  return {
    code: 'rate_limit_near',
    severity: 'warning',
    seen: `${rateLimitInWords(nearestLimit)}: ${Math.floor(usedShare(nearestLimit) * 100)}% are used.`,
    cause: 'The organisation is near a rate limit, which all its keys share, and calls above it are refused.',
    fix: 'Spread the calls, or ask for a higher tier at https://platform.openai.com/settings/organization/limits',
    place,
  }
}

export function figuresOf(attempt: Attempt<RawAnswer> | undefined): string | undefined {
  if (attempt?.kind !== 'done') return undefined
  const limits = rateLimitsOf(attempt.answer)
  return limits.length === 0 ? undefined : `${limits.map(rateLimitInWords).join('; ')}.`
}
