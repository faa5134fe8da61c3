import { describe, expect, it } from 'vitest'
import type { AuditEntry } from '../../../src/core/audit.ts'
import { actIds } from '../../../src/server/dashboard/acts.ts'
import { canary } from '../fake-service.ts'
import { type Harness, rawGet, rawRequest, startServer, until } from '../harness.ts'
import { signedIn } from './browser.ts'

const looks = ['/', '/credentials/openai', ...actIds.map((id) => `/credentials/openai/${id}`)]

async function holder(harness: Harness, grants: readonly ('read' | 'operate' | 'audit')[]) {
  const made = await harness.tokens.create({
    name: `one-who-may-${grants.join('-')}`,
    role: 'app',
    credentials: ['openai'],
    grants: [...grants, 'dashboard'],
  })
  return signedIn(harness, made.token)
}

describe('a page', () => {
  it('lets nothing in from elsewhere, and holds no secret', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const path of [...looks, '/nope-at-all', '/signin', '/credentials/nope']) {
      const { headers, text, status } = await browser.open(path)
      expect([path, text.includes(canary), text.includes(harness.operator)]).toEqual([path, false, false])
      if (path === '/nope-at-all') continue
      expect([path, headers.get('content-security-policy')]).toEqual([
        path,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      ])
      expect(headers.get('cache-control')).toBe('no-store')
      const others = [
        'x-frame-options',
        'x-content-type-options',
        'referrer-policy',
        'cross-origin-opener-policy',
        'cross-origin-resource-policy',
      ]
      expect(others.map((name) => headers.get(name))).toEqual([
        'DENY',
        'nosniff',
        'same-origin',
        'same-origin',
        'same-origin',
      ])
      if (status === 200) expect(text).not.toMatch(/\sstyle="|<script>|\son\w+="|https?:\/\//)
    }
  })

  it('is nothing that a page of another site could load, keep a session alive with, or use up requests by', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const paths = ['/', '/credentials/openai', '/audit', '/changes', '/signin', '/assets/live.js']
    for (const path of paths)
      for (const site of ['cross-site', 'same-site'])
        for (const [mode, dest] of [
          ['no-cors', 'image'],
          ['cors', 'empty'],
          ['navigate', 'iframe'],
        ] as const) {
          const from = { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest }
          harness.system.shiftMs += 61_000
          const { status, headers } = await browser.open(path, from)
          expect([path, site, mode, status, headers.get('set-cookie')]).toEqual([path, site, mode, 403, null])
        }
  })

  it('of an act is never where a page of another site leads, under whose double click its button could come', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const id of actIds)
      for (const site of ['same-site', 'cross-site']) {
        const page = await browser.open(`/credentials/openai/${id}?of=x`, { 'sec-fetch-site': site })
        expect([id, site, page.status, page.location]).toEqual([id, site, 303, '/credentials/openai'])
      }
    expect((await browser.open('/credentials/openai', { 'sec-fetch-site': 'same-site' })).status).toBe(200)
    expect((await browser.open('/credentials/openai/rotate', { 'sec-fetch-site': 'none' })).status).toBe(200)
  })

  it('is there under no name that a stranger could own', async () => {
    const harness = await startServer()
    const { cookie } = await signedIn(harness)
    for (const path of ['/', '/signin', '/credentials/openai', '/changes', '/assets/live.js']) {
      const headers = ['Host: evil.example', 'Accept: text/html', `Cookie: ${cookie}`]
      expect([path, (await rawRequest(harness.port, rawGet(path, headers))).status]).toEqual([path, 421])
    }
  })

  it('shows what others wrote as text', async () => {
    const harness = await startServer()
    const instance = '<img/src=x/onerror=alert(1)>'
    await harness.get('/v1/credentials/openai', { 'keyturn-instance': instance })
    const browser = await signedIn(harness)
    await browser.submit('/credentials/openai/rotate', { reason: '"><script>alert(1)</script>' })
    const { text } = await browser.open('/credentials/openai')
    expect(text).toContain('&lt;img/src=x/onerror=alert(1)&gt;')
    expect(text).not.toContain('<img')
    expect(text).not.toContain('<script>')
  })

  it('of a credential that is not there is as one that may not be seen', async () => {
    const harness = await startServer({ internal: ['admin-key'] })
    const browser = await holder(harness, ['read'])
    const [hidden, absent, internal] = await Promise.all(
      ['openai-prod', 'nope', 'admin-key'].map((name) => browser.open(`/credentials/${name}`)),
    )
    const bare = (text = ''): string => text.replace(/Request [\w-]+/, '')
    expect([hidden?.status, absent?.status, internal?.status]).toEqual([404, 404, 404])
    expect(bare(hidden?.text)).toBe(bare(absent?.text))
    expect(bare(internal?.text)).toBe(bare(absent?.text))
    expect((await browser.open('/')).text).not.toContain('openai-prod')
  })

  it('looks at no credential but those that it shows', async () => {
    const harness = await startServer({ names: Array.from({ length: 50 }, (_, index) => `team-${index}`) })
    const made = await harness.tokens.create({
      name: 'wall',
      credentials: ['team-7'],
      grants: ['read', 'dashboard'],
    })
    const browser = await signedIn(harness, made.token)
    const looked: string[] = []
    const shown = await harness.service.summary('team-7')
    Object.assign(harness.service, {
      summary: async (name: string) => {
        looked.push(name)
        return shown
      },
    })
    expect((await browser.open('/')).text).toContain('id="to-team-7"')
    expect(looked).toEqual(['team-7'])
  })

  it('is made in a turn of its own, so that hand-outs come between two, however many are asked for', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const { system, service } = harness
    const turns: (() => void)[] = []
    let made = 0
    const real = { after: system.after.bind(system), summary: service.summary.bind(service) }
    const after: typeof system.after = (ms, callback, options) => {
      if (ms > 0) return real.after(ms, callback, options)
      turns.push(callback)
      return () => undefined
    }
    Object.assign(system, { after })
    Object.assign(service, {
      summary: (name: string) => {
        made += name === 'openai' ? 1 : 0
        return real.summary(name)
      },
    })
    const pages = Array.from({ length: 3 }, () => browser.open('/'))
    for (let count = 0; count < pages.length; count += 1) {
      await until(() => turns.length === 1)
      expect(made).toBe(count)
      expect((await harness.get('/v1/credentials/openai')).status).toBe(200)
      turns.shift()?.()
    }
    expect((await Promise.all(pages)).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('offers acts to those who may, and does none for others', async () => {
    const harness = await startServer()
    for (const grants of [['read'], ['audit'], ['read', 'audit']] as const) {
      const browser = await holder(harness, grants)
      expect((await browser.open('/credentials/openai')).text).not.toContain('id="act-')
      for (const id of actIds) {
        expect([id, (await browser.open(`/credentials/openai/${id}`)).status]).toEqual([id, 403])
        await browser.open('/')
        expect([id, (await browser.submit(`/credentials/openai/${id}`)).status]).toEqual([id, 403])
      }
    }
    const operating = await holder(harness, ['operate'])
    expect((await operating.open('/credentials/openai')).text).toContain('id="act-rotate"')
    expect((await operating.submit('/credentials/openai-prod/rotate')).status).toBe(404)
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('of the audit is for those who may read all of it', async () => {
    const harness = await startServer()
    expect((await (await holder(harness, ['audit'])).open('/audit')).status).toBe(403)
  })

  it('says what an act will do before it does it, and does nothing by being looked at', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    for (const id of actIds) {
      const { status, text } = await browser.open(`/credentials/openai/${id}`)
      const isPossible = ['verify', 'rotate', 'rehearse', 'bring', 'emergency'].includes(id)
      const said = text.includes(isPossible ? 'What it will do' : 'It cannot be done now')
      expect([id, status, said, text.includes('<button class=')]).toEqual([id, 200, true, isPossible])
    }
    expect([harness.service.rotationsStarted, harness.service.acts]).toEqual([[], []])
  })

  it('counts with the requests of its caller', async () => {
    const rateLimits = { requestsPerSecond: 1, burst: 5, failuresPerMinute: 2 }
    const harness = await startServer({ rateLimits })
    const browser = await signedIn(harness)
    const statuses: number[] = []
    for (let count = 0; count < 8; count += 1) statuses.push((await browser.open('/')).status)
    expect(statuses).toContain(429)
  })
})

describe('an act', () => {
  it('is written down as over the API, under the name of who signed in', async () => {
    const rows: AuditEntry[] = []
    const audit = { record: (entry: AuditEntry) => void rows.push(entry) }
    const harness = await startServer({ audit })
    const browser = await signedIn(harness)
    await browser.submit('/credentials/openai/rotate', { reason: 'because' })
    harness.service.withdraw('openai')
    await browser.open('/')
    await browser.submit('/credentials/openai/pause')
    await browser.submit('/signout', {})
    const told = rows.map(({ kind, action, outcome, caller, credential }) =>
      [kind, action, outcome, caller.name, credential].join(' '),
    )
    expect(told).toEqual([
      'act signIn done ops ',
      'act startRotation asked ops openai',
      'act startRotation done ops openai',
      'act pauseRotation asked ops openai',
      'refusal pauseRotation rotation_not_running ops openai',
      'act signOut done ops ',
    ])
  })

  it('that cannot be written down is not done', async () => {
    let isBroken = false
    const audit = {
      record: () => (isBroken ? Promise.reject(new Error('the disk is full')) : undefined),
    }
    const harness = await startServer({ audit })
    const browser = await signedIn(harness)
    isBroken = true
    expect((await browser.submit('/credentials/openai/rotate')).status).toBe(500)
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('for which the name has to be typed is refused without, with what to do', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const body = await browser.submit('/credentials/openai/emergency', {
      isCompromised: 'yes',
      confirm: 'openai',
    })
    expect(body.location).toBe('/credentials/openai?done=emergency')
    expect(harness.service.rotationsStarted).toEqual([
      { mode: 'emergency', isCompromised: true, confirm: 'openai' },
    ])
  })
})
