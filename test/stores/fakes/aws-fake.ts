import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AwsFault, type FakeSecret, operations } from './aws-fake-operations.ts'

/**
 * AWS Secrets Manager on the wire (JSON 1.1 over HTTP, X-Amz-Target), for the real SDK: it refuses what AWS refuses,
 * with AWS's names, statuses and headers, and does on demand what networks and clouds do on bad days.
 */
export type FaultKind =
  | 'throttled'
  /** Throttled, and asked to come back in a second. */
  | 'slow_down'
  | 'denied'
  | 'internal'
  | 'unavailable'
  | 'hang'
  | 'reset'
  | 'proxy_page'
  /** The answer never comes, but the change was made. */
  | 'lost'
  /** The connection breaks, but the change was made. */
  | 'broken'

export interface Fault {
  readonly action?: string
  readonly kind: FaultKind
  /** How many requests it hits; default 1. */
  readonly times?: number
  /** How many requests it lets pass first; default none. */
  readonly after?: number
}

export interface AwsFake {
  readonly endpoint: string
  readonly secrets: Map<string, FakeSecret>
  /** The actions that were asked for, in order. */
  readonly requests: { readonly action: string; readonly body: Readonly<Record<string, unknown>> }[]
  fault(fault: Fault): void
  /** Forgets the faults that are still to come. */
  clear(): void
  /** Called for each request that gets no answer, when it is taken. */
  onHeld(listener: () => void): void
  deny(...actions: readonly string[]): void
  /** Answered by this type and message until taken back; the message of real ones may quote parameters. */
  answer(action: string, error: { readonly type: string; readonly message: string } | undefined): void
  /** Runs once, after the next request of this action was checked and before it is carried out. */
  before(action: string, act: () => void): void
  /** Runs before each request is carried out, until it is taken back. */
  beforeEach(act: ((action: string) => void) | undefined): void
  /** PutSecretValue as other people do it: the new version has AWSCURRENT at once, and nothing is compared. Its id. */
  put(ref: string, text: string): string
  /** What AWS does with versions that have no label, after a day and when there are more than a hundred. */
  forgetDeprecated(): void
  close(): Promise<void>
}

export async function startAwsFake(): Promise<AwsFake> {
  const secrets = new Map<string, FakeSecret>()
  const requests: AwsFake['requests'] = []
  const faults: { action: string | undefined; kind: FaultKind; left: number; wait: number }[] = []
  const holds: (() => void)[] = []
  const denied = new Set<string>()
  const answers = new Map<string, { readonly type: string; readonly message: string }>()
  const acts = new Map<string, () => void>()
  let everyAct: ((action: string) => void) | undefined
  let requestNumber = 0

  const takeFault = (action: string): FaultKind | undefined => {
    for (const fault of faults) {
      if (fault.left === 0 || (fault.action ?? action) !== action) continue
      if (fault.wait > 0) {
        fault.wait -= 1
        continue
      }
      fault.left -= 1
      if (fault.kind === 'lost' || fault.kind === 'hang') for (const listener of holds) listener()
      return fault.kind
    }
    return undefined
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    requestNumber += 1
    response.setHeader(
      'x-amzn-requestid',
      `00000000-0000-4000-8000-${String(requestNumber).padStart(12, '0')}`,
    )
    const body = await readJson(request)
    const action = String(request.headers['x-amz-target'] ?? '').replace(/^secretsmanager\./, '')
    requests.push({ action, body })
    const kind = takeFault(action)
    if (kind !== undefined && failInstead(kind, response)) return
    try {
      assertSigned(request)
      if (denied.has(action)) throw new AwsFault('AccessDeniedException', deniedText(action))
      const planned = answers.get(action)
      if (planned !== undefined) throw new AwsFault(planned.type, planned.message)
      everyAct?.(action)
      acts.get(action)?.()
      acts.delete(action)
      const operation = operations[action]
      if (operation === undefined) throw new AwsFault('UnknownOperationException', 'no such operation')
      const result = operation(secrets, body)
      if (kind === 'lost') return
      if (kind === 'broken') response.destroy()
      else reply(response, 200, result)
    } catch (thrown) {
      if (!(thrown instanceof AwsFault)) throw thrown
      reply(response, thrown.status, {
        __type: thrown.type,
        Message: thrown.message,
        message: thrown.message,
      })
    }
  }

  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    secrets,
    requests,
    fault: ({ action, kind, times = 1, after = 0 }) =>
      void faults.push({ action, kind, left: times, wait: after }),
    clear: () => void faults.splice(0),
    onHeld: (listener) => void holds.push(listener),
    deny(...actions) {
      denied.clear()
      for (const action of actions) denied.add(action)
    },
    answer(action, error) {
      if (error === undefined) answers.delete(action)
      else answers.set(action, error)
    },
    before: (action, act) => void acts.set(action, act),
    beforeEach(act) {
      everyAct = act
    },
    put(ref, text) {
      const token = randomUUID()
      operations['PutSecretValue']?.(secrets, {
        SecretId: ref,
        ClientRequestToken: token,
        SecretString: text,
      })
      return token
    },
    forgetDeprecated() {
      for (const { versions } of secrets.values())
        for (const [id, { labels }] of versions) if (labels.size === 0) versions.delete(id)
    },
    close: () => closeServer(server),
  }
}

/** True where no answer of the operation shall follow. */
function failInstead(kind: FaultKind, response: ServerResponse): boolean {
  const planned = plannedErrors[kind]
  if (kind === 'slow_down') response.setHeader('retry-after', '1')
  if (planned !== undefined) reply(response, planned.status, { __type: planned.type, message: 'as planned' })
  else if (kind === 'reset') response.destroy()
  else if (kind === 'proxy_page')
    response.writeHead(502, { 'content-type': 'text/html' }).end('<html><body>Bad gateway</body></html>')
  return kind !== 'lost' && kind !== 'broken'
}

const plannedErrors: Readonly<
  Partial<Record<FaultKind, { readonly status: number; readonly type: string }>>
> = {
  throttled: { status: 400, type: 'ThrottlingException' },
  slow_down: { status: 400, type: 'ThrottlingException' },
  denied: { status: 400, type: 'AccessDeniedException' },
  internal: { status: 500, type: 'InternalServiceError' },
  unavailable: { status: 503, type: 'ServiceUnavailableException' },
}

function deniedText(action: string): string {
  return `User: arn:aws:iam::111122223333:user/app is not authorized to perform: secretsmanager:${action}`
}

/** The signature itself is not recomputed: what the driver could get wrong is not to sign at all. */
function assertSigned(request: IncomingMessage): void {
  const header = request.headers.authorization ?? ''
  const isSigned =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/[a-z0-9-]+\/secretsmanager\/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$/.test(
      header,
    )
  if (!isSigned) throw new AwsFault('MissingAuthenticationTokenException', 'Missing Authentication Token')
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.setHeader('content-type', 'application/x-amz-json-1.1').writeHead(status)
  response.end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString() || '{}') as Readonly<Record<string, unknown>>
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>((resolve) => void server.close(() => resolve()))
}
