import { looksLikeKey } from '../core/key-shape.ts'
import { otherLabel } from '../telemetry/tally.ts'

/** How often one app was answered with its key; the fast lane adds to it by itself. */
export interface AppCount {
  readonly app: string
  value: number
}

export interface Apps {
  /** To be had once per connection, not once per request. */
  of(app: string): AppCount
  all(): Iterable<AppCount>
}

/** Apps that are counted by name. There may be many more where names come out of tokens of others (JWT). */
export const appsMax = 100
const nameMax = 100

export function createApps(): Apps {
  const known = new Map<string, AppCount>()
  const rest: AppCount = { app: otherLabel, value: 0 }
  return {
    of(app) {
      const found = known.get(app)
      if (found !== undefined) return found
      if (known.size >= appsMax || app.length > nameMax || looksLikeKey(app)) return rest
      const made = { app, value: 0 }
      known.set(app, made)
      return made
    },
    *all() {
      yield* known.values()
      if (rest.value > 0) yield rest
    },
  }
}
