import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { resolvePath, type StoreContext, warn } from './context.ts'
import type { HttpOutcome } from './http-exchange.ts'
import { readSmallFile } from './small-file.ts'
import { vaultError } from './vault-errors.ts'
import type { VaultAuth, VaultPlace, VaultSource } from './vault-options.ts'

/** Who Keyturn is to Vault. Whatever happens at once happens once: a thousand callers log in with one request. */
export interface VaultSession {
  token(): Promise<Secret>
  /** After a 403: another token where the refused one is no good any more; undefined where it is, and the policy says no. */
  tokenAfterRefusal(refused: Secret): Promise<Secret | undefined>
  close(): void
}

export type VaultSend = (
  token: string | undefined,
  request: {
    readonly method: 'GET' | 'POST'
    readonly path: string
    readonly body?: Readonly<Record<string, unknown>>
  },
) => Promise<HttpOutcome>

interface Lease {
  readonly token: Secret
  readonly isRenewable: boolean
  /** 0: it never ends. */
  readonly leaseMs: number
  readonly obtainedAt: number
}

const sourceBytesMax = 16_384
const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'
/** Renewed when so much of the lease is over, as Vault's own clients do. */
const renewalFraction = 2 / 3
const retryMsMin = 1_000

export function openVaultSession(place: VaultPlace, context: StoreContext, send: VaultSend): VaultSession {
  const { system } = context
  const { auth } = place
  let lease: Lease | undefined
  let isClosed = false
  let cancelTimer: Cancel | undefined
  let isShrinking = false

  const keep = (obtained: Lease): Lease => {
    lease = obtained
    if (obtained.leaseMs > 0) wake(obtained.leaseMs * renewalFraction)
    else cancelTimer?.()
    return obtained
  }
  const wake = (delayMs: number): void => {
    cancelTimer?.()
    if (!isClosed) cancelTimer = system.after(delayMs, () => void prolong(), { background: true })
  }
  const obtain = once(async () => {
    const found = await logIn(place, context, send)
    isShrinking = false
    keep(found)
    // What a given token is, Vault has to be asked; nothing waits for that.
    if (auth.kind === 'token') void learn(found)
    return found
  })

  /** Never throws: what fails here is tried again, and at the latest the next request finds out. */
  const prolong = async (): Promise<void> => {
    const old = lease
    if (old === undefined || isClosed) return
    try {
      const renewed = old.isRenewable && !isShrinking ? await renew(old) : undefined
      if (renewed !== undefined) {
        // Near the end of its longest life a renewal gives less than the lease that was asked for.
        isShrinking = renewed.leaseMs < old.leaseMs / 2
        keep(renewed)
        if (isShrinking && auth.kind === 'token') warnOfEnd(renewed)
      } else if (auth.kind === 'token') warnOfEnd(old)
      else await obtain()
    } catch (thrown) {
      const { code } = toKeyturnError(thrown, 'keeping the Vault token')
      context.log('warn', 'the token of Vault could not be renewed; trying again', {
        address: place.address,
        code,
      })
      const leftMs = old.obtainedAt + old.leaseMs - system.now()
      wake(Math.max(leftMs / 3, retryMsMin))
    }
  }
  const warnOfEnd = ({ obtainedAt, leaseMs }: Lease): void => {
    const endsAt = new Date(obtainedAt + leaseMs).toISOString()
    warn(
      context,
      `The token for Vault ends at ${endsAt} and cannot be renewed beyond: give Keyturn a new one.`,
      {
        address: place.address,
        endsAt,
      },
    )
  }
  const renew = async (old: Lease): Promise<Lease | undefined> => {
    const outcome = await send(old.token.reveal(), {
      method: 'POST',
      path: 'auth/token/renew-self',
      body: {},
    })
    if (outcome.kind === 'answer' && outcome.status === 200)
      return leaseIn(outcome.json, 'auth', old.token, system.now())
    // Vault says that this token is not renewed any more; whatever else it is may pass.
    if (outcome.kind === 'answer' && (outcome.status === 400 || outcome.status === 403)) return undefined
    throw vaultError(outcome, about(place, 'auth/token/renew-self'))
  }
  const learn = async (given: Lease): Promise<void> => {
    const outcome = await lookUp(given.token)
    const learnt =
      outcome.kind === 'answer' && outcome.status === 200
        ? leaseIn(outcome.json, 'data', given.token, system.now())
        : undefined
    if (learnt !== undefined && lease === given && !isClosed) keep(learnt)
  }
  const lookUp = (token: Secret): Promise<HttpOutcome> =>
    send(token.reveal(), { method: 'GET', path: 'auth/token/lookup-self' })

  const replace = once(async (): Promise<Lease | undefined> => {
    const refused = lease
    if (refused === undefined) return obtain()
    if (auth.kind === 'token') {
      const token = await tokenGiven(context, auth)
      return token.equals(refused.token) ? undefined : obtain()
    }
    const outcome = await lookUp(refused.token)
    if (outcome.kind === 'answer' && outcome.status === 200) return undefined
    if (outcome.kind === 'answer' && outcome.status === 403) return obtain()
    throw vaultError(outcome, about(place, 'auth/token/lookup-self'))
  })

  return {
    async token() {
      const isOver =
        lease !== undefined && lease.leaseMs > 0 && system.now() >= lease.obtainedAt + lease.leaseMs
      const held = lease === undefined || isOver ? await obtain() : lease
      return held.token
    },
    async tokenAfterRefusal(refused) {
      if (lease !== undefined && !lease.token.equals(refused)) return lease.token
      return (await replace())?.token
    },
    close() {
      isClosed = true
      cancelTimer?.()
    },
  }
}

