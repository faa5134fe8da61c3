import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { KeyturnError } from '../core/errors.ts'
import type { Refusal } from './problem.ts'

/** More hops than any chain of proxies has; what is beyond is made up. */
const hopsMax = 20

/** How a request over a Unix socket is called where others have an address. */
export const unixSource = 'unix'

/**
 * Where requests come from. A header that names another client is what somebody claims: whoever can make a server of
 * yours send requests (SSRF) comes through one, and whoever may invent a client's address escapes every limit that
 * counts by it. So such headers are taken from the proxies that the configuration names, and from nobody else.
 */
export interface Sources {
  /** The client's address, or why the request is not answered. */
  of(request: IncomingMessage): { readonly address: string } | { readonly refusal: Refusal }
}

/** A network by its address and how many bits of it count; `unix` is whoever connects over the socket. */
export type TrustedProxy = { readonly address: string; readonly bits: number } | typeof unixSource

export function createSources(options: { readonly trustedProxies: readonly TrustedProxy[] }): Sources {
  const trusted = new BlockList()
  for (const entry of options.trustedProxies)
    if (entry !== unixSource) trusted.addSubnet(entry.address, entry.bits, familyOf(entry.address))
  const trustsSocket = options.trustedProxies.includes(unixSource)
  const isTrusted = (address: string): boolean =>
    address === unixSource ? trustsSocket : isIP(address) !== 0 && trusted.check(address, familyOf(address))
  return {
    of(request) {
      const peer = peerOf(request)
      if (!isForwarded(request.rawHeaders)) return { address: peer }
      if (!isTrusted(peer)) return { refusal: notTrusted(peer) }
      const chains = [forwardedChain(request), plainChain(request)].filter((chain) => chain !== undefined)
      const clients = new Set(chains.map((chain) => clientOf(chain, isTrusted)))
      const [client, other] = [...clients]
      // Two headers that disagree: one of them came from the client and was passed on as it was.
      if (other !== undefined || clients.has(undefined)) return { refusal: unreadable() }
      return { address: client ?? realIp(request) ?? peer }
    },
  }
}

/** Whether a header says that somebody stands between the client and us. Looked at on every request, so the first letter decides. */
export function isForwardingHeader(name: string): boolean {
  const first = name.charCodeAt(0) | 32
  if (first !== 120 && first !== 102 && first !== 118 && first !== 116 && first !== 99) return false
  const lower = name.toLowerCase()
  return lower.startsWith('x-forwarded') || lower.startsWith('forwarded') || otherForwarding.has(lower)
}

const otherForwarding: ReadonlySet<string> = new Set([
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'true-client-ip',
  'cf-connecting-ip',
  'client-ip',
])

export function isForwarded(raw: readonly string[]): boolean {
  for (let index = 0; index < raw.length; index += 2) if (isForwardingHeader(raw[index] ?? '')) return true
  return false
}

function peerOf(request: IncomingMessage): string {
  const { remoteAddress } = request.socket
  return remoteAddress === undefined ? unixSource : plainAddress(remoteAddress)
}

/** An IPv4 client of a socket that listens on both shows as `::ffff:10.0.0.1`. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

/** The hops of `X-Forwarded-For`, the nearest one last; undefined where there is none. */
function plainChain(request: IncomingMessage): readonly string[] | undefined {
  const lines = request.headersDistinct['x-forwarded-for']
  return lines?.join(',').split(',').map(hopAddress)
}

/** The same of `Forwarded` (RFC 7239). */
function forwardedChain(request: IncomingMessage): readonly string[] | undefined {
  const lines = request.headersDistinct['forwarded']
  return lines
    ?.join(',')
    .split(',')
    .map((hop) => hopAddress(/(?:^|;)\s*for=\s*("[^"]*"|[^;,\s]*)/i.exec(hop)?.[1] ?? ''))
}

function realIp(request: IncomingMessage): string | undefined {
  const [value, more] = request.headersDistinct['x-real-ip'] ?? []
  const address = more === undefined && value !== undefined ? hopAddress(value) : ''
  return address === '' ? undefined : address
}

/** `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711` or the latter in quotes; empty where it is no address. */
function hopAddress(hop: string): string {
  const bare = hop.trim().replace(/^"(.*)"$/, '$1')
  const address = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(bare)?.[1] ?? bare.replace(/^([\d.]+):\d{1,5}$/, '$1')
  return isIP(address) === 0 ? '' : plainAddress(address)
}

/** From the nearest hop outwards, the first one that is not a trusted proxy itself: what is beyond it, it may have made up. */
function clientOf(chain: readonly string[], isTrusted: (address: string) => boolean): string | undefined {
  if (chain.length > hopsMax) return undefined
  const client = chain.toReversed().find((address) => !isTrusted(address)) ?? chain[0]
  return client === '' ? undefined : client
}

function notTrusted(peer: string): Refusal {
  const error = new KeyturnError(
    'forbidden',
    'This request was passed on by somebody who is not in trustedProxies.',
    {
      fix: `Ask Keyturn directly; where a proxy belongs in between, add its address (${peer}) to trustedProxies in keyturn.yaml.`,
    },
  )
  return { error }
}

function unreadable(): Refusal {
  const error = new KeyturnError(
    'bad_request',
    'The headers that name the client cannot be read, or contradict each other.',
    {
      fix: 'Let the proxy set X-Forwarded-For or Forwarded, and one of them only.',
    },
  )
  return { error }
}
