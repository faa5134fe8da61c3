import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeServer, createFaults, failInstead, type HttpFaults, readBody } from './http-faults.ts'
import {
  destroyKv,
  envelope,
  type FakeAnswer,
  type KvMount,
  notFound,
  readKv,
  refused,
  writeKv,
} from './vault-fake-engine.ts'

interface FakeToken {
  readonly namespace: string
  endsAt: number
  readonly maxEndsAt: number
  readonly leaseSeconds: number
  readonly isRenewable: boolean
}

export interface TokenOptions {
  readonly namespace?: string
  /** 0: it never ends. */
  readonly leaseSeconds?: number
  readonly maxSeconds?: number
  readonly isRenewable?: boolean
}

/**
 * Vault on loopback: logins, tokens with leases and namespaces, policies by path, and one KV engine of version 2. Refuses
 * what the real one refuses; see vault-fake.test.ts for each refusal.
 */
export interface VaultFake extends HttpFaults {
  readonly address: string
  readonly mount: KvMount
  /** Method and path of each request, with what came in it. */
  readonly requests: { line: string; token: string | undefined; body: Readonly<Record<string, unknown>> }[]
  /** A token that may do all, but for what is denied. */
  issueToken(options?: TokenOptions): string
  /** What logins give from now on. */
  readonly logins: {
    lease: TokenOptions
    accepts: (path: string, body: Readonly<Record<string, unknown>>) => boolean
  }
  revokeAll(): void
  /** `capability path`, e.g. `update secret/data/openai`. Replaces what was denied before. */
  deny(...rules: readonly string[]): void
  /** Reads (of one document) are answered with the state before its last write, so many times. */
  lag(reads: number, path?: string): void
  /** Writes by somebody else, without any check. */
  put(path: string, data: Readonly<Record<string, unknown>>): void
  /** Runs once, before the next request whose line begins so is carried out. */
  before(line: string, act: () => void): void
  close(): Promise<void>
}

