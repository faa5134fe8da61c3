import { randomUUID } from 'node:crypto'

/** What each operation does, as the API reference of Secrets Manager (2017-10-17, read 2026-11-20) says. */
export interface FakeVersion {
  /** Undefined: bytes in place of a text. */
  text: string | undefined
  /** Begun by a rotation of AWS, and without any value so far. */
  isEmpty?: boolean
  readonly labels: Set<string>
}

export interface FakeSecret {
  readonly versions: Map<string, FakeVersion>
  readonly tags: Map<string, string>
  deletedAt?: number
  isRotated?: boolean
}

export class AwsFault extends Error {
  readonly type: string
  readonly status: number

  constructor(type: string, message: string, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}

type Body = Readonly<Record<string, unknown>>
type Operation = (secrets: Map<string, FakeSecret>, body: Body) => unknown

const current = 'AWSCURRENT'
const previous = 'AWSPREVIOUS'

export const operations: Readonly<Record<string, Operation>> = {
  CreateSecret(secrets, body) {
    const name = text(body, 'Name') ?? ''
    if (secrets.has(name))
      throw new AwsFault(
        'ResourceExistsException',
        `The operation failed because the secret ${name} already exists.`,
      )
    const secret: FakeSecret = { versions: new Map(), tags: new Map() }
    secrets.set(name, secret)
    if (body['SecretString'] === undefined) return { ARN: arn(name), Name: name }
    const token = tokenOf(body)
    secret.versions.set(token, { text: valueOf(body), labels: new Set([current]) })
    return { ARN: arn(name), Name: name, VersionId: token }
  },

  DescribeSecret(secrets, body) {
    const { name, secret } = lookUp(secrets, body)
    const stages: Record<string, string[]> = {}
    for (const [id, version] of secret.versions) if (version.labels.size > 0) stages[id] = [...version.labels]
    return {
      ARN: arn(name),
      Name: name,
      ...(secret.versions.size === 0 ? {} : { VersionIdsToStages: stages }),
      Tags: [...secret.tags].map(([Key, Value]) => ({ Key, Value })),
      ...(secret.isRotated === undefined ? {} : { RotationEnabled: secret.isRotated }),
      ...(secret.deletedAt === undefined ? {} : { DeletedDate: secret.deletedAt }),
    }
  },

  GetSecretValue(secrets, body) {
    const { name, secret } = lookUpLive(secrets, body)
    const id = text(body, 'VersionId')
    const stage = text(body, 'VersionStage') ?? (id === undefined ? current : undefined)
    for (const [version, { text: value, labels, isEmpty }] of secret.versions) {
      if (isEmpty === true) continue
      if ((id !== undefined && version !== id) || (stage !== undefined && !labels.has(stage))) continue
      const payload = value === undefined ? { SecretBinary: 'AAAA' } : { SecretString: value }
      return { ARN: arn(name), Name: name, VersionId: version, VersionStages: [...labels], ...payload }
    }
    const what = id === undefined ? `staging label: ${stage}` : `VersionId: ${id}`
    throw new AwsFault(
      'ResourceNotFoundException',
      `Secrets Manager can't find the specified secret value for ${what}`,
    )
  },

  PutSecretValue(secrets, body) {
    const { name, secret } = lookUpLive(secrets, body)
    const token = tokenOf(body)
    const value = valueOf(body)
    const known = secret.versions.get(token)
    if (known?.isEmpty === true) return fill(secret, known, { token, value, name, body })
    if (known !== undefined && known.text !== value)
      throw new AwsFault('ResourceExistsException', 'A resource with the ID you requested already exists.')
    if (known === undefined) {
      const asked = (body['VersionStages'] as readonly string[] | undefined) ?? [current]
      const labels = secret.versions.size === 0 ? new Set([...asked, current]) : new Set(asked)
      // About 100, says AWS, of which those without a label go by themselves; here they are not counted.
      const named = [...secret.versions.values()].filter((version) => version.labels.size > 0)
      if (named.length >= 100) throw new AwsFault('LimitExceededException', 'too many versions')
      if (labels.size > 20) throw new AwsFault('LimitExceededException', 'too many labels')
      for (const label of labels) attach(secret, label, undefined)
      secret.versions.set(token, { text: value, labels })
    }
    const labels = secret.versions.get(token)?.labels ?? []
    return { ARN: arn(name), Name: name, VersionId: token, VersionStages: [...labels] }
  },

  UpdateSecretVersionStage(secrets, body) {
    const { name, secret } = lookUpLive(secrets, body)
    const label = text(body, 'VersionStage') ?? ''
    const to = text(body, 'MoveToVersionId')
    const from = text(body, 'RemoveFromVersionId')
    if (to === undefined && from === undefined) throw invalid('You must specify a version.')
    if (to !== undefined && !secret.versions.has(to))
      throw new AwsFault(
        'ResourceNotFoundException',
        `Secrets Manager can't find the specified secret version: ${to}`,
      )
    const holder = [...secret.versions].find(([, version]) => version.labels.has(label))?.[0]
    if (holder !== undefined && from === undefined)
      throw invalid(
        `The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to version ${holder}.`,
      )
    if (from !== undefined && from !== holder)
      throw invalid(
        `The parameter RemoveFromVersionId must be set to the version that currently has the staging label ${label}.`,
      )
    if (label === current && to === undefined) throw invalid(`You can't remove ${current}.`)
    if (to !== undefined && (secret.versions.get(to)?.labels.size ?? 0) >= 20)
      throw new AwsFault('LimitExceededException', 'too many labels')
    attach(secret, label, to)
    return { ARN: arn(name), Name: name }
  },

  TagResource(secrets, body) {
    const { secret } = lookUpLive(secrets, body)
    const tags =
      (body['Tags'] as readonly { readonly Key: string; readonly Value: string }[] | undefined) ?? []
    for (const { Key, Value } of tags) {
      if (
        Key.length < 1 ||
        Key.length > 128 ||
        Value.length > 256 ||
        !isTagText(Key) ||
        !isTagText(Value) ||
        Key.startsWith('aws:')
      )
        throw invalid('The tag key or value is not valid.')
    }
    const after = new Set([...secret.tags.keys(), ...tags.map((tag) => tag.Key)])
    if (after.size > 50) throw new AwsFault('LimitExceededException', 'too many tags')
    for (const { Key, Value } of tags) secret.tags.set(Key, Value)
    return {}
  },

  UntagResource(secrets, body) {
    const { secret } = lookUpLive(secrets, body)
    for (const key of body['TagKeys'] as readonly string[]) secret.tags.delete(key)
    return {}
  },
}

/**
 * RotateSecret: begins a version that is empty and has AWSPENDING. Refused while the one before is under way, as AWS does.
 * Its token.
 */
export function beginRotation(secrets: Map<string, FakeSecret>, name: string, token: string): string {
  const { secret } = lookUpLive(secrets, { SecretId: name })
  const under = [...secret.versions.values()].some(
    ({ labels }) => labels.has('AWSPENDING') && !labels.has(current),
  )
  if (under) throw new AwsFault('InvalidRequestException', 'A previous rotation isn’t complete.')
  secret.isRotated = true
  attach(secret, 'AWSPENDING', undefined)
  secret.versions.set(token, { text: undefined, isEmpty: true, labels: new Set(['AWSPENDING']) })
  return token
}

function fill(
  secret: FakeSecret,
  known: FakeVersion,
  put: { readonly token: string; readonly value: string; readonly name: string; readonly body: Body },
): unknown {
  known.text = put.value
  known.isEmpty = false
  for (const label of (put.body['VersionStages'] as readonly string[] | undefined) ?? [])
    attach(secret, label, put.token)
  return { ARN: arn(put.name), Name: put.name, VersionId: put.token, VersionStages: [...known.labels] }
}

/** Takes a label from whoever holds it; AWSPREVIOUS follows AWSCURRENT by itself. */
function attach(secret: FakeSecret, label: string, to: string | undefined): void {
  for (const version of secret.versions.values()) {
    if (!version.labels.delete(label) || label !== current) continue
    for (const other of secret.versions.values()) other.labels.delete(previous)
    version.labels.add(previous)
  }
  if (to === undefined) return
  const target = secret.versions.get(to)
  target?.labels.add(label)
  if (label === current) target?.labels.delete(previous)
}

function lookUp(
  secrets: Map<string, FakeSecret>,
  body: Body,
): { readonly name: string; readonly secret: FakeSecret } {
  const name = (text(body, 'SecretId') ?? '').replace(
    /^arn:aws:secretsmanager:[^:]+:\d+:secret:(.*)-[A-Za-z0-9]{6}$/,
    '$1',
  )
  const secret = secrets.get(name)
  if (secret === undefined)
    throw new AwsFault('ResourceNotFoundException', "Secrets Manager can't find the specified secret.")
  return { name, secret }
}

function lookUpLive(secrets: Map<string, FakeSecret>, body: Body): ReturnType<typeof lookUp> {
  const found = lookUp(secrets, body)
  if (found.secret.deletedAt === undefined) return found
  throw new AwsFault(
    'InvalidRequestException',
    "You can't perform this operation on the secret because it was marked for deletion.",
  )
}

function tokenOf(body: Body): string {
  const token = text(body, 'ClientRequestToken') ?? randomUUID()
  if (token.length < 32 || token.length > 64)
    throw invalid('ClientRequestToken must have 32 to 64 characters.')
  return token
}

function valueOf(body: Body): string {
  const value = text(body, 'SecretString')
  const bytes = Buffer.byteLength(value ?? '')
  // The real message quotes the value that it found too long.
  if (value === undefined || bytes < 1 || bytes > 65_536)
    throw new AwsFault(
      'ValidationException',
      `1 validation error detected: Value '${value}' at 'secretString' failed`,
    )
  return value
}

function invalid(message: string): AwsFault {
  return new AwsFault('InvalidParameterException', message)
}

function isTagText(value: string): boolean {
  return /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value)
}

function text(body: Body, key: string): string | undefined {
  const value = body[key]
  return typeof value === 'string' ? value : undefined
}

function arn(name: string): string {
  return `arn:aws:secretsmanager:us-east-1:111122223333:secret:${name}-a1b2c3`
}
