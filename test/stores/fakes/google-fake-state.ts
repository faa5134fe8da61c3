import { randomBytes } from 'node:crypto'
import { crc32c } from '../../../src/stores/google-crc32c.ts'

export type FakeState = 'ENABLED' | 'DISABLED' | 'DESTROYED'

export interface FakeVersion {
  readonly number: number
  readonly createdAt: number
  state: FakeState
  etag: string
  data: Buffer
  scheduledDestroyAt?: number
}

export interface FakeSecret {
  readonly name: string
  readonly createdAt: number
  etag: string
  labels: Record<string, string>
  annotations: Record<string, string>
  aliases: Record<string, number>
  readonly replication: unknown
  expiresAt?: number
  versionDestroyTtl?: number
  /** Oldest first. */
  readonly versions: FakeVersion[]
}

/** What the service says instead of doing it; codes of google/rpc/code.proto. */
export class Refusal extends Error {
  readonly code: number
  readonly retryAfterSeconds: number | undefined
  constructor(code: number, message: string, retryAfterSeconds?: number) {
    super(message)
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export type Message = Readonly<Record<string, unknown>>

export interface GoogleFakeState {
  /** By full name. */
  readonly secrets: Map<string, FakeSecret>
  /** One call as both front ends hand it in: field names of JSON, bytes as Buffer, int64 as text, instants in ms. */
  call(rpc: string, request: Message): Message
  /** `permission`, or `permission NAME`. Replaces what was denied before. */
  deny(...rules: readonly string[]): void
  /** The next so many reads through `latest`, an alias or GetSecret tell the state before the last change. */
  lag(times: number, id?: string): void
  /** A version by somebody else, without any check. Makes the secret where it is not there. */
  put(id: string, text: string): FakeVersion
  make(id: string, rest?: Partial<FakeSecret>): FakeSecret
  secret(id: string): FakeSecret | undefined
  /** Of all versions of the secret that are neither disabled nor destroyed. */
  texts(id: string): readonly string[]
  newest(id: string): string | undefined
}

export const fakeProject = 'projects/team-1'
const annotationBytesMax = 16 * 1024
const payloadBytesMax = 64 * 1024
const aliasesMax = 50
const labelsMax = 64
const writableFields = ['annotations', 'labels', 'version_aliases', 'expire_time', 'version_destroy_ttl']

export const permissionOf: Readonly<Record<string, string>> = {
  CreateSecret: 'secretmanager.secrets.create',
  GetSecret: 'secretmanager.secrets.get',
  UpdateSecret: 'secretmanager.secrets.update',
  AddSecretVersion: 'secretmanager.versions.add',
  AccessSecretVersion: 'secretmanager.versions.access',
  ListSecretVersions: 'secretmanager.versions.list',
  DestroySecretVersion: 'secretmanager.versions.destroy',
}

export function createGoogleState(): GoogleFakeState {
  const secrets = new Map<string, FakeSecret>()
  const before = new Map<string, FakeSecret>()
  let denied: readonly string[] = []
  let lagging = { times: 0, id: undefined as string | undefined }
  let at = 1_790_000_000_000

  const isDenied = (permission: string, name: string): boolean =>
    denied.includes(permission) || denied.includes(`${permission} ${idOf(name)}`)
  const found = (name: string): FakeSecret => {
    const secret = secrets.get(name)
    if (secret !== undefined) return secret
    throw new Refusal(5, `Secret [${name}] not found.`)
  }
  /** As an eventually consistent read has it. */
  const seen = (name: string): FakeSecret => {
    const old = before.get(name)
    const isMeant = lagging.id === undefined || lagging.id === idOf(name)
    if (lagging.times === 0 || !isMeant || old === undefined) return found(name)
    lagging.times -= 1
    return old
  }
  const changing = (secret: FakeSecret): void => {
    before.set(secret.name, copyOf(secret))
    secret.etag = newEtag()
  }
  const add = (secret: FakeSecret, data: Buffer): FakeVersion => {
    before.set(secret.name, copyOf(secret))
    const version: FakeVersion = {
      number: secret.versions.length + 1,
      createdAt: (at += 1),
      state: 'ENABLED',
      etag: newEtag(),
      data,
    }
    // The etag of a secret is independent of its versions.
    secret.versions.push(version)
    return version
  }
  const make = (name: string, rest: Partial<FakeSecret> = {}): FakeSecret => {
    const secret: FakeSecret = {
      labels: {},
      annotations: {},
      aliases: {},
      replication: { automatic: {} },
      ...rest,
      name,
      createdAt: (at += 1_000),
      etag: newEtag(),
      versions: [],
    }
    secrets.set(name, secret)
    return secret
  }
  const version = (name: string): { secret: FakeSecret; version: FakeVersion } => {
    const [secretName = '', which = ''] = name.split('/versions/')
    const isNumber = /^\d+$/.test(which)
    const secret = isNumber ? found(secretName) : seen(secretName)
    const number =
      which === 'latest' ? secret.versions.length : isNumber ? Number(which) : secret.aliases[which]
    const one = secret.versions.find((each) => each.number === number)
    if (one === undefined) throw new Refusal(5, `Secret Version [${name}] not found.`)
    return { secret, version: one }
  }

  const operations: Readonly<Record<string, (request: Message) => Message>> = {
    CreateSecret({ parent, secretId, secret }) {
      const asked = (secret ?? {}) as Partial<FakeSecret>
      const name = `${String(parent)}/secrets/${String(secretId)}`
      if (!/^[A-Za-z0-9_-]{1,255}$/.test(String(secretId))) throw new Refusal(3, 'secret_id is invalid')
      const isRegional = name.includes('/locations/')
      if (isRegional === (asked.replication !== undefined && asked.replication !== null))
        throw new Refusal(3, 'replication must be given for a global secret, and for no other')
      if (secrets.has(name)) throw new Refusal(6, `Secret [${name}] already exists.`)
      const annotations = { ...asked.annotations }
      const labels = { ...asked.labels }
      assertAnnotations(annotations)
      assertLabels(labels)
      return wireSecret(make(name, { annotations, labels, replication: asked.replication }))
    },
    GetSecret: ({ name }) => wireSecret(seen(String(name))),
    UpdateSecret({ secret: wire, updateMask }) {
      const asked = wire as Readonly<Record<string, unknown>>
      const secret = found(String(asked['name']))
      const paths = (updateMask as { paths?: readonly string[] } | undefined)?.paths ?? []
      if (paths.length === 0) throw new Refusal(3, 'update_mask is required')
      if (paths.some((path) => !writableFields.includes(path)))
        throw new Refusal(3, 'update_mask has an immutable field')
      const { etag } = asked
      if (etag !== undefined && etag !== '' && etag !== secret.etag)
        throw new Refusal(9, 'The etag provided does not match the etag of the resource.')
      const annotations = { ...(asked['annotations'] as Record<string, string> | undefined) }
      const aliases: Record<string, number> = {}
      for (const [alias, number] of Object.entries(asked['versionAliases'] ?? {}))
        aliases[alias] = Number(number)
      if (paths.includes('annotations')) assertAnnotations(annotations)
      if (paths.includes('version_aliases')) assertAliases(secret, aliases)
      changing(secret)
      if (paths.includes('annotations')) secret.annotations = annotations
      if (paths.includes('version_aliases')) secret.aliases = aliases
      return wireSecret(secret)
    },
    AddSecretVersion({ parent, payload }) {
      const secret = found(String(parent))
      const { data, dataCrc32c } = (payload ?? {}) as { data?: Buffer; dataCrc32c?: string | null }
      if (data === undefined || data.length === 0) throw new Refusal(3, 'payload.data is required')
      if (data.length > payloadBytesMax) throw new Refusal(3, 'The payload is larger than 64 KiB.')
      if (dataCrc32c !== undefined && dataCrc32c !== null && dataCrc32c !== String(crc32c(data)))
        throw new Refusal(3, 'The checksum does not match the payload.')
      return wireVersion(secret, add(secret, Buffer.from(data)))
    },
    AccessSecretVersion({ name }) {
      const { secret, version: one } = version(String(name))
      const full = `${secret.name}/versions/${one.number}`
      if (one.state !== 'ENABLED') throw new Refusal(9, `Secret Version [${full}] is in ${one.state} state.`)
      return { name: full, payload: { data: one.data, dataCrc32c: String(crc32c(one.data)) } }
    },
    ListSecretVersions({ parent, pageSize, pageToken }) {
      const secret = found(String(parent))
      const size = Math.min(Number(pageSize ?? 0) || 100, 25_000)
      const start = Number(pageToken ?? 0) || 0
      const all = secret.versions.toReversed()
      const next = start + size < all.length ? String(start + size) : ''
      return {
        versions: all.slice(start, start + size).map((each) => wireVersion(secret, each)),
        nextPageToken: next,
        totalSize: all.length,
      }
    },
    DestroySecretVersion({ name, etag }) {
      const { secret, version: one } = version(String(name))
      if (etag !== undefined && etag !== '' && etag !== one.etag) throw new Refusal(9, 'etag mismatch')
      if (one.state === 'DESTROYED') throw new Refusal(9, 'The version is destroyed already.')
      before.set(secret.name, copyOf(secret))
      one.etag = newEtag()
      if (secret.versionDestroyTtl === undefined) {
        one.state = 'DESTROYED'
        one.data = Buffer.alloc(0)
      } else {
        one.state = 'DISABLED'
        one.scheduledDestroyAt = at + secret.versionDestroyTtl
      }
      return wireVersion(secret, one)
    },
    TestIamPermissions({ resource, permissions }) {
      if (!secrets.has(String(resource))) return { permissions: [] }
      const asked = (permissions ?? []) as readonly string[]
      return { permissions: asked.filter((each) => !isDenied(each, String(resource))) }
    },
  }

  const full = (id: string): string => (id.startsWith('projects/') ? id : `${fakeProject}/secrets/${id}`)
  return {
    secrets,
    call(rpc, request) {
      const operation = operations[rpc]
      if (operation === undefined) throw new Refusal(12, `${rpc} is not implemented`)
      const name = subjectOf(rpc, request)
      const permission = permissionOf[rpc]
      const isForeign = !name.startsWith(`${fakeProject}/`)
      // Google tells nobody whether a project exists that they may not look into.
      if (permission !== undefined && (isForeign || isDenied(permission, name)))
        throw new Refusal(7, `Permission '${permission}' denied on resource '${name}' (or it may not exist).`)
      return operation(request)
    },
    deny: (...rules) => void (denied = rules),
    lag: (times, id) => void (lagging = { times, id }),
    put: (id, text) => add(secrets.get(full(id)) ?? make(full(id)), Buffer.from(text)),
    make: (id, rest) => make(full(id), rest),
    secret: (id) => secrets.get(full(id)),
    texts: (id) =>
      (secrets.get(full(id))?.versions ?? [])
        .filter(({ state }) => state === 'ENABLED')
        .map(({ data }) => data.toString()),
    newest: (id) => secrets.get(full(id))?.versions.at(-1)?.data.toString(),
  }
}

/** The full name of the secret that a call is about. */
export function subjectOf(rpc: string, request: Message): string {
  const { name, parent, resource, secretId, secret } = request as Readonly<Record<string, string | undefined>>
  if (rpc === 'CreateSecret') return `${parent ?? ''}/secrets/${secretId ?? ''}`
  const own = (secret as unknown as { readonly name?: string } | undefined)?.name
  return (own ?? name ?? parent ?? resource ?? '').split('/versions/')[0] ?? ''
}

export function idOf(name: string): string {
  return name.split('/').at(-1) ?? ''
}

function copyOf(secret: FakeSecret): FakeSecret {
  return { ...secret, versions: [...secret.versions] }
}

function newEtag(): string {
  return `"${randomBytes(7).toString('hex')}"`
}

function wireSecret(secret: FakeSecret): Message {
  return {
    name: secret.name,
    etag: secret.etag,
    createTime: secret.createdAt,
    labels: { ...secret.labels },
    annotations: { ...secret.annotations },
    versionAliases: Object.fromEntries(
      Object.entries(secret.aliases).map(([alias, n]) => [alias, String(n)]),
    ),
    ...(secret.replication === undefined || secret.replication === null
      ? {}
      : { replication: secret.replication }),
    ...(secret.expiresAt === undefined ? {} : { expireTime: secret.expiresAt }),
  }
}

function wireVersion(
  secret: FakeSecret,
  { number, state, etag, createdAt, scheduledDestroyAt }: FakeVersion,
): Message {
  return {
    name: `${secret.name}/versions/${number}`,
    createTime: createdAt,
    state,
    etag,
    ...(scheduledDestroyAt === undefined ? {} : { scheduledDestroyTime: scheduledDestroyAt }),
  }
}

function assertAnnotations(annotations: Readonly<Record<string, string>>): void {
  let bytes = 0
  for (const [key, value] of Object.entries(annotations)) {
    if (!/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(key))
      throw new Refusal(3, `annotation key ${key} is invalid`)
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (bytes >= annotationBytesMax) throw new Refusal(3, 'The annotations are 16 KiB or more.')
}

function assertLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels)
  const isBad = ([key, value]: readonly [string, string]): boolean =>
    !/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key) || !/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value)
  if (entries.length > labelsMax || entries.some(isBad)) throw new Refusal(3, 'labels are invalid')
}

function assertAliases(secret: FakeSecret, aliases: Readonly<Record<string, number>>): void {
  const entries = Object.entries(aliases)
  if (entries.length > aliasesMax) throw new Refusal(3, 'more than 50 aliases')
  for (const [alias, number] of entries) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(alias) || alias === 'latest' || alias === 'NEW')
      throw new Refusal(3, `alias ${alias} is invalid`)
    if (!secret.versions.some((each) => each.number === number))
      throw new Refusal(9, `alias ${alias} names a version that is not there`)
  }
}
