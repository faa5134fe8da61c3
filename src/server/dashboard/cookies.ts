import type { IncomingMessage } from 'node:http'
import { isEncrypted } from './origins.ts'

/** `keyturn`: a session. `keyturn-journey`: what is kept of somebody who left for the issuer, until they are back. */
export type CookieName = 'keyturn' | 'keyturn-journey'

/** `__Host-`: of this very host, over TLS, and no neighbour under the same domain can set it. Browsers take it over TLS only. */
function fullName(request: IncomingMessage, name: CookieName): string {
  return isEncrypted(request) ? `__Host-${name}` : name
}

/** What a browser keeps under the name; undefined where it sends none, or two. */
export function readCookie(request: IncomingMessage, cookie: CookieName): string | undefined {
  const name = fullName(request, cookie)
  const values = (request.headers.cookie ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`))
  return values.length === 1 ? values[0]?.slice(name.length + 1) : undefined
}

/** Ends with the browser; empty: at once. Who comes back from the issuer comes from another site, which `Strict` would not bear. */
export function cookieLine(request: IncomingMessage, name: CookieName, sealed: string): string {
  const secure = isEncrypted(request) ? '; Secure' : ''
  const age = sealed === '' ? '; Max-Age=0' : ''
  const site = name === 'keyturn' ? 'Strict' : 'Lax'
  return `${fullName(request, name)}=${sealed}; Path=/; HttpOnly; SameSite=${site}${secure}${age}`
}
