import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Problem } from '../../src/api/types.ts'
import { createSigner } from '../../src/audit/signing-key.ts'
import type { Audit, Ledger, Log, Signer, System } from '../../src/core/ports.ts'
import type { AuditReader } from '../../src/server/audit-routes.ts'
import type { Authenticator } from '../../src/server/auth/authenticator.ts'
import type { TrustedProxy } from '../../src/server/forwarded.ts'
import type { ServerLimits } from '../../src/server/limits.ts'
import type { Listen } from '../../src/server/listen.ts'
import type { RateLimits } from '../../src/server/rates.ts'
import { createServer, type RunningServer, type ServerOptions } from '../../src/server/server.ts'
import { openTokenStore, type TokenStore } from '../../src/server/tokens.ts'
import { createSystem } from '../../src/system.ts'
import { fakeAlerting } from './fake-alerting.ts'
import { createFakeService, type FakeService } from './fake-service.ts'
import { until } from './raw-request.ts'

export { type RawAnswer, rawGet, rawRequest, until } from './raw-request.ts'

export interface Harness {
  readonly server: RunningServer
  readonly url: string
  readonly port: number
  readonly service: FakeService
  readonly tokens: TokenStore
  readonly system: ShiftedSystem
  readonly logs: string[]
  readonly folder: string
  /** May read `openai`. */
  readonly app: string
  readonly appId: string
  /** May read `openai-prod` only. */
  readonly other: string
  readonly operator: string
  get(path: string, headers?: Record<string, string>): Promise<Response>
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
}

/** The real system with a clock that can be put forward. */
export interface ShiftedSystem extends System {
  shiftMs: number
}

/** `isStill`: its clock goes on only where it is put forward, however long the machine takes. */
export function shiftedSystem({ isStill = false }: { readonly isStill?: boolean } = {}): ShiftedSystem {
  const real = createSystem()
  const startedAt = real.now()
  const shifted: ShiftedSystem = {
    ...real,
    shiftMs: 0,
    now: () => (isStill ? startedAt : real.now()) + shifted.shiftMs,
  }
  return shifted
}

export interface HarnessOptions {
  readonly approvals?: NonNullable<ServerOptions['approvals']>
  readonly authenticator?: Authenticator
  readonly limits?: Partial<ServerLimits>
  readonly dashboard?: NonNullable<ServerOptions['dashboard']>
  readonly allowedHosts?: readonly string[]
  readonly trustedProxies?: readonly TrustedProxy[]
  /** With these the clock stands still: what may be asked again after a second would be let in on a slow machine. */
  readonly rateLimits?: RateLimits
  readonly listen?: Listen
  readonly hooks?: NonNullable<ServerOptions['hooks']>
  readonly remember?: Ledger['remember']
  readonly audit?: Audit
  readonly auditRepeats?: Audit
  readonly auditReader?: AuditReader
  /** Default: `openai` and `openai-prod`. */
  readonly names?: readonly string[]
  /** Credentials beside those, internal ones. */
  readonly internal?: readonly string[]
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-server-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Its key is made when a test asks for it. */
export function signerIn(folder: string): Signer {
  return createSigner({
    privateFile: join(folder, 'signing-key.pem'),
    publicFile: join(folder, 'signing-key.pub'),
  })
}

/** A server on a free port with three tokens; stopped when the test ends. */
export async function startServer(options: HarnessOptions = {}): Promise<Harness> {
  const folder = await temporaryFolder()
  const system = shiftedSystem({ isStill: options.rateLimits !== undefined })
  const logs: string[] = []
  const log: Log = (level, message, fields) =>
    logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
  const internal = options.internal ?? []
  const service = createFakeService([...(options.names ?? ['openai', 'openai-prod']), ...internal], internal)
  const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
  const app = await tokens.create({ name: 'web', role: 'app', credentials: ['openai'] })
  const other = await tokens.create({ name: 'batch', role: 'app', credentials: ['openai-prod'] })
  const operator = await tokens.create({ name: 'ops', role: 'operator' })
  const signer = signerIn(folder)
  const {
    listen = { kind: 'tcp', host: '127.0.0.1', port: 0 },
    internal: _internal,
    names: _names,
    ...rest
  } = options
  const server = await createServer({
    service,
    tokens,
    signer,
    alerting: fakeAlerting,
    listen,
    log,
    system,
    version: '1.2.3',
    isSandbox: true,
    ...rest,
  })
  onTestFinished(async () => {
    await server.stop()
    await tokens.close()
  })
  return {
    server,
    url: server.url,
    port: server.port ?? 0,
    service,
    tokens,
    system,
    logs,
    folder,
    app: app.token,
    appId: app.id,
    other: other.token,
    operator: operator.token,
    get: (path, headers) => fetch(server.url + path, { headers: { ...bearer(app.token), ...headers } }),
    send: (method, path, body, headers) =>
      fetch(server.url + path, {
        method,
        headers: {
          ...bearer(operator.token),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
  }
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` }
}

export async function problemOf(response: Response): Promise<Problem> {
  return (await response.json()) as Problem
}

export interface SseMessage {
  readonly id: string | undefined
  readonly event: string
  readonly data: Record<string, unknown>
  readonly retry: string | undefined
}

export interface SseReader {
  readonly response: Response
  readonly messages: SseMessage[]
  readonly comments: string[]
  readonly isEnded: () => boolean
  /** Resolves with all messages so far when there are so many. */
  received(count: number): Promise<readonly SseMessage[]>
  close(): void
}

export async function openStream(
  harness: Harness,
  headers: Record<string, string> = {},
  name = 'openai',
): Promise<SseReader> {
  const gone = new AbortController()
  const response = await fetch(`${harness.url}/v1/credentials/${name}/events`, {
    headers: { ...bearer(harness.app), ...headers },
    signal: gone.signal,
  })
  const messages: SseMessage[] = []
  const comments: string[] = []
  let isEnded = false
  const read = async () => {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      rest += decoder.decode(chunk, { stream: true })
      const parts = rest.split('\n\n')
      rest = parts.pop() ?? ''
      for (const part of parts) {
        if (part.startsWith(':')) comments.push(part)
        else messages.push(parseMessage(part))
      }
    }
  }
  void read()
    .catch(() => undefined)
    .finally(() => {
      isEnded = true
    })
  return {
    response,
    messages,
    comments,
    isEnded: () => isEnded,
    async received(count) {
      await until(() => messages.length >= count)
      return messages
    },
    close: () => gone.abort(),
  }
}

function parseMessage(text: string): SseMessage {
  const fields = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(': ')
      return [line.slice(0, colon), line.slice(colon + 2)] as const
    }),
  )
  return {
    id: fields.get('id'),
    event: fields.get('event') ?? '',
    data: JSON.parse(fields.get('data') ?? '{}') as Record<string, unknown>,
    retry: fields.get('retry'),
  }
}
