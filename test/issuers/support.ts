import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Issuer } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import { httpFetch } from '../../src/issuers/http-fetch.ts'
import type { IssuerContext, OpenAIIssuerOptions } from '../../src/issuers/openai.ts'
import { createOpenAIIssuer } from '../../src/issuers/openai.ts'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.ts'
import { createSystem } from '../../src/system.ts'

export const canary = `canary${'0123456789abcdef'.repeat(3)}`

/** For an answer that comes: longer than it takes on a machine that is busy. */
export const patientMs = 20_000

export interface Logged {
  readonly message: string
  readonly fields: unknown
}

/** The real system, and the fetch of the service; what is logged can be read back. */
export function issuerContext(overrides: Partial<IssuerContext> = {}): IssuerContext & {
  readonly logged: Logged[]
} {
  const logged: Logged[] = []
  return {
    system: createSystem(),
    fetch: httpFetch,
    log: (_level, message, fields) => logged.push({ message, fields }),
    logged,
    ...overrides,
  }
}

export async function sandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const started = await startSandbox({
    ...options,
    knobs: { activationMs: 0, revocationMs: 0, updateMs: 0, lastUsedLagMs: 0, ...options.knobs },
  })
  onTestFinished(() => started.close())
  return started
}

/** An issuer on the sandbox with everything that minting needs. */
export function mintingIssuer(
  place: Sandbox,
  options: Partial<OpenAIIssuerOptions> = {},
  context: IssuerContext = issuerContext(),
): MintingIssuer {
  const issuer = createOpenAIIssuer(
    {
      baseUrl: place.baseUrl,
      projectId: place.project,
      serviceAccountId: place.serviceAccount,
      adminKey: async () => new Secret(place.adminKey()),
      timeoutMs: patientMs,
      // Shorter ones than rotations write.
      isMarker: (name) => name.startsWith('keyturn-'),
      ...options,
    },
    context,
  )
  onTestFinished(() => issuer.close())
  assertCanMint(issuer)
  return issuer
}

export type MintingIssuer = Issuer &
  Required<Pick<Issuer, 'mint' | 'list' | 'revoke' | 'setExpiry' | 'check'>>

export function assertCanMint(issuer: Issuer): asserts issuer is MintingIssuer {
  const methods = ['mint', 'list', 'revoke', 'setExpiry', 'check'] as const
  if (methods.some((name) => issuer[name] === undefined)) throw new Error('the issuer cannot mint')
}

type Minter = Issuer & Required<Pick<Issuer, 'mint' | 'list' | 'revoke' | 'check'>>

/** All but changing the expiry, which not every key allows. */
export function assertMints(issuer: Issuer): asserts issuer is Minter {
  const methods = ['mint', 'list', 'revoke', 'check'] as const
  if (methods.some((name) => issuer[name] === undefined)) throw new Error('the issuer cannot mint')
}

export interface Stub {
  readonly baseUrl: string
  readonly seen: { readonly method: string; readonly url: string; readonly body: string }[]
}

/** A server that answers whatever the test says. */
export async function stub(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<Stub> {
  const seen: Stub['seen'] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      seen.push({ method: request.method ?? '', url: request.url ?? '', body })
      answer(request, response, body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  const { port } = server.address() as AddressInfo
  return { baseUrl: `http://127.0.0.1:${port}/v1`, seen }
}

/** Answers every request alike, as OpenAI would: JSON with a request id. */
export function replying(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  return (_request, response) => {
    response.writeHead(status, {
      'content-type': 'application/json',
      'x-request-id': 'req_stub',
      ...headers,
    })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

export function refusal(code: string | null, message = 'No.', type = 'invalid_request_error') {
  return { error: { message, type, param: null, code } }
}

/** A minting issuer against a stub. */
export function stubbedIssuer(
  place: Stub,
  options: Partial<OpenAIIssuerOptions> = {},
  context: IssuerContext = issuerContext(),
): MintingIssuer {
  const issuer = createOpenAIIssuer(
    {
      baseUrl: place.baseUrl,
      projectId: 'proj_1',
      serviceAccountId: 'svc_acct_1',
      adminKey: async () => new Secret(`admin-${canary}`),
      timeoutMs: patientMs,
      // Shorter ones than rotations write.
      isMarker: (name) => name.startsWith('keyturn-'),
      ...options,
    },
    context,
  )
  onTestFinished(() => issuer.close())
  assertCanMint(issuer)
  return issuer
}
