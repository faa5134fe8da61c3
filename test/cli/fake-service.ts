import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type {
  ApprovalSummary,
  BlastHolder,
  InventoryAnswer,
  LeaseSummary,
  RotationSummary,
} from '../../src/api/types.ts'
import { signedReport, signingKey } from './report-samples.ts'
import {
  blastRadiusOf,
  canary,
  credentialAnswer,
  instant,
  inventory,
  rotationAt,
  summaryOf,
  tokenSummary,
  versionSummary,
} from './samples.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly authorization: string
  readonly idempotencyKey: string | undefined
}

export interface FakeService {
  readonly url: string
  readonly asked: Asked[]
  /** Answers every request to this path (and method) with this from now on. */
  answer(route: string, value: unknown): void
  /** Answers the next request to this path (and method) with a problem. */
  refuse(route: string, status: number, code: string, detail: string, fix?: string): void
  /** What the service says of rotation `r`, one after another; the last one stays. */
  readonly walk: RotationSummary[]
  /** What it lists of `openai`, newest first. */
  rotations: readonly RotationSummary[]
  /** With these, the inventory has no key, and what could not be listed. */
  gaps: InventoryAnswer['gaps'] | undefined
  /** Sends an event to everybody who listens; resolves when somebody does. */
  announce(): Promise<void>
  dropStreams(): void
  close(): Promise<void>
}

const holder: BlastHolder = {
  app: 'billing',
  instance: 'web-1',
  generation: 4,
  seenAt: instant(-5),
  isSilent: false,
  isListening: true,
}

const approval: ApprovalSummary = {
  id: 'apr_1',
  act: 'emergency',
  version: null,
  isCompromised: true,
  isEvenIfLast: false,
  reason: 'found in a log',
  requestedBy: 'ann',
  requestedAt: instant(-60),
  expiresAt: instant(840),
}

const leases: readonly LeaseSummary[] = [
  { app: 'billing', instance: 'web-1', generation: 4, seenAt: instant(-5) },
  { app: 'billing', instance: 'web-2', generation: 3, seenAt: instant(-3_600) },
]

/** A small service of the contract: enough to see what the command line asks and what it makes of the answers. */
export async function fakeService(listen: number | string = 0): Promise<FakeService> {
  const asked: Asked[] = []
  const refusals = new Map<string, { status: number; body: string }>()
  const walk: RotationSummary[] = []
  const kept: Pick<FakeService, 'rotations' | 'gaps'> = { rotations: [rotationAt('done')], gaps: undefined }
  const streams = new Set<ServerResponse>()
  const listeners: (() => void)[] = []

  const answers: Record<string, (body: unknown) => unknown> = {
    'GET /v1/credentials': () => ({ items: [summaryOf('openai')] }),
    'GET /v1/credentials?names=openai': () => ({ items: [summaryOf('openai', { issuer: 'manual' })] }),
    'GET /v1/inventory': () => (kept.gaps === undefined ? inventory : { items: [], gaps: kept.gaps }),
    'GET /v1/credentials/openai': () => credentialAnswer,
    'GET /v1/credentials/openai/versions': () => ({ items: [versionSummary] }),
    'POST /v1/credentials/openai/versions': () => ({
      ...versionSummary,
      stage: 'pending',
      origin: 'brought',
    }),
    'POST /v1/credentials/openai/verifications': () => summaryOf('openai'),
    'GET /v1/credentials/openai/rotations': () => ({ items: kept.rotations }),
    'GET /v1/credentials/openai/rotations/r/report': () => signedReport(),
    'GET /v1/credentials/openai/versions/v-old/report': () => signedReport({ subject: 'retirement' }),
    'GET /v1/signing-key': () => signingKey,
    'POST /v1/credentials/openai/rotations': () => walk[0] ?? rotationAt('minting'),
    'GET /v1/credentials/openai/rotations/r': () => (walk.length > 1 ? walk.shift() : walk[0]),
    'POST /v1/credentials/openai/rotations/r/pause': () => ({ ...rotationAt('minting'), isPaused: true }),
    'POST /v1/credentials/openai/rotations/r/resume': () => rotationAt('minting'),
    'POST /v1/credentials/openai/rotations/r/abort': () =>
      walk[0] ?? rotationAt('done', { outcome: 'aborted' }),
    'POST /v1/credentials/openai/rollbacks': () => summaryOf('openai'),
    'GET /v1/credentials/openai/blast-radius?version=v-old': () => blastRadiusOf(),
    'GET /v1/credentials/openai/blast-radius': () =>
      blastRadiusOf({
        isCurrent: true,
        stage: 'current',
        spare: null,
        holders: [holder],
        sharedWith: ['openai-eval'],
      }),
    'POST /v1/credentials/openai/versions/v-old/revocations': () => ({ ...versionSummary, stage: 'retired' }),
    'GET /v1/credentials/openai/approvals': () => ({ items: [approval] }),
    'POST /v1/credentials/openai/approvals/apr_1': () => ({
      id: 'apr_1',
      rotation: rotationAt('minting'),
      version: null,
    }),
    'GET /v1/credentials/openai/leases': () => ({ items: leases }),
    'DELETE /v1/credentials/openai/leases/web-2': () => undefined,
    'GET /v1/tokens': () => ({ items: [tokenSummary] }),
    'POST /v1/tokens': () => ({ ...tokenSummary, token: `kt_app_${canary}` }),
    'POST /v1/tokens/rotations': () => ({ ...tokenSummary, token: `kt_app_${canary}` }),
    'DELETE /v1/tokens/tok_1': () => undefined,
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? ''
    const text = await bodyOf(request)
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const route = `${request.method} ${path}`
    const header = request.headers['idempotency-key']
    asked.push({
      method: request.method ?? '',
      path,
      body,
      authorization: request.headers.authorization ?? '',
      idempotencyKey: typeof header === 'string' ? header : undefined,
    })
    if (path.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      streams.add(response)
      for (const listener of listeners.splice(0)) listener()
      return
    }
    const refusal = refusals.get(route)
    refusals.delete(route)
    const answer = answers[route]
    if (refusal !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/problem+json' }).end(refusal.body)
    } else if (answer === undefined) {
      response.writeHead(404, { 'content-type': 'text/html' }).end(`<h1>${canary}</h1>`)
    } else {
      const value = answer(body)
      if (value === undefined) response.writeHead(204).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
  }
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => {
    if (typeof listen === 'string') server.listen(listen, resolve)
    else server.listen(listen, '127.0.0.1', resolve)
  })
  const { port } = typeof listen === 'string' ? { port: 0 } : (server.address() as AddressInfo)
  return {
    url: typeof listen === 'string' ? `unix:${listen}` : `http://127.0.0.1:${port}`,
    asked,
    walk,
    get rotations() {
      return kept.rotations
    },
    set rotations(rotations) {
      kept.rotations = rotations
    },
    get gaps() {
      return kept.gaps
    },
    set gaps(gaps) {
      kept.gaps = gaps
    },
    answer(route, value) {
      answers[route] = () => value
    },
    refuse(route, status, code, detail, fix) {
      const problem = {
        type: `urn:keyturn:error:${code}`,
        title: code,
        status,
        code,
        detail,
        ...(fix === undefined ? {} : { fix }),
      }
      refusals.set(route, { status, body: JSON.stringify(problem) })
    },
    async announce() {
      if (streams.size === 0) await new Promise<void>((resolve) => listeners.push(resolve))
      for (const stream of streams) stream.write('id: 1\nevent: rotation\ndata: {}\n\n')
    },
    dropStreams() {
      for (const stream of streams) stream.destroy()
      streams.clear()
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}
