import { describe, expect, it } from 'vitest'
import type { JwtRule } from '../../../src/core/access.ts'
import { noAccess } from '../../../src/core/access.ts'
import { createCertificateWay } from '../../../src/server/auth/certificates.ts'
import { createEveryWay } from '../../../src/server/auth/every-way.ts'
import { createJwtWay } from '../../../src/server/auth/jwt.ts'
import { createKeySets } from '../../../src/server/auth/key-sets.ts'
import { createPolicyHolder } from '../../../src/server/auth/policy.ts'
import { type Harness, type HarnessOptions, shiftedSystem, startServer } from '../harness.ts'
import { type Browser, createBrowser, type Page } from './browser.ts'
import { type Provider, startProvider } from './provider.ts'

interface World {
  readonly harness: Harness
  readonly provider: Provider
  readonly policy: ReturnType<typeof createPolicyHolder>
  readonly clock: { shiftMs: number }
  /** Whether the service gets the issuer's public keys. */
  readonly reach: { areKeysAway: boolean }
}

const operators: JwtRule['grants'] = [
  { credentials: ['openai'], may: ['operate'] },
  { credentials: [], may: ['dashboard'] },
]

async function world(over: Partial<JwtRule> = {}, options: Partial<HarnessOptions> = {}): Promise<World> {
  const system = shiftedSystem()
  const provider = await startProvider(() => system.now())
  const { issuer, clientId } = provider
  const rule: JwtRule = {
    name: 'people',
    issuer,
    audience: [clientId],
    algorithms: ['ES256'],
    claims: [{ claim: 'groups', patterns: ['operators'] }],
    nameClaim: 'sub',
    lifetimeMaxMs: 3_600_000,
    grants: operators,
    ...over,
  }
  const policy = createPolicyHolder({ ...noAccess, jwt: [rule] })
  const log = (): void => undefined
  const reach = { areKeysAway: false }
  const keys = createKeySets({
    getText: async (url) =>
      reach.areKeysAway ? Promise.reject(new Error('away')) : (await fetch(url)).text(),
    readFile: () => Promise.reject(new Error('no file')),
    system,
    log,
  })
  const authenticator = createEveryWay({
    tokens: { authenticate: () => undefined, isLive: () => false, onChange: () => () => undefined },
    policy,
    jwt: createJwtWay({ policy, keys, system, log }),
    certificates: createCertificateWay({ policy, system }),
    isUnixSocket: false,
  })
  const address = 'http://localhost'
  const oidc = {
    issuer,
    clientId,
    clientSecret: async () => provider.clientSecret,
    scopes: ['openid'],
    address,
  }
  const harness = await startServer({ authenticator, dashboard: { oidc }, ...options })
  return { harness, provider, policy, clock: system, reach }
}

/** There and back again; the browser says what one says that comes from another site. */
async function throughIssuer(
  { harness, provider }: World,
  browser: Browser,
  change: (back: URL) => void = () => undefined,
  next = '/credentials/openai',
): Promise<Page> {
  const away = await browser.open(`/signin/issuer?next=${encodeURIComponent(next)}`)
  const back = provider.visit(away.location ?? '')
  change(back)
  expect(harness.url).toContain('127.0.0.1')
  return browser.open(`${back.pathname}${back.search}`, { 'sec-fetch-site': 'cross-site' })
}

