import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import type { OpenAICredential } from '../../src/client/types.ts'
import type { Caller } from '../../src/proxy/callers.ts'
import { Exchange } from '../../src/proxy/exchange.ts'
import { defaultLimits } from '../../src/proxy/limits.ts'
import { createTally } from '../../src/proxy/tally.ts'

const credential = { name: 'openai', apiKey: 'the-key', version: 'v1', generation: 1 } as OpenAICredential
const next = { ...credential, apiKey: 'the-next-key', generation: 2 }

/** One request on its way, with both of its ends in the hands of the test. */
function underWay() {
  const handlers: Dispatcher.DispatchHandler[] = []
  const counts = { entered: 0, left: 0, released: 0 }
  const replaced = Promise.withResolvers<OpenAICredential | undefined>()
  const response = Object.assign(new EventEmitter(), { writableFinished: false })
  const caller: Pick<Caller, 'enter' | 'replace' | 'usage'> = {
    enter() {
      counts.entered += 1
      return () => void (counts.left += 1)
    },
    replace: () => replaced.promise,
    usage: { active: 1, answers: new Map() },
  }
  const exchange = new Exchange({
    request: { method: 'POST', complete: true } as IncomingMessage,
    response: response as unknown as ServerResponse,
    caller: caller as Caller,
    rest: '/chat/completions',
    forwarded: [],
    body: { kind: 'kept', bytes: Buffer.from('{}'), release: () => void (counts.released += 1) },
    upstreams: {
      target: () => ({
        pool: { dispatch: (_options, handler) => handlers.push(handler) > 0 },
        origin: 'https://api.openai.com',
        basePath: '/v1',
        headers: [],
      }),
    },
    limits: defaultLimits,
    timers: { after: () => () => undefined },
    tally: createTally(),
  })
  exchange.send(credential)
  const aborted: Error[] = []
  const controller = { abort: (reason: Error) => void aborted.push(reason) } as Dispatcher.DispatchController
  return { handlers, counts, replaced, response, controller, aborted }
}

describe('a caller that is gone', () => {
  it('before its request has left ends it as soon as it would', () => {
    const { handlers, response, controller, aborted } = underWay()
    response.emit('close')
    expect(aborted).toEqual([])
    handlers[0]?.onRequestStart?.(controller, undefined)
    expect(aborted).toHaveLength(1)
  })

  it('while another key is looked for has nothing sent in its name any more, and no key in use', async () => {
    const { handlers, counts, replaced, response, controller, aborted } = underWay()
    const [handler] = handlers
    handler?.onRequestStart?.(controller, undefined)
    handler?.onResponseStart?.(controller, 401, {}, 'Unauthorized')
    handler?.onResponseData?.(controller, Buffer.from('{"error":{"code":"invalid_api_key"}}'))
    handler?.onResponseEnd?.(controller, {})
    response.emit('close')
    replaced.resolve(next)
    await replaced.promise
    await Promise.resolve()
    expect(handlers).toHaveLength(1)
    expect(counts).toEqual({ entered: 1, left: 1, released: 1 })
    expect(aborted).toHaveLength(1)
  })
})
