import type { ServerResponse } from 'node:http'
import type { EventMessage } from '../api/types.ts'
import { toKeyturnError } from '../core/errors.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { CredentialEvent } from '../core/types.ts'
import type { Service } from '../engine/service.ts'
import type { Authenticator } from './auth/authenticator.ts'
import type { Caller } from './auth/caller.ts'
import { drained, type Frame, frame, needsDrain, writeFrame } from './frame.ts'
import type { Leases } from './leases.ts'
import type { ServerLimits } from './limits.ts'
import { createRecentEvents, type RecentEvents } from './recent-events.ts'
import { every } from './ticker.ts'
import { withoutHolder } from './unnamed.ts'

export interface StreamRequest {
  readonly response: ServerResponse
  readonly name: string
  readonly caller: Caller
  /** From `Last-Event-ID`; undefined for a stream that begins now. */
  readonly afterId: number | undefined
  readonly instance: string | undefined
  readonly requestId: string
}

/** All open event streams: plain objects, one heartbeat for all, no timer of their own. */
export interface Streams {
  /** Which instances of which apps have a stream of this credential open now. */
  listening(name: string): (app: string, instance: string) => boolean
  readonly count: number
  /** False where there are too many. Otherwise the response is ours from here on. */
  open(request: StreamRequest): boolean
  /** Says goodbye on every stream and ends it. */
  close(): void
}

interface Stream {
  readonly response: ServerResponse
  readonly name: string
  readonly caller: Caller
  readonly instance: string | undefined
  /** The last event written: none is written twice, none backwards. */
  lastId: number
  /** Live events that arrive while older ones are still being read from the ledger. */
  backlog: Frame[] | undefined
}

/** Heartbeats are spread over so many parts of their interval: 10,000 writes at once would hold up every hand-out. */
const heartbeatSlots = 15
/** Leases of connected instances are renewed every so many heartbeats. */
const keepEvery = 4
const replayPagesMax = 100
/** Clients come back after this long, spread so that they do not all come at once. */
const retryMs = 500
const retrySpreadMs = 1_500
const heartbeat = frame(': still here\n\n')
const noLongerGood = 'the token is no longer good'

export interface StreamsOptions {
  readonly service: Service
  readonly auth: Authenticator
  readonly leases: Leases
  readonly system: System
  readonly log: Log
  readonly limits: ServerLimits
}

export function createStreams(options: StreamsOptions): Streams {
  return new StreamHub(options)
}

class StreamHub implements Streams {
  readonly #options: StreamsOptions
  readonly #byName = new Map<string, Set<Stream>>()
  readonly #slots = Array.from({ length: heartbeatSlots }, () => new Set<Stream>())
  readonly #perToken = new Map<string, number>()
  readonly #recent: RecentEvents
  readonly #cancels: readonly Cancel[]
  #count = 0
  #beats = 0

