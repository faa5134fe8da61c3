import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { createSystem } from '../../src/system.ts'
import { startProvider } from '../server/dashboard/provider.ts'
import { startServer } from '../server/harness.ts'
import { chromiumPath, openBrowser, openTab, violations } from './chromium.ts'
import {
  call,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summary,
  until,
  untilPromoted,
  untilReady,
} from './harness.ts'
import { serveRig } from './in-process.ts'

/** Where pictures for the manual are put; absent: nowhere. */
const pictures = process.env['KEYTURN_PICTURES']

const knobs = { revocationMs: 0, activationMs: [0, 0, 0] } as const
const policy = { overlap: '1h', drainLimit: '2h', provingSettle: '400ms' }

async function signIn(page: Page, rig: Pick<Rig, 'url' | 'operatorToken'>): Promise<void> {
  await page.goto(`${rig.url}/`)
  await page.getByLabel('Token').fill(rig.operatorToken())
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Credentials' }).waitFor()
}

/** From the page of a credential over the page that says what will happen. */
async function act(
  page: Page,
  label: string,
  fill: () => Promise<unknown> = async () => undefined,
): Promise<void> {
  await page.getByRole('link', { name: `${label}…` }).click()
  await page.getByRole('heading', { name: 'What it will do' }).waitFor()
  await fill()
  await page.getByRole('button', { name: label }).click()
  await page.getByRole('status').filter({ hasText: /\w/ }).first().waitFor()
  await page.getByRole('heading', { name: 'Versions' }).waitFor()
}

async function startRig(): Promise<Rig> {
  const rig = await prepareRig({ knobs: { ...knobs, activationMs: [...knobs.activationMs] }, policy })
  await serveRig(rig)
  await untilReady(rig)
  return rig
}

