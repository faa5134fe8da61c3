import type { Harness } from '../harness.ts'

/** What a browser does with pages and forms, and no more: it keeps the cookie and says which site it is on. */
export interface Browser {
  /** As when somebody types the address. */
  open(path: string, headers?: Record<string, string>): Promise<Page>
  /** Sends a form of the page that was opened last; hidden fields are taken from it. */
  submit(path: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Page>
  cookie: string
}

export interface Page {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly location: string | null
}

const own = { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'document', accept: 'text/html' }

export function createBrowser(harness: Pick<Harness, 'url'>): Browser {
  let last = ''
  const send = async (
    path: string,
    init: Omit<RequestInit, 'headers'> & { headers: Record<string, string> },
  ): Promise<Page> => {
    const cookie = browser.cookie === '' ? {} : { cookie: browser.cookie }
    const response = await fetch(harness.url + path, {
      ...init,
      redirect: 'manual',
      headers: { ...own, ...cookie, ...init.headers },
    })
    browser.cookie = kept(browser.cookie, response.headers.getSetCookie())
    const text = await response.text()
    if (text !== '') last = text
    return {
      status: response.status,
      text,
      headers: response.headers,
      location: response.headers.get('location'),
    }
  }
  const browser: Browser = {
    cookie: '',
    open: (path, headers = {}) => send(path, { headers }),
    submit(path, fields = {}, headers = {}) {
      const csrf = /name="csrf" value="([^"]+)"/.exec(last)?.[1]
      const body = new URLSearchParams({ ...(csrf === undefined ? {} : { csrf }), ...fields })
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      return send(path, { method: 'POST', body: body.toString(), headers: { ...type, ...headers } })
    },
  }
  return browser
}

/** The cookies of before with those that are set now, without those that were ended. */
function kept(before: string, lines: readonly string[]): string {
  const all = new Map<string, string>()
  for (const part of [...before.split('; '), ...lines.map((line) => line.split(';', 1)[0] ?? '')])
    all.set(part.slice(0, part.indexOf('=')), part)
  return [...all.values()].filter((part) => part !== '' && !part.endsWith('=')).join('; ')
}

export async function signedIn(harness: Harness, token = harness.operator): Promise<Browser> {
  const browser = createBrowser(harness)
  await browser.open('/signin')
  const answer = await browser.submit('/signin', { token })
  if (answer.status !== 303) throw new Error(`not signed in: ${answer.status} ${answer.text}`)
  const page = await browser.open('/')
  if (page.status !== 200) throw new Error(`no page: ${page.status} ${page.text}`)
  return browser
}
