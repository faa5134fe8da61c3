import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  type AzureAnswer,
  addVersion,
  type FakeAzureSecrets,
  type FakeAzureVersion,
  failed,
  handleSecret,
  permissionOf,
} from './azure-fake-vault.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { closeServer, createFaults, failInstead, type HttpFaults, readBody } from './http-faults.ts'

export const azureResource = 'https://vault.azure.net'

/**
 * A key vault and the Entra ID of its tenant on loopback, over TLS with a certificate of their own: the challenge, tokens
 * that run out, versions, tags, soft delete and pages. Refuses what the real ones refuse; see azure-fake.test.ts.
 */
export interface AzureFake extends HttpFaults {
  readonly address: string
  readonly certificate: Certificate
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
  readonly secrets: FakeAzureSecrets
  /** `METHOD /path` of all that were answered or dropped, the token endpoint's too. */
  readonly requests: { readonly line: string; readonly hasToken: boolean; readonly body: string }[]
  issueToken(options?: { readonly resource?: string; readonly expiresInMs?: number }): string
  /** All tokens that were issued are over. */
  endTokens(): void
  /** `permission name`, e.g. `set openai`, or `permission *`. Replaces what was denied before. */
  deny(...rules: readonly string[]): void
  /** What 403 says inside: default ForbiddenByRbac. */
  denyWith(code: string): void
  /** What 429 asks for; default 0. */
  retryAfterSeconds(seconds: number): void
  /** What 401 asks for from now on, in place of its own tenant and resource. */
  challengeWith(challenge: { readonly authority?: string; readonly resource?: string }): void
  /** A write by somebody else, who is not Keyturn. */
  put(name: string, value: string, rest?: Partial<FakeAzureVersion>): FakeAzureVersion
  /** What everybody reads. */
  top(name: string): FakeAzureVersion | undefined
  softDelete(name: string): void
  /** Runs once, before the next request of this line is carried out, or after it was and before it is answered. */
  before(line: RegExp, act: () => void | Promise<void>): void
  after(line: RegExp, act: () => void | Promise<void>): void
  close(): Promise<void>
}

interface Hook {
  readonly line: RegExp
  readonly act: () => void | Promise<void>
}

