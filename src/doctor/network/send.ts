import { type IncomingMessage, request } from 'node:http'
import type { Scope } from './attempt.ts'
import { dial, type Reach, ready, shake } from './reach.ts'

export interface Outgoing {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly proxy?: string | undefined
  readonly acceptsAnyCertificate?: boolean | undefined
}

/** Sends one request on a connection of its own and gives the head of the answer; whoever asked reads the body. */
export async function send(outgoing: Outgoing, scope: Scope, reach: Reach): Promise<IncomingMessage> {
  const url = new URL(outgoing.url)
  const isSecure = url.protocol === 'https:'
  const host = url.hostname
  const port = Number(url.port) || (isSecure ? 443 : 80)
  const plain = await dial({ host, port, proxy: outgoing.proxy }, scope, reach)
  const acceptsAny = outgoing.acceptsAnyCertificate === true
  const socket = isSecure ? await shake(plain, { host, acceptsAny }, scope, reach) : plain
  const asked = scope.owns(
    request({
      createConnection: () => socket,
      method: outgoing.method,
      path: `${url.pathname}${url.search}`,
      setHost: false,
      headers: { ...outgoing.headers, host: url.host },
    }),
  )
  asked.end(outgoing.body)
  const [answer] = (await ready(asked, 'response', scope)) as [IncomingMessage]
  answer.on('error', () => undefined)
  return answer
}
