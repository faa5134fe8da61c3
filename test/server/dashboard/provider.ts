import { createHash, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { onTestFinished } from 'vitest'

/** A small OpenID provider on this machine: the code flow with PKCE, one client, and whoever it is told to say. */
export interface Provider {
  readonly issuer: string
  readonly clientId: string
  /** Turned by setting it. */
  clientSecret: string
  /** How often somebody asked for a token. */
  redeemed: number
  /** What was given out last. */
  lastIdToken: string
  /** Put into the next ID token, over what is usual. */
  claims: JWTPayload
  /** Codes are redeemed when it resolves. */
  gate: Promise<void>
  /** Answers 503 from now on. */
  isAway: boolean
  /** Where a browser is sent back to that follows the address, with nobody to be asked. */
  visit(url: string): URL
}

interface Grant {
  readonly challenge: string
  readonly nonce: string
  readonly redirect: string
}

export async function startProvider(now: () => number): Promise<Provider> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const key = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }
  const grants = new Map<string, Grant>()
  const clientId = 'keyturn-dashboard'

  const idToken = async (nonce: string): Promise<string> => {
    const seconds = Math.floor(now() / 1_000)
    const usual = {
      iss: provider.issuer,
      sub: 'anna',
      aud: clientId,
      nonce,
      iat: seconds,
      exp: seconds + 600,
    }
    return new SignJWT({ ...usual, groups: ['operators'], ...provider.claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(privateKey)
  }
  const redeem = async (form: URLSearchParams, authorization: string): Promise<object> => {
    provider.redeemed += 1
    await provider.gate
    const grant = grants.get(form.get('code') ?? '')
    grants.delete(form.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isClient =
      form.get('client_secret') === provider.clientSecret ||
      authorization.endsWith(btoa(`${clientId}:${provider.clientSecret}`))
    if (!isClient) return { error: 'invalid_client' }
    if (grant?.challenge !== challenge || grant.redirect !== form.get('redirect_uri'))
      return { error: 'invalid_grant' }
    provider.lastIdToken = await idToken(grant.nonce)
    return { access_token: randomUUID(), token_type: 'Bearer', id_token: provider.lastIdToken }
  }
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (provider.isAway) return send(503, {})
    const { issuer } = provider
    const [path] = request.url?.split('?', 1) ?? []
    switch (path) {
      case '/authorize': {
        const back = provider.visit(`${issuer}${request.url}`).href
        return void response.writeHead(302, { location: back }).end()
      }
      case '/link':
        response.writeHead(200, { 'content-type': 'text/html' })
        return void response.end(
          `<a href="${new URL(issuer + request.url).searchParams.get('to')}">there</a>`,
        )
      case '/.well-known/openid-configuration':
        return send(200, {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
        })
      case '/keys':
        return send(200, { keys: [key] })
      case '/token': {
        let text = ''
        request.on('data', (chunk: Buffer) => (text += chunk.toString()))
        request.on('end', () => {
          void redeem(new URLSearchParams(text), request.headers.authorization ?? '').then((answer) =>
            send('error' in answer ? 400 : 200, answer),
          )
        })
        return
      }
      default:
        return send(404, {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const provider: Provider = {
    issuer: `http://127.0.0.1:${port}`,
    clientId,
    clientSecret: randomUUID(),
    redeemed: 0,
    lastIdToken: '',
    claims: {},
    gate: Promise.resolve(),
    isAway: false,
    visit(url) {
      const { searchParams: asked } = new URL(url)
      const code = randomUUID()
      const redirect = asked.get('redirect_uri') ?? ''
      grants.set(code, {
        challenge: asked.get('code_challenge') ?? '',
        nonce: asked.get('nonce') ?? '',
        redirect,
      })
      const back = new URL(redirect)
      back.searchParams.set('code', code)
      back.searchParams.set('state', asked.get('state') ?? '')
      return back
    },
  }
  return provider
}
