/** Bodies that were dropped without being read to the end: when they are collected, nobody can be waiting for them. */
const dropped = new FinalizationRegistry<() => void>((onEnd) => onEnd())

/**
 * The same response, with `onEnd` called once when its body has ended, failed, been given up or forgotten. Chunks go
 * through one by one as they come, never merged and never read ahead.
 */
export function trackBody(response: Response, onEnd: () => void): Response {
  const { body } = response
  if (!(body instanceof ReadableStream)) {
    onEnd()
    return response
  }
  const through = passThrough(body, onEnd)
  dropped.register(through, onEnd)
  const { status, statusText, headers } = response
  const tracked = new Response(through, { status, statusText, headers })
  // A Response that is constructed has no address; apps and SDKs show it in their errors.
  for (const name of ['url', 'redirected', 'type'] as const)
    Object.defineProperty(tracked, name, { value: response[name], configurable: true })
  return tracked
}

function passThrough(body: ReadableStream<Uint8Array>, onEnd: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) {
            controller.enqueue(value)
            return
          }
          onEnd()
          controller.close()
        } catch (error) {
          onEnd()
          controller.error(error)
        }
      },
      async cancel(reason) {
        onEnd()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
