import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { OpenAICredential } from '../client/types.ts'
import type { Cancel } from '../core/ports.ts'
import { type Body, BodyTooLarge, type DrainOptions, drain } from './body.ts'
import type { Caller } from './callers.ts'
import type { ProxyLimits } from './limits.ts'
import { type Refusal, sendRefusal } from './refusal.ts'
import { isKeyRefused, type RefusedAnswer, scrubbed, textOf } from './refused-answer.ts'
import { passedHeaders, single, type UpstreamHeaders } from './response-head.ts'
import { bodyTooLarge, elsewhere, keyRefused, redirected, unreadable, upstreamFailed } from './sentences.ts'
import type { Tally } from './tally.ts'
import type { Target, Upstreams } from './upstream.ts'

type Controller = Dispatcher.DispatchController

export interface ExchangeOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  /** After the base URL. */
  readonly rest: string
  readonly forwarded: readonly string[]
  readonly body: Body
  readonly upstreams: Pick<Upstreams, 'target'>
  readonly limits: Pick<ProxyLimits, 'refusalBytesMax' | 'bodyBytesMax'> & DrainOptions['limits']
  readonly timers: DrainOptions['timers']
  readonly tally: Pick<Tally, 'answered' | 'keyRefused' | 'upstreamFailed'>
}

class CallerGone extends Error {}

/**
 * One request on its way up and its answer on its way back. Pieces go through one by one as they come: the upstream is
 * paused while the caller takes nothing, and let go of as soon as the caller is gone. Sent at most twice, the second time
 * with another key, and only while nothing of an answer has left.
 */
export class Exchange {
  readonly options: ExchangeOptions
  #controller: Controller | undefined
  #isOver = false
  #isRepeated = false

  constructor(options: ExchangeOptions) {
    this.options = options
    const { response } = options
    response.on('close', () => {
      this.#end()
      if (!response.writableFinished) this.#controller?.abort(new CallerGone())
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  begin(controller: Controller): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new CallerGone())
  }

  send(credential: OpenAICredential): void {
    const { options } = this
    const target = options.upstreams.target(credential)
    if (target === undefined) {
      this.refuse(elsewhere(credential))
      return
    }
    const leave = options.caller.enter(credential)
    try {
      target.pool.dispatch(this.#outgoing(target), new Attempt(this, credential, leave))
    } catch (error) {
      // What undici finds wrong with a request before it sends it.
      leave()
      this.fail(error as Error)
    }
  }

  #outgoing(target: Target): Dispatcher.DispatchOptions {
    const { request, rest, forwarded, body } = this.options
    const headers = [...forwarded, ...target.headers]
    const sent = {
      origin: target.origin,
      path: target.basePath + rest,
      method: request.method ?? 'GET',
      headers,
    }
    if (body.kind === 'none') return sent
    if (body.kind === 'kept') return { ...sent, body: body.bytes }
    if (body.length !== undefined) headers.push('content-length', String(body.length))
    // undici takes every async iterable; its types name only some.
    return { ...sent, body: body.chunks as unknown as Buffer }
  }

  /** The upstream refused, or sent elsewhere; nothing of it has gone to the caller yet. */
  refused(answer: RefusedAnswer, credential: OpenAICredential): void {
    const { caller, body, limits, tally } = this.options
    const { status, headers } = answer
    const text = textOf(answer, limits.refusalBytesMax)
    if (!isKeyRefused(status, text)) {
      this.#passOn(answer, text, credential)
      return
    }
    const requestId = single(headers, 'x-request-id')
    const refusal = { status, code: 'invalid_api_key', ...(requestId === undefined ? {} : { requestId }) }
    // It is reported also where the request cannot be sent again: the next one is better off for it.
    const other = this.#isRepeated ? undefined : caller.replace(credential, refusal)
    if (other === undefined || body.kind === 'passing') {
      tally.keyRefused(body.kind === 'passing' ? 'not_repeatable' : 'not_replaced')
      this.refuse(keyRefused(credential, body.kind === 'passing'))
      return
    }
    this.#isRepeated = true
    void other.then((found) => {
      tally.keyRefused(found === undefined ? 'not_replaced' : 'replaced')
      if (this.#isOver) return
      if (found === undefined) this.refuse(keyRefused(credential, false))
      else this.send(found)
    })
  }

  /** The words of the upstream without the key, which OpenAI quotes in part. */
  #passOn({ status, headers }: RefusedAnswer, text: string | undefined, credential: OpenAICredential): void {
    const { response } = this.options
    if (status < 400) {
      this.refuse(redirected(status))
      return
    }
    if (text === undefined) {
      this.refuse(unreadable(status))
      return
    }
    // As bytes: Node would write the head in UTF-8 along with a body of text.
    const clean = Buffer.from(scrubbed(text, credential.apiKey))
    const { 'content-encoding': _coding, 'content-length': _length, ...rest } = headers
    response.writeHead(status, [
      ...passedHeaders(rest, (value) => scrubbed(value, credential.apiKey) !== value),
      'content-length',
      String(clean.length),
    ])
    response.end(clean)
    this.#drain()
  }

  refuse(refusal: Refusal): void {
    sendRefusal(this.options.response, refusal)
    this.#drain()
  }

  /** The exchange with the upstream broke. */
  fail(error: Error): void {
    const { response, tally, limits } = this.options
    if (this.#isOver || error instanceof CallerGone) return
    if (error instanceof BodyTooLarge) {
      this.refuse(bodyTooLarge(limits.bodyBytesMax))
      return
    }
    tally.upstreamFailed()
    if (response.headersSent) breakOff(this.options)
    else this.refuse(upstreamFailed(error))
  }

  /** All of the answer has come; the upstream need not have waited for all of the body. */
  finish(): void {
    this.options.response.end()
    this.#drain()
  }

  #drain(): void {
    drain(this.options.request, this.options)
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { body } = this.options
    if (body.kind === 'kept') body.release()
  }
}

/** One sending, as undici tells of it. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange
  readonly #credential: OpenAICredential
  readonly #leave: Cancel
  /** What a refusal is made of, while it is read. */
  #refused:
    | { readonly status: number; readonly headers: UpstreamHeaders; chunks: Buffer[]; bytes: number }
    | undefined
  #isWaiting = false