describe('signing in at an issuer', () => {
  it('gives what the rules give to the claims, and goes on to the page that was asked for', async () => {
    const all = await world()
    const browser = createBrowser(all.harness)
    expect((await browser.open('/signin')).text).toContain('href="/signin/issuer?next=%2F"')
    const page = await throughIssuer(all, browser)
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('0;url=/credentials/openai')])
    const shown = await browser.open('/credentials/openai')
    expect(shown.text).toContain('people/anna')
    expect((await browser.submit('/credentials/openai/rotate')).status).toBe(303)
    expect((await browser.submit('/credentials/openai-prod/rotate')).status).toBe(404)
    expect(all.harness.service.rotationsStarted).toHaveLength(1)
  })

  it.each(['//evil.example', 'https://evil.example', '/\\evil.example', '/v1/credentials/openai'])(
    'goes on to nothing else than a page of ours: %s',
    async (next) => {
      const all = await world()
      const { text } = await throughIssuer(all, createBrowser(all.harness), () => undefined, next)
      expect(text).toContain('content="0;url=/"')
    },
  )

  it('keeps what it takes along sealed, and for this one way', async () => {
    const all = await world()
    const browser = createBrowser(all.harness)
    const away = await browser.open('/signin/issuer')
    const line = away.headers.get('set-cookie') ?? ''
    expect(line).toMatch(/^keyturn-journey=[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)
    const asked = new URL(away.location ?? '').searchParams
    expect([asked.get('code_challenge_method'), asked.get('scope')]).toEqual(['S256', 'openid'])
    // Of the configuration, and not of the Host header.
    expect(asked.get('redirect_uri')).toBe('http://localhost/signin/callback')
    // What it keeps is no session.
    browser.cookie = browser.cookie.replace('keyturn-journey=', 'keyturn=')
    expect((await browser.open('/')).location).toBe('/signin')
  })

  it.each([
    ['with another state', (back: URL) => back.searchParams.set('state', 'x')],
    ['with another code', (back: URL) => back.searchParams.set('code', 'x')],
    ['without a code', (back: URL) => back.searchParams.delete('code')],
    ['with an error', (back: URL) => back.searchParams.set('error', 'access_denied')],
  ])('lets nobody in who comes back %s', async (_what, change) => {
    const all = await world()
    const browser = createBrowser(all.harness)
    expect((await throughIssuer(all, browser, change)).status).toBe(403)
    expect(browser.cookie).toBe('')
  })

  it('lets nobody in who comes back twice, later, or in another browser', async () => {
    const all = await world()
    const browser = createBrowser(all.harness)
    let used = ''
    await throughIssuer(all, browser, ({ search }) => (used = search))
    expect((await browser.open(`/signin/callback${used}`)).status).toBe(403)
    const other = createBrowser(all.harness)
    const away = await other.open('/signin/issuer')
    const back = all.provider.visit(away.location ?? '')
    expect((await createBrowser(all.harness).open(`${back.pathname}${back.search}`)).status).toBe(403)
    all.harness.system.shiftMs += 600_000
    expect((await other.open(`${back.pathname}${back.search}`)).status).toBe(403)
  })

  it.each([
    ['in no group that a rule names', { groups: ['guests'] }],
    ['for another client', { aud: 'another' }],
    ['of another issuer', { iss: 'http://127.0.0.1:1' }],
    ['with another nonce', { nonce: 'x' }],
    ['that has expired', { exp: 1 }],
  ])('lets nobody in with an ID token %s', async (_what, claims) => {
    const all = await world()
    all.provider.claims = claims
    const browser = createBrowser(all.harness)
    expect((await throughIssuer(all, browser)).status).toBe(403)
    expect(browser.cookie).toBe('')
  })

  it('lets in only whom the rules let look', async () => {
    const all = await world({ grants: [{ credentials: ['openai'], may: ['operate'] }] })
    const page = await throughIssuer(all, createBrowser(all.harness))
    expect([page.status, page.text]).toEqual([403, expect.stringContaining('may not look')])
  })

  it('ends with the ID token, and with the rule', async () => {
    const all = await world()
    const browser = createBrowser(all.harness)
    await throughIssuer(all, browser)
    expect((await browser.open('/')).status).toBe(200)
    all.policy.replace(noAccess)
    expect((await browser.open('/')).location).toBe('/signin')

    const late = await world()
    const visitor = createBrowser(late.harness)
    await throughIssuer(late, visitor)
    late.clock.shiftMs += 631_000
    expect((await visitor.open('/')).location).toBe('/signin')
  })

  it('says so where the issuer is away, and leaves tokens as a way in', async () => {
    const all = await world()
    all.provider.isAway = true
    const page = await createBrowser(all.harness).open('/signin/issuer')
    expect([page.status, page.text]).toEqual([504, expect.stringContaining('cannot be asked now')])
    expect(page.text).toContain('name="token"')
    all.provider.isAway = false
    expect((await createBrowser(all.harness).open('/signin/issuer')).status).toBe(303)
  })

  it('is not called unknown to the rules while the public keys of the issuer cannot be had', async () => {
    const all = await world()
    all.reach.areKeysAway = true
    const browser = createBrowser(all.harness)
    const page = await throughIssuer(all, browser)
    expect([page.status, page.text]).toEqual([503, expect.stringContaining('cannot be told now')])
    expect(browser.cookie).toBe('')
  })

  it('asks the issuer for nobody who comes back with wrong codes again and again', async () => {
    const rateLimits = { requestsPerSecond: 1_000, burst: 1_000, failuresPerMinute: 3 }
    const all = await world({}, { rateLimits })
    const statuses: number[] = []
    for (let count = 0; count < 5; count += 1)
      statuses.push(
        (
          await throughIssuer(all, createBrowser(all.harness), ({ searchParams }) =>
            searchParams.set('code', 'x'),
          )
        ).status,
      )
    expect(statuses).toEqual([403, 403, 403, 429, 429])
    expect(all.provider.redeemed).toBe(3)
    // Who never left cannot make the log long either.
    all.harness.logs.length = 0
    for (let count = 0; count < 5; count += 1)
      await createBrowser(all.harness).open('/signin/callback?code=x&state=y')
    expect(all.harness.logs.filter((line) => !line.startsWith('debug'))).toEqual([])
  })

  it('shows and logs no code, no secret and no ID token, taken or refused', async () => {
    const all = await world()
    const texts: string[] = []
    for (const claims of [{}, { groups: ['guests'] }, { nonce: 'x' }]) {
      all.provider.claims = claims
      let code = ''
      const page = await throughIssuer(
        all,
        createBrowser(all.harness),
        ({ searchParams }) => (code = searchParams.get('code') ?? ''),
      )
      texts.push(page.text)
      for (const secret of [code, all.provider.clientSecret, all.provider.lastIdToken]) {
        expect(secret.length).toBeGreaterThan(20)
        expect([...texts, ...all.harness.logs].join()).not.toContain(secret)
      }
    }
  })

  it('counts nobody who signs in well', async () => {
    const rateLimits = { requestsPerSecond: 1_000, burst: 1_000, failuresPerMinute: 2 }
    const all = await world({}, { rateLimits })
    for (let count = 0; count < 4; count += 1)
      expect((await throughIssuer(all, createBrowser(all.harness))).status).toBe(200)
  })

  it('begins and ends nothing over a connection that others can read', async () => {
    const all = await world({}, { trustedProxies: [{ address: '127.0.0.1', bits: 32 }] })
    const browser = createBrowser(all.harness)
    const plain = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'http' }
    const away = await browser.open('/signin/issuer', plain)
    expect([away.status, away.location, browser.cookie]).toEqual([403, null, ''])
    const other = await browser.open('/signin/issuer')
    const back = all.provider.visit(other.location ?? '')
    const page = await browser.open(`${back.pathname}${back.search}`, plain)
    expect([page.status, page.headers.get('set-cookie')]).toEqual([403, null])
  })

  it('goes on with a client secret that was turned', async () => {
    const all = await world()
    expect((await throughIssuer(all, createBrowser(all.harness))).status).toBe(200)
    all.provider.clientSecret = 'another'
    expect((await throughIssuer(all, createBrowser(all.harness))).status).toBe(403)
    expect((await throughIssuer(all, createBrowser(all.harness))).status).toBe(200)
  })

  it('asks the issuer for a bounded number of people at once, and for others afterwards', async () => {
    const all = await world()
    let open = (): void => undefined
    all.provider.gate = new Promise((resolve) => (open = resolve))
    const refused: number[] = []
    const all21 = Array.from({ length: 21 }, async () => {
      const { status } = await throughIssuer(all, createBrowser(all.harness))
      if (status !== 200) refused.push(status)
      // The one that is refused is the only one to come back before the others may.
      open()
    })
    await Promise.all(all21)
    expect(refused).toEqual([429])
    expect((await throughIssuer(all, createBrowser(all.harness))).status).toBe(200)
  })

  it('refuses an ID token that is too large for a cookie, with what to do', async () => {
    const all = await world()
    all.provider.claims = {
      groups: ['operators', ...Array.from({ length: 300 }, (_, index) => `group-${index}`)],
    }
    const page = await throughIssuer(all, createBrowser(all.harness))
    expect([page.status, page.text]).toEqual([413, expect.stringContaining('fewer claims')])
  })
})
