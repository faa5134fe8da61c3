import { waitSecondsMax } from '../api/validators.ts'
import { KeyturnError } from '../core/errors.ts'
import { unauthenticated } from './checks.ts'
import type { ServerContext } from './context.ts'
import { matchesEtag } from './hand-out.ts'
import { showName } from './json-body.ts'
import type { Call, Handler } from './routes.ts'

const instanceHeader = 'keyturn-instance'
const inFlightHeader = 'keyturn-generation-in-flight'

/** GET /v1/credentials/{name}: the same answers as the fast lane, and all that the fast lane leaves: waiting, refusing. */
export function handOutRoute(context: ServerContext): Handler {
  const { service, handOuts, waiters, auth, audited, system } = context
  return async (call) => {
    const { request, reply, name, caller } = call
    const waitMs = waitMsOf(call)
    const ifNoneMatch = request.headers['if-none-match']
    const untilAt = system.now() + waitMs
    const gone = new AbortController()
    if (waitMs > 0) reply.raw.once('close', () => gone.abort())
    for (;;) {
      const prepared = handOuts.prepared(name)
      const isUnchanged = prepared !== undefined && matchesEtag(ifNoneMatch, prepared.etag)
      const leftMs = untilAt - system.now()
      const isOver = leftMs <= 0 || gone.signal.aborted || context.isStopping()
      if (prepared !== undefined && (!isUnchanged || isOver)) {
        // Whoever went away may have ended its lease since.
        if (!gone.signal.aborted) touchLease(context, call, prepared.handOut.generation)
        const { handOut } = prepared
        if (!isUnchanged) {
          await audited.handOut(handOut, { caller, requestId: request.id, raw: request.raw })
          if (!auth.isLive(caller)) throw unauthenticated()
          // Taken back while the row was written.
          if (handOuts.prepared(name)?.handOut !== handOut) continue
        }
        context.metrics.apps.of(caller.name).value += 1
        setHeaders(call, isUnchanged ? prepared.headersUnchanged : prepared.headers)
        return isUnchanged ? reply.code(304).send() : reply.send(prepared.body)
      }
      // Who holds a key learns at once that it is gone; who has none waits for one.
      if (prepared === undefined && (ifNoneMatch !== undefined || isOver)) throw noVerifiedKey(context, call)
      touchLease(context, call, service.handOut(name)?.generation ?? 0)
      const waiting = waiters.wait({ name, ms: leftMs, signal: gone.signal, caller: caller.id })
      if (waiting === undefined)
        throw new KeyturnError('too_many_requests', 'Too many requests are waiting for a change already.', {
          fix: 'Ask without ?wait, or use the event stream.',
          retryable: true,
        })
      await waiting
      if (!auth.isLive(caller)) throw unauthenticated()
    }
  }
}

/** GET …/events. */
export function eventsRoute(context: ServerContext): Handler {
  return async (call) => {
    const { request, reply, name, caller } = call
    const afterId = afterIdOf(request.headers['last-event-id'])
    if (context.isStopping())
      throw new KeyturnError('stopping', 'Keyturn is stopping.', {
        fix: 'Come back in a moment.',
        retryable: true,
      })
    // Who may not have the key uses no generation of it, and must not hold up the end of an old one.
    const isUser = caller.may('read', name)
    const instance = isUser ? headerOf(call, instanceHeader) : undefined
    if (isUser) touchLease(context, call, context.service.handOut(name)?.generation ?? 0)
    const isOpen = context.streams.open({
      response: reply.raw,
      name,
      caller,
      afterId,
      instance,
      requestId: request.id,
    })
    if (!isOpen)
      throw new KeyturnError('too_many_requests', 'Too many event streams are open.', {
        fix: 'Share one stream per process, or use ?wait on the credential.',
        retryable: true,
      })
    context.metrics.count('streamEvents', 200)
    reply.hijack()
    return reply
  }
}

function noVerifiedKey(context: ServerContext, { name, reply }: Call): KeyturnError {
  const handOut = context.service.handOut(name)
  if (handOut === undefined || handOut.kind === 'available')
    return new KeyturnError('no_verified_key', `There is no verified key for ${name} yet.`, {
      fix: 'Ask again in a moment.',
      retryable: true,
    })
  reply.header('keyturn-generation', String(handOut.generation))
  return new KeyturnError('no_verified_key', `${name}: ${handOut.summary}`, {
    fix: handOut.fix,
    retryable: true,
  })
}

function waitMsOf({ request }: Call): number {
  const query = request.query as Readonly<Record<string, unknown>>
  const wait = query['wait']
  if (wait === undefined) return 0
  const isWhole = typeof wait === 'string' && /^\d{1,3}$/.test(wait) && Number(wait) <= waitSecondsMax
  if (!isWhole)
    throw new KeyturnError('bad_request', `The parameter ${showName('wait')} is not usable.`, {
      fix: `Send whole seconds from 0 to ${waitSecondsMax}.`,
    })
  return Number(wait) * 1_000
}

function afterIdOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header)
  throw new KeyturnError('bad_request', 'The header Last-Event-ID is not the id of an event.', {
    fix: 'Send the id of the last event that was seen, or leave the header out.',
  })
}

function touchLease(context: ServerContext, call: Call, generation: number): void {
  const instance = headerOf(call, instanceHeader)
  if (instance === undefined) return
  const inFlight = headerOf(call, inFlightHeader)
  const refusal = context.leases.touch(call.name, { instance, inFlight }, call.caller, generation)
  if (refusal !== undefined) throw refusal
}

function headerOf({ request }: Call, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function setHeaders({ reply }: Call, headers: readonly string[]): void {
  for (let index = 0; index + 1 < headers.length; index += 2)
    reply.header(headers[index] ?? '', headers[index + 1] ?? '')
}
