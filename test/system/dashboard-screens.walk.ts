import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { startServer } from '../server/harness.ts'
import { chromiumPath, openBrowser, openTab, violations } from './chromium.ts'
import { knobs, policy, signIn } from './dashboard-rig.ts'
import { call, prepareRig, type Rig, rotate, summary, untilPromoted, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'

/** Where pictures for the manual are put; absent: nowhere. */
const pictures = process.env['KEYTURN_PICTURES']

describe.skipIf(chromiumPath === undefined)('the screens of the dashboard', () => {
  it('answers its questions on one screen for five credentials', async () => {
    const names = ['billing', 'chat', 'evals', 'openai', 'search']
    const harness = await startServer({ names })
    for (const name of names)
      await harness.send('GET', `/v1/credentials/${name}`, undefined, { 'keyturn-instance': 'web-1' })
    const { page } = await openTab(await openBrowser(), { viewport: { width: 1280, height: 720 } })
    await signIn(page, harness)
    expect(await page.getByRole('rowheader').count()).toBe(5)
    expect(Number(await page.evaluate('document.documentElement.scrollHeight'))).toBeLessThanOrEqual(720)
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
          if (name === 'overview') await signIn(page, { url: rig.url, operator: rig.operatorToken() })
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
        await signIn(page, { url: harness.url, operator: nothing.token })
        await look('no-credentials')
        await page.getByRole('button', { name: 'Sign out' }).click()
        await page.getByLabel('Token').waitFor()
        await signIn(page, harness)
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
      await signIn(page, harness)
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
    await signIn(page, harness)
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
  const issuer = `{ kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 5s }`
  const more = [
    '  billing:',
    '    store: { kind: local }',
    `    issuer: ${issuer}`,
    '  legacy-crm:',
    `    store: { kind: file, path: ${home}/legacy }`,
    `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}", timeout: 5s }`,
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
