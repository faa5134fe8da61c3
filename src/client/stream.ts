import { headers as names, routes } from '../api/types.ts'
import { backoffMs, type Deadline, pause, startDeadline } from './deadline.ts'
import { KeyturnClientError, toClientError } from './errors.ts'
import { limits } from './limits.ts'
import type { Cancel } from './platform.ts'
import { connectionError, type Service } from './service.ts'
import type { Follower } from './source.ts'
import { readEvents } from './sse.ts'
import { isRecord, parseJson } from './wire.ts'

type Current = () => { readonly generation: number; readonly inFlight: number | undefined }

/** Statuses that say that there is no event stream here, and that asking again soon is of no use. */
const noStream: readonly number[] = [404, 405, 406, 410, 501]

/** Kinds that can change what is handed out without a higher generation. */
const telling: readonly string[] = ['promoted', 'verdict', 'revoking', 'outage']

/**
 * Follows the event stream for as long as the client lives, connecting again after every end. An event is only a
 * reason to ask: it holds no secret, and the question that follows goes through the same checks as any other.
 */
export function followStream(service: Service, follower: Follower, current: Current): Cancel {
  const controller = new AbortController()
  const reader: Reader = {
    service,
    follower,
    current,
    signal: controller.signal,
    lastId: '',
    retryMs: 0,
    attempt: 0,
  }
  void keepFollowing(reader).catch((error: unknown) => {
    if (!controller.signal.aborted)
      follower.onTrouble(toClientError(error, 'The event stream of Keyturn ended'))
  })
  return () => controller.abort(new KeyturnClientError('stopping', 'The client was closed.'))
}

interface Reader {
  readonly service: Service
  readonly follower: Follower
  readonly current: Current
  readonly signal: AbortSignal
  lastId: string
  /** How long the service asked to stay away after this connection: one that goes down spreads its clients that way. */
  retryMs: number
  /** Connections in a row that brought nothing. */
  attempt: number
}

async function keepFollowing(reader: Reader): Promise<void> {
  const { service, follower, signal } = reader
  const { platform } = service
  // Bounded by the life of the client: every round waits.
  while (!signal.aborted) {
    let delayMs: number | undefined
    try {
      await followOnce(reader)
    } catch (error) {
      if (signal.aborted) return
      const known = toClientError(error, 'The event stream of Keyturn broke')
      const isAbsent = known.status !== undefined && noStream.includes(known.status)
      // A broken stream is no news: it is taken up again, and the questions that stand in for it tell of real trouble.
      // That there is none is a matter of the set-up, and slows down every turn from now on.
      if (isAbsent) follower.onDegraded(known)
      delayMs = isAbsent ? limits.streamAgainMs : known.retryAfterMs
    }
    follower.onLive(false)
    const bounds = { baseMs: limits.backoffBaseMs, maxMs: limits.backoffMaxMs }
    const backoff = backoffMs(reader.attempt, platform.fraction(), bounds)
    reader.attempt += 1
    await pause(platform, Math.max(delayMs ?? 0, reader.retryMs, backoff), { signal, isBackground: true })
  }
}

/** One connection, until it ends. Silence ends it too: a connection can be cut without either end being told. */
async function followOnce(reader: Reader): Promise<void> {
  const { service, current, signal } = reader
  const silence = startDeadline(service.platform, {
    timeoutMs: limits.streamSilenceMs,
    isBackground: true,
    parent: signal,
    what: `The event stream of Keyturn at ${service.where}`,
  })
  try {
    const answer = await service.quietSend({
      url: service.url(routes.events(service.settings.credential)),
      method: 'GET',
      headers: {
        ...(await service.headers(current().inFlight, silence.signal)),
        accept: 'text/event-stream',
        'cache-control': 'no-cache',
        ...(reader.lastId === '' ? {} : { 'last-event-id': reader.lastId }),
      },
      signal: silence.signal,
    })
    if (answer.status !== 200) throw await service.refusal(answer, `the events of ${service.what}`)
    if (answer.header('content-type')?.startsWith('text/event-stream') !== true) throw notAStream(service)
    const app = decoded(answer.header(names.app))
    if (app !== undefined) reader.follower.onNamed?.(app)
    await readStream(reader, answer.body, silence)
  } catch (error) {
    throw connectionError(error, silence.signal, service)
  } finally {
    silence.end()
  }
}

async function readStream(reader: Reader, body: AsyncIterable<Uint8Array>, silence: Deadline): Promise<void> {
  const { follower, current } = reader
  follower.onLive(true)
  for await (const event of readEvents(body, reader.lastId)) {
    silence.extend()
    follower.onHeard()
    reader.attempt = 0
    if (event === undefined) continue
    reader.lastId = event.id
    reader.retryMs = Math.min(event.retryMs ?? 0, limits.retryAfterMsMax)
    const message = parseJson(event.data)
    const generation = isRecord(message) ? message['generation'] : undefined
    if (telling.includes(event.kind) || generation !== current().generation) follower.onChange()
  }
}

/** Names of apps may be of any script, and headers may not. */
function decoded(text: string | null): string | undefined {
  if (text === null || text.length > limits.idLengthMax) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function notAStream(service: Service): KeyturnClientError {
  return new KeyturnClientError(
    'service_malformed',
    `What ${service.where} answered for the events of ${service.what} is not an event stream.`,
    { fix: 'Check what stands in front of Keyturn; until then it is asked at intervals.', status: 406 },
  )
}
