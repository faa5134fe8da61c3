import { describe, expect, it } from 'vitest'
import { operations } from '../../../src/api/operations.ts'
import { canary, keyNumber } from '../fake-service.ts'
import { bearer, startServer } from '../harness.ts'
import { createBrowser, signedIn } from './browser.ts'

describe('signing in', () => {
  it('leads whoever has no session to the page for it, and back to where they were going', async () => {
    const harness = await startServer()
    const browser = createBrowser(harness)
    expect((await browser.open('/credentials/openai')).location).toBe('/signin?next=%2Fcredentials%2Fopenai')
    const form = await browser.open('/signin?next=%2Fcredentials%2Fopenai')
    expect(form.text).toContain('name="next" value="/credentials/openai"')
    const answer = await browser.submit('/signin', { token: harness.operator, next: '/credentials/openai' })
    expect([answer.status, answer.location]).toEqual([303, '/credentials/openai'])
    expect((await browser.open('/credentials/openai')).text).toContain('Signed in as')
  })

  it('goes nowhere else than to a page of ours, whatever the address says', async () => {
    const harness = await startServer()
    for (const next of [
      '//evil.example',
      'https://evil.example',
      '/\\evil.example',
      '/v1/credentials/openai',
    ]) {
      const browser = createBrowser(harness)
      await browser.open('/signin')
      expect((await browser.submit('/signin', { token: harness.operator, next })).location).toBe('/')
    }
  })

  it('gives a cookie that no script reads, no other site sends, and that holds nothing of the token', async () => {
    const harness = await startServer()
    const browser = createBrowser(harness)
    await browser.open('/signin')
    const line =
      (await browser.submit('/signin', { token: harness.operator })).headers.get('set-cookie') ?? ''
    expect(line).toMatch(/^keyturn=[\w-]+; Path=\/; HttpOnly; SameSite=Strict$/)
    const sealed = Buffer.from(browser.cookie.slice('keyturn='.length), 'base64url').toString('latin1')
    for (const text of [line, sealed]) expect(text).not.toContain(harness.operator.slice(0, 20))
    expect(sealed).not.toContain('tok_')
  })

  it.each([
    ['that was never made', 'kt_op_nobody', 401],
    ['of an app', 'app', 403],
    ['that is empty', '', 401],
  ])('refuses a token %s, and shows nothing of it', async (_what, given, status) => {
    const harness = await startServer()
    const token = given === 'app' ? harness.app : given
    const browser = createBrowser(harness)
    await browser.open('/signin')
    const answer = await browser.submit('/signin', { token })
    expect([answer.status, browser.cookie]).toEqual([status, ''])
    if (token !== '') expect(answer.text).not.toContain(token)
  })

  it('counts guesses by address, and lets in who has a good token all the same', async () => {
    const harness = await startServer({
      rateLimits: { requestsPerSecond: 1_000, burst: 1_000, failuresPerMinute: 3 },
    })
    const browser = createBrowser(harness)
    const statuses: number[] = []
    for (let count = 0; count < 5; count += 1)
      statuses.push((await browser.submit('/signin', { token: `kt_op_${count}` })).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    expect((await browser.submit('/signin', { token: harness.operator })).status).toBe(303)
  })

  it('counts with the other requests of the same token, so that nobody fills the audit by signing in', async () => {
    const harness = await startServer({
      rateLimits: { requestsPerSecond: 1, burst: 3, failuresPerMinute: 60 },
    })
    const statuses: number[] = []
    for (let count = 0; count < 5; count += 1)
      statuses.push((await createBrowser(harness).submit('/signin', { token: harness.operator })).status)
    expect(statuses).toEqual([303, 303, 303, 429, 429])
  })

  it('is refused from a page of another site, so that nobody signs somebody else in as themselves', async () => {
    const harness = await startServer()
    const fields = { token: harness.operator }
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
    ])
      expect((await createBrowser(harness).submit('/signin', fields, headers)).status).toBe(403)
  })

  it('asks for no token where others can read it on its way', async () => {
    const harness = await startServer({
      allowedHosts: ['keyturn.example'],
      trustedProxies: [{ address: '127.0.0.1', bits: 32 }],
    })
    const browser = createBrowser(harness)
    const passedOn = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'http' }
    expect((await browser.open('/signin', passedOn)).text).not.toContain('name="token"')
    expect((await browser.submit('/signin', { token: harness.operator }, passedOn)).status).toBe(403)
    const over = { ...passedOn, 'x-forwarded-proto': 'https' }
    const answer = await browser.submit('/signin', { token: harness.operator }, over)
    expect(answer.headers.get('set-cookie')).toMatch(/^__Host-keyturn=.*; Secure$/)
  })
})

