import { isRecord } from '../../core/json.ts'
import { nearest } from '../../core/nearest.ts'
import type { Secret } from '../../core/secret.ts'
import type { Observation } from '../../core/types.ts'
import { classify } from '../../core/verdict.ts'
import type { DoctorContext } from '../context.ts'
import type { Facts, Setting } from '../facts.ts'
import { describePlace, type Finding, type Place } from '../finding.ts'
import { retiredModels } from '../source/retired-table.ts'
import type { Budget } from './budget.ts'
import { jsonOf, requestWithKey } from './keyed-request.ts'
import type { Way } from './layers.ts'
import type { Shown } from './shown.ts'

/** Models that the program names and the key does not see. */
export interface MissingModel {
  readonly setting: Setting
  /** 403: the project may not; 404: there is none of that name. */
  readonly status: number
}

export function missingModels(
  facts: Pick<Facts, 'models'>,
  options: { readonly model?: string },
  observations: readonly Observation[],
): readonly MissingModel[] {
  return namedModels(facts, options).flatMap((setting) => {
    const own = observations.find(({ probe }) => probe === `model:${setting.value}`)
    if (own?.kind !== 'answer' || classify(own).cause !== 'model_not_visible') return []
    return [{ setting, status: own.status }]
  })
}

/** Each once: a model that is named in many places is one cause. */
function namedModels(
  facts: Pick<Facts, 'models'>,
  { model }: { readonly model?: string },
): readonly Setting[] {
  const isNamed = model === undefined || facts.models.some(({ value }) => value === model)
  const asked = isNamed ? [] : [{ value: model, place: { kind: 'variable', name: '--model' } } as const]
  const named = [...asked, ...facts.models]
  return named.filter(({ value }, index) => named.findIndex((one) => one.value === value) === index)
}

/** Of the list in the first answer; undefined where it may not be listed. */
export function visibleModels(observations: readonly Observation[]): readonly string[] | undefined {
  const [first] = observations
  return first?.kind === 'answer' ? first.models : undefined
}

/** How long ahead somebody wants to know: a sprint or two, and what is in between. */
const aheadDays = 60
const dayMs = 86_400_000

/** Models that the program names, that work today and whose end OpenAI has announced in its list of models. */
export function retiringModels(
  facts: Pick<Facts, 'models'>,
  options: { readonly model?: string },
  {
    observations,
    now,
    shown,
  }: {
    readonly observations: readonly Observation[]
    readonly now: number
    readonly shown: Shown
  },
): readonly Finding[] {
  const [first] = observations
  const ends = first?.kind === 'answer' ? first.modelEnds : undefined
  if (ends === undefined) return []
  return namedModels(facts, options).flatMap(({ value, place }) => {
    const day = ends.get(value)
    if (day === undefined) return []
    const days = Math.ceil((Date.parse(`${day}T00:00Z`) - now) / dayMs)
    if (days > aheadDays) return []
    return [
      {
        code: 'model_retiring',
        severity: 'warning',
        seen: `${describePlace(place)} names ${shown(value)}, and the key may call it today.`,
        cause: `OpenAI shuts ${shown(value)} down on ${day}${days > 0 ? `, in ${days} ${days === 1 ? 'day' : 'days'}` : ''}: from then on it is a 404, which says nothing about the key.`,
        fix: `In ${describePlace(place)} name its successor before ${day}: https://platform.openai.com/docs/deprecations has it`,
        place,
      } as const,
    ]
  })
}

export async function modelFindings(
  context: DoctorContext,
  asking: {
    readonly way: Way
    readonly secret: Secret
    readonly missing: readonly MissingModel[]
    readonly visible: readonly string[]
    readonly shown: Shown
    readonly budget: Budget
  },
): Promise<readonly Finding[]> {
  const { way, secret, missing, visible, shown, budget } = asking
  const timeoutMs = budget.stepMs()
  return await Promise.all(
    missing.map(async ({ setting, status }) => {
      const { value, place } = setting
      const isGone =
        retiredModels.some(({ pattern }) => pattern.test(value)) ||
        (status === 404 && (await saysGone(context, way, { secret, value, timeoutMs })))
      const near = isGone || status === 403 ? undefined : nearest(value, visible)
      return finding({
        model: shown(value),
        place,
        status,
        isGone,
        near: near === undefined ? undefined : shown(near),
      })
    }),
  )
}

/** The sentence is looked at for one word, and goes no further. */
async function saysGone(
  context: DoctorContext,
  way: Way,
  about: { readonly secret: Secret; readonly value: string; readonly timeoutMs: number },
): Promise<boolean> {
  const path = `/models/${encodeURIComponent(about.value)}`
  const answer = await requestWithKey(
    context,
    way,
    { method: 'GET', path, secret: about.secret },
    about.timeoutMs,
  )
  const error = jsonOf(answer)?.['error']
  const message = isRecord(error) ? error['message'] : undefined
  return typeof message === 'string' && /\b(?:deprecated|retired|shut ?down|decommissioned)\b/i.test(message)
}

function finding(about: {
  readonly model: string
  readonly place: Place
  readonly status: number
  readonly isGone: boolean
  readonly near: string | undefined
}): Finding {
  const { model, place, status, isGone, near } = about
  const seen = `${describePlace(place)} names ${model}; HTTP ${status} for it. The key itself is good.`
  if (isGone)
    return {
      code: 'model_retired',
      severity: 'error',
      seen,
      cause: 'OpenAI has shut the model down; its 404 says nothing about the key.',
      fix: 'Name a model of today: https://platform.openai.com/docs/deprecations has its successor',
      place,
    }
  return {
    code: 'model_denied',
    severity: 'error',
    seen,
    cause:
      status === 403
        ? "The key's project is not allowed the model."
        : 'There is no model of that name, or it is closed to the organisation.',
    fix:
      near === undefined
        ? 'Allow the model at https://platform.openai.com/settings/proj/limits (Model usage), or name another'
        : `Write ${near} in place of ${model}`,
    place,
  }
}
