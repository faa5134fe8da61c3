import { timingSafeEqual } from 'node:crypto'
import type { System } from '../../core/ports.ts'
import { createSealer } from './sealing.ts'
import type { SignedOut } from './signed-out.ts'

/** Who is signed in, as the cookie says. */
export interface Session {
  readonly id: string
  /** The id of the caller: of the token, which is not here itself. */
  readonly by: string
  /** Who came from an issuer is shown by this, for as long as it is good. */
  readonly idToken?: string
  /** What every form of this session sends along. */
  readonly csrf: string
  readonly startedAt: number
  readonly seenAt: number
}

/** Sessions live in sealed cookies: every replica that has the key can open them; only those that were signed out are kept. */
export interface Sessions {
  begin(by: string, idToken?: string): Session
  seal(session: Session): string
  /** Undefined for what was not sealed here, is too old, or was signed out as far as this process knows. */
  open(sealed: string): Session | undefined
  /** The same session, seen just now; undefined where that is written down already. */
  renewed(session: Session): Session | undefined
}

export const sessionMs = 8 * 3_600_000
export const idleMs = 3_600_000
/** A cookie is written anew at most so often. */
const renewMs = 60_000

/** `secret`: any bytes that nobody can guess; the same ones at all replicas. */
export function createSessions(options: {
  readonly secret: Uint8Array
  readonly system: Pick<System, 'now' | 'bytes'>
  readonly signedOut: Pick<SignedOut, 'has'>
}): Sessions {
  const { system, signedOut } = options
  const sealer = createSealer({ ...options, purpose: 'session 2' })
  const isFresh = ({ startedAt, seenAt }: Session): boolean => {
    const now = system.now()
    return startedAt <= now + renewMs && now < startedAt + sessionMs && now < seenAt + idleMs
  }
  return {
    begin(by, idToken) {
      const now = system.now()
      // Hexadecimal: nothing of it can look like a key, which the ledger would refuse.
      const random = (): string => Buffer.from(system.bytes(16)).toString('hex')
      const shown = idToken === undefined ? {} : { idToken }
      return { id: random(), by, ...shown, csrf: random(), startedAt: now, seenAt: now }
    },
    seal: (session) => sealer.seal(session),
    open(sealed) {
      const session = sealer.open(sealed) as Session | undefined
      return session !== undefined && isFresh(session) && !signedOut.has(session) ? session : undefined
    },
    renewed(session) {
      const now = system.now()
      return now - session.seenAt < renewMs ? undefined : { ...session, seenAt: now }
    },
  }
}

/** Whether a form came from a page of this session. */
export function isOwnForm(session: Session, sent: string | undefined): boolean {
  const wanted = Buffer.from(session.csrf)
  const found = Buffer.from(sent ?? '')
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}
