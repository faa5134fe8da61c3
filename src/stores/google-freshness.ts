import { KeyturnError } from '../core/errors.ts'
import type { GoogleSecret } from './google-calls.ts'
import { fullName, type GoogleName } from './google-names.ts'
import type { GoogleState } from './google-state.ts'

/** Google calls itself eventually consistent; beyond this an older state counts as a secret that was put back. */
const lagMsMax = 60_000
const seenMax = 40_000

/** Refuses answers that are older than one before, by the revision that Keyturn counts itself: etags tell only that something is another. */
export function freshness(now: () => number): {
  check(name: GoogleName, secret: GoogleSecret | undefined, state: GoogleState): void
} {
  const seen = new Map<string, { revision: number; createdAt: number; behindSince: number | undefined }>()
  return {
    check(name, secret, { revision }) {
      const key = fullName(name)
      const before = seen.get(key)
      const isNew = secret !== undefined && (before === undefined || secret.createdAt > before.createdAt)
      if (isNew || (before !== undefined && secret !== undefined && revision >= before.revision)) {
        if (seen.size >= seenMax) seen.clear()
        seen.set(key, { revision, createdAt: secret.createdAt, behindSince: undefined })
        return
      }
      if (before === undefined) return
      before.behindSince ??= now()
      if (now() - before.behindSince < lagMsMax)
        throw new KeyturnError('store_unreachable', `Google told an older state of ${key} than before.`, {
          fix: 'Nothing is to be done: Secret Manager is eventually consistent, and it is asked again.',
          retryable: true,
        })
      seen.delete(key)
    },
  }
}
