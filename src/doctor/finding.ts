import type { Fingerprint } from '../core/types.ts'
import type { FindingCode } from './catalogue.ts'

/**
 * error    calls fail now, or a key is where others can read it
 * warning  works now, and will bite: a limit that is near, a key that is too old, a setting that does nothing
 * note     worth knowing, nothing is to be done
 */
export type Severity = 'error' | 'warning' | 'note'

/** Where something was seen. Paths are relative to the folder that was looked at, with `/`; lines and columns begin at 1. */
export type Place =
  | { readonly kind: 'variable'; readonly name: string }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly line?: number
      readonly column?: number
      /** The name that the value has there: a variable, a field. */
      readonly name?: string
    }
  | { readonly kind: 'address'; readonly url: string }
  | { readonly kind: 'credential'; readonly name: string; readonly store?: string }

/** One thing that is wrong, with its cause and its fix. No key, token, nor any piece of one is in it. */
export interface Finding {
  /** What kind of finding it is: catalogue.ts says what that is and how bad. */
  readonly code: FindingCode
  readonly severity: Severity
  /** The evidence: what was seen, and where. */
  readonly seen: string
  /** The likely cause, in one sentence. */
  readonly cause: string
  /** What to do: a command, or one sentence with a link. */
  readonly fix: string
  readonly place?: Place
  /** Of the key that it concerns, where it concerns one. */
  readonly fingerprint?: Fingerprint
  /** What OpenAI calls the request that showed it. */
  readonly requestId?: string
}

/** For people: `OPENAI_API_KEY`, `.env:3`, `https://…`, `openai in vault`. */
export function describePlace(place: Place): string {
  switch (place.kind) {
    case 'variable':
      return place.name
    case 'file': {
      const line = place.line === undefined ? '' : `:${place.line}`
      const column = place.line === undefined || place.column === undefined ? '' : `:${place.column}`
      return `${place.path}${line}${column}`
    }
    case 'address':
      return place.url
    case 'credential':
      return place.store === undefined ? place.name : `${place.name} in ${place.store}`
  }
}
