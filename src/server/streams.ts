import type { ServerResponse } from 'node:http'
import type { EventMessage } from '../api/types.ts'
import { toKeyturnError } from '../core/errors.ts'
import type { Log, System } from '../core/ports.ts'
import type { CredentialEvent } from '../core/types.ts'
import type { Service } from '../engine/service.ts'
import type { Leases } from './leases.ts'
import type { ServerLimits } from './limits.ts'
import { every } from './ticker.ts'
import type { Caller, TokenStore } from './tokens.ts'

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
  backlog: CredentialEvent[] | undefined
}

/** Heartbeats are spread over so many parts of their interval: 10,000 writes at once would hold up every hand-out. */
const heartbeatSlots = 15
/** Leases of connected instances are renewed every so many heartbeats. */
const keepEvery = 4
const replayPagesMax = 100
/** Clients come back after this long, spread so that they do not all come at once. */
const retryMs = 500
const retrySpreadMs = 1_500
const heartbeat = ': still here\n\n'

export interface StreamsOptions {
  readonly service: Service
  readonly tokens: TokenStore
  readonly leases: Leases
  readonly system: System
  readonly log: Log
  readonly limits: ServerLimits
}

export function createStreams(options: StreamsOptions): Streams {
  const { service, tokens, leases, system, log, limits } = options
  const byName = new Map<string, Set<Stream>>()
  const slots = Array.from({ length: heartbeatSlots }, () => new Set<Stream>())
  const perToken = new Map<string, number>()
  let count = 0
  let beats = 0

  const remove = (stream: Stream, slot: Set<Stream>) => {
    if (!slot.delete(stream)) return
    byName.get(stream.name)?.delete(stream)
    count -= 1
    const left = (perToken.get(stream.caller.id) ?? 1) - 1
    if (left === 0) perToken.delete(stream.caller.id)
    else perToken.set(stream.caller.id, left)
  }

  const cut = (stream: Stream, why: string) => {
    log('warn', 'an event stream was cut off; its client can come back and replay', {
      credential: stream.name,
      app: stream.caller.name,
      why,
    })
    stream.response.destroy()
  }

  const write = (stream: Stream, frame: string | Buffer) => {
    // Looked at before, not after: a message of any size gets through to a reader that keeps up.
    if (stream.response.writableLength > limits.streamBufferBytesMax) cut(stream, 'its reader is too slow')
    else stream.response.write(frame)
  }

  const bye = (stream: Stream, reason: string) => {
    const retry = retryMs + Math.floor(system.fraction() * retrySpreadMs)
    const message = messageOf(stream.name, 'bye', { reason })
    stream.response.end(`event: bye\nretry: ${retry}\ndata: ${JSON.stringify(message)}\n\n`)
  }

  const messageOf = (name: string, kind: string, data: EventMessage['data']): EventMessage => ({
    credential: name,
    kind,
    generation: service.handOut(name)?.generation ?? 0,
    at: new Date(system.now()).toISOString(),
    data,
  })

  const tell = (event: CredentialEvent) => {
    const streams = byName.get(event.credential)
    if (streams === undefined || streams.size === 0) return
    const frame = frameOf(event)
    for (const stream of streams) {
      if (stream.backlog !== undefined) {
        if (stream.backlog.length < limits.streamBacklogMax) stream.backlog.push(event)
        else cut(stream, 'too much happened while it replayed')
      } else if (event.id > stream.lastId) {
        stream.lastId = event.id
        write(stream, frame)
      }
    }
  }

  const begin = async (stream: Stream, afterId: number | undefined) => {
    const head = await service.lastEventId(stream.name)
    // An id beyond ours is one of a ledger that was lost: there is nothing to replay, and waiting for it would never end.
    stream.lastId = afterId === undefined ? head : Math.min(afterId, head)
    const hello = messageOf(stream.name, 'hello', { lastEventId: stream.lastId })
    write(stream, `id: ${stream.lastId}\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`)
    for (let page = 0; stream.lastId < head && page < replayPagesMax; page += 1) {
      const events = await service.events(stream.name, stream.lastId)
      if (events.length === 0) break
      await replay(stream, events)
    }
    // While these are written more may arrive behind them; the loop ends when none has.
    const backlog = stream.backlog ?? []
    while (backlog.length > 0) await replay(stream, backlog.splice(0))
    stream.backlog = undefined
  }

  /** At the pace of the reader, unlike live events: what it reads from the ledger need not wait in memory. */
  const replay = async (stream: Stream, events: readonly CredentialEvent[]) => {
    for (const event of events) {
      if (event.id <= stream.lastId) continue
      if (stream.response.writableNeedDrain) await drained(stream.response)
      if (stream.response.destroyed) return
      stream.lastId = event.id
      write(stream, frameOf(event))
    }
  }

  const beat = () => {
    beats += 1
    const isKeeping = Math.floor(beats / heartbeatSlots) % keepEvery === 0
    for (const stream of slots[beats % heartbeatSlots] ?? []) {
      if (!tokens.isLive(stream.caller)) {
        bye(stream, 'the token is no longer good')
        continue
      }
      write(stream, heartbeat)
      if (isKeeping && stream.instance !== undefined) leases.keep(stream.name, stream.instance, stream.caller)
    }
  }

  const cancels = [
    service.onEvent(tell),
    every(system, limits.heartbeatMs / heartbeatSlots, beat),
    tokens.onChange(() => {
      for (const slot of slots)
        for (const stream of slot)
          if (!tokens.isLive(stream.caller)) bye(stream, 'the token is no longer good')
    }),
  ]

  return {
    get count() {
      return count
    },
    open({ response, name, caller, afterId, instance, requestId }) {
      const ofToken = perToken.get(caller.id) ?? 0
      if (count >= limits.streamsMax || ofToken >= limits.streamsPerTokenMax) return false
      const stream: Stream = { response, name, caller, instance, lastId: 0, backlog: [] }
      const slot = slots[count % heartbeatSlots] ?? new Set()
      const streams = byName.get(name) ?? new Set()
      byName.set(name, streams.add(stream))
      slot.add(stream)
      count += 1
      perToken.set(caller.id, ofToken + 1)
      response.on('close', () => remove(stream, slot))
      response.writeHead(200, [...streamHeaders, 'X-Request-Id', requestId])
      response.flushHeaders()
      void begin(stream, afterId).catch((thrown: unknown) => {
        log('error', 'an event stream could not begin', {
          credential: name,
          error: toKeyturnError(thrown, 'reading events'),
        })
        bye(stream, 'the events cannot be read now')
      })
      return true
    },
    close() {
      for (const cancel of cancels) cancel()
      for (const slot of slots) for (const stream of slot) bye(stream, 'stopping')
    },
  }
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

function frameOf(event: CredentialEvent): string {
  const message: EventMessage = {
    credential: event.credential,
    kind: event.kind,
    generation: event.generation,
    at: new Date(event.at).toISOString(),
    data: event.data,
  }
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(message)}\n\n`
}

/** Resolves when there is room again, or nobody left to write to. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      response.off('drain', finish)
      response.off('close', finish)
      resolve()
    }
    response.on('drain', finish)
    response.on('close', finish)
    if (response.destroyed) finish()
  })
}