export async function startAzureFake(): Promise<AzureFake> {
  const certificate = makeCertificate('vault.azure.net')
  const secrets: FakeAzureSecrets = new Map()
  const tokens = new Map<string, { readonly resource: string; readonly endsAt: number }>()
  const denied = new Set<string>()
  const requests: AzureFake['requests'] = []
  const faults = createFaults()
  const befores: Hook[] = []
  const afters: Hook[] = []
  const tenantId = randomUUID()
  const clientId = randomUUID()
  const clientSecret = ['client', 'secret', randomUUID()].join('~')
  let deniedCode = 'ForbiddenByRbac'
  let retryAfter = 0
  let challenged: Parameters<AzureFake['challengeWith']>[0] = {}
  let address = ''

  const issueToken: AzureFake['issueToken'] = ({
    resource = azureResource,
    expiresInMs = 3_600_000,
  } = {}) => {
    const token = ['token', 'of', randomUUID()].join('.')
    tokens.set(token, { resource, endsAt: Date.now() + expiresInMs })
    return token
  }

  const isAllowed = (request: IncomingMessage): boolean => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const known = token === undefined ? undefined : tokens.get(token)
    return known !== undefined && known.resource === azureResource && known.endsAt > Date.now()
  }

  const answerVault = (request: IncomingMessage, url: URL, body: string): AzureAnswer => {
    if (!isAllowed(request))
      return failed(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.')
    const method = request.method ?? ''
    const name = url.pathname.split('/')[2] ?? ''
    const permission = permissionOf({ method, url })
    if (denied.has(`${permission} ${name}`) || denied.has(`${permission} *`))
      return failed(403, 'Forbidden', `Caller is not authorized: ${body}`, deniedCode)
    return handleSecret(secrets, address, { method, url, body })
  }

  const answerToken = (url: URL, body: string): AzureAnswer => {
    const [, tenant] = url.pathname.split('/')
    if (tenant !== tenantId)
      return { status: 400, body: { error: 'invalid_request', error_description: 'AADSTS90002' } }
    if (url.pathname.endsWith('/.well-known/openid-configuration')) {
      const base = `${address}/${tenantId}`
      return {
        status: 200,
        body: {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        },
      }
    }
    const form = new URLSearchParams(body)
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret)
      return { status: 401, body: { error: 'invalid_client', error_description: `AADSTS7000215: ${body}` } }
    const scope = (form.get('scope') ?? '').split(' ').find((each) => each.endsWith('/.default')) ?? ''
    const token = issueToken({ resource: scope.replace(/\/\.default$/, '') })
    return {
      status: 200,
      body: { token_type: 'Bearer', expires_in: 3_599, ext_expires_in: 3_599, access_token: token },
    }
  }

  const run = async (hooks: Hook[], line: string): Promise<void> => {
    const index = hooks.findIndex((hook) => hook.line.test(line))
    const [hook] = index < 0 ? [] : hooks.splice(index, 1)
    await hook?.act()
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', address)
    const body = await readBody(request)
    const line = `${request.method} ${url.pathname}`
    requests.push({ line, hasToken: request.headers.authorization !== undefined, body })
    const isVault = /^\/(?:deleted)?secrets\//.test(url.pathname)
    // A challenge is no request of its own for those who count: faults hit what comes after it.
    const isChallenged = isVault && !isAllowed(request)
    const kind = isChallenged ? undefined : faults.take(line)
    if (kind === 429) {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': String(retryAfter) })
      response.end(JSON.stringify(bodyOf(429)))
      return
    }
    if (kind !== undefined && failInstead(kind, response, isVault ? bodyOf : tokenBody)) return
    if (!isChallenged) await run(befores, line)
    const answer = isVault ? answerVault(request, url, body) : answerToken(url, body)
    if (!isChallenged) await run(afters, line)
    if (kind === 'lost') return
    if (kind === 'broken') {
      response.destroy()
      return
    }
    const { authority = `${address}/${tenantId}`, resource = azureResource } = challenged
    const challenge = `Bearer authorization="${authority}", resource="${resource}"`
    response.writeHead(answer.status, {
      'content-type': 'application/json; charset=utf-8',
      ...(answer.status === 401 && isVault ? { 'www-authenticate': challenge } : {}),
    })
    response.end(JSON.stringify(answer.body))
  }

  const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    handle(request, response).catch((thrown: unknown) =>
      response.destroy(thrown instanceof Error ? thrown : undefined),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    ...faults,
    address,
    certificate,
    tenantId,
    clientId,
    clientSecret,
    secrets,
    requests,
    issueToken,
    endTokens: () => tokens.clear(),
    deny(...rules) {
      denied.clear()
      for (const rule of rules) denied.add(rule)
    },
    denyWith(code) {
      deniedCode = code
    },
    challengeWith(challenge) {
      challenged = challenge
    },
    retryAfterSeconds(seconds) {
      retryAfter = seconds
    },
    put: (name, value, rest = {}) => addVersion(secrets, name, { value, ...rest }),
    top: (name) => secrets.get(name.toLowerCase())?.versions.at(-1),
    softDelete(name) {
      const secret = secrets.get(name.toLowerCase())
      if (secret !== undefined) secret.isDeleted = true
    },
    before: (line, act) => void befores.push({ line, act }),
    after: (line, act) => void afters.push({ line, act }),
    close: () => closeServer(server),
  }
}

/** As Entra ID words what passes. */
function tokenBody(): unknown {
  return { error: 'temporarily_unavailable', error_description: 'AADSTS90033: a transient error' }
}

/** As Azure words it, with what was sent in the message, as some of its messages have it. */
function bodyOf(status: number): unknown {
  const codes: Readonly<Record<number, string>> = {
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'SecretNotFound',
    409: 'Conflict',
    429: 'Throttled',
  }
  return { error: { code: codes[status] ?? 'InternalServerError', message: 'canary-value-never-shown' } }
}
