/** What a KV engine of version 2 keeps, and its rules as OpenBao 2.6.2 has them (path_data.go, path_destroy.go). */
export interface KvVersion {
  data: Readonly<Record<string, unknown>> | undefined
  readonly createdAt: number
  deletedAt: number | undefined
}

export interface KvDocument {
  current: number
  readonly versions: Map<number, KvVersion>
  maxVersions: number
}

export interface KvMount {
  readonly documents: Map<string, KvDocument>
  version: '1' | '2'
  casRequired: boolean
  deleteVersionAfterMs: number
}

export interface FakeAnswer {
  readonly status: number
  readonly body?: unknown
}

export const notFound: FakeAnswer = { status: 404, body: { errors: [] } }
export const refused = (status: number, ...errors: readonly string[]): FakeAnswer => ({
  status,
  body: { errors },
})

export function readKv(mount: KvMount, path: string, version: number | undefined, now: number): FakeAnswer {
  const document = mount.documents.get(path)
  const number = version === undefined || version === 0 ? document?.current : version
  const found = number === undefined ? undefined : document?.versions.get(number)
  if (number === undefined || found === undefined) return notFound
  const isDestroyed = found.data === undefined
  const isGone = isDestroyed || (found.deletedAt !== undefined && found.deletedAt <= now)
  return {
    status: isGone ? 404 : 200,
    body: envelope({
      data: isGone ? null : found.data,
      metadata: { ...metadataOf(number, found), custom_metadata: null },
    }),
  }
}

export function writeKv(
  mount: KvMount,
  path: string,
  body: Readonly<Record<string, unknown>>,
  now: number,
): FakeAnswer {
  const { data, options } = body
  if (typeof data !== 'object' || data === null) return refused(400, 'no data provided')
  const document: KvDocument = mount.documents.get(path) ?? {
    current: 0,
    versions: new Map(),
    maxVersions: 10,
  }
  const cas = typeof options === 'object' && options !== null && 'cas' in options ? options.cas : undefined
  if (cas === undefined && mount.casRequired)
    return refused(400, 'check-and-set parameter required for this call')
  if (cas !== undefined && cas !== document.current)
    return refused(400, 'check-and-set parameter did not match the current version')
  document.current += 1
  const version: KvVersion = {
    data: structuredClone(data) as Readonly<Record<string, unknown>>,
    createdAt: now,
    deletedAt: mount.deleteVersionAfterMs > 0 ? now + mount.deleteVersionAfterMs : undefined,
  }
  document.versions.set(document.current, version)
  for (const number of document.versions.keys())
    if (number <= document.current - document.maxVersions) document.versions.delete(number)
  mount.documents.set(path, document)
  return { status: 200, body: envelope({ ...metadataOf(document.current, version), custom_metadata: null }) }
}

export function destroyKv(mount: KvMount, path: string, body: Readonly<Record<string, unknown>>): FakeAnswer {
  const { versions } = body
  if (!Array.isArray(versions) || versions.length === 0) return refused(400, 'no version number provided')
  for (const number of versions as readonly number[]) {
    const found = mount.documents.get(path)?.versions.get(number)
    if (found !== undefined) found.data = undefined
  }
  return { status: 204 }
}

export function envelope(data: unknown, auth: unknown = null): unknown {
  return {
    request_id: '00000000-0000-4000-8000-000000000000',
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data,
    wrap_info: null,
    warnings: null,
    auth,
  }
}

function metadataOf(version: number, found: KvVersion): Readonly<Record<string, unknown>> {
  return {
    version,
    created_time: nanoseconds(found.createdAt),
    deletion_time: found.deletedAt === undefined ? '' : nanoseconds(found.deletedAt),
    destroyed: found.data === undefined,
  }
}

function nanoseconds(at: number): string {
  return new Date(at).toISOString().replace('Z', '000000Z')
}
