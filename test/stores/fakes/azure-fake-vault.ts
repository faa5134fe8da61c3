import { randomBytes } from 'node:crypto'

/** Azure takes 25 KB; the fake's limit is the larger reading of it. */
const valueBytesMax = 25 * 1_024
const tagsMax = 15
const tagCharactersMax = 256
const pageSize = 25
export const apiVersions = ['7.6', '2025-07-01', '2026-04-01']

export interface FakeAzureVersion {
  readonly id: string
  readonly value: string
  tags: Record<string, string>
  contentType: string | undefined
  enabled: boolean
  expires: number | undefined
  readonly created: number
  updated: number
}

export interface FakeAzureSecret {
  readonly name: string
  /** Oldest first. */
  readonly versions: FakeAzureVersion[]
  isDeleted: boolean
}

export interface AzureAnswer {
  readonly status: number
  readonly body: unknown
}

export interface AzureRequest {
  readonly method: string
  readonly url: URL
  readonly body: string
}

/** By lower-case name: Azure minds no case. */
export type FakeAzureSecrets = Map<string, FakeAzureSecret>

export const permissionOf = ({ method, url }: Pick<AzureRequest, 'method' | 'url'>): string => {
  if (method === 'PUT') return 'set'
  if (method === 'PATCH') return 'update'
  return url.pathname.endsWith('/versions') ? 'list' : 'get'
}

/** What the vault does with a request that was let in. */
export function handleSecret(secrets: FakeAzureSecrets, address: string, request: AzureRequest): AzureAnswer {
  const { method, url } = request
  const version = url.searchParams.get('api-version')
  if (version === null || !apiVersions.includes(version))
    return failed(400, 'BadParameter', 'The api-version query parameter is missing or not supported.')
  const [, collection, name = '', rest = ''] = url.pathname.split('/')
  if (!/^[0-9A-Za-z-]{1,127}$/.test(name))
    return failed(400, 'BadParameter', `The request URI contains an invalid name: ${name}`)
  const secret = secrets.get(name.toLowerCase())
  if (collection === 'deletedsecrets')
    return secret?.isDeleted === true
      ? {
          status: 200,
          body: {
            ...bundle(address, secret, lastOf(secret), false),
            recoveryId: `${address}/deletedsecrets/${name}`,
          },
        }
      : failed(404, 'SecretNotFound', `Deleted Secret not found: ${name}`)
  if (collection !== 'secrets') return failed(404, 'NotFound', 'no such resource')
  if (method === 'PUT' && rest === '') return setSecret(secrets, address, { name, body: request.body })
  if (method === 'GET' && rest === 'versions') return listVersions(address, secret, { name, url })
  if (secret === undefined || secret.isDeleted) return notFound(name)
  const found = rest === '' ? lastOf(secret) : secret.versions.find(({ id }) => id === rest)
  if (found === undefined) return notFound(name)
  if (method === 'PATCH') return patch(address, secret, { found, body: request.body })
  if (method !== 'GET') return failed(405, 'MethodNotAllowed', 'not allowed')
  if (!found.enabled)
    return failed(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled')
  return { status: 200, body: bundle(address, secret, found, true) }
}

export function addVersion(
  secrets: FakeAzureSecrets,
  name: string,
  made: Pick<FakeAzureVersion, 'value'> & Partial<FakeAzureVersion>,
): FakeAzureVersion {
  const key = name.toLowerCase()
  const secret = secrets.get(key) ?? { name, versions: [], isDeleted: false }
  secrets.set(key, secret)
  const now = Math.floor(Date.now() / 1_000)
  const version: FakeAzureVersion = {
    id: randomBytes(16).toString('hex'),
    tags: {},
    contentType: undefined,
    enabled: true,
    expires: undefined,
    created: now,
    updated: now,
    ...made,
  }
  secret.versions.push(version)
  return version
}

export function failed(status: number, code: string, message: string, inner?: string): AzureAnswer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } }
  return { status, body: { error: { code, message, ...innererror } } }
}

