import { array, assert, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../../src/core/ports.ts'
import { tokenAuthenticator } from '../../../src/server/auth/authenticator.ts'
import { createEnded, type EndedSession } from '../../../src/server/dashboard/ended.ts'
import { sessionMs } from '../../../src/server/dashboard/sessions.ts'
import { type Harness, startServer, until } from '../harness.ts'
import { type Browser, createBrowser, signedIn } from './browser.ts'

const sessionSecret = Buffer.alloc(32, 7)

/** What replicas share: documents that can be away. */
function shared() {
  const kept = new Map<string, { value: unknown; revision: number }>()
  const documents: Pick<Ledger, 'document' | 'putDocument'> & { isAway: boolean; asked: number } = {
    isAway: false,
    asked: 0,
    async document(key) {
      documents.asked += 1
      if (documents.isAway) throw new Error('the ledger is away')
      return kept.get(key)
    },
    async putDocument({ key, value, revision }) {
      if (documents.isAway) throw new Error('the ledger is away')
      if ((kept.get(key)?.revision ?? 0) !== revision) return false
      kept.set(key, { value: JSON.parse(JSON.stringify(value)) as unknown, revision: revision + 1 })
      return true
    },
  }
  return documents
}

/** Two replicas, and somebody who is signed in at both with one cookie. */
async function fleet(documents = shared()) {
  const here = await startServer({ dashboard: { sessionSecret, documents } })
  const authenticator = tokenAuthenticator(here.tokens)
  const there = await startServer({ dashboard: { sessionSecret, documents }, authenticator })
  const browser = await signedIn(here)
  const copy = at(there, browser.cookie)
  expect((await copy.open('/')).status).toBe(200)
  return { here, there, browser, copy, documents, authenticator }
}

function at(harness: Harness, cookie: string): Browser {
  const browser = createBrowser(harness)
  browser.cookie = cookie
  return browser
}

describe('signing out', () => {
  it('counts at every replica within half a second, and after a restart', async () => {
    const { there, browser, copy, documents, authenticator } = await fleet()
    const { cookie } = browser
    expect((await browser.submit('/signout')).location).toBe('/signin')
    there.system.shiftMs += 500
    expect((await copy.open('/')).location).toBe('/signin')
    const again = await startServer({ dashboard: { sessionSecret, documents }, authenticator })
    expect((await at(again, cookie).open('/credentials/openai')).location).toContain('/signin')
  })

  it('ends no other session of the same token', async () => {
    const { here, there, browser, documents } = await fleet()
    const other = await signedIn(here)
    await browser.submit('/signout')
    there.system.shiftMs += 500
    expect((await at(there, other.cookie).open('/')).status).toBe(200)
    expect((await other.open('/')).status).toBe(200)
    expect(documents.asked).toBeGreaterThan(0)
  })

  it('counts here while the ledger is away, and elsewhere once it is back', async () => {
    const { here, there, browser, copy, documents } = await fleet()
    const { cookie } = browser
    documents.isAway = true
    expect((await browser.submit('/signout')).location).toBe('/signin')
    expect((await at(here, cookie).open('/')).location).toBe('/signin')
    there.system.shiftMs += 500
    expect((await copy.open('/')).status).toBe(200)
    expect(here.logs.join()).toContain('signed out')
    documents.isAway = false
    here.system.shiftMs += 500
    // Whoever asks next at the replica that knows.
    await signedIn(here)
    there.system.shiftMs += 500
    expect((await copy.open('/')).location).toBe('/signin')
  })

  it('ends what is live at once, and at other replicas without a request', async () => {
    const { here, there, browser, copy } = await fleet()
    const streams = await Promise.all(
      [at(here, browser.cookie), copy].map(async ({ cookie }, index) => {
        const heard = { text: '' }
        const { url } = index === 0 ? here : there
        const response = await fetch(`${url}/changes`, { headers: { cookie } })
        void (async () => {
          for await (const chunk of response.body ?? []) heard.text += Buffer.from(chunk).toString()
        })()
        return heard
      }),
    )
    await browser.submit('/signout')
    await until(() => streams[0]?.text.includes('event: ended') === true)
    await until(() => streams[1]?.text.includes('event: ended') === true)
  })

  it('asks the ledger for nobody where a session is of this process alone', async () => {
    const documents = shared()
    const harness = await startServer({ dashboard: { documents } })
    const browser = await signedIn(harness)
    await browser.submit('/signout')
    expect(documents.asked).toBe(0)
  })
})

describe('sessions that were signed out', () => {
  const session = record({
    number: integer({ min: 0, max: 100 }),
    by: integer({ min: 0, max: 3 }).map(String),
    startedAt: integer({ min: 0, max: 5 }),
  }).map(({ number, by, startedAt }) => ({ id: `${by} ${startedAt} ${number}`, by, startedAt }))

  it('stay so, however many others sign out, here or at other replicas, until their time is up', () => {
    assert(
      property(array(session, { maxLength: 200 }), array(session, { maxLength: 200 }), (one, other) => {
        const [here, there] = [createEnded(), createEnded()]
        for (const each of one) here.add(each, 10)
        for (const each of other) there.add(each, 10)
        here.merge(there.content(), 10)
        for (const each of [...one, ...other]) expect(here.has(each)).toBe(true)
        expect(here.content().sessions.length).toBeLessThanOrEqual(4 * 20)
      }),
    )
  })

  it('are the same at both once both have told', () => {
    assert(
      property(array(session, { maxLength: 100 }), array(session, { maxLength: 100 }), (one, other) => {
        const [here, there] = [createEnded(), createEnded()]
        for (const each of one) here.add(each, 10)
        for (const each of other) there.add(each, 10)
        here.merge(there.content(), 10)
        there.merge(here.content(), 10)
        expect(there.content()).toEqual(here.content())
      }),
    )
  })

  it('of one caller cannot push out those of another: who signs out without end ends older sessions of their own', () => {
    const ended = createEnded()
    const anna: EndedSession = { id: 'anna', by: 'tok_anna', startedAt: 1 }
    ended.add(anna, 10)
    for (let count = 0; count < 30_000; count += 1)
      ended.add({ id: `eve-${count}`, by: 'tok_eve', startedAt: 100 + count }, 10)
    expect(ended.has(anna)).toBe(true)
    expect(ended.has({ id: 'bert', by: 'tok_bert', startedAt: 1 })).toBe(false)
    expect(ended.has({ id: 'another of eve', by: 'tok_eve', startedAt: 101 })).toBe(true)
    expect(JSON.stringify(ended.content()).length).toBeLessThan(10_000)
  })

  it('are bounded also for many callers, and rather too many are ended than one too few', () => {
    const ended = createEnded()
    const all = Array.from({ length: 3_000 }, (_, index) => ({
      id: `session-${index}`,
      by: `tok_${index}`,
      startedAt: index,
    }))
    ended.merge({ sessions: all, floors: {} }, 10)
    expect(all.every((one) => ended.has(one))).toBe(true)
    expect(JSON.stringify(ended.content()).length).toBeLessThan(300_000)
    expect(ended.has({ id: 'x', by: 'tok_x', startedAt: 2_999 })).toBe(false)
  })

  it('are forgotten when they would be over anyway', () => {
    const ended = createEnded()
    ended.add({ id: 'old', by: 'tok', startedAt: 0 }, 0)
    ended.add({ id: 'new', by: 'tok', startedAt: 2 * sessionMs }, 2 * sessionMs)
    expect(ended.content().sessions.map(({ id }) => id)).toEqual(['new'])
  })
})