  constructor(options: StreamsOptions) {
    const { service, auth, system, limits } = options
    this.#options = options
    this.#recent = createRecentEvents(service)
    this.#cancels = [
      service.onEvent((event) => this.#tell(event)),
      auth.onChange(() => this.#dismiss()),
      every(system, limits.heartbeatMs / heartbeatSlots, () => this.#beat()),
    ]
  }

  get count(): number {
    return this.#count
  }

  open({ response, name, caller, afterId, instance, requestId }: StreamRequest): boolean {
    const { limits, log } = this.#options
    const ofToken = this.#perToken.get(caller.id) ?? 0
    if (this.#count >= limits.streamsMax || ofToken >= limits.streamsPerTokenMax) return false
    const stream: Stream = { response, name, caller, instance, lastId: 0, backlog: [] }
    const slot = this.#slots[this.#count % heartbeatSlots] ?? new Set()
    const streams = this.#byName.get(name) ?? new Set()
    this.#byName.set(name, streams.add(stream))
    slot.add(stream)
    this.#count += 1
    this.#perToken.set(caller.id, ofToken + 1)
    response.on('close', () => this.#remove(stream, slot))
    const app = encodeURIComponent(caller.name.toWellFormed())
    response.writeHead(200, [...streamHeaders, 'Keyturn-App', app, 'X-Request-Id', requestId])
    response.flushHeaders()
    forgetHeaders(response)
    void this.#begin(stream, afterId).catch((thrown: unknown) => {
      log('error', 'an event stream could not begin', {
        credential: name,
        error: toKeyturnError(thrown, 'reading events'),
      })
      this.#bye(stream, 'the events cannot be read now')
    })
    return true
  }

  listening(name: string): (app: string, instance: string) => boolean {
    const streams = [...(this.#byName.get(name) ?? [])]
    const known = new Set(streams.map(({ caller, instance }) => `${caller.name} ${instance}`))
    return (app, instance) => known.has(`${app} ${instance}`)
  }

  close(): void {
    for (const cancel of this.#cancels) cancel()
    for (const slot of this.#slots) for (const stream of slot) this.#bye(stream, 'stopping')
  }

  #remove(stream: Stream, slot: Set<Stream>): void {
    if (!slot.delete(stream)) return
    this.#byName.get(stream.name)?.delete(stream)
    this.#count -= 1
    const left = (this.#perToken.get(stream.caller.id) ?? 1) - 1
    if (left === 0) this.#perToken.delete(stream.caller.id)
    else this.#perToken.set(stream.caller.id, left)
  }

  async #begin(stream: Stream, afterId: number | undefined): Promise<void> {
    const known = this.#recent.after(stream.name, afterId)
    if (known !== undefined) {
      this.#greet(stream, afterId ?? known.head)
      for (const event of known.events) this.#send(stream, event)
      stream.backlog = undefined
      return
    }
    const head = await this.#recent.load(stream.name)
    // An id beyond ours is one of a ledger that was lost: there is nothing to replay, and waiting for it would never end.
    this.#greet(stream, afterId === undefined ? head : Math.min(afterId, head))
    for (let page = 0; stream.lastId < head && page < replayPagesMax; page += 1) {
      const events = await this.#options.service.events(stream.name, stream.lastId)
      if (events.length === 0) break
      await this.#replay(stream, events.map(frameOf))
    }
    // While these are written more may arrive behind them; the loop ends when none has.
    const backlog = stream.backlog ?? []
    while (backlog.length > 0) await this.#replay(stream, backlog.splice(0))
    stream.backlog = undefined
  }

  #greet(stream: Stream, lastEventId: number): void {
    stream.lastId = lastEventId
    const hello = this.#message(stream.name, 'hello', { lastEventId })
    this.#write(stream, frame(`id: ${lastEventId}\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`))
  }

  #send(stream: Stream, event: Frame): void {
    if (event.id <= stream.lastId) return
    stream.lastId = event.id
    this.#write(stream, event)
  }

  /** At the pace of the reader, unlike live events: what it reads from the ledger need not wait in memory. */
  async #replay(stream: Stream, events: readonly Frame[]): Promise<void> {
    for (const event of events) {
      if (needsDrain(stream.response)) await drained(stream.response)
      this.#send(stream, event)
    }
  }

  #tell(event: CredentialEvent): void {
    const told = frameOf(event)
    this.#recent.note(event.credential, told)
    for (const stream of this.#byName.get(event.credential) ?? []) {
      if (stream.backlog === undefined) this.#send(stream, told)
      else if (stream.backlog.length < this.#options.limits.streamBacklogMax) stream.backlog.push(told)
      else this.#cut(stream, 'too much happened while it replayed')
    }
  }

  #beat(): void {
    const { auth, leases } = this.#options
    this.#beats += 1
    const isKeeping = Math.floor(this.#beats / heartbeatSlots) % keepEvery === 0
    for (const stream of this.#slots[this.#beats % heartbeatSlots] ?? []) {
      if (!auth.isLive(stream.caller)) {
        this.#bye(stream, noLongerGood)
        continue
      }
      this.#write(stream, heartbeat)
      if (isKeeping && stream.instance !== undefined) leases.keep(stream.name, stream.instance, stream.caller)
    }
  }

  /** Ends the streams of tokens that are no longer good. */
  #dismiss(): void {
    for (const slot of this.#slots)
      for (const stream of slot)
        if (!this.#options.auth.isLive(stream.caller)) this.#bye(stream, noLongerGood)
  }

  #write(stream: Stream, written: Frame): void {
    const { response } = stream
    // It may have been dismissed, cut off or left while the ledger was read.
    if (response.writableEnded || response.destroyed) return
    // Looked at before, not after: a message of any size gets through to a reader that keeps up.
    if (response.writableLength > this.#options.limits.streamBufferBytesMax)
      this.#cut(stream, 'its reader is too slow')
    else writeFrame(response, written)
  }

  #cut(stream: Stream, why: string): void {
    this.#options.log('warn', 'an event stream was cut off; its client can come back and replay', {
      credential: stream.name,
      app: stream.caller.name,
      why,
    })
    stream.response.destroy()
  }

  #bye(stream: Stream, reason: string): void {
    if (stream.response.writableEnded) return
    const retry = retryMs + Math.floor(this.#options.system.fraction() * retrySpreadMs)
    const message = this.#message(stream.name, 'bye', { reason })
    stream.response.end(`event: bye\nretry: ${retry}\ndata: ${JSON.stringify(message)}\n\n`)
  }

  #message(name: string, kind: string, data: EventMessage['data']): EventMessage {
    const { service, system } = this.#options
    const generation = service.handOut(name)?.generation ?? 0
    return { credential: name, kind, generation, at: new Date(system.now()).toISOString(), data }
  }
}

/** The request's headers, the token among them, would otherwise stay in memory for as long as the stream. */
function forgetHeaders({ req }: ServerResponse): void {
  req.rawHeaders.length = 0
  req.headers = {}
  req.headersDistinct = {}
}

const streamHeaders = [
  'Content-Type',
  'text/event-stream; charset=utf-8',
  'Cache-Control',
  'no-store',
  // Asks buffering reverse proxies to pass each event on at once.
  'X-Accel-Buffering',
  'no',
  'X-Content-Type-Options',
  'nosniff',
]

function frameOf(event: CredentialEvent): Frame {
  const message: EventMessage = {
    credential: event.credential,
    kind: event.kind,
    generation: event.generation,
    at: new Date(event.at).toISOString(),
    data: event.data,
  }
  // One text for all who listen, whatever they may know of.
  const data = withoutHolder(JSON.stringify(message))
  return frame(`id: ${event.id}\nevent: ${event.kind}\ndata: ${data}\n\n`, event.id)
}
