import { readFileSync } from 'node:fs'
import { KeyturnError } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { fileError } from './files.ts'
import { createExchange, type HttpOutcome } from './http-exchange.ts'
import { nodeFetch } from './http-transport.ts'
import { openVaultSession, type VaultSession } from './vault-auth.ts'
import { errorsOf, isLostSwap, isVaultAnswer, type VaultCall, vaultError } from './vault-errors.ts'
import type { VaultPlace } from './vault-options.ts'

/** What a KV engine of version 2 says of one version of a document. */
export type KvRead =
  | {
      readonly kind: 'found'
      readonly version: number
      readonly data: Readonly<Record<string, unknown>>
      readonly createdAt: number
      /** When Vault will delete this version by itself. */
      readonly deletionAt?: number
    }
  /** There is such a version, and its data cannot be read. `destroyed` is for good. */
  | { readonly kind: 'deleted' | 'destroyed'; readonly version: number; readonly createdAt: number }
  | { readonly kind: 'absent' }

/** The calls of Vault that the driver makes: one attempt each, and each throws only KeyturnErrors. */
export interface VaultCalls {
  read(ref: string, version?: number): Promise<KvRead>
  /** The new version's number; undefined where another write was first. 0 as `cas`: there must be no version yet. */
  write(ref: string, cas: number, data: Readonly<Record<string, unknown>>): Promise<number | undefined>
  /** Numbers that there never were, or not any more, are passed over by Vault. */
  destroy(ref: string, versions: readonly number[]): Promise<void>
  /** What the token may do at each path, or undefined where it may not ask. */
  capabilities(paths: readonly string[]): Promise<ReadonlyMap<string, readonly string[]> | undefined>
  /** `version 2` where the mount is what it has to be; undefined where Vault does not tell. */
  engine(): Promise<string | undefined>
  /** As a policy names it. */
  pathOf(ref: string, kind: 'data' | 'destroy'): string
  close(): void
}

interface Send {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below /v1/, each part encoded. */
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly call: VaultCall
}