export async function startVaultFake(options: { readonly now?: () => number } = {}): Promise<VaultFake> {
  const now = options.now ?? Date.now
  const mount: KvMount = { documents: new Map(), version: '2', casRequired: true, deleteVersionAfterMs: 0 }
  const tokens = new Map<string, FakeToken>()
  const denied = new Set<string>()
  const acts = new Map<string, () => void>()
  const requests: VaultFake['requests'] = []
  const faults = createFaults()
  const namespaces = new Set(['', 'team-a', 'team-b'])
  const former = new Map<string, KvMount>()
  let lagging = 0
  let laggingPath: string | undefined

  const issueToken = ({
    namespace = '',
    leaseSeconds = 0,
    maxSeconds = 0,
    isRenewable = true,
  }: TokenOptions = {}): string => {
    const token = `fake.${randomUUID()}`
    const endless = Number.POSITIVE_INFINITY
    tokens.set(token, {
      namespace,
      leaseSeconds,
      isRenewable,
      endsAt: leaseSeconds === 0 ? endless : now() + leaseSeconds * 1_000,
      maxEndsAt: maxSeconds === 0 ? endless : now() + maxSeconds * 1_000,
    })
    return token
  }
  const logins: VaultFake['logins'] = { lease: {}, accepts: () => false }

  const remember = (path: string): void => {
    const copy = new Map(
      mount.documents.has(path) ? [[path, structuredClone(mount.documents.get(path)!)] as const] : [],
    )
    former.set(path, { ...mount, documents: copy })
  }

  const logIn = (path: string, body: Readonly<Record<string, unknown>>, namespace: string): FakeAnswer => {
    if (!logins.accepts(path, body))
      return path.includes('approle')
        ? refused(400, 'invalid role or secret ID')
        : refused(403, 'permission denied')
    const token = issueToken({ ...logins.lease, namespace })
    const { leaseSeconds, isRenewable } = tokens.get(token) as FakeToken
    const auth = {
      client_token: token,
      lease_duration: leaseSeconds,
      renewable: isRenewable,
      policies: ['default'],
    }
    return { status: 200, body: envelope(null, auth) }
  }

  const ofToken = (path: string, token: string, held: FakeToken): FakeAnswer => {
    const left = (): number => (Number.isFinite(held.endsAt) ? Math.ceil((held.endsAt - now()) / 1_000) : 0)
    if (path === 'auth/token/lookup-self')
      return { status: 200, body: envelope({ id: token, ttl: left(), renewable: held.isRenewable }) }
    if (!held.isRenewable) return refused(400, 'lease is not renewable')
    held.endsAt = Math.min(now() + held.leaseSeconds * 1_000, held.maxEndsAt)
    return {
      status: 200,
      body: envelope(null, { client_token: token, lease_duration: left(), renewable: true }),
    }
  }

  const kv = (
    method: string,
    path: string,
    query: URLSearchParams,
    body: Readonly<Record<string, unknown>>,
  ): FakeAnswer => {
    const [, kind, name] = /^secret\/(data|destroy)\/(.+)$/.exec(path) ?? []
    if (kind === undefined || name === undefined) return notFound
    if (mount.version === '1') return method === 'GET' ? notFound : { status: 204 }
    const wanted = query.get('version')
    if (kind === 'data' && method === 'GET') {
      const isLagging = lagging > 0 && former.has(name) && (laggingPath ?? name) === name
      if (isLagging) lagging -= 1
      const from = isLagging ? (former.get(name) as KvMount) : mount
      return readKv(from, name, wanted === null ? undefined : Number(wanted), now())
    }
    if (kind === 'data' && method === 'POST') {
      const before = mount.documents.get(name)?.current ?? 0
      const copy = structuredClone(mount.documents.get(name))
      const answer = writeKv(mount, name, body, now())
      if ((mount.documents.get(name)?.current ?? 0) !== before)
        former.set(name, { ...mount, documents: new Map(copy === undefined ? [] : [[name, copy]]) })
      return answer
    }
    if (kind === 'destroy' && (method === 'PUT' || method === 'POST')) return destroyKv(mount, name, body)
    return refused(405, 'unsupported operation')
  }

  const capabilityOf = (method: string, path: string): string => {
    if (method === 'GET') return 'read'
    const name = /^secret\/data\/(.+)$/.exec(path)?.[1]
    return name !== undefined && !mount.documents.has(name) ? 'create' : 'update'
  }

  const answer = (
    request: IncomingMessage,
    url: URL,
    body: Readonly<Record<string, unknown>>,
  ): FakeAnswer => {
    const path = decodeURIComponent(url.pathname.slice('/v1/'.length))
    const method = request.method ?? ''
    const namespace = String(request.headers['x-vault-namespace'] ?? '')
    if (request.headers['x-vault-request'] !== 'true') return refused(412, 'missing X-Vault-Request header')
    if (!namespaces.has(namespace)) return refused(404, 'namespace not found')
    if (/^auth\/.+\/login$/.test(path)) return logIn(path, body, namespace)
    const token = request.headers['x-vault-token']
    if (typeof token !== 'string' || token === '') return refused(403, 'permission denied')
    const held = tokens.get(token)
    // A token is good in the namespace that it was made in, and Vault says no more than that it is denied.
    if (held === undefined || held.namespace !== namespace || now() >= held.endsAt)
      return refused(403, 'permission denied')
    if (path.startsWith('auth/token/')) return ofToken(path, token, held)
    if (denied.has(`${capabilityOf(method, path)} ${path}`))
      return refused(403, '1 error occurred:\n\t* permission denied\n\n')
    if (path === 'sys/capabilities-self') {
      const paths = body['paths'] as readonly string[]
      const all = ['create', 'read', 'update']
      const allowed = paths.map((each) => [each, all.filter((one) => !denied.has(`${one} ${each}`))])
      return { status: 200, body: envelope(Object.fromEntries(allowed)) }
    }
    if (path === 'sys/internal/ui/mounts/secret')
      return {
        status: 200,
        body: envelope({ type: 'kv', options: mount.version === '1' ? null : { version: '2' } }),
      }
    if (!path.startsWith('secret/'))
      return refused(404, `no handler for route "${path}". route entry not found.`)
    return kv(method, path, url.searchParams, body)
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://fake')
    const line = `${request.method} ${decodeURIComponent(url.pathname.slice('/v1/'.length))}${url.search}`
    const body = JSON.parse((await readBody(request)) || '{}') as Readonly<Record<string, unknown>>
    const token = request.headers['x-vault-token']
    requests.push({ line, token: typeof token === 'string' ? token : undefined, body })
    const kind = faults.take(line)
    if (kind !== undefined && failInstead(kind, response, (status) => ({ errors: [`planned ${status}`] })))
      return
    for (const [start, act] of acts)
      if (line.startsWith(start)) {
        acts.delete(start)
        act()
      }
    const { status, body: content } = answer(request, url, body)
    if (kind === 'lost') return
    if (kind === 'broken') response.destroy()
    else {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(content === undefined ? undefined : JSON.stringify(content))
    }
  }

  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...faults,
    address: `http://127.0.0.1:${port}`,
    mount,
    requests,
    issueToken,
    logins,
    revokeAll: () => tokens.clear(),
    deny(...rules) {
      denied.clear()
      for (const rule of rules) denied.add(rule)
    },
    lag: (reads, path) => {
      lagging = reads
      laggingPath = path
    },
    put(path, data) {
      remember(path)
      writeKv(mount, path, { data, options: { cas: mount.documents.get(path)?.current ?? 0 } }, now())
    },
    before: (line, act) => void acts.set(line, act),
    close: () => closeServer(server),
  }
}