describe('a session', () => {
  it('ends when its token is revoked, for pages, forms and what is live', async () => {
    const harness = await startServer()
    const made = await harness.tokens.create({ name: 'anna', role: 'operator' })
    const browser = await signedIn(harness, made.token)
    const live = await fetch(`${harness.url}/changes`, { headers: { cookie: browser.cookie } })
    const reader = live.body?.getReader()
    await harness.tokens.revoke(made.id)
    let told = ''
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
      if (done) break
      told += Buffer.from(value ?? []).toString()
    }
    expect(told).toContain('event: ended')
    expect((await browser.open('/')).location).toBe('/signin')
    const lost = await browser.submit('/credentials/openai/rotate')
    expect(lost.location).toBe('/signin?next=%2Fcredentials%2Fopenai&ended=form')
    expect((await browser.open(lost.location ?? '')).text).toContain('nothing was done')
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it.each([
    ['an hour without a request', 3_600_001, false],
    ['eight hours, however busy', 8 * 3_600_000 + 1, true],
  ])('ends after %s', async (_what, ms, isBusy) => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const step = 1_800_000
    if (isBusy)
      for (let at = step; at < ms; at += step) {
        harness.system.shiftMs += step
        if (at + step < ms) expect((await browser.open('/')).status).toBe(200)
      }
    harness.system.shiftMs += isBusy ? step : ms
    expect((await browser.open('/')).location).toBe('/signin')
  })

  it('is not kept by the script that asks for the page again and again', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    harness.system.shiftMs += 1_800_000
    expect((await browser.open('/', { 'keyturn-live': '1' })).headers.get('set-cookie')).toBeNull()
    harness.system.shiftMs += 1_800_001
    expect((await browser.open('/')).location).toBe('/signin')
  })

  it('ends with signing out, also for who kept the cookie', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const kept = browser.cookie
    expect((await browser.submit('/signout')).location).toBe('/signin')
    expect(browser.cookie).toBe('')
    browser.cookie = kept
    expect((await browser.open('/')).location).toBe('/signin')
  })

  it('is nobody’s that was not sealed here', async () => {
    const harness = await startServer()
    const other = await startServer()
    const browser = await signedIn(other)
    browser.cookie = browser.cookie.slice(0, -1) + (browser.cookie.endsWith('A') ? 'B' : 'A')
    for (const cookie of [browser.cookie, (await signedIn(other)).cookie, 'keyturn=', 'keyturn=AAAA']) {
      const page = await fetch(`${harness.url}/`, {
        headers: { cookie, accept: 'text/html' },
        redirect: 'manual',
      })
      expect(page.headers.get('location')).toBe('/signin')
    }
  })

  it('counts for nothing on any route of the API', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const { method, path, access } of Object.values(operations)) {
      if (access === 'open') continue
      const at = path.replace('{name}', 'openai').replaceAll(/\{\w+\}/g, 'rotation-1')
      const answer = await fetch(harness.url + at, { method, headers: { cookie: browser.cookie } })
      expect([method, path, answer.status]).toEqual([method, path, 401])
      expect(await answer.text()).not.toContain(canary)
    }
  })

  it('leaves the text at `/` to whoever shows a token', async () => {
    const harness = await startServer()
    const answer = await fetch(`${harness.url}/`, {
      headers: { ...bearer(harness.operator), accept: 'text/html' },
    })
    expect(answer.headers.get('content-type')).toContain('text/plain')
  })

  it('goes on when a link of another site was followed, although the browser sent no cookie with it', async () => {
    const harness = await startServer()
    const browser = createBrowser(harness)
    const page = await browser.open('/credentials/openai', { 'sec-fetch-site': 'cross-site' })
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('0;url=/credentials/openai')])
  })
})

