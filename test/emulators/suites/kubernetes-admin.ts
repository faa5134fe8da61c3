import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'

export interface KubernetesAdmin {
  readonly url: string
  readonly caFile: string
  readonly token: string
}

const deadlineMs = 60_000

/** One call to an API server, besides the driver's own, to lay out what a test needs. */
export async function ask(
  { url, caFile, token }: KubernetesAdmin,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  /** A text is YAML for a server-side apply. */
  body?: Readonly<Record<string, unknown>> | string,
): Promise<{ readonly status: number; readonly body: string }> {
  const outgoing = request(url + path, {
    method,
    ca: readFileSync(caFile),
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': typeof body === 'string' ? 'application/apply-patch+yaml' : 'application/json',
    },
    signal: AbortSignal.timeout(deadlineMs),
  })
  outgoing.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
  const [answer] = await once(outgoing, 'response')
  return { status: answer.statusCode, body: await text(answer) }
}