describe.skipIf(chromiumPath === undefined)('the dashboard in a browser', () => {
  it.each([
    ['with scripts', true],
    ['without', false],
  ])(
    'walks through sign-in, a rotation, rolling back and an emergency, %s',
    async (_what, javaScriptEnabled) => {
      const rig = await startRig()
      const { page, asked, faults } = await openTab(await openBrowser(), { javaScriptEnabled })
      await signIn(page, rig)
      await page.getByRole('link', { name: 'openai' }).click()
      const first = (await handOut(rig)).body.version

      // The page is not loaded again where scripts run: what happens comes to it.
      await act(page, 'Rotate', () => page.getByLabel(/^Why/).fill('a walk'))
      const loads = asked.filter((url) => url.includes('/credentials/')).length
      const isDone = page.getByRole('list', { name: 'Phases' }).getByText('Done (done)')
      if (javaScriptEnabled) {
        await isDone.waitFor({ timeout: 20_000 })
        const refreshed = asked.filter((url) => url.endsWith('/credentials/openai')).length
        expect([refreshed > 1, new URL(page.url()).search]).toEqual([true, ''])
      } else
        await until(
          'the rotation is shown to be done',
          async () => {
            await page.reload()
            return isDone.count()
          },
          (count) => count === 1,
        )
      expect(loads).toBeGreaterThan(0)
      const second = (await handOut(rig)).body.version
      expect(second).not.toBe(first)

      await act(page, 'Roll back')
      expect((await handOut(rig)).body.version).toBe(first)

      await page.getByRole('link', { name: `Revoke… ${second.slice(0, 12)}` }).click()
      await page.getByRole('heading', { name: 'Who loses what' }).waitFor()
      await page.getByLabel('To confirm, type the name').fill('openai')
      await page.getByRole('button', { name: 'Revoke' }).click()
      await page.getByText('The version is being revoked').waitFor()
      await until(
        'the version is retired',
        () => summary(rig),
        ({ versions }) => versions.every((one) => one.version !== second || one.stage === 'retired'),
      )

      await act(page, 'Emergency', async () => {
        expect(await page.getByRole('heading', { name: 'Who loses what' }).count()).toBe(1)
        await page.getByLabel('The key is in the wrong hands').check()
        await page.getByLabel('Name of the credential').fill('openai')
      })
      await until(
        'the key that leaked is dead',
        () => summary(rig),
        ({ current, versions }) =>
          current !== null &&
          current.version !== first &&
          versions.every((one) => one.version !== first || one.stage === 'retired'),
        30_000,
      )
      await page.getByRole('link', { name: 'Audit' }).click()
      await page.getByLabel('Action').fill('rollBack')
      await page.getByRole('button', { name: 'Search' }).click()
      const outcomes = page.getByRole('row').filter({ hasText: 'rollBack' })
      expect(await outcomes.count()).toBe(2)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByLabel('Token').waitFor()

      expect(faults).toEqual([])
      expect(asked.filter((url) => !url.startsWith(`${rig.url}/`))).toEqual([])
    },
    90_000,
  )

  it('signs in at an issuer on another site, and goes on when one follows a link from there', async () => {
    const provider = await startProvider(() => createSystem().now())
    const rig = await prepareRig({ policy })
    const place = join(rig.home, 'keyturn.yaml')
    // Two names of this machine are two sites to a browser.
    const address = rig.url.replace('127.0.0.1', 'localhost')
    const rule = `{ name: people, issuer: "${provider.issuer}", audience: ${provider.clientId}, claims: { groups: operators }, grants: [{ credentials: ["*"], may: [operate, dashboard] }] }`
    const more = [
      `access: { jwt: [${rule}] }`,
      `dashboard: { oidc: { issuer: "${provider.issuer}", clientId: ${provider.clientId}, clientSecret: { env: CLIENT_SECRET }, address: "${address}" } }`,
      '',
    ]
    writeFileSync(place, readFileSync(place, 'utf8') + more.join('\n'))
    await serveRig(rig, { CLIENT_SECRET: provider.clientSecret })
    await untilReady(rig)
    const { page, faults } = await openTab(await openBrowser())
    await page.goto(`${address}/credentials/openai`)
    await page.getByRole('link', { name: /^Sign in at/ }).click()
    await page.getByRole('heading', { name: 'openai' }).waitFor()
    await page.getByText('people/anna').waitFor()
    await page.goto(`${provider.issuer}/link?to=${encodeURIComponent(`${address}/credentials/openai`)}`)
    await page.getByRole('link', { name: 'there' }).click()
    await page.getByText('people/anna').waitFor()
    expect(faults.filter((fault) => !fault.includes('favicon') && !fault.includes('404'))).toEqual([])
  })

  it('says what was wrong with a form, and does not do it', async () => {
    const rig = await startRig()
    const { page } = await openTab(await openBrowser())
    await signIn(page, rig)
    const { version } = (await handOut(rig)).body
    await page.goto(`${rig.url}/credentials/openai/emergency`)
    await page.getByLabel('The key is in the wrong hands').check()
    await page.getByRole('button', { name: 'Emergency' }).click()
    await page.getByRole('alert').waitFor()
    expect((await handOut(rig)).body.version).toBe(version)
  })

  it('keeps the focus where it is while the page is brought up to date', async () => {
    const rig = await startRig()
    const { page } = await openTab(await openBrowser())
    await signIn(page, rig)
    await page.getByRole('link', { name: 'openai' }).focus()
    await untilPromoted(rig, (await rotate(rig)).id)
    await page.getByText(/Brought up to date/).waitFor()
    expect(await page.evaluate('document.activeElement.id')).toBe('to-openai')
  })

  it('says on top of the page that the service is away, and leads to signing in when it is back', async () => {
    const rig = await prepareRig({ knobs: { ...knobs, activationMs: [...knobs.activationMs] }, policy })
    const serving = await serveRig(rig)
    await untilReady(rig)
    const { page } = await openTab(await openBrowser())
    await signIn(page, rig)
    await page.getByRole('link', { name: 'openai' }).click()
    await page.getByText(/Brought up to date/).waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
    await serving.stop()
    await page
      .getByRole('alert')
      .getByText(/Keyturn does not answer. This page shows what was at/)
      .waitFor()
    expect(await violations(page)).toEqual([])
    await serveRig(rig)
    await page.getByText('Your session has ended').waitFor()
    await page.getByLabel('Token').fill(rig.operatorToken())
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'openai' }).waitFor()
  }, 60_000)

  it('can be opened in more tabs than a browser has connections for one service', async () => {
    const harness = await startServer()
    const { page, faults } = await openTab(await openBrowser())
    await signIn(page, { url: harness.url, operatorToken: () => harness.operator })
    for (let count = 0; count < 8; count += 1) {
      const tab = await page.context().newPage()
      await tab.goto(`${harness.url}/credentials/openai`, { timeout: 10_000 })
      await tab.getByText(/Brought up to date/).waitFor()
    }
    expect(faults).toEqual([])
  })

  it('answers its questions on one screen for five credentials', async () => {
    const names = ['billing', 'chat', 'evals', 'openai', 'search']
    const harness = await startServer({ names })
    for (const name of names)
      await harness.send('GET', `/v1/credentials/${name}`, undefined, { 'keyturn-instance': 'web-1' })
    const { page } = await openTab(await openBrowser(), { viewport: { width: 1280, height: 720 } })
    await signIn(page, { url: harness.url, operatorToken: () => harness.operator })
    expect(await page.getByRole('rowheader').count()).toBe(5)
    expect(Number(await page.evaluate('document.documentElement.scrollHeight'))).toBeLessThanOrEqual(720)
  })

  it('takes a double click on an act for one', async () => {
    const rig = await startRig()
    const { page } = await openTab(await openBrowser())
    await signIn(page, rig)
    await page.goto(`${rig.url}/credentials/openai/rotate`)
    await page.getByRole('button', { name: 'Rotate' }).dblclick()
    await page.getByText('The rotation has begun.').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
  })

  it('says of a form that came too late that nothing was done, and leads back', async () => {
    const harness = await startServer()
    const { page } = await openTab(await openBrowser())
    const who = { url: harness.url, operatorToken: () => harness.operator }
    await signIn(page, who)
    await page.goto(`${harness.url}/credentials/openai/rotate`)
    harness.system.shiftMs += 2 * 3_600_000
    await page.getByRole('button', { name: 'Rotate' }).click()
    await page.getByText('nothing was done').waitFor()
    expect(harness.service.rotationsStarted).toEqual([])
    await page.getByLabel('Token').fill(harness.operator)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'openai' }).waitFor()
  })

  it('can be worked with the keyboard alone', async () => {
    const rig = await startRig()
    const { page } = await openTab(await openBrowser())
    await page.goto(`${rig.url}/signin`)
    await page.locator('#token:focus').waitFor()
    await page.keyboard.type(rig.operatorToken())
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Credentials' }).waitFor()
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('To the content')
    await page.keyboard.press('Enter')
    const seen: unknown[] = []
    while (seen.at(-1) !== 'to-openai' && seen.length < 20) {
      await page.keyboard.press('Tab')
      seen.push(await page.evaluate('document.activeElement.id'))
    }
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/credentials\/openai$/)
  })

  it('breaks no rule of axe on any page, on phones and desks, in the dark and in the light', async () => {
    const rig = await richRig()
    const browser = await openBrowser()
    const found: string[] = []
    for (const colorScheme of ['light', 'dark'] as const)
      for (const [width, height] of sizes) {
        const { page } = await openTab(browser, { colorScheme, viewport: { width, height } })
        const old = (await summary(rig)).versions.find(({ stage }) => stage === 'previous')
        for (const [name, path] of [
          ...pages,
          ['revoke', `/credentials/openai/revoke?of=${old?.version}`],
        ] as const) {
          if (name === 'overview') await signIn(page, rig)
          else await page.goto(rig.url + path)
          await page.waitForLoadState('load')
          found.push(...(await violations(page)).map((line) => `${name} ${colorScheme} ${width}: ${line}`))
          found.push(...(await tooWide(page)).map((line) => `${name} ${width}: ${line}`))
          await picture(page, `${name}-${width < 500 ? 'phone' : 'desk'}-${colorScheme}`)
        }
        await page.context().close()
      }
    expect(found).toEqual([])
  }, 120_000)

  it('breaks no rule of axe where something is missing, refused or waits', async () => {
    const documents = new Map<string, { value: unknown; revision: number }>()
    const approvals = {
      rules: () => [{ credentials: ['*'], emergency: 2, revocation: 2 }],
      documents: {
        document: async (key: string) => documents.get(key),
        async putDocument({ key, value, revision }: { key: string; value: unknown; revision: number }) {
          documents.set(key, { value, revision: revision + 1 })
          return true
        },
      },
    }
    const harness = await startServer({ approvals })
    const version = harness.service.keepOlder('openai')
    await harness.get('/v1/credentials/openai', { 'keyturn-instance': 'web-1' })
    await harness.send('POST', '/v1/credentials/openai/rotations', { mode: 'emergency' })
    const nothing = await harness.tokens.create({
      name: 'wall',
      role: 'app',
      credentials: ['none-at-all'],
      grants: ['dashboard'],
    })
    const browser = await openBrowser()
    const found: string[] = []
    for (const colorScheme of ['light', 'dark'] as const)
      for (const [width, height] of sizes) {
        const { page } = await openTab(browser, { colorScheme, viewport: { width, height } })
        const look = async (name: string): Promise<void> => {
          const lines = [...(await violations(page)), ...(await tooWide(page))]
          found.push(...lines.map((line) => `${name} ${colorScheme} ${width}: ${line}`))
        }
        await page.goto(`${harness.url}/signin?ended=form`)
        await look('ended')
        await page.getByLabel('Token').fill('rubbish')
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.getByRole('alert').waitFor()
        await look('unknown-token')
        await signIn(page, { url: harness.url, operatorToken: () => nothing.token })
        await look('no-credentials')
        await page.getByRole('button', { name: 'Sign out' }).click()
        await page.getByLabel('Token').waitFor()
        await signIn(page, { url: harness.url, operatorToken: () => harness.operator })
        for (const [name, path] of [
          ['waiting', '/'],
          ['not-found', '/?q=zzz'],
          ['waits-for-two', '/credentials/openai'],
          ['no-page', '/credentials/openai/nope'],
          ['no-journal', '/audit'],
          ['no-rotation', '/credentials/openai/pause'],
          ['revoke-current', '/credentials/openai/revoke?of=version-1'],
          ['revoke', `/credentials/openai/revoke?of=${version}`],
          ['forget', '/credentials/openai/forget?of=web-1'],
        ] as const) {
          await page.goto(harness.url + path)
          await look(name)
        }
        await page.goto(`${harness.url}/credentials/openai/emergency`)
        await page.getByLabel('Name of the credential').fill('openai')
        await page.getByRole('button', { name: 'Emergency' }).click()
        await page.getByRole('alert').waitFor()
        await look('half-said')
        await page.context().close()
      }
    expect(found).toEqual([])
  }, 120_000)

  it.each([16, 32])('fits on phones and desks with long names, in letters of %d px', async (textPx) => {
    const name = 'n'.repeat(63)
    const harness = await startServer({ names: ['openai', name] })
    const get = (instance: string) =>
      fetch(`${harness.url}/v1/credentials/${name}`, {
        headers: { authorization: `Bearer ${harness.operator}`, 'keyturn-instance': instance },
      })
    await Promise.all(['i'.repeat(128), 'web-1'].map(get))
    const browser = await openBrowser({ textPx })
    const found: string[] = []
    for (const [width, height] of sizes) {
      const { page } = await openTab(browser, { viewport: { width, height } })
      await signIn(page, { url: harness.url, operatorToken: () => harness.operator })
      for (const path of [
        '/',
        `/credentials/${name}`,
        `/credentials/${name}/emergency`,
        '/credentials/none',
      ]) {
        await page.goto(harness.url + path)
        found.push(...(await tooWide(page)).map((line) => `${path} ${width}: ${line}`))
        found.push(...(await violations(page)).map((line) => `${path} ${width}: ${line}`))
      }
    }
    expect(found).toEqual([])
  })

  it('stays quick to look at and to search with a thousand credentials', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `team-${index}`)
    const harness = await startServer({ names })
    const { page } = await openTab(await openBrowser())
    const began = performance.now()
    await signIn(page, { url: harness.url, operatorToken: () => harness.operator })
    await page.getByLabel('Name contains').fill('team-777')
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByRole('link', { name: 'team-777' }).waitFor()
    expect(await page.getByRole('rowheader').count()).toBe(1)
    await page.goto(`${harness.url}/?page=10`)
    await page.getByText('Page 10 of 10').waitFor()
    expect(await page.getByRole('rowheader').count()).toBe(100)
    const size = (await page.content()).length
    expect(size).toBeLessThan(300_000)
    expect(performance.now() - began).toBeLessThan(15_000)
  })
})