function notFound(name: string): AzureAnswer {
  return failed(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`)
}

function setSecret(
  secrets: FakeAzureSecrets,
  address: string,
  { name, body }: { readonly name: string; readonly body: string },
): AzureAnswer {
  const asked = parse(body)
  const value = asked?.['value']
  if (typeof value !== 'string') return failed(400, 'BadParameter', 'The value of the secret is missing.')
  if (Buffer.byteLength(value) > valueBytesMax)
    return failed(400, 'BadParameter', `The value ${value.slice(0, 20)} is too long.`)
  const refused = badTags(asked?.['tags'])
  if (refused !== undefined) return refused
  if (secrets.get(name.toLowerCase())?.isDeleted === true)
    return failed(
      409,
      'Conflict',
      `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused.`,
      'ObjectIsDeletedButRecoverable',
    )
  const contentType = asked?.['contentType']
  const made = addVersion(secrets, name, {
    value,
    tags: tagsIn(asked?.['tags']),
    contentType: typeof contentType === 'string' ? contentType : undefined,
    ...attributesIn(asked?.['attributes']),
  })
  const secret = secrets.get(name.toLowerCase())
  return secret === undefined ? notFound(name) : { status: 200, body: bundle(address, secret, made, true) }
}

function patch(
  address: string,
  secret: FakeAzureSecret,
  { found, body }: { readonly found: FakeAzureVersion; readonly body: string },
): AzureAnswer {
  const asked = parse(body)
  if (asked === undefined) return failed(400, 'BadParameter', 'The request body is malformed.')
  const refused = badTags(asked['tags'])
  if (refused !== undefined) return refused
  if (asked['tags'] !== undefined) found.tags = tagsIn(asked['tags'])
  Object.assign(found, attributesIn(asked['attributes']), { updated: Math.floor(Date.now() / 1_000) })
  return { status: 200, body: bundle(address, secret, found, false) }
}

/** By id, which says nothing of age: whoever takes the order for one is found out. */
function listVersions(
  address: string,
  secret: FakeAzureSecret | undefined,
  { name, url }: { readonly name: string; readonly url: URL },
): AzureAnswer {
  if (secret === undefined || secret.isDeleted) return { status: 200, body: { value: [], nextLink: null } }
  const size = Number(url.searchParams.get('maxresults') ?? pageSize)
  if (!Number.isInteger(size) || size < 1 || size > pageSize)
    return failed(400, 'BadParameter', 'maxresults must be from 1 to 25')
  const after = url.searchParams.get('$skiptoken') ?? ''
  const left = secret.versions
    .filter(({ id }) => id > after)
    .sort((one, other) => (one.id < other.id ? -1 : 1))
  const page = left.slice(0, size)
  const next = new URL(`${address}/secrets/${name}/versions`)
  next.searchParams.set('api-version', url.searchParams.get('api-version') ?? '')
  next.searchParams.set('$skiptoken', page.at(-1)?.id ?? '')
  const nextLink = left.length > size ? next.href : null
  return { status: 200, body: { value: page.map((each) => bundle(address, secret, each, false)), nextLink } }
}

function bundle(
  address: string,
  { name }: FakeAzureSecret,
  version: FakeAzureVersion | undefined,
  withValue: boolean,
): Readonly<Record<string, unknown>> {
  if (version === undefined) return { id: `${address}/secrets/${name}` }
  const { id, value, tags, contentType, enabled, expires, created, updated } = version
  return {
    ...(withValue ? { value } : {}),
    id: `${address}/secrets/${name}/${id}`,
    ...(contentType === undefined ? {} : { contentType }),
    attributes: {
      enabled,
      created,
      updated,
      ...(expires === undefined ? {} : { exp: expires }),
      recoveryLevel: 'Recoverable+Purgeable',
      recoverableDays: 90,
    },
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
  }
}

function lastOf(secret: FakeAzureSecret): FakeAzureVersion | undefined {
  return secret.versions.at(-1)
}

function badTags(tags: unknown): AzureAnswer | undefined {
  const entries = Object.entries(tagsIn(tags))
  if (entries.length > tagsMax) return failed(400, 'BadParameter', 'There are more than 15 tags.')
  return entries.some(([name, value]) => name.length > tagCharactersMax || value.length > tagCharactersMax)
    ? failed(400, 'BadParameter', 'A tag is longer than 256 characters.')
    : undefined
}

function tagsIn(tags: unknown): Record<string, string> {
  if (typeof tags !== 'object' || tags === null) return {}
  return Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, String(value)]))
}

function attributesIn(attributes: unknown): Partial<FakeAzureVersion> {
  if (typeof attributes !== 'object' || attributes === null) return {}
  const { enabled, exp } = attributes as Readonly<Record<string, unknown>>
  return {
    ...(typeof enabled === 'boolean' ? { enabled } : {}),
    ...(typeof exp === 'number' ? { expires: exp } : {}),
  }
}

function parse(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
