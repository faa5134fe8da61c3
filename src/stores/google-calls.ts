import type { protos } from '@google-cloud/secret-manager'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'
import type { SecretManagerClient } from './google-client.ts'
import { crc32c } from './google-crc32c.ts'
import { type GoogleCall, googleCodeOf, googleCodes, googleError } from './google-errors.ts'
import { fullName, type GoogleName } from './google-names.ts'

type WireSecret = protos.google.cloud.secretmanager.v1.ISecret

/** What is known of a secret without its values. */
export interface GoogleSecret {
  readonly name: GoogleName
  readonly etag: string
  readonly createdAt: number
  readonly annotations: ReadonlyMap<string, string>
  /** Numbers by alias, those of others among them. */
  readonly aliases: ReadonlyMap<string, number>
  /** Google deletes the whole secret then. */
  readonly expiresAt: number | undefined
  /** Where its values are kept and by what they are encrypted: what a sibling takes over. */
  readonly placement: Pick<WireSecret, 'replication' | 'customerManagedEncryption'>
}

export type GoogleAccess =
  | { readonly kind: 'found'; readonly number: number; readonly text: string }
  /** No such secret, version or alias. */
  | { readonly kind: 'absent' }
  /** The version is disabled or destroyed. */
  | { readonly kind: 'blocked' }

export interface GoogleListed {
  readonly number: number
  readonly state: 'enabled' | 'disabled' | 'destroyed'
}

/** The calls of Secret Manager that the driver makes: one attempt each, which ends within its timeout. */
export interface GoogleCalls {
  get(name: GoogleName): Promise<GoogleSecret | undefined>
  /** Undefined: it is there already. */
  create(
    name: GoogleName,
    request: { readonly annotations: ReadonlyMap<string, string>; readonly like?: GoogleSecret | undefined },
  ): Promise<GoogleSecret | undefined>
  /** Replaces annotations, and aliases where they are given, under the etag. Undefined: somebody changed the secret. */
  update(
    secret: GoogleSecret,
    change: {
      readonly annotations: ReadonlyMap<string, string>
      readonly aliases?: ReadonlyMap<string, number>
    },
  ): Promise<GoogleSecret | undefined>
  add(name: GoogleName, text: string): Promise<number>
  access(name: GoogleName, version: number | string): Promise<GoogleAccess>
  /** Newest first, at most `limit` (100). Undefined: no such secret. */
  list(name: GoogleName, limit: number): Promise<readonly GoogleListed[] | undefined>
  /** For good; what is destroyed or gone already is a success. */
  destroy(name: GoogleName, number: number): Promise<void>
  /** Those of `permissions` that this identity has. Nothing where there is no such secret. */
  allowed(name: GoogleName, permissions: readonly string[]): Promise<ReadonlySet<string>>
  close(): Promise<void>
}

/** The SDK's own limit comes first; this one is for what it does before it sends, e.g. fetching a token. */
const graceMs = 2_000

