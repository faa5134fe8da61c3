import { type KeyturnClientError, toClientError } from './errors.ts'
import type { Platform } from './platform.ts'
import type { ClientOptions } from './types.ts'

export interface Teller {
  readonly onTrouble: (error: KeyturnClientError) => void
  /** Told once in the client's life. */
  readonly onDegraded: (error: KeyturnClientError) => void
  readonly onWell: () => void
}

/** Tells of trouble in the background, each kind once until all is well again: a long outage is one message, not thousands. */
export function createTeller(onError: ClientOptions['onError'], platform: Pick<Platform, 'warn'>): Teller {
  const told = new Set<string>()
  const degraded = new Set<string>()
  const tell = (error: KeyturnClientError) => {
    try {
      if (onError === undefined) platform.warn(error)
      else onError(error)
    } catch (thrown) {
      // A listener that throws must not end the refresh it was told about.
      platform.warn(toClientError(thrown, 'The onError of a Keyturn client failed'))
    }
  }
  const once = (known: Set<string>) => (error: KeyturnClientError) => {
    if (known.has(error.code)) return
    known.add(error.code)
    tell(error)
  }
  return { onTrouble: once(told), onDegraded: once(degraded), onWell: () => told.clear() }
}
