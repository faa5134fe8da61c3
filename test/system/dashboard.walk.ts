import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { createSystem } from '../../src/system.ts'
import { startProvider } from '../server/dashboard/provider.ts'
import { startServer } from '../server/harness.ts'
import { chromiumPath, openBrowser, openTab, violations } from './chromium.ts'
import { knobs, policy, signIn, startRig } from './dashboard-rig.ts'
import { handOut, prepareRig, rotate, summary, until, untilPromoted, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'

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

describe.skipIf(chromiumPath === undefined)('the dashboard in a browser', () => {
  it.each([
    ['with scripts', true],
    ['without', false],
  ])(
    'walks through sign-in, a rotation, rolling back and an emergency, %s',
    async (_what, javaScriptEnabled) => {
      const rig = await startRig()
      const { page, asked, faults } = await openTab(await openBrowser(), { javaScriptEnabled })
      await signIn(page, { url: rig.url, operator: rig.operatorToken() })
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
      // A click does not wait for the page that it leads to.
      await page.waitForURL(/[?&]action=rollBack/)
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
    await signIn(page, { url: rig.url, operator: rig.operatorToken() })
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
    await signIn(page, { url: rig.url, operator: rig.operatorToken() })
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
    await signIn(page, { url: rig.url, operator: rig.operatorToken() })
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
    await signIn(page, harness)
    for (let count = 0; count < 8; count += 1) {
      const tab = await page.context().newPage()
      await tab.goto(`${harness.url}/credentials/openai`, { timeout: 10_000 })
      await tab.getByText(/Brought up to date/).waitFor()
    }
    expect(faults).toEqual([])
  })

  it('takes a double click on an act for one', async () => {
    const rig = await startRig()
    const { page } = await openTab(await openBrowser())
    await signIn(page, { url: rig.url, operator: rig.operatorToken() })
    await page.goto(`${rig.url}/credentials/openai/rotate`)
    await page.getByRole('button', { name: 'Rotate' }).dblclick()
    await page.getByText('The rotation has begun.').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
  })

  it('says of a form that came too late that nothing was done, and leads back', async () => {
    const harness = await startServer()
    const { page } = await openTab(await openBrowser())
    await signIn(page, harness)
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
})
