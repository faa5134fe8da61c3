import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import type { Refusal } from './types.ts'
import { isRecord, parseJson, readText } from './wire.ts'

/**
 * What a 401 says about the key; undefined where it is about something else (a missing scope, the wrong organisation,
 * a proxy), which another key would not mend. Reads a copy, so that the response can still be handed to the app.
 */
export async function readRefusal(
  response: Response,
  platform: Pick<Platform, 'after'>,
): Promise<Omit<Refusal, 'version'> | undefined> {
  if (response.status !== 401 || response.body === null) return undefined
  const isJson = response.headers.get('content-type')?.includes('json') === true
  const length = Number(response.headers.get('content-length') ?? 0)
  if (!isJson || length > limits.refusalBytesMax) return undefined
  const text = await readCopy(response, platform)
  const body = parseJson(text)
  const code = isRecord(body) && isRecord(body['error']) ? body['error']['code'] : undefined
  if (code !== 'invalid_api_key') return undefined
  const requestId = response.headers.get('x-request-id')
  return { status: 401, code, ...(requestId === null ? {} : { requestId }) }
}

async function readCopy(response: Response, platform: Pick<Platform, 'after'>): Promise<string | undefined> {
  const reader = response.clone().body?.getReader()
  if (reader === undefined) return undefined
  // The cancelling is not waited for: it ends only when the app gives up its copy as well.
  const giveUp = () => void reader.cancel().catch(() => undefined)
  const cancel = platform.after(limits.refusalWaitMs, giveUp)
  try {
    return await readText(chunksOf(reader, giveUp), limits.refusalBytesMax)
  } catch {
    // The connection broke, or the app aborted: its own copy tells it so.
    return undefined
  } finally {
    cancel()
  }
}

async function* chunksOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  giveUp: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // Bounded by the reader's limits on bytes and on time.
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    giveUp()
  }
}