export function openVaultCalls(place: VaultPlace, context: StoreContext): VaultCalls {
  const exchange = createExchange(context.fetch ?? nodeFetch, context.system)
  const ca = place.caFile === undefined ? undefined : readCa(resolvePath(context, place.caFile))
  const sendAs = (
    token: string | undefined,
    { method, path, body }: Omit<Send, 'call'>,
  ): Promise<HttpOutcome> =>
    exchange.send({
      method,
      url: `${place.address}/v1/${path}`,
      timeoutMs: place.requestTimeoutMs,
      headers: {
        accept: 'application/json',
        'user-agent': 'keyturn',
        // Vault Agent can be told to refuse requests without it, which a browser cannot be made to send.
        'x-vault-request': 'true',
        ...(token === undefined ? {} : { 'x-vault-token': token }),
        ...(place.namespace === undefined ? {} : { 'x-vault-namespace': place.namespace }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    })
  const session: VaultSession = openVaultSession(place, context, sendAs)

  /** 403 stands for a bad token and for a lack of permission alike: once more, where there is another token to be had. */
  const send = async ({ call: _call, ...request }: Send): Promise<HttpOutcome> => {
    const token = await session.token()
    const outcome = await sendAs(token.reveal(), request)
    if (outcome.kind !== 'answer' || outcome.status !== 403) return outcome
    const other = await session.tokenAfterRefusal(token)
    return other === undefined ? outcome : sendAs(other.reveal(), request)
  }
  const callFor = (capability: VaultCall['capability'], path: string): VaultCall => ({
    capability,
    path,
    address: place.address,
    namespace: place.namespace,
  })
  const urlOf = (ref: string, kind: 'data' | 'destroy'): string =>
    [...place.mount.split('/'), kind, ...ref.split('/')].map(encodeURIComponent).join('/')
  const pathOf = (ref: string, kind: 'data' | 'destroy'): string => `${place.mount}/${kind}/${ref}`

  return {
    pathOf,
    async read(ref, version) {
      const call = callFor('read', pathOf(ref, 'data'))
      const query = version === undefined ? '' : `?version=${version}`
      const outcome = await send({ method: 'GET', path: `${urlOf(ref, 'data')}${query}`, call })
      const read = outcome.kind === 'answer' ? readKv(outcome.status, outcome.json) : undefined
      if (read === undefined) throw vaultError(outcome, call)
      return read
    },
    async write(ref, cas, data) {
      const call = callFor(cas === 0 ? 'create' : 'update', pathOf(ref, 'data'))
      const body = { options: { cas }, data }
      const outcome = await send({ method: 'POST', path: urlOf(ref, 'data'), body, call })
      if (isLostSwap(outcome)) return undefined
      const version =
        outcome.kind === 'answer' && outcome.status === 200
          ? numberIn(dataOf(outcome.json), 'version')
          : undefined
      if (version === undefined) throw vaultError(outcome, call)
      return version
    },
    async destroy(ref, versions) {
      const call = callFor('update', pathOf(ref, 'destroy'))
      const outcome = await send({ method: 'PUT', path: urlOf(ref, 'destroy'), body: { versions }, call })
      if (!isDone(outcome)) throw vaultError(outcome, call)
    },
    async capabilities(paths) {
      const call = callFor('update', 'sys/capabilities-self')
      const outcome = await send({ method: 'POST', path: 'sys/capabilities-self', body: { paths }, call })
      if (outcome.kind === 'answer' && outcome.status === 403) return undefined
      const data = outcome.kind === 'answer' && outcome.status === 200 ? dataOf(outcome.json) : undefined
      if (data === undefined) throw vaultError(outcome, call)
      return new Map(paths.map((path) => [path, texts(data[path])]))
    },
    async engine() {
      const mount = place.mount.split('/').map(encodeURIComponent).join('/')
      const path = `sys/internal/ui/mounts/${mount}`
      const outcome = await send({ method: 'GET', path, call: callFor('read', path) })
      const mounted = outcome.kind === 'answer' && outcome.status === 200 ? dataOf(outcome.json) : undefined
      if (typeof mounted?.['type'] !== 'string') return undefined
      if (mounted['type'] !== 'kv') return 'another kind'
      const version = isRecord(mounted['options']) ? mounted['options']['version'] : undefined
      // An engine that was mounted without options is of version 1, and has none to tell (OpenBao 2.6.2, 2026-11-21).
      return typeof version === 'string' ? `version ${version}` : 'version 1'
    },
    close() {
      session.close()
      exchange.close()
    },
  }
}

/** Undefined where the answer says none of these. */
function readKv(status: number, json: unknown): KvRead | undefined {
  // A mount that does not exist is a 404 too, but one with a reason.
  if (status === 404 && isVaultAnswer(json) && !('data' in json))
    return errorsOf(json).length === 0 ? { kind: 'absent' } : undefined
  const data = dataOf(json)
  const metadata = data?.['metadata']
  if ((status !== 200 && status !== 404) || data === undefined || !isRecord(metadata)) return undefined
  const version = numberIn(metadata, 'version')
  const createdAt = instantIn(metadata, 'created_time') ?? 0
  if (version === undefined) return undefined
  if (status === 404)
    return { kind: metadata['destroyed'] === true ? 'destroyed' : 'deleted', version, createdAt }
  const content = data['data']
  if (!isRecord(content)) return undefined
  const deletionAt = instantIn(metadata, 'deletion_time')
  return {
    kind: 'found',
    version,
    data: content,
    createdAt,
    ...(deletionAt === undefined ? {} : { deletionAt }),
  }
}

function isDone(outcome: HttpOutcome): boolean {
  return (
    outcome.kind === 'answer' &&
    (outcome.status === 204 || (outcome.status === 200 && outcome.json !== undefined))
  )
}

function dataOf(json: unknown): Readonly<Record<string, unknown>> | undefined {
  const data = isVaultAnswer(json) ? json['data'] : undefined
  return isRecord(data) ? data : undefined
}

function numberIn(object: Readonly<Record<string, unknown>> | undefined, name: string): number | undefined {
  const value = object?.[name]
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** Vault writes RFC 3339 with nanoseconds, and an empty text for never. */
function instantIn(object: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = object[name]
  const at = typeof value === 'string' && value !== '' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

function readCa(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  } catch (thrown) {
    throw fileError(thrown, path, 'read')
  }
  throw new KeyturnError('config_invalid', `The CA file ${path} holds no certificate in PEM.`, {
    fix: 'Give the certificate of the authority that signed the one of Vault, as PEM.',
  })
}
