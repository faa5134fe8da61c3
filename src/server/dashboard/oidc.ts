import type { Configuration } from 'openid-client'
import { KeyturnError } from '../../core/errors.ts'
import { isLoopbackHost } from '../../core/loopback.ts'

export interface OidcSettings {
  /** As in the claim `iss`. */
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: () => Promise<string>
  /** `openid` among them. */
  readonly scopes: readonly string[]
  /** The address of the dashboard as browsers have it, without a path. */
  readonly address: string
}

/** What the browser keeps between leaving for the issuer and coming back. */
export interface Journey {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly next: string
  readonly startedAt: number
}

/** Signing in at an OpenID provider: the code flow with PKCE, state and nonce. */
export interface Oidc {
  /** Where to send the browser. `timeout` where the issuer cannot be asked. */
  begin(next: string, now: number): Promise<{ readonly url: string; readonly journey: Journey }>
  /** The ID token of who came back with this query. `forbidden` where they did not come back as they left. */
  finish(query: string, journey: Journey): Promise<string>
}

export const callbackPath = '/signin/callback'
export const journeyMs = 600_000
const answerSeconds = 10
/** Anybody can come back with a code; the issuer is asked for so many at once and no more. */
const pendingMax = 20

export function createOidc(settings: OidcSettings): Oidc {
  const { issuer, clientId, address, scopes } = settings
  let known: Promise<Configuration> | undefined
  const configuration = (): Promise<Configuration> => {
    known ??= discover(settings)
    // Whoever comes next asks again.
    known.catch(() => (known = undefined))
    return known
  }
  const redirect = new URL(callbackPath, address).href
  let pending = 0
  return {
    async begin(next, now) {
      const client = await import('openid-client')
      const configured = await configuration().catch((thrown: unknown) => {
        throw unreachable(issuer, thrown)
      })
      const journey: Journey = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
        next,
        startedAt: now,
      }
      const url = client.buildAuthorizationUrl(configured, {
        client_id: clientId,
        redirect_uri: redirect,
        scope: scopes.join(' '),
        state: journey.state,
        nonce: journey.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(journey.verifier),
        code_challenge_method: 'S256',
      })
      return { url: url.href, journey }
    },
    async finish(query, journey) {
      if (pending >= pendingMax) throw tooMany()
      pending += 1
      try {
        const url = new URL(`${redirect}${query}`)
        return await redeem({ configuration, forget: () => (known = undefined) }, { settings, url, journey })
      } finally {
        pending -= 1
      }
    },
  }
}

async function redeem(
  {
    configuration,
    forget,
  }: { readonly configuration: () => Promise<Configuration>; readonly forget: () => void },
  back: { readonly settings: OidcSettings; readonly url: URL; readonly journey: Journey },
): Promise<string> {
  const { issuer } = back.settings
  const { state, nonce, verifier } = back.journey
  const client = await import('openid-client')
  const configured = await configuration().catch((thrown: unknown) => {
    throw unreachable(issuer, thrown)
  })
  const answer = await client
    .authorizationCodeGrant(configured, back.url, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    })
    .catch((thrown: unknown) => {
      if (isOfClient(thrown)) forget()
      throw new KeyturnError('forbidden', `Signing in at ${issuer} did not succeed.`, {
        fix: 'Try once more; where it fails again, compare client id, secret and redirect address with what the issuer has.',
        cause: thrown,
      })
    })
  return answer.id_token ?? ''
}

/** The issuer does not know our secret, which may have been turned: whoever comes next reads it again. */
function isOfClient(thrown: unknown): boolean {
  const { error, status } = (thrown ?? {}) as { readonly error?: unknown; readonly status?: unknown }
  return error === 'invalid_client' || status === 401
}

async function discover({ issuer, clientId, clientSecret }: OidcSettings): Promise<Configuration> {
  const client = await import('openid-client')
  const at = new URL(issuer)
  const isHere = at.protocol === 'http:' && isLoopbackHost(at.hostname)
  return client.discovery(at, clientId, await clientSecret(), undefined, {
    timeout: answerSeconds,
    ...(isHere ? { execute: [client.allowInsecureRequests] } : {}),
  })
}

function unreachable(issuer: string, cause: unknown): KeyturnError {
  return new KeyturnError('timeout', `The issuer ${issuer} cannot be asked now.`, {
    fix: 'Sign in with a token meanwhile; look whether this machine reaches the issuer, and whether its address is right.',
    retryable: true,
    cause,
  })
}

function tooMany(): KeyturnError {
  return new KeyturnError('too_many_requests', 'Too many people are being signed in at once.', {
    fix: 'Try again in a moment.',
    retryable: true,
  })
}
