import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel } from '../core/ports.ts'
import { type StoreContext, warn } from './context.ts'
import type { KubernetesCalls, Place } from './kubernetes-calls.ts'
import { kubernetesError } from './kubernetes-errors.ts'

/** The API server ends each watch after so long; a silence of a little more means that the connection is dead. */
const watchSeconds = 240
const silenceMsMax = 270_000
const pauseBaseMs = 200
const pauseMsMax = 30_000
/** Being refused does not pass by itself, and each try is a line in an audit log. */
const refusedPauseMs = 5 * 60_000
const lineBytesMax = 4 * 1024 * 1024

/**
 * Calls back after each change of one Secret: list, then watch from there, again from the last state that was told
 * (bookmarks included), and from a new list where that is too old (410). Never ends by itself.
 */
export function watchSecret(
  calls: KubernetesCalls,
  place: Place,
  onChange: () => void,
  context: StoreContext,
): Cancel {
  const over = new AbortController()
  void follow(calls, place, { onChange, signal: over.signal }, context)
  return () => over.abort()
}

interface Following {
  readonly onChange: () => void
  readonly signal: AbortSignal
}

interface Position {
  /** Where to watch from; undefined: a list is needed. */
  since: string | undefined
  /** The Secret's own state; null: not known yet. */
  seen: string | undefined | null
}

async function follow(
  calls: KubernetesCalls,
  place: Place,
  following: Following,
  context: StoreContext,
): Promise<void> {
  const position: Position = { since: undefined, seen: null }
  let failures = 0
  let isRefused = false
  while (!following.signal.aborted) {
    try {
      if (position.since === undefined) {
        const { listVersion, version } = await calls.list(place)
        move(position, version, following)
        position.since = listVersion
      }
      const events = await readEvents(calls, place, { position, following, context })
      failures = 0
      isRefused = false
      // An API server that ends watches at once must not be asked in a tight loop.
      if (events === 0) await pause(pauseBaseMs, following.signal, context)
    } catch (thrown) {
      if (following.signal.aborted) return
      failures += 1
      const error = toKeyturnError(thrown, `watching ${place.namespace}/${place.name}`)
      const isDenied = error.code === 'store_denied'
      if (isDenied && !isRefused)
        warn(
          context,
          `${place.namespace}/${place.name} is polled and not watched: ${error.fix ?? error.message}`,
          { code: error.code },
        )
      isRefused = isDenied
      const spreadMs =
        Math.min(pauseBaseMs * 2 ** Math.min(failures, 10), pauseMsMax) *
        (0.5 + context.system.fraction() / 2)
      const leastMs = isDenied ? refusedPauseMs : (error.retryAfterMs ?? 0)
      await pause(Math.max(leastMs, spreadMs), following.signal, context)
    }
  }
}

/** How many events there were until the watch ended. */
async function readEvents(
  calls: KubernetesCalls,
  place: Place,
  {
    position,
    following,
    context,
  }: { readonly position: Position; readonly following: Following; readonly context: StoreContext },
): Promise<number> {
  const stop = new AbortController()
  const end = (): void => stop.abort()
  following.signal.addEventListener('abort', end, { once: true })
  let cancel = context.system.after(silenceMsMax, end, { background: true })
  let events = 0
  try {
    const response = await calls.watch(place, position.since ?? '', {
      seconds: watchSeconds,
      signal: stop.signal,
    })
    if (response.status === 410) {
      position.since = undefined
      return 1
    }
    if (response.status !== 200) throw refusedWatch(response.status, place)
    for await (const line of linesOf(response.body)) {
      cancel()
      cancel = context.system.after(silenceMsMax, end, { background: true })
      events += 1
      if (!take(line, position, following, place)) return events
    }
    return events
  } finally {
    cancel()
    end()
    following.signal.removeEventListener('abort', end)
  }
}

/** False where the watch cannot go on from here. */
function take(line: string, position: Position, following: Following, place: Place): boolean {
  const event = JSON.parse(line) as {
    readonly type?: string
    readonly object?: { readonly code?: number; readonly metadata?: { readonly resourceVersion?: string } }
  }
  const version = event.object?.metadata?.resourceVersion
  switch (event.type) {
    case 'BOOKMARK':
      position.since = version ?? position.since
      return true
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      position.since = version ?? position.since
      move(position, event.type === 'DELETED' ? undefined : version, following)
      return true
    case 'ERROR':
      position.since = undefined
      if (event.object?.code === 410) return false
      throw refusedWatch(event.object?.code ?? 500, place)
    default:
      return true
  }
}

function move(position: Position, version: string | undefined, { onChange, signal }: Following): void {
  const isNew = position.seen !== null && position.seen !== version
  position.seen = version
  if (isNew && !signal.aborted) onChange()
}

function refusedWatch(status: number, { namespace, name }: Place): KeyturnError {
  const answer = { kind: 'answer', status, json: { kind: 'Status', reason: '' }, isEmpty: false } as const
  return kubernetesError(answer, { verb: 'watch', namespace, name, server: 'the API server' })
}

async function* linesOf(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<string> {
  if (body === null) return
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > lineBytesMax)
      throw new KeyturnError('store_malformed', 'An event of a watch is larger than any Secret.', {
        retryable: true,
      })
    for (const line of lines) if (line !== '') yield line
  }
}

/** In the background: nothing has to be kept alive for a watch. */
function pause(ms: number, signal: AbortSignal, { system }: StoreContext): Promise<void> {
  return new Promise((resolve) => {
    const cancel = system.after(ms, resolve, { background: true })
    signal.addEventListener(
      'abort',
      () => {
        cancel()
        resolve()
      },
      { once: true },
    )
  })
}