  constructor(exchange: Exchange, credential: OpenAICredential, leave: Cancel) {
    this.#exchange = exchange
    this.#credential = credential
    this.#leave = leave
  }

  onRequestStart(controller: Controller): void {
    this.#exchange.begin(controller)
  }

  onResponseStart(_controller: Controller, status: number, headers: UpstreamHeaders): void {
    // Interim answers are between the two ends of one connection.
    if (status < 200) return
    const { response, caller, tally } = this.#exchange.options
    tally.answered(caller.usage, this.#credential.fingerprint, status)
    if (status >= 300 && status !== 304) {
      this.#refused = { status, headers, chunks: [], bytes: 0 }
      return
    }
    response.sendDate = headers['date'] === undefined
    response.writeHead(
      status,
      passedHeaders(headers, (value) => value.includes(this.#credential.apiKey)),
    )
    // Pieces that arrived in one packet with the head leave with it; a head that came alone leaves alone.
    queueMicrotask(() => {
      if (response.writableLength === 0 && !response.writableEnded) response.flushHeaders()
    })
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    const { response, limits } = this.#exchange.options
    const refused = this.#refused
    if (refused !== undefined) {
      refused.bytes += chunk.length
      if (refused.bytes <= limits.refusalBytesMax) refused.chunks.push(chunk)
      else {
        refused.chunks = []
        controller.abort(new RefusalTooLong())
      }
      return
    }
    if (response.write(chunk) || this.#isWaiting) return
    this.#isWaiting = true
    controller.pause()
    response.once('drain', () => {
      this.#isWaiting = false
      controller.resume()
    })
  }

  onResponseEnd(): void {
    this.#leave()
    const refused = this.#refused
    if (this.#exchange.isOver) return
    if (refused === undefined) {
      this.#exchange.finish()
      return
    }
    const { status, headers, chunks } = refused
    this.#exchange.refused({ status, headers, body: Buffer.concat(chunks) }, this.#credential)
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.#leave()
    if (this.#exchange.isOver) return
    const refused = this.#refused
    if (refused === undefined) this.#exchange.fail(error)
    else this.#exchange.refused({ ...refused, body: undefined }, this.#credential)
  }
}

/** A half answer must not look like a whole one, which in HTTP/1.0 ends with its connection. */
function breakOff({ request, response }: Pick<ExchangeOptions, 'request' | 'response'>): void {
  const { socket } = request
  // Only TCP has a reset, and Node throws for a Unix socket.
  if (request.httpVersionMinor === 0 && socket.remoteAddress !== undefined) socket.resetAndDestroy()
  else response.destroy()
}

class RefusalTooLong extends Error {}
