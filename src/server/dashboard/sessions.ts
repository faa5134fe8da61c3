import { timingSafeEqual } from 'node:crypto'
import type { System } from '../../core/ports.ts'
import { createSealer } from './sealing.ts'

/** How somebody showed who they are. Of a token the id alone; an ID token says so itself, and for as long as it is good. */
export type Proof = { readonly tokenId: string } | { readonly idToken: string }

/** Who is signed in, as the cookie says. */
export interface Session {
  readonly id: string
  readonly proof: Proof
  /** What every form of this session sends along. */
  readonly csrf: string
  readonly startedAt: number
  readonly seenAt: number
}

/** Sessions live in sealed cookies: every replica that has the key can open them, and none has to remember any. */
export interface Sessions {
  begin(proof: Proof): Session
  seal(session: Session): string
  /** Undefined for what was not sealed here, is too old, or was signed out. */
  open(sealed: string): Session | undefined
  /** The same session, seen just now; undefined where that is written down already. */
  renewed(session: Session): Session | undefined
  /** Signed out: the cookie counts no more, whoever kept a copy. Known to this process alone. */
  end(session: Session): void
}

export const sessionMs = 8 * 3_600_000
export const idleMs = 3_600_000
/** A cookie is written anew at most so often. */
const renewMs = 60_000
const endedMax = 10_000

/** `secret`: any bytes that nobody can guess; the same ones at all replicas. */
export function createSessions(options: {
  readonly secret: Uint8Array
  readonly system: Pick<System, 'now' | 'bytes'>
}): Sessions {
  const { system } = options
  const sealer = createSealer({ ...options, purpose: 'session 1' })
  /** Ids, and when they would have ended anyway. */
  const ended = new Map<string, number>()
  const isFresh = ({ startedAt, seenAt }: Session): boolean => {
    const now = system.now()
    return startedAt <= now + renewMs && now < startedAt + sessionMs && now < seenAt + idleMs
  }
  return {
    begin(proof) {
      const now = system.now()
      const random = (): string => Buffer.from(system.bytes(16)).toString('base64url')
      return { id: random(), proof, csrf: random(), startedAt: now, seenAt: now }
    },
    seal: (session) => sealer.seal(session),
    open(sealed) {
      const session = sealer.open(sealed) as Session | undefined
      return session !== undefined && isFresh(session) && !ended.has(session.id) ? session : undefined
    },
    renewed(session) {
      const now = system.now()
      return now - session.seenAt < renewMs ? undefined : { ...session, seenAt: now }
    },
    end({ id, startedAt }) {
      const now = system.now()
      for (const [old, until] of ended) if (until <= now) ended.delete(old)
      const [oldest] = ended.size >= endedMax ? ended.keys() : []
      if (oldest !== undefined) ended.delete(oldest)
      ended.set(id, startedAt + sessionMs)
    },
  }
}

/** Whether a form came from a page of this session. */
export function isOwnForm(session: Session, sent: string | undefined): boolean {
  const wanted = Buffer.from(session.csrf)
  const found = Buffer.from(sent ?? '')
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}