export function googleCalls(client: SecretManagerClient, timeoutMs: number, system: System): GoogleCalls {
  // Null, and not `maxRetries: 0`: with that the SDK goes on retrying reads by its own table, for up to 600 s.
  const once = { timeout: timeoutMs, retry: null } as const

  const run = async <Result>(call: GoogleCall, send: () => Promise<Result>): Promise<Result> => {
    const over = Promise.withResolvers<never>()
    const cancel = system.after(
      timeoutMs + graceMs,
      () => over.reject(googleError({ code: googleCodes.deadlineExceeded }, call)),
      { background: true },
    )
    try {
      return await Promise.race([send(), over.promise])
    } finally {
      cancel()
    }
  }
  /** `expected` are codes that are an answer and no failure. */
  const ask = async <Result>(
    permission: string,
    name: GoogleName,
    send: () => Promise<Result>,
    expected: readonly number[] = [],
  ): Promise<Result | { readonly code: number }> => {
    const call = { permission: `secretmanager.${permission}`, name }
    try {
      return await run(call, send)
    } catch (thrown) {
      const code = thrown instanceof KeyturnError ? undefined : googleCodeOf(thrown)
      if (code !== undefined && expected.includes(code)) return { code }
      throw googleError(thrown, call)
    }
  }

  return {
    async get(name) {
      const answer = await ask('secrets.get', name, () => client.getSecret({ name: fullName(name) }, once), [
        googleCodes.notFound,
      ])
      return 'code' in answer ? undefined : readSecret(name, answer[0])
    },
    async create(name, { annotations, like }) {
      const isRegional = name.parent.includes('/locations/')
      const secret = {
        ...(isRegional ? {} : { replication: { automatic: {} } }),
        ...like?.placement,
        labels: { 'managed-by': 'keyturn' },
        annotations: Object.fromEntries(annotations),
      }
      const answer = await ask(
        'secrets.create',
        name,
        () => client.createSecret({ parent: name.parent, secretId: name.id, secret }, once),
        [googleCodes.alreadyExists],
      )
      return 'code' in answer ? undefined : readSecret(name, answer[0])
    },
    async update({ name, etag }, { annotations, aliases }) {
      const secret = {
        name: fullName(name),
        etag,
        annotations: Object.fromEntries(annotations),
        ...(aliases === undefined ? {} : { versionAliases: Object.fromEntries(aliases) }),
      }
      const paths = aliases === undefined ? ['annotations'] : ['annotations', 'version_aliases']
      const answer = await ask(
        'secrets.update',
        name,
        () => client.updateSecret({ secret, updateMask: { paths } }, once),
        [googleCodes.failedPrecondition, googleCodes.aborted],
      )
      return 'code' in answer ? undefined : readSecret(name, answer[0])
    },
    async add(name, text) {
      const data = Buffer.from(text)
      const payload = { data, dataCrc32c: String(crc32c(data)) }
      const answer = await ask('versions.add', name, () =>
        client.addSecretVersion({ parent: fullName(name), payload }, once),
      )
      if ('code' in answer) throw malformed(name, 'an added version')
      return numberOf(name, answer[0].name)
    },
    async access(name, version) {
      const answer = await ask(
        'versions.access',
        name,
        () => client.accessSecretVersion({ name: `${fullName(name)}/versions/${version}` }, once),
        [googleCodes.notFound, googleCodes.failedPrecondition],
      )
      if ('code' in answer) return { kind: answer.code === googleCodes.notFound ? 'absent' : 'blocked' }
      const [{ name: versionName, payload }] = answer
      return { kind: 'found', number: numberOf(name, versionName), text: readText(name, payload) }
    },
    async list(name, limit) {
      const answer = await ask(
        'versions.list',
        name,
        () =>
          client.listSecretVersions(
            { parent: fullName(name), pageSize: limit },
            { ...once, autoPaginate: false },
          ),
        [googleCodes.notFound],
      )
      if ('code' in answer) return undefined
      return answer[0].map((each) => ({ number: numberOf(name, each.name), state: stateOf(each.state) }))
    },
    async destroy(name, number) {
      await ask(
        'versions.destroy',
        name,
        () => client.destroySecretVersion({ name: `${fullName(name)}/versions/${number}` }, once),
        [googleCodes.notFound, googleCodes.failedPrecondition],
      )
    },
    async allowed(name, permissions) {
      const answer = await ask(
        'secrets.get',
        name,
        () => client.testIamPermissions({ resource: fullName(name), permissions: [...permissions] }, once),
        [googleCodes.notFound],
      )
      return new Set('code' in answer ? [] : (answer[0].permissions ?? []))
    },
    close: () => client.close(),
  }
}

function readSecret(name: GoogleName, wire: WireSecret): GoogleSecret {
  if (typeof wire.etag !== 'string' || wire.etag === '') throw malformed(name, 'a secret')
  const { replication, customerManagedEncryption } = wire
  return {
    name,
    etag: wire.etag,
    createdAt: instantOf(wire.createTime) ?? 0,
    annotations: new Map(Object.entries(wire.annotations ?? {})),
    aliases: new Map(
      Object.entries(wire.versionAliases ?? {}).map(([alias, number]) => [alias, Number(String(number))]),
    ),
    expiresAt: instantOf(wire.expireTime),
    placement: {
      ...(replication ? { replication: withoutStatus(replication) } : {}),
      ...(customerManagedEncryption ? { customerManagedEncryption } : {}),
    },
  }
}

/** The SDK decodes an automatic policy to an object of its class; a plain one travels by both transports. */
function withoutStatus(replication: NonNullable<WireSecret['replication']>): typeof replication {
  const { automatic, userManaged } = replication
  if (userManaged) return { userManaged }
  return { automatic: automatic ?? {} }
}

function instantOf(time: protos.google.protobuf.ITimestamp | null | undefined): number | undefined {
  const seconds = time?.seconds
  return seconds === undefined || seconds === null ? undefined : Number(String(seconds)) * 1_000
}

function numberOf(name: GoogleName, versionName: string | null | undefined): number {
  const [, digits] = /\/versions\/([1-9]\d{0,14})$/.exec(versionName ?? '') ?? []
  if (digits === undefined) throw malformed(name, 'the number of a version')
  return Number(digits)
}

function stateOf(state: unknown): GoogleListed['state'] {
  if (state === 'ENABLED' || state === 1) return 'enabled'
  return state === 'DESTROYED' || state === 3 ? 'destroyed' : 'disabled'
}

function readText(
  name: GoogleName,
  payload: protos.google.cloud.secretmanager.v1.ISecretPayload | null | undefined,
): string {
  const data = payload?.data
  if (data === undefined || data === null) throw malformed(name, 'a value')
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : data
  const told = payload?.dataCrc32c
  if (told !== undefined && told !== null && String(told) !== String(crc32c(bytes)))
    throw new KeyturnError('store_malformed', `A value of ${fullName(name)} was damaged on its way.`, {
      fix: 'Nothing is to be done: it is read again. Where it stays so, look at what is between here and Google.',
      retryable: true,
    })
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown
    throw new KeyturnError('store_malformed', `The value of ${fullName(name)} is not UTF-8 text.`, {
      fix: 'Put the key into it as plain text.',
    })
  }
}

function malformed(name: GoogleName, what: string): KeyturnError {
  return new KeyturnError('store_malformed', `The answer for ${fullName(name)} had not what makes ${what}.`, {
    fix: 'Check the endpoint and whether a proxy answers in place of Google.',
    retryable: true,
  })
}
