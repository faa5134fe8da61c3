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
  const asked: readonly Setting[] =
    options.model === undefined || facts.models.some(({ value }) => value === options.model)
      ? []
      : [{ value: options.model, place: { kind: 'variable', name: '--model' } }]
  const named = [...asked, ...facts.models]
  // A model that is named in many places is one cause.
  const each = named.filter(({ value }, index) => named.findIndex((one) => one.value === value) === index)
  return each.flatMap((setting) => {
    const own = observations.find(({ probe }) => probe === `model:${setting.value}`)
    if (own?.kind !== 'answer' || classify(own).cause !== 'model_not_visible') return []
    return [{ setting, status: own.status }]
  })
}

/** Of the list in the first answer; undefined where it may not be listed. */
export function visibleModels(observations: readonly Observation[]): readonly string[] | undefined {
  const [first] = observations
  return first?.kind === 'answer' ? first.models : undefined
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