/** Callers that come while it runs get the same answer. */
function once<Result>(act: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined
  return () => {
    running ??= act().finally(() => {
      running = undefined
    })
    return running
  }
}

async function logIn(place: VaultPlace, context: StoreContext, send: VaultSend): Promise<Lease> {
  const { auth } = place
  const now = context.system.now()
  if (auth.kind === 'token')
    return { token: await tokenGiven(context, auth), isRenewable: false, leaseMs: 0, obtainedAt: now }
  const path = `auth/${(auth.mount ?? auth.kind).split('/').map(encodeURIComponent).join('/')}/login`
  const body = await loginBody(auth, context)
  const outcome = await send(undefined, { method: 'POST', path, body })
  const lease =
    outcome.kind === 'answer' && outcome.status === 200
      ? leaseIn(outcome.json, 'auth', undefined, now)
      : undefined
  if (lease !== undefined) return lease
  // A wrong role or secret id is a 400, another way of saying no.
  const isRefusal = outcome.kind === 'answer' && outcome.status === 400
  throw vaultError(isRefusal ? { ...outcome, status: 403 } : outcome, about(place, path))
}

async function loginBody(
  auth: Exclude<VaultAuth, { kind: 'token' }>,
  context: StoreContext,
): Promise<Readonly<Record<string, string>>> {
  switch (auth.kind) {
    case 'approle': {
      const secretId = await readSource(auth.secretId, context, 'The secret id for Vault')
      return { role_id: auth.roleId, secret_id: secretId.reveal() }
    }
    case 'kubernetes': {
      const file = auth.jwtFile ?? serviceAccountToken
      const jwt = await readSource({ file }, context, 'The service account token for Vault')
      return { role: auth.role, jwt: jwt.reveal() }
    }
    case 'jwt': {
      const jwt = await readSource(auth.jwt, context, 'The JWT for Vault')
      return { role: auth.role, jwt: jwt.reveal() }
    }
  }
}

function tokenGiven(
  context: StoreContext,
  { token }: Extract<VaultAuth, { kind: 'token' }>,
): Promise<Secret> {
  const isBao = !context.env['VAULT_TOKEN'] && Boolean(context.env['BAO_TOKEN'])
  return readSource(token ?? { env: isBao ? 'BAO_TOKEN' : 'VAULT_TOKEN' }, context, 'The token for Vault')
}

async function readSource(source: VaultSource, context: StoreContext, what: string): Promise<Secret> {
  const isFile = 'file' in source
  const text = isFile
    ? await readSmallFile(resolvePath(context, source.file), sourceBytesMax, context.system)
    : context.env[source.env]
  const trimmed = text?.trim() ?? ''
  // What no HTTP header can carry is no token either.
  if (/^[\x21-\x7e]+$/.test(trimmed)) return new Secret(trimmed)
  const where = isFile ? source.file : `the variable ${source.env}`
  throw new KeyturnError('store_denied', `${what} is not in ${where}.`, { fix: `Put it into ${where}.` })
}

/** Undefined where the answer is not of that form. */
function leaseIn(
  json: unknown,
  part: 'auth' | 'data',
  known: Secret | undefined,
  now: number,
): Lease | undefined {
  const answer =
    typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>)[part] : undefined
  if (typeof answer !== 'object' || answer === null) return undefined
  const { client_token, lease_duration, ttl, renewable } = answer as Readonly<Record<string, unknown>>
  const token = typeof client_token === 'string' && client_token !== '' ? new Secret(client_token) : known
  const seconds = part === 'auth' ? lease_duration : ttl
  if (token === undefined || typeof seconds !== 'number' || !(seconds >= 0)) return undefined
  return { token, isRenewable: renewable === true, leaseMs: seconds * 1_000, obtainedAt: now }
}

function about({ address, namespace }: VaultPlace, path: string): Parameters<typeof vaultError>[1] {
  return { capability: 'login', path, address, namespace }
}