describe('a cookie', () => {
  const overTls = { 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' }

  it('that a neighbour under the same domain could set counts for nothing over TLS', async () => {
    const harness = await startServer({ trustedProxies: [{ address: '127.0.0.1', bits: 32 }] })
    const browser = createBrowser(harness)
    await browser.submit('/signin', { token: harness.operator }, overTls)
    expect((await browser.open('/', overTls)).status).toBe(200)
    browser.cookie = browser.cookie.replace('__Host-', '')
    expect((await browser.open('/', overTls)).location).toBe('/signin')
  })

  it('that comes twice counts for nothing: a neighbour may have set the other one', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    browser.cookie = `${browser.cookie}; ${(await signedIn(harness)).cookie}`
    expect((await browser.open('/')).location).toBe('/signin')
  })
})

describe('a form', () => {
  it('without what its page gave along does nothing', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const other = await signedIn(harness)
    const csrf = /name="csrf" value="([^"]+)"/.exec((await other.open('/')).text)?.[1] ?? ''
    for (const sent of ['', 'x', csrf]) {
      const answer = await browser.submit('/credentials/openai/rotate', { csrf: sent })
      expect(answer.status).toBe(403)
    }
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('of a page of another site does nothing, whatever it sends', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const site of ['cross-site', 'same-site'])
      expect(
        (await browser.submit('/credentials/openai/rotate', {}, { 'sec-fetch-site': site })).status,
      ).toBe(403)
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('of a page of another site does nothing either where the browser says only where it came from', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const csrf = /name="csrf" value="([^"]+)"/.exec((await browser.open('/')).text)?.[1] ?? ''
    const send = async (path: string, headers: Record<string, string>, body: string): Promise<number> => {
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      const all = { ...type, cookie: browser.cookie, ...headers }
      return (await fetch(harness.url + path, { method: 'POST', redirect: 'manual', headers: all, body }))
        .status
    }
    for (const origin of ['http://evil.example', 'null', `${harness.url}.evil.example`, 'http://127.0.0.1:1'])
      for (const path of ['/credentials/openai/rotate', '/signout', '/signin'])
        expect([origin, path, await send(path, { origin }, `csrf=${csrf}`)]).toEqual([origin, path, 403])
    // What a form cannot be made of is none.
    const json = { 'content-type': 'application/json' }
    expect(await send('/credentials/openai/rotate', json, JSON.stringify({ csrf }))).toBe(403)
    expect(await send('/credentials/openai/rotate', { 'content-type': 'text/plain' }, `csrf=${csrf}`)).toBe(
      415,
    )
    expect(harness.service.rotationsStarted).toEqual([])
    expect((await browser.open('/signout')).status).toBe(404)
    expect((await browser.open('/')).status).toBe(200)
    expect(await send('/credentials/openai/rotate', { origin: harness.url }, `csrf=${csrf}`)).toBe(303)
  })

  it('that names a field twice is refused', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const answer = await fetch(`${harness.url}/credentials/openai/rotate`, {
      method: 'POST',
      headers: { cookie: browser.cookie, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'csrf=a&csrf=b',
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      400,
      expect.stringContaining('text/html'),
    ])
  })

  it('with a key shows nothing of it, taken or refused', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const [apiKey, status] of [
      [keyNumber(7), 303],
      [`${keyNumber(7)} with a blank`, 400],
    ] as const) {
      const answer = await browser.submit('/credentials/openai/bring', { apiKey })
      expect(answer.status).toBe(status)
      expect(answer.text + [...answer.headers].join()).not.toContain(canary)
      expect(harness.logs.join()).not.toContain(canary)
    }
  })
})
