import {
  type Cache,
  confirm,
  emptyCache,
  type Held,
  type Moment,
  type Outcome,
  receive,
  withdraw,
} from './cache.ts'
import type { InFlight } from './in-flight.ts'
import type { Cancel, Platform } from './platform.ts'
import type { Question, Source } from './source.ts'
import type { OpenAICredential } from './types.ts'

export type Asking = Pick<Question, 'holdSeconds' | 'isBackground' | 'timeoutMs' | 'signal'> & {
  /** There is nothing to protect: the key that is served was refused, or is too old to be served. */
  readonly isHeldRefused?: boolean
}

/** What the client knows now, changed only by what the source answers. */
export interface Knowledge {
  readonly held: () => Held | undefined
  /** The credential that a key was handed out with, as long as it is remembered. */
  readonly byKey: (key: string) => OpenAICredential | undefined
  /** The oldest generation this process uses: of a request under way, else of the key that is served. */
  readonly inFlight: () => number | undefined
  /** What Keyturn was last told of it; undefined until there is something to tell. */
  readonly saidInFlight: () => number | undefined
  readonly now: () => Moment
  /** Puts a question and takes the answer in. Rejects with a KeyturnClientError, also where there is no key to be had. */
  readonly ask: (asking: Asking) => Promise<Outcome>
  /** The source is alive and would have told of a change. */
  readonly heard: () => void
  /** Calls back after the key that is served was replaced or withdrawn. */
  readonly onChange: (listener: () => void) => Cancel
}

export function createKnowledge(source: Source, platform: Platform, requests: InFlight): Knowledge {
  let cache: Cache = emptyCache
  let order = 0
  let said: number | undefined
  const listeners = new Set<() => void>()
  const now = (): Moment => ({ wall: platform.now(), steady: platform.steadyNow() })

  const replace = (next: Cache) => {
    const isChanged = next.held?.credential !== cache.held?.credential
    cache = next
    if (isChanged) for (const listener of listeners) listener()
  }
  const inFlight = (): number | undefined => {
    const oldest = requests.oldest()
    const current = cache.held?.credential.generation
    return oldest === undefined || current === undefined ? (current ?? oldest) : Math.min(oldest, current)
  }
  return {
    held: () => cache.held,
    byKey: (key) => cache.history.find((credential) => credential.apiKey === key),
    inFlight,
    saidInFlight: () => said,
    now,
    async ask({ isHeldRefused, ...asking }) {
      const asked = ++order
      said = inFlight()
      const reply = await source.ask({ ...asking, etag: cache.held?.etag, inFlight: said })
      const answered = ++order
      if (reply.kind === 'same') {
        replace(confirm(cache, reply.etag, now()))
        return 'confirmed'
      }
      if (reply.kind === 'none') {
        replace(withdraw(cache, reply.generation))
        throw reply.error
      }
      const circumstances = { asked, answered, at: now(), isHeldRefused: isHeldRefused ?? false }
      const received = receive(cache, reply.answer, circumstances)
      replace(received.cache)
      return received.outcome
    },
    heard: () => {
      if (cache.held !== undefined) cache = { ...cache, held: { ...cache.held, heardAt: now() } }
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
