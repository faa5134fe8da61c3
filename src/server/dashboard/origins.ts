import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { isLoopbackHost } from '../../core/loopback.ts'
import { isForwarded } from '../forwarded.ts'

/** Where a browser that asks for `/` is served from; without a browser `/` is what it is in the contract. */
export const overviewPath = '/dashboard'

/** Whether a request for `/` is that of a person with a browser. */
export function wantsPage({ url, headers }: Pick<IncomingMessage, 'url' | 'headers'>): boolean {
  const isRoot = url === '/' || url?.startsWith('/?') === true
  return isRoot && headers.authorization === undefined && headers.accept?.includes('text/html') === true
}

/**
 * Whether a form may have come from a page of ours. Browsers say so themselves in Sec-Fetch-Site, on HTTPS and on this
 * machine; where they do not, Origin has to name the host that was asked.
 */
export function isOwnPage({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin, host } = headers
  return origin === undefined || hostOf(origin) === host
}

/** A link on a page of another site was followed: the browser keeps the session's cookie to itself, this once. */
export function isFromElsewhere({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site']
  return headers['sec-fetch-dest'] === 'document' && (site === 'cross-site' || site === 'same-site')
}

/** Loaded into a page of another site: as a picture or a frame, or by its script. Whoever follows a link gets a whole page. */
export function isLoadedElsewhere({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site']
  return (site === 'cross-site' || site === 'same-site') && headers['sec-fetch-dest'] !== 'document'
}

/** TLS, up to here or up to a trusted proxy. */
export function isEncrypted(request: IncomingMessage): boolean {
  if (isForwarded(request.rawHeaders)) return request.headers['x-forwarded-proto'] === 'https'
  return request.socket instanceof TLSSocket
}

/** Whether a token or a key may be typed here: nobody on the way can read it. */
export function isPrivate(request: IncomingMessage): boolean {
  if (isEncrypted(request)) return true
  const host = hostOf(`http://${request.headers.host ?? ''}`)
  return !isForwarded(request.rawHeaders) && isLoopbackHost(host?.replace(/:\d+$/, '') ?? '')
}

/** Where somebody goes on to after signing in: a page of ours and nothing else. */
export function ownPath(path: string | undefined): string {
  return path !== undefined && /^\/(?:audit|credentials\/[a-z0-9-]{1,63})?$/.test(path) ? path : '/'
}

function hostOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).host : undefined
}
