import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Certificate, makeCertificate } from './certificate.ts'
import { closeServer, createFaults, failInstead, type HttpFaults, readBody } from './http-faults.ts'

export interface FakeSecretObject {
  kind: string
  apiVersion: string
  type?: string
  immutable?: boolean
  metadata: {
    name: string
    namespace: string
    uid: string
    resourceVersion: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    [field: string]: unknown
  }
  data?: Record<string, string>
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

/**
 * An API server on loopback, over TLS with a certificate of its own: Secrets with resourceVersions, watches with bookmarks
 * and a bounded memory, and access reviews. Refuses what the real one refuses; see kubernetes-fake.test.ts.
 */
export interface KubernetesFake extends HttpFaults {
  readonly host: string
  readonly port: number
  readonly server: string
  readonly certificate: Certificate
  /** By `namespace/name`. */
  readonly secrets: Map<string, FakeSecretObject>
  readonly requests: { line: string; token: string | undefined }[]
  /** Bearer tokens that are taken. */
  readonly tokens: Set<string>
  /** Certificates of clients that are taken, as PEM. */
  readonly clients: Set<string>
  /** `verb name`, or `create`. Replaces what was denied before. */
  deny(...rules: readonly string[]): void
  /** A write by somebody else, without any check. */
  put(
    name: string,
    data: Readonly<Record<string, string>>,
    rest?: Partial<FakeSecretObject>,
  ): FakeSecretObject
  remove(name: string): void
  /** Forgets all events so far: a watch from before gets 410. */
  compact(): void
  /** Tells all watches where they are. */
  bookmark(): void
  /** Ends all watches, as a restart does. */
  endWatches(): void
  readonly watching: () => number
  close(): Promise<void>
}

const maxBytes = 1_048_576
export const defaultNamespace = 'apps'

export async function startKubernetesFake(): Promise<KubernetesFake> {
  const certificate = makeCertificate('kube-apiserver')
  const secrets = new Map<string, FakeSecretObject>()
  const tokens = new Set<string>()
  const clients = new Set<string>()
  const denied = new Set<string>()
  const requests: KubernetesFake['requests'] = []
  const faults = createFaults()
  const watches = new Set<{ readonly name: string; readonly response: ServerResponse }>()
  let events: { readonly version: number; readonly type: string; readonly object: FakeSecretObject }[] = []
  let version = 1_000
  let oldest = 1_000

  const tell = (type: string, object: FakeSecretObject): void => {
    events.push({ version, type, object: structuredClone(object) })
    for (const { name, response } of watches)
      if (name === object.metadata.name) response.write(`${JSON.stringify({ type, object })}\n`)
  }
  const keep = (object: FakeSecretObject, type: 'ADDED' | 'MODIFIED'): FakeSecretObject => {
    version += 1
    const kept = structuredClone(object)
    kept.metadata.resourceVersion = String(version)
    secrets.set(`${kept.metadata.namespace}/${kept.metadata.name}`, kept)
    tell(type, kept)
    return kept
  }

  const invalid = (object: FakeSecretObject): Answer | undefined => {
    const values = Object.values(object.data ?? {})
    if (values.some((value) => !/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0))
      return failed(400, 'BadRequest', 'illegal base64 data')
    const bytes = values.reduce((sum, value) => sum + Buffer.from(value, 'base64').length, 0)
    if (bytes > maxBytes) return failed(422, 'Invalid', 'data: Too long: may not be more than 1048576 bytes')
    if (Object.keys(object.data ?? {}).some((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key)))
      return failed(422, 'Invalid', 'a valid config key must consist of alphanumeric characters')
    return undefined
  }

  const create = (namespace: string, object: FakeSecretObject): Answer => {
    if (namespace !== defaultNamespace)
      return failed(404, 'NotFound', `namespaces "${namespace}" not found`, 'namespaces')
    const { name } = object.metadata
    if (secrets.has(`${namespace}/${name}`))
      return failed(409, 'AlreadyExists', `secrets "${name}" already exists`)
    const bad = invalid(object)
    if (bad !== undefined) return bad
    return {
      status: 201,
      body: keep({ ...object, metadata: { ...object.metadata, namespace, uid: randomUUID() } }, 'ADDED'),
    }
  }

  const replace = (key: string, object: FakeSecretObject): Answer => {
    const there = secrets.get(key)
    if (there === undefined) return failed(404, 'NotFound', `secrets "${object.metadata.name}" not found`)
    if (`${there.metadata.namespace}/${object.metadata.name}` !== key)
      return failed(400, 'BadRequest', 'the name of the object does not match the name on the URL')
    const given = object.metadata.resourceVersion
    if (given !== undefined && given !== '' && given !== there.metadata.resourceVersion)
      return failed(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest version',
      )
    const bad = invalid(object)
    if (bad !== undefined) return bad
    const isDataSame = JSON.stringify(sorted(there.data)) === JSON.stringify(sorted(object.data))
    if (there.immutable === true && (!isDataSame || object.immutable !== true))
      return failed(422, 'Invalid', 'data: Forbidden: field is immutable when `immutable` is set')
    // An object that is the same gets no new resourceVersion.
    const isSame =
      isDataSame &&
      JSON.stringify(there.metadata) ===
        JSON.stringify({ ...object.metadata, resourceVersion: there.metadata.resourceVersion })
    return { status: 200, body: isSame ? there : keep(object, 'MODIFIED') }
  }

  const watch = (name: string, query: URLSearchParams, response: ServerResponse): void => {
    const since = Number(query.get('resourceVersion'))
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    if (since < oldest) {
      const object = statusOf(410, 'Expired', `too old resource version: ${since} (${oldest})`)
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`)
      return
    }
    for (const event of events)
      if (event.version > since && event.object.metadata.name === name)
        response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`)
    const entry = { name, response }
    watches.add(entry)
    response.on('close', () => void watches.delete(entry))
  }

  const review = (body: Readonly<Record<string, unknown>>): Answer => {
    const { resourceAttributes: asked } = body['spec'] as { resourceAttributes: Record<string, string> }
    const rule = asked['name'] === undefined ? `${asked['verb']}` : `${asked['verb']} ${asked['name']}`
    return { status: 201, body: { ...body, status: { allowed: !denied.has(rule) } } }
  }

  const isKnown = (request: IncomingMessage): boolean => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token !== undefined) return tokens.has(token)
    const peer = (request.socket as TLSSocket).getPeerX509Certificate?.()
    return peer !== undefined && [...clients].some((pem) => normal(pem) === normal(peer.toString()))
  }

  /** Undefined: it was answered already. */
  const answer = (
    request: IncomingMessage,
    url: URL,
    text: string,
    response: ServerResponse,
  ): Answer | undefined => {
    if (!isKnown(request)) return failed(401, 'Unauthorized', 'Unauthorized')
    const method = request.method ?? ''
    const type = request.headers['content-type'] ?? ''
    if (method === 'PATCH' && !/^application\/((json|merge|strategic-merge)-patch|apply-patch)\+/.test(type))
      return failed(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
    if ((method === 'POST' || method === 'PUT') && type !== 'application/json')
      return failed(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
    const body = JSON.parse(text || '{}') as Readonly<Record<string, unknown>>
    if (url.pathname === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews') return review(body)
    const [, namespace = '', name = ''] =
      /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/.exec(url.pathname) ?? []
    if (namespace === '') return { status: 404, body: '404 page not found' }
    const selected = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1] ?? ''
    const isWatch = url.searchParams.get('watch') === 'true'
    const verb =
      { GET: name === '' ? (isWatch ? 'watch' : 'list') : 'get', PUT: 'update', POST: 'create' }[method] ??
      'other'
    const about = name === '' ? selected : name
    if (denied.has(verb === 'create' ? verb : `${verb} ${about}`))
      return failed(
        403,
        'Forbidden',
        `secrets "${about}" is forbidden: User "system:serviceaccount:apps:keyturn" cannot ${verb} resource "secrets" in API group "" in the namespace "${namespace}"`,
      )
    const key = `${namespace}/${name}`
    const found = secrets.get(key)
    switch (verb) {
      case 'get':
        return found === undefined
          ? failed(404, 'NotFound', `secrets "${name}" not found`)
          : { status: 200, body: found }
      case 'list': {
        const item = secrets.get(`${namespace}/${selected}`)
        return {
          status: 200,
          body: {
            kind: 'SecretList',
            metadata: { resourceVersion: String(version) },
            items: item === undefined ? [] : [item],
          },
        }
      }
      case 'watch':
        watch(selected, url.searchParams, response)
        return undefined
      case 'create':
        return create(namespace, body as unknown as FakeSecretObject)
      case 'update':
        return replace(key, body as unknown as FakeSecretObject)
      default:
        return failed(
          405,
          'MethodNotAllowed',
          'the server does not allow this method on the requested resource',
        )
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'https://fake')
    const line = `${request.method} ${url.pathname}${url.search}`
    const text = await readBody(request)
    requests.push({ line, token: request.headers.authorization?.replace('Bearer ', '') })
    const kind = faults.take(line)
    if (
      kind !== undefined &&
      failInstead(kind, response, (status) => statusOf(status, 'Planned', 'as planned'))
    )
      return
    const given = answer(request, url, text, response)
    if (given === undefined || kind === 'lost') return
    if (kind === 'broken') response.destroy()
    else
      response.writeHead(given.status, { 'content-type': 'application/json' }).end(JSON.stringify(given.body))
  }

  const server = createServer(
    { ...certificate, requestCert: true, rejectUnauthorized: false },
    (request, response) => void handle(request, response),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...faults,
    host: '127.0.0.1',
    port,
    server: `https://127.0.0.1:${port}`,
    certificate,
    secrets,
    requests,
    tokens,
    clients,
    deny(...rules) {
      denied.clear()
      for (const rule of rules) denied.add(rule)
    },
    put(name, data, rest = {}) {
      const there = secrets.get(`${defaultNamespace}/${name}`)
      const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
      const metadata = {
        ...there?.metadata,
        ...rest.metadata,
        name,
        namespace: defaultNamespace,
        uid: 'u',
        resourceVersion: '',
      }
      const object = {
        kind: 'Secret',
        apiVersion: 'v1',
        type: 'Opaque',
        ...there,
        ...rest,
        metadata,
        data: Object.fromEntries(encoded),
      }
      return keep(object, there === undefined ? 'ADDED' : 'MODIFIED')
    },
    remove(name) {
      const there = secrets.get(`${defaultNamespace}/${name}`)
      if (there === undefined) return
      version += 1
      secrets.delete(`${defaultNamespace}/${name}`)
      tell('DELETED', { ...there, metadata: { ...there.metadata, resourceVersion: String(version) } })
    },
    compact() {
      events = []
      version += 1
      oldest = version
    },
    bookmark() {
      version += 1
      for (const { response } of watches) {
        const object = { kind: 'Secret', metadata: { resourceVersion: String(version) } }
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
      }
    },
    endWatches() {
      for (const { response } of watches) response.end()
    },
    watching: () => watches.size,
    close: () => closeServer(server),
  }
}

function failed(status: number, reason: string, message: string, kind = 'secrets'): Answer {
  return { status, body: { ...statusOf(status, reason, message), details: { kind } } }
}

function statusOf(code: number, reason: string, message: string): Readonly<Record<string, unknown>> {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}

const normal = (pem: string): string => pem.replaceAll(/\s/g, '')
const sorted = (data: Readonly<Record<string, string>> = {}): unknown =>
  Object.entries(data).sort(([one], [other]) => one.localeCompare(other))
