import type { IncomingMessage } from 'node:http'
import { isEncrypted } from './origins.ts'

/** `__Host-`: of this very host, over TLS, and no neighbour under the same domain can set it. Browsers take it over TLS only. */
function nameFor(request: IncomingMessage): string {
  return isEncrypted(request) ? '__Host-keyturn' : 'keyturn'
}

/** The sealed session that a browser sends; undefined where it sends none, or two. */
export function sessionCookie(request: IncomingMessage): string | undefined {
  const name = nameFor(request)
  const values = (request.headers.cookie ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`))
  return values.length === 1 ? values[0]?.slice(name.length + 1) : undefined
}

/** Ends with the browser; empty: at once. */
export function setSession(request: IncomingMessage, sealed: string): string {
  const secure = isEncrypted(request) ? '; Secure' : ''
  const age = sealed === '' ? '; Max-Age=0' : ''
  return `${nameFor(request)}=${sealed}; Path=/; HttpOnly; SameSite=Strict${secure}${age}`
}
