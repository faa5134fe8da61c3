import { lookup as systemLookup } from 'node:dns'
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { assert } from '../../core/errors.ts'
import type { System } from '../../core/ports.ts'
import type { Network, RawAnswer } from '../network.ts'
import { attempt, type Scope, StepFailed } from './attempt.ts'
import { peerCertificate } from './certificate.ts'
import { isKnownHere, lookupApart } from './lookup-apart.ts'
import { dial, type Reach, shake } from './reach.ts'
import { send } from './send.ts'

export const bodyBytesMax = 64 * 1024
const addressesMax = 20
const headerCharactersMax = 1_024
const maybeSecret = /cookie|token|secret|api-?key|authorization$/

/** The network as it is. Every step has its own connection, closed before the step is over. */
export function createNetwork(system: Pick<System, 'now' | 'after'>, reach: Reach = {}): Network {
  return {
    resolve: (host, timeoutMs) =>
      attempt(system, timeoutMs, async (scope) => ({ addresses: await addressesOf(host, scope, reach) })),
    connect: (target, timeoutMs) =>
      attempt(system, timeoutMs, async (scope) => {
        const socket = await dial(target, scope, reach)
        return { address: socket.remoteAddress ?? '' }
      }),
    tls: ({ host, port, proxy }, timeoutMs) =>
      attempt(system, timeoutMs, async (scope) => {
        const socket = await dial({ host, port, proxy }, scope, reach)
        const encrypted = await shake(socket, { host, acceptsAny: true }, scope, reach)
        return { certificate: peerCertificate(encrypted), protocol: encrypted.getProtocol() ?? '' }
      }),
    request: (request, timeoutMs) => {
      assert(
        request.acceptsAnyCertificate !== true || !('authorization' in request.headers),
        'no key is sent to somebody whose certificate nobody looks at',
      )
      return attempt(system, timeoutMs, async (scope) => answerOf(await send(request, scope, reach), scope))
    },
  }
}

async function addressesOf(host: string, scope: Scope, { lookup }: Reach): Promise<readonly string[]> {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  const isApart = lookup === undefined && !isKnownHere(name)
  const addresses = isApart ? await lookupApart(name, scope) : await lookupHere(name, lookup ?? systemLookup)
  if (addresses.length === 0) throw new StepFailed('NO_ADDRESS')
  return addresses.slice(0, addressesMax)
}

function lookupHere(name: string, lookup: LookupFunction): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { all: true }, (error, found) => {
      if (error !== null) return reject(error)
      resolve(typeof found === 'string' ? [found] : found.map(({ address }) => address))
    })
  })
}

async function answerOf(answer: IncomingMessage, scope: Scope): Promise<RawAnswer> {
  const headers = Object.fromEntries(
    Object.entries(answer.headers)
      .filter(([name]) => name.startsWith('x-ratelimit-') || !maybeSecret.test(name))
      .map(([name, value]) => [name, String(value ?? '').slice(0, headerCharactersMax)]),
  )
  return { status: answer.statusCode ?? 0, headers, body: await beginningOf(answer, scope) }
}

/** What is longer than the limit is cut there: enough was seen to tell who sent it. */
async function beginningOf(answer: IncomingMessage, { signal }: Scope): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (signal.aborted) break
    chunks.push(chunk)
    bytes += chunk.byteLength
    if (bytes >= bodyBytesMax) break
  }
  return Buffer.concat(chunks).subarray(0, bodyBytesMax).toString('utf8')
}