const sizes = [
  [390, 844],
  [1280, 900],
] as const

async function tooWide(page: Page): Promise<readonly string[]> {
  const wide = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'))
  return wide > 0 ? [`wider than the screen by ${wide}`] : []
}

const pages = [
  ['sign-in', '/signin'],
  ['overview', '/'],
  ['credential', '/credentials/openai'],
  ['emergency', '/credentials/openai/emergency'],
  ['bring', '/credentials/openai/bring'],
  ['audit', '/audit'],
] as const

/** Several credentials, one of them in trouble, with apps and a history. */
async function richRig(): Promise<Rig> {
  const rig = await prepareRig({ knobs: { ...knobs, activationMs: [0, 0, 0] }, policy })
  const { sandbox, home } = rig
  const place = join(home, 'keyturn.yaml')
  const issuer = `{ kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 2s }`
  const more = [
    '  billing:',
    '    store: { kind: local }',
    `    issuer: ${issuer}`,
    '  legacy-crm:',
    `    store: { kind: file, path: ${home}/legacy }`,
    `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}", timeout: 2s }`,
    '',
  ]
  mkdirSync(join(home, 'legacy'), { mode: 0o700 })
  writeFileSync(join(home, 'legacy', 'legacy-crm'), ['sk', 'proj', 'k'.repeat(40)].join('-'), { mode: 0o600 })
  writeFileSync(place, readFileSync(place, 'utf8') + more.join('\n'))
  await serveRig(rig)
  await untilReady(rig)
  const lease = async (app: string, ...instances: string[]): Promise<void> => {
    const made = await call<{ token: string }>(rig, '/v1/tokens', {
      method: 'POST',
      body: { name: app, role: 'app', credentials: ['openai'] },
    })
    for (const instance of instances)
      await fetch(`${rig.url}/v1/credentials/openai`, {
        headers: { authorization: `Bearer ${made.body.token}`, 'keyturn-instance': instance },
      })
  }
  await lease('invoices', 'invoices-6d4f9')
  await untilPromoted(rig, (await rotate(rig, { reason: 'quarterly' })).id)
  await untilPromoted(rig, (await rotate(rig, { mode: 'rehearsal', reason: 'before the holidays' })).id)
  await untilPromoted(rig, (await rotate(rig, { reason: 'a new app' })).id)
  await lease('web', 'web-7c9f-1', 'web-7c9f-2')
  return rig
}

async function picture(page: Page, name: string): Promise<void> {
  if (pictures === undefined) return
  mkdirSync(pictures, { recursive: true })
  const height = Math.min(2_100, Number(await page.evaluate('document.documentElement.scrollHeight')))
  const { width } = page.viewportSize() ?? { width: 0 }
  const clip = { x: 0, y: 0, width, height }
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, clip })
}
