import { orAborted } from './deadline.ts'
import type { InFlight } from './in-flight.ts'
import type { Knowledge } from './knowledge.ts'
import type { Platform } from './platform.ts'
import { readRefusal } from './refusal-body.ts'
import type { Replace } from './replace.ts'
import { outgoing, replayOf, type Sending } from './replay.ts'
import { trackBody } from './track-body.ts'
import type { Fetch, OpenAICredential } from './types.ts'

export interface RefreshingOptions {
  readonly fetch: Fetch
  readonly knowledge: Knowledge
  readonly requests: InFlight
  readonly replace: Replace
  readonly platform: Platform
}

/**
 * A fetch that survives a key that dies under it. A request is looked at only when it carries a key that was handed
 * out here, to the origin that key is for; anything else goes through untouched, so that no key is ever added to a
 * request that had none, or sent elsewhere.
 */
export function createRefreshingFetch(options: RefreshingOptions): Fetch {
  const { fetch, knowledge, replace, platform } = options
  return async (input, init) => {
    const request = outgoing(input, init)
    const sent = request === undefined ? undefined : knowledge.byKey(request.key)
    if (request === undefined || sent === undefined || originOf(sent) !== request.origin)
      return await fetch(input, init)
    const again = replayOf(input, init, request.headers)
    const response = await send([input, init], sent, options)
    const refusal = await readRefusal(response, platform)
    if (refusal === undefined) return response
    // It is reported also where the request cannot be sent again: the next one is better off for it.
    const other = replace(sent, refusal)
    if (again === undefined) return response
    const found = await orAborted(other, request.signal)
    if (found === undefined || originOf(found) !== request.origin) return response
    // Given up without waiting; where that fails, the connection was gone already.
    void response.body?.cancel().catch(() => undefined)
    return await send(again(found.apiKey), found, options)
  }
}

/** Sends, and counts the request as under way with its key until the body of its answer has ended. */
async function send(
  [input, init]: Sending,
  credential: OpenAICredential,
  { fetch, requests }: RefreshingOptions,
): Promise<Response> {
  const leave = requests.enter(credential.generation)
  try {
    return trackBody(await fetch(input, init), leave)
  } catch (error) {
    leave()
    throw error
  }
}

function originOf(credential: OpenAICredential): string {
  return new URL(credential.baseUrl).origin
}
