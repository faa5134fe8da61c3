import type { TLSSocket } from 'node:tls'
import type { PeerCertificate } from '../network.ts'

const shownMax = 100

/** What the other side showed, as far as people need it. */
export function peerCertificate(socket: TLSSocket): PeerCertificate {
  const certificate = socket.getPeerCertificate()
  const problem = problemOf(socket)
  return {
    issuer: nameOf(certificate.issuer),
    subject: nameOf(certificate.subject),
    validFrom: Date.parse(certificate.valid_from),
    validTo: Date.parse(certificate.valid_to),
    ...(problem === undefined ? {} : { problem }),
  }
}

/** Declared as an Error; at run time it is the code alone (Node 24). */
function problemOf(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined
  const error: unknown = socket.authorizationError
  const code = error instanceof Error && 'code' in error ? error.code : error
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? code : 'UNTRUSTED'
}

type Names = Readonly<Record<string, string | readonly string[] | undefined>> | undefined

function nameOf(names: Names): string {
  const parts = ['O', 'CN'].flatMap((field) => names?.[field] ?? [])
  const text = [...new Set(parts)].join(', ').replaceAll(/[^\x20-\x7e]+/g, ' ')
  return text === '' ? 'unnamed' : text.slice(0, shownMax)
}
