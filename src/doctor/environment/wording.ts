import { describePlace, type Place } from '../finding.ts'
import { givenKey } from '../gather.ts'

/** For people: `OPENAI_API_KEY in the environment`, `OPENAI_API_KEY in .env:3`. */
export function isSetIn(place: Place): string {
  if (place.kind === 'variable')
    return place.name === givenKey ? givenKey : `${place.name} in the environment`
  if (place.kind === 'file' && place.name !== undefined) return `${place.name} in ${lineOf(place)}`
  return `the key in ${describePlace(place)}`
}

/** `.env:3`, without the column. */
export function lineOf(place: Place & { readonly kind: 'file' }): string {
  return place.line === undefined ? place.path : `${place.path}:${place.line}`
}
