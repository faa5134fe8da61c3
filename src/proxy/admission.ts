import type { IncomingMessage } from 'node:http'
import { looksLikeKey } from '../core/key-shape.ts'
import type { ProxyLimits } from './limits.ts'
import { routeOf } from './paths.ts'
import type { Refusal } from './refusal.ts'
import { readHead } from './request-head.ts'
import * as say from './sentences.ts'

/** A request that may go on, as far as can be told without asking who sends it. */
export interface Admitted {
  readonly token: string
  readonly credential: string
  /** The path and query that follow the base URL of the upstream. */
  readonly rest: string
  /** Names and values by turns. */
  readonly forwarded: readonly string[]
  /** Of the body; undefined where nobody says. */
  readonly length: number | undefined
}

export interface AdmissionRules {
  /** The first is what requests get that name none. */
  readonly credentials: readonly [string, ...string[]]
  /** First parts of paths after `/v1`. */
  readonly roots: ReadonlySet<string>
  /** Which Host headers are answered. */
  readonly hosts: { allows(header: string, localAddress: string | undefined): boolean }
  readonly limits: Pick<ProxyLimits, 'headersMax' | 'urlCharsMax' | 'bodyBytesMax'>
}

const methods: readonly (string | undefined)[] = ['GET', 'POST', 'DELETE']
const bearer = /^Bearer +([\x21-\x7e]{1,8192}) *$/i
/** No token of Keyturn is shorter; a shorter text stands in other headers by chance. */
const tokenCharsMin = 16

/** The checks, in a fixed order: where it came from, where it goes, what it is made of. */
export function admit(request: IncomingMessage, rules: AdmissionRules): Admitted | Refusal {
  const { limits } = rules
  if (request.rawHeaders.length > 2 * limits.headersMax)
    return say.tooMuch('The number of headers', limits.headersMax)
  const head = readHead(request.rawHeaders)
  if (head.repeated !== undefined) return say.headerRepeated(head.repeated)
  if (head.host === undefined || !rules.hosts.allows(head.host, request.socket.localAddress))
    return say.misdirected
  if (head.isFromBrowser) return say.browserRefused
  const { transferCoding } = head
  if (transferCoding !== undefined && transferCoding.toLowerCase() !== 'chunked') return say.codingRefused
  const target = request.url ?? ''
  if (target.length > limits.urlCharsMax) return say.tooMuch('The address', limits.urlCharsMax)
  const route = routeOf(target, rules.roots)
  if (head.isUpgrade) return say.webSocketRefused
  if (route.kind !== 'found') return refusals[route.kind]
  if (!methods.includes(request.method)) return say.methodRefused
  const token = bearer.exec(head.authorization ?? '')?.[1]
  if (token === undefined) return say.noToken
  if (looksLikeKey(token) && !isWebToken(token)) return say.keyForToken
  const isElsewhere = target.includes(token) || head.forwarded.some((value) => value.includes(token))
  if (token.length >= tokenCharsMin && isElsewhere) return say.tokenElsewhere
  const credential = route.credential ?? head.credential ?? rules.credentials[0]
  if (!rules.credentials.includes(credential)) return say.credentialUnknown(rules.credentials)
  const length = transferCoding === undefined ? Number(head.contentLength ?? 0) : undefined
  if (length !== undefined && length > limits.bodyBytesMax) return say.bodyTooLarge(limits.bodyBytesMax)
  return { token, credential, rest: route.rest, forwarded: head.forwarded, length }
}

const refusals = {
  malformed: say.pathMalformed,
  unknown: say.pathUnknown,
  forbidden: say.pathForbidden,
} as const

/** Tokens of a cluster or an identity provider, which the service may take. */
function isWebToken(token: string): boolean {
  return token.startsWith('eyJ') && token.split('.').length === 3
}
