import { createCipheriv, createDecipheriv, hash, timingSafeEqual } from 'node:crypto'
import type { System } from '../../core/ports.ts'

/** Who is signed in, as the cookie says. It holds the id of a token and never the token. */
export interface Session {
  readonly id: string
  /** The id of the token that was signed in with. */
  readonly callerId: string
  /** What every form of this session sends along. */
  readonly csrf: string
  readonly startedAt: number
  readonly seenAt: number
}

/** Sessions live in sealed cookies: every replica that has the key can open them, and none has to remember any. */
export interface Sessions {
  begin(callerId: string): Session
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
const sealedCharsMax = 1_024
const nonceBytes = 12
const tagBytes = 16
const algorithm = 'aes-256-gcm'
/** What is sealed for something else is no session. */
const purpose = Buffer.from('keyturn dashboard session 1')

/** `secret`: any bytes that nobody can guess; the same ones at all replicas. */
export function createSessions(options: {
  readonly secret: Uint8Array
  readonly system: Pick<System, 'now' | 'bytes'>
}): Sessions {
  const { system } = options
  const key = hash('sha256', options.secret, 'buffer')
  /** Ids, and when they would have ended anyway. */
  const ended = new Map<string, number>()
  const isFresh = ({ startedAt, seenAt }: Session): boolean => {
    const now = system.now()
    return startedAt <= now + renewMs && now < startedAt + sessionMs && now < seenAt + idleMs
  }
  return {
    begin(callerId) {
      const now = system.now()
      const random = (): string => Buffer.from(system.bytes(16)).toString('base64url')
      return { id: random(), callerId, csrf: random(), startedAt: now, seenAt: now }
    },
    seal(session) {
      const nonce = system.bytes(nonceBytes)
      const cipher = createCipheriv(algorithm, key, nonce)
      cipher.setAAD(purpose)
      const { id, callerId, csrf, startedAt, seenAt } = session
      const text = JSON.stringify([id, callerId, csrf, startedAt, seenAt])
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed) {
      const session = sealed.length > sealedCharsMax ? undefined : unsealed(sealed, key)
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

function unsealed(sealed: string, key: Buffer): Session | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length <= nonceBytes + tagBytes) return undefined
  try {
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes))
    decipher.setAAD(purpose)
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    const body = Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()])
    const [id, callerId, csrf, startedAt, seenAt] = JSON.parse(body.toString('utf8')) as [
      string,
      string,
      string,
      number,
      number,
    ]
    return { id, callerId, csrf, startedAt, seenAt }
  } catch {
    // Sealed with another key, or changed: whoever sends it is signed in nowhere.
    return undefined
  }
}
