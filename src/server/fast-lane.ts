import type { IncomingMessage, ServerResponse } from 'node:http'
import { type KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Audited } from './audited.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isForwardingHeader } from './forwarded.ts'
import { type HandOuts, matchesEtag, type Prepared } from './hand-out.ts'
import type { Leases } from './leases.ts'
import type { Metrics } from './metrics.ts'
import type { Rates } from './rates.ts'
import { endSilence } from './silence.ts'
import type { Visitor, Visitors } from './visitors.ts'

export interface FastLaneOptions {
  readonly handOuts: HandOuts
  readonly visitors: Visitors
  readonly auth: Pick<Authenticator, 'isLive'>
  readonly rates: Pick<Rates, 'take'>
  readonly leases: Leases
  readonly metrics: Metrics
  readonly audited: Audited
  /** Takes what can no longer be answered here after it waited for its row. */
  readonly otherwise: (request: IncomingMessage, response: ServerResponse) => void
  /** No secret without its row: this is said instead. */
  readonly refuse: (response: ServerResponse, error: KeyturnError) => void
  readonly headersMax: number
  /** How long a reader may take nothing of its answer. */
  readonly silenceMs: number
}

/** True where the request was answered, or will be. */
export type FastLane = (request: IncomingMessage, response: ServerResponse) => boolean

const prefix = '/v1/credentials/'

/**
 * The hand-out, straight on node:http. It says yes and nothing else: whatever is not a plain GET by a known caller for a
 * key that is there (an odd Host, an Origin, a body, a query, a bad token …) is declined here and refused by the
 * application behind, which runs all checks in their order. So there is one place that explains, and none to get round.
 */
export function createFastLane(options: FastLaneOptions): FastLane {
  const { handOuts, visitors, auth, rates, leases, metrics, audited, headersMax, silenceMs } = options
  const send = (response: ServerResponse, { headers, body }: Prepared, { app }: Visitor): void => {
    metrics.handOuts += 1
    app.value += 1
    response.writeHead(200, headers as string[])
    response.end(body)
    endSilence(response, silenceMs)
  }
  const wait = createWaiting({
    written({ request, response, name, prepared, visitor }) {
      // While the row was written the key or the token may have been taken back: that is looked at anew.
      const isSame = handOuts.prepared(name)?.handOut === prepared.handOut
      if (isSame && auth.isLive(visitor.caller)) send(response, prepared, visitor)
      else options.otherwise(request, response)
    },
    refused: ({ response }, thrown) =>
      options.refuse(response, toKeyturnError(thrown, 'writing the audit row')),
  })
  return (request, response) => {
    const url = request.url
    if (url === undefined || request.method !== 'GET' || !url.startsWith(prefix)) return false
    const name = url.slice(prefix.length)
    if (request.rawHeaders.length > 2 * headersMax) return false
    const seen = scan(request.rawHeaders)
    const { host, authorization } = seen
    if (seen.isOdd || host === undefined) return false
    const visitor = visitors.admit(request.socket, { host, authorization })
    if (visitor === undefined || !visitor.caller.may('read', name)) return false
    const { caller } = visitor
    // Looked up last: until here a name that is not there takes the same path as one that is.
    const prepared = handOuts.prepared(name)
    if (prepared === undefined || !rates.take(caller.id)) return false
    if (seen.instance !== undefined) {
      const { instance, inFlight } = seen
      if (leases.touch(name, { instance, inFlight }, caller, prepared.handOut.generation) !== undefined)
        return false
    }
    if (seen.ifNoneMatch !== undefined && matchesEtag(seen.ifNoneMatch, prepared.etag)) {
      metrics.handOutsUnchanged += 1
      visitor.app.value += 1
      response.writeHead(304, prepared.headersUnchanged as string[])
      response.end()
      endSilence(response, silenceMs)
      return true
    }
    const written = audited.visit(prepared.handOut, visitor)
    if (written === undefined) send(response, prepared, visitor)
    else wait(written, { request, response, name, prepared, visitor })
    return true
  }
}

/** A reply that leaves when its row is written. */
interface Reply {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly name: string
  readonly prepared: Prepared
  readonly visitor: Visitor
}

/** Rows that are written together have one promise: it is asked once for all replies that wait for it, which is felt. */
function createWaiting(told: {
  readonly written: (reply: Reply) => void
  readonly refused: (reply: Reply, thrown: unknown) => void
}): (written: Promise<void>, reply: Reply) => void {
  let last: Promise<void> | undefined
  let replies: Reply[] = []
  return (written, reply) => {
    if (written === last) {
      replies.push(reply)
      return
    }
    const together = [reply]
    last = written
    replies = together
    const end = (): void => {
      if (last === written) last = undefined
    }
    written.then(
      () => {
        end()
        for (const one of together) told.written(one)
      },
      (thrown: unknown) => {
        end()
        for (const one of together) told.refused(one, thrown)
      },
    )
  }
}

interface Scanned {
  host: string | undefined
  authorization: string | undefined
  ifNoneMatch: string | undefined
  instance: string | undefined
  inFlight: string | undefined
  /** An Origin or its like, a proxy's header, a body, or a header twice that must be there once. */
  isOdd: boolean
}

/**
 * The few headers that matter, found in one walk. `request.headers` would build an object of all of them. Names are told
 * apart by length first, so that most of them are not even lower-cased.
 */
function scan(raw: readonly string[]): Scanned {
  const seen: Scanned = {
    host: undefined,
    authorization: undefined,
    ifNoneMatch: undefined,
    instance: undefined,
    inFlight: undefined,
    isOdd: false,
  }
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    seen.isOdd ||= isForwardingHeader(name)
    switch (name.length) {
      case 4:
        if (isNamed(name, 'host')) {
          seen.isOdd ||= seen.host !== undefined
          seen.host = value
        }
        break
      case 6:
        seen.isOdd ||= isNamed(name, 'origin') || isNamed(name, 'expect')
        break
      case 13:
        if (isNamed(name, 'authorization')) {
          seen.isOdd ||= seen.authorization !== undefined
          seen.authorization = value
        } else if (isNamed(name, 'if-none-match')) {
          seen.isOdd ||= seen.ifNoneMatch !== undefined
          seen.ifNoneMatch = value
        }
        break
      case 14:
        seen.isOdd ||=
          isNamed(name, 'content-length') ||
          isNamed(name, 'sec-fetch-site') ||
          isNamed(name, 'sec-fetch-dest') ||
          isNamed(name, 'sec-fetch-user')
        break
      case 16:
        if (isNamed(name, 'keyturn-instance')) {
          seen.isOdd ||= seen.instance !== undefined
          seen.instance = value
        }
        break
      case 17:
        seen.isOdd ||= isNamed(name, 'transfer-encoding')
        break
      case 28:
        if (isNamed(name, 'keyturn-generation-in-flight')) {
          seen.isOdd ||= seen.inFlight !== undefined
          seen.inFlight = value
        }
        break
      default:
    }
  }
  return seen
}

function isNamed(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower
}
