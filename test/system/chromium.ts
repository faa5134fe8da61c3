import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** The browser of the machine; undefined where it has none, and then the walks that need one say so and are left out. */
export const chromiumPath = places.find((path) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
})

if (chromiumPath === undefined)
  process.stderr.write(
    'no chromium here: the walks through the dashboard are left out (apt-get install chromium)\n',
  )

/** `textPx`: how large people have set text to be. Default: what browsers have, 16. */
export async function openBrowser({ textPx = 16 }: { readonly textPx?: number } = {}): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: chromiumPath ?? '',
    args: ['--no-sandbox', '--disable-dev-shm-usage', `--blink-settings=defaultFontSize=${textPx}`],
  })
  onTestFinished(() => browser.close())
  return browser
}

export interface Tab {
  readonly page: Page
  /** All that the browser asked for, whoever it asked. */
  readonly asked: string[]
  /** What went wrong on its pages: errors of scripts, and what the content security policy kept away. */
  readonly faults: string[]
}

export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const asked: string[] = []
  const faults: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  return { page, asked, faults }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe has to say of the page, one line each. */
export async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const found: unknown = await page.evaluate(
    'axe.run(document).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map((node) => id + ": " + node.target.join(" ") + " " + (node.any[0]?.message ?? ""))))',
  )
  return found as readonly string[]
}
