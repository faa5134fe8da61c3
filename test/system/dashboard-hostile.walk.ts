import { createServer } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startServer } from '../server/harness.ts'
import { chromiumPath, openBrowser, openTab } from './chromium.ts'
import { signIn } from './dashboard-rig.ts'

/** A server of somebody else on another port of this machine: to browsers the same site. */
async function startNeighbour(): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Neighbour</h1>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

describe.skipIf(chromiumPath === undefined)('a browser', () => {
  it.each([
    ['with scripts', true],
    ['without', false],
  ])(
    'shows no page of before by its button for going back, once one has signed out, %s',
    async (_what, does) => {
      const harness = await startServer()
      const { page } = await openTab(await openBrowser(), { javaScriptEnabled: does })
      await signIn(page, harness)
      await page.getByRole('link', { name: 'openai', exact: true }).click()
      await page.getByRole('heading', { name: 'openai' }).waitFor()
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByLabel('Token').waitFor()
      for (let count = 0; count < 2; count += 1) {
        await page.goBack()
        await page.getByLabel('Token').waitFor()
        expect(await page.getByRole('heading', { name: 'openai' }).count()).toBe(0)
      }
    },
  )

  it('gives a page of another port nothing of the dashboard, in no frame, window, request or stream', async () => {
    const harness = await startServer()
    const { page } = await openTab(await openBrowser())
    await signIn(page, harness)
    const before = await page.context().cookies()
    harness.system.shiftMs += 120_000
    const other = await page.context().newPage()
    await other.goto(await startNeighbour())
    const tried = (script: string): Promise<unknown> => other.evaluate(script)
    const ask = (init: string): string =>
      `fetch('${harness.url}/', { credentials: 'include', ${init} }).then(async (one) => one.type + await one.text(), () => 'nothing')`
    expect(await tried(ask(`mode: 'cors'`))).toBe('nothing')
    expect(await tried(ask(`mode: 'no-cors'`))).toMatch(/^(?:opaque|nothing)$/)
    expect(
      await tried(
        `new Promise((resolve) => { const source = new EventSource('${harness.url}/changes', { withCredentials: true }); source.onopen = () => resolve('open'); source.onerror = () => resolve('nothing') })`,
      ),
    ).toBe('nothing')
    expect(
      await tried(
        `new Promise((resolve) => { const frame = document.createElement('iframe'); frame.src = '${harness.url}/'; frame.onload = () => resolve(String(frame.contentDocument?.title)); document.body.append(frame) })`,
      ),
    ).toBe('undefined')
    // Nor is the session kept alive by it.
    const after = (await page.context().cookies()).map(({ value }) => value)
    expect(after).toEqual(before.map(({ value }) => value))
    // A window that it opens is a whole page, as by a link, and none that it could reach into.
    await tried(`void (globalThis.opened = open('${harness.url}/'))`)
    await other.waitForFunction('opened.closed')
  })
})
