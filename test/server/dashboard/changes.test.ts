import { describe, expect, it, onTestFinished } from 'vitest'
import { type Harness, startServer, until } from '../harness.ts'
import { type Browser, signedIn } from './browser.ts'

async function listen(harness: Harness, browser: Browser, path: string) {
  const gone = new AbortController()
  onTestFinished(() => gone.abort())
  const response = await fetch(harness.url + path, {
    headers: { cookie: browser.cookie },
    signal: gone.signal,
  })
  const heard = { status: response.status, text: '' }
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) heard.text += Buffer.from(chunk).toString()
  }
  void read().catch(() => undefined)
  return heard
}

describe('a page that is open', () => {
  it('is told that something changed and not what, once for all that happened together', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const all = await listen(harness, browser, '/changes')
    const one = await listen(harness, browser, '/changes?of=openai')
    const other = await listen(harness, browser, '/changes?of=openai-prod')
    await until(() => [all, one, other].every(({ text }) => text.includes('retry')))
    for (const phase of ['minting', 'proving'])
      harness.service.emit({ credential: 'openai', kind: 'rotation', data: { phase } })
    await until(() => all.text.includes('changed') && one.text.includes('changed'))
    expect(one.text).toBe('retry: 2000\n\nevent: changed\ndata: {}\n\n')
    expect(all.text).toBe(one.text)
    expect(other.text).toBe('retry: 2000\n\n')
  })

  it('hears of no credential that its reader may not see', async () => {
    const harness = await startServer()
    const made = await harness.tokens.create({
      name: 'eve',
      role: 'app',
      credentials: ['openai'],
      grants: ['audit', 'dashboard'],
    })
    const browser = await signedIn(harness, made.token)
    const all = await listen(harness, browser, '/changes')
    await until(() => all.text.includes('retry'))
    harness.service.emit({ credential: 'openai-prod', kind: 'rotation' })
    harness.service.emit({ credential: 'openai', kind: 'rotation' })
    await until(() => all.text.includes('changed'))
    expect(all.text.split('changed')).toHaveLength(2)
    expect((await listen(harness, browser, '/changes?of=openai-prod')).status).toBe(404)
  })

  it('hears nothing of an internal credential where its reader could not look at it', async () => {
    const harness = await startServer({ internal: ['admin-key'] })
    const made = await harness.tokens.create({
      name: 'eve',
      role: 'app',
      credentials: ['*'],
      grants: ['read', 'dashboard'],
    })
    const all = await listen(harness, await signedIn(harness, made.token), '/changes')
    const operators = await listen(harness, await signedIn(harness), '/changes')
    await until(() => [all, operators].every(({ text }) => text.includes('retry')))
    harness.service.emit({ credential: 'admin-key', kind: 'rotation' })
    await until(() => operators.text.includes('changed'))
    expect(all.text).toBe('retry: 2000\n\n')
  })

  it('is one of a bounded number', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const answers = await Promise.all(Array.from({ length: 21 }, () => listen(harness, browser, '/changes')))
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(1)
  })

  it('is no reason to wait when the server stops', async () => {
    // Far longer than a test may take.
    const harness = await startServer({ limits: { stopMs: 3_600_000 } })
    const browser = await signedIn(harness)
    const heard = await listen(harness, browser, '/changes')
    await harness.server.stop()
    expect(heard.status).toBe(200)
  })
})
