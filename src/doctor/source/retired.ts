import { describePlace, type Finding, type Place } from '../finding.ts'
import { isAside } from '../project/aside.ts'
import { placeOf } from '../project/client-calls.ts'
import { type Look, projectCheck } from '../project/project-check.ts'
import type { SourceText } from '../project/source-text.ts'
import { retiredCalls, retiredModels, retiredPath } from './retired-table.ts'

/** Models and endpoints that OpenAI has shut down, where the source still asks for them. */
export const retired = projectCheck('retired models and endpoints', (look) => {
  const models = modelsGone(look)
  const lines = new Set(models.map(({ place }) => (place === undefined ? '' : describePlace(place))))
  // A retired model behind a retired endpoint is one cause: the model says more.
  const near = (place: Place) =>
    place.kind === 'file' &&
    [0, 1, 2, 3, 4].some((more) => lines.has(`${place.path}:${(place.line ?? 0) + more}`))
  const endpoints = look.project.sources
    .filter((source) => !isAside(source.path) && !/azure/i.test(source.text))
    .flatMap(endpointsGone)
    .filter(({ place }) => place === undefined || !near(place))
  return [...models, ...endpoints]
})

function modelsGone({ project }: Look): readonly Finding[] {
  const seen = new Set<string>()
  return project.models.flatMap(({ value, place }) => {
    const model = retiredModels.find(({ pattern }) => pattern.test(value))
    if (
      model === undefined ||
      place.kind !== 'file' ||
      isAside(place.path) ||
      seen.has(`${place.path} ${value}`)
    )
      return []
    if (project.sources.some((source) => source.path === place.path && /azure/i.test(source.text))) return []
    seen.add(`${place.path} ${value}`)
    return [
      {
        code: 'model_retired',
        severity: 'error',
        seen: `${describePlace(place)} asks for ${value}.`,
        cause: `OpenAI shut ${value} down on ${model.since}, and its 404 says nothing about the key.`,
        fix: `In ${describePlace(place)} ask for ${model.instead} instead of ${value}.`,
        place,
      } as const,
    ]
  })
}

function endpointsGone(source: SourceText): readonly Finding[] {
  const calls = retiredCalls.flatMap(({ pattern, what, instead }) =>
    Array.from(source.bare.matchAll(pattern), (match) => gone(placeOf(source, match.index), what, instead)),
  )
  const paths = source.literals.flatMap((literal) => {
    const path = retiredPath.exec(literal.value.slice(0, 500))?.[1]
    return path === undefined
      ? []
      : [gone(placeOf(source, literal.start), `/v1/${path}`, 'https://api.openai.com/v1/responses')]
  })
  // What a shell calls need not stand in quotes.
  const bare = source.language === 'shell' ? retiredPath.exec(source.bare) : null
  const words =
    bare === null
      ? []
      : [gone(placeOf(source, bare.index), `/v1/${bare[1]}`, 'https://api.openai.com/v1/responses')]
  return [...calls, ...paths, ...words]
}

function gone(place: Place, what: string, instead: string): Finding {
  return {
    code: 'endpoint_retired',
    severity: 'error',
    seen: `${describePlace(place)} calls ${what}.`,
    cause: `OpenAI has retired ${what}, and its 404 says nothing about the key.`,
    fix: `In ${describePlace(place)} call ${instead} instead.`,
    place,
  }
}
