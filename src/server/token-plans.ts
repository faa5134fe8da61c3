import { crc32 } from 'node:zlib'
import type { TokenRequest } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { GrantRule } from '../core/grants.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { System } from '../core/ports.ts'
import { isOfService, operatorGrants } from './auth/caller.ts'
import type { StoredToken } from './token-shelf.ts'

/** What a token is to be, before it has an id, a secret and a time. */
export interface TokenPlan {
  readonly token: Pick<StoredToken, 'name' | 'role' | 'credentials' | 'grants' | 'person'>
  /** The others, where they change too. */
  readonly rest?: readonly StoredToken[]
  readonly lifeMs: number | undefined
}

const secretBytes = 32
const checksumChars = 6
const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * `kt_app_` or `kt_op_`, 43 random characters, and six that check them: whoever searches text for tokens that leaked can
 * tell one of ours from chance without asking.
 */
export function newToken(role: 'app' | 'operator', system: Pick<System, 'bytes'>): string {
  for (;;) {
    const random = Buffer.from(system.bytes(secretBytes)).toString('base64url')
    const body = `${role === 'app' ? 'kt_app_' : 'kt_op_'}${random}`
    const token = body + checksumOf(body)
    // One in 120,000 would pass for an OpenAI key, and the proxy refuses those.
    if (!looksLikeKey(token)) return token
  }
}

export function checksumOf(body: string): string {
  let rest = crc32(body)
  let text = ''
  while (text.length < checksumChars) {
    text = `${base62.charAt(rest % 62)}${text}`
    rest = Math.floor(rest / 62)
  }
  return text
}

/** What stands in place of a person where Keyturn acts by itself, or nobody is known. */
const wordsOfOurs: ReadonlySet<string> = new Set([
  'engine',
  'failover',
  'nobody',
  'outside',
  'schedule',
  'socket',
  'standby',
  'start',
])

export function planToken(request: TokenRequest): TokenPlan {
  const { name, role = 'app', expiresInSeconds } = request
  if (looksLikeKey(name))
    throw new KeyturnError('bad_request', 'The name of this token looks like a key, and names are shown.', {
      fix: 'Name who will hold the token, e.g. billing-worker.',
    })
  if (wordsOfOurs.has(name.toLowerCase()))
    throw new KeyturnError('bad_request', `In reports and in the audit ${name} says that nobody asked.`, {
      fix: 'Name who will hold the token, e.g. billing-worker.',
    })
  const lifeMs = expiresInSeconds === undefined ? undefined : expiresInSeconds * 1_000
  if (role === 'operator') {
    if (request.grants !== undefined)
      throw new KeyturnError('bad_request', 'An operator token has every grant; it names none.', {
        fix: 'Leave `grants` out, or `role`.',
      })
    return { token: { name, role, credentials: [] }, lifeMs }
  }
  const grants = request.grants ?? ['read']
  const credentials = request.credentials ?? []
  const ofCredentials = grants.filter((grant) => !isOfService(grant))
  if (ofCredentials.length > 0 && credentials.length === 0)
    throw new KeyturnError('bad_request', `The app token ${name} names no credential it may read.`, {
      fix: 'Set `credentials` to a list of names, or to ["*"] for every one.',
    })
  const isPlain = grants.length === 1 && grants[0] === 'read'
  const rule = { credentials: credentials.length === 0 ? ['*'] : credentials, may: grants }
  return {
    token: {
      name,
      role,
      // What an older version, which knows nothing of grants, would let it read: no more than it may.
      credentials: grants.includes('read') ? credentials : [],
      ...(isPlain ? {} : { grants: [rule] }),
    },
    lifeMs,
  }
}

/** Two live at most: whoever still uses the one before the last would be cut off without knowing. */
export function planRotation(
  { name, overlapMs }: { readonly name: string; readonly overlapMs: number },
  tokens: readonly StoredToken[],
  now: number,
): TokenPlan {
  const live = tokens.filter((one) => one.name === name && (one.expiresAt === null || now < one.expiresAt))
  const [old, second] = live
  if (old === undefined)
    throw new KeyturnError('not_found', 'There is no live token of this name.', {
      fix: '`keyturn token list` shows the names; `keyturn token create` makes a new token.',
    })
  if (second !== undefined)
    throw new KeyturnError('conflict', `${live.length} tokens of ${name} are live already.`, {
      fix: 'Wait until the old one has expired, or revoke it: `keyturn token list` shows which is still used.',
    })
  const end = Math.min(now + overlapMs, old.expiresAt ?? Number.POSITIVE_INFINITY)
  const { role, credentials, grants, person } = old
  return {
    token: {
      name,
      role,
      credentials,
      ...(grants === undefined ? {} : { grants }),
      ...(person === undefined ? {} : { person }),
    },
    rest: tokens
      .filter((one) => one !== old || overlapMs > 0)
      .map((one) => (one === old ? { ...one, expiresAt: end } : one)),
    lifeMs: old.expiresAt === null ? undefined : Math.max(1_000, old.expiresAt - old.createdAt),
  }
}

export function grantsOf(stored: Pick<StoredToken, 'role' | 'credentials' | 'grants'>): readonly GrantRule[] {
  if (stored.role === 'operator') return operatorGrants
  return stored.grants ?? [{ credentials: stored.credentials, may: ['read'] }]
}

export function beyondMaker(name: string): KeyturnError {
  return new KeyturnError('forbidden', `The token ${name} could do more than the caller who asks for it.`, {
    fix: 'Give it only grants that the caller has, or make it on the machine with `keyturn token create --local`.',
  })
}
