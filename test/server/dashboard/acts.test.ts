import { describe, expect, it } from 'vitest'
import type { AuditEntry } from '../../../src/core/audit.ts'
import { KeyturnError } from '../../../src/core/errors.ts'
import { type Harness, startServer } from '../harness.ts'
import { signedIn } from './browser.ts'

/** Where acts of every credential need two persons. */
function twoPersons() {
  const documents = new Map<string, { value: unknown; revision: number }>()
  return {
    rules: () => [{ credentials: ['*'], emergency: 2, revocation: 2 }],
    documents: {
      document: async (key: string) => documents.get(key),
      async putDocument({ key, value, revision }: { key: string; value: unknown; revision: number }) {
        documents.set(key, { value, revision: revision + 1 })
        return true
      },
    },
  }
}

const seen = (harness: Harness, instance: string) =>
  harness.get('/v1/credentials/openai', { 'keyturn-instance': instance })

describe('revoking one version', () => {
  it('says who loses what, and is done once the name was typed', async () => {
    const rows: AuditEntry[] = []
    const harness = await startServer({ audit: { record: (entry) => void rows.push(entry) } })
    const version = harness.service.keepOlder('openai')
    await seen(harness, 'web-1')
    const browser = await signedIn(harness)
    expect((await browser.open('/credentials/openai')).text).toContain(`id="revoke-${version}"`)
    const { text } = await browser.open(`/credentials/openai/revoke?of=${version}`)
    expect(text).toContain(`Deletes the key of version ${version} (previous,`)
    expect(text).toContain('web web-1')
    const path = '/credentials/openai/revoke'
    const refused = await browser.submit(path, { of: version, reason: 'old & done' })
    expect([refused.status, refused.text.includes('value="old &amp; done"')]).toEqual([409, true])
    expect(harness.service.revoked).toEqual([])
    const done = await browser.submit(path, { of: version, confirm: ' openai ', reason: 'old' })
    expect(done.location).toBe('/credentials/openai?done=revoke')
    expect(harness.service.revoked).toEqual([{ version, reason: 'old', actor: 'ops' }])
    const told = rows
      .filter(({ action }) => action === 'revokeVersion')
      .map(({ kind, outcome, version: of }) => [kind, outcome, of])
    expect(told).toEqual([
      ['act', 'asked', version],
      ['refusal', 'confirmation_needed', version],
      ['act', 'asked', version],
      ['act', 'done', version],
    ])
  })

  it('is refused for what is handed out, and for what is not there', async () => {
    const harness = await startServer()
    harness.service.keepOlder('openai')
    const browser = await signedIn(harness)
    const path = '/credentials/openai/revoke'
    const { text } = await browser.open(`${path}?of=version-1`)
    expect([text.includes('It is what is handed out'), text.includes('<button class=')]).toEqual([
      true,
      false,
    ])
    expect((await browser.submit(path, { of: 'version-1', confirm: 'openai' })).status).toBe(409)
    expect((await browser.submit(path, { of: 'nope', confirm: 'openai' })).status).toBe(404)
    expect((await browser.submit(path, { confirm: 'openai' })).status).toBe(404)
    expect(harness.service.revoked).toEqual([])
  })

  it('waits for a second person where the policy wants one', async () => {
    const harness = await startServer({ approvals: twoPersons() })
    const version = harness.service.keepOlder('openai')
    const anna = await signedIn(harness)
    const asked = await anna.submit('/credentials/openai/revoke', { of: version, confirm: 'openai' })
    expect([asked.location, harness.service.revoked]).toEqual(['/credentials/openai?done=waiting', []])
    const { text } = await anna.open('/credentials/openai')
    expect(text).toContain(`ops asked to revoke ${version}`)
    const id = /id="approve-(apr_[0-9a-f]+)"/.exec(text)?.[1] ?? ''
    expect((await anna.open(`/credentials/openai/approve?of=${id}`)).text).toContain(
      'You asked for it yourself',
    )
    const second = await harness.tokens.create({ name: 'berta', role: 'operator' })
    const berta = await signedIn(harness, second.token)
    expect((await berta.open('/')).text).toContain('ops asked for a revocation.')
    expect((await berta.open(`/credentials/openai/approve?of=${id}`)).text).toContain('Who loses what')
    expect((await berta.submit('/credentials/openai/approve', { of: id })).status).toBe(303)
    expect(harness.service.revoked).toEqual([{ version, reason: undefined, actor: 'ops with berta' }])
  })
})

describe('forgetting a lease', () => {
  it('of an instance that lives needs the name typed', async () => {
    const rows: AuditEntry[] = []
    const harness = await startServer({ audit: { record: (entry) => void rows.push(entry) } })
    // The service of these tests says that all were seen then.
    harness.system.shiftMs = Date.UTC(2026, 0, 2, 3, 5, 0) - harness.system.now()
    await seen(harness, 'web/<1>')
    const browser = await signedIn(harness)
    expect((await browser.open('/credentials/openai')).text).toContain(
      'href="/credentials/openai/forget?of=web%2F%3C1%3E"',
    )
    const path = '/credentials/openai/forget'
    const { text } = await browser.open(`${path}?of=web%2F%3C1%3E`)
    expect(text).toContain('Forgets that web/&lt;1&gt; of web holds the current key')
    expect(text).toContain('name="confirm"')
    expect((await browser.submit(path, { of: 'web/<1>' })).status).toBe(409)
    expect(await harness.service.leases('openai')).toHaveLength(1)
    const done = await browser.submit(path, { of: 'web/<1>', confirm: 'openai' })
    expect(done.location).toBe('/credentials/openai?done=forget')
    expect(await harness.service.leases('openai')).toEqual([])
    const last = rows.at(-1)
    expect([last?.action, last?.outcome, last?.reason]).toEqual(['dropLease', 'done', 'web/<1>'])
  })

  it('of one that has been silent is a click, and of one that is not there is refused', async () => {
    const harness = await startServer()
    await seen(harness, 'web-1')
    harness.system.shiftMs = Date.UTC(2027, 0, 1) - harness.system.now()
    const browser = await signedIn(harness)
    const path = '/credentials/openai/forget'
    expect((await browser.open(`${path}?of=web-1`)).text).not.toContain('name="confirm"')
    expect((await browser.submit(path, { of: 'web-1' })).status).toBe(303)
    expect((await browser.submit(path, { of: 'web-1' })).status).toBe(404)
  })
})

describe('a form', () => {
  it('is kept where the ledger cannot be reached', async () => {
    const away = () => Promise.reject(new KeyturnError('ledger_unreachable', 'the ledger is away'))
    const harness = await startServer({ remember: away })
    const browser = await signedIn(harness)
    const { text } = await browser.open('/credentials/openai/rotate')
    const once = /name="once" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const refused = await browser.submit('/credentials/openai/rotate', { once, reason: 'a new app' })
    expect([refused.status, refused.text.includes('The ledger is away.')]).toEqual([503, true])
    expect(refused.text).toContain('value="a new app"')
  })

  it('that is sent twice is one act', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const { text } = await browser.open('/credentials/openai/rotate')
    const once = /name="once" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const path = '/credentials/openai/rotate'
    const answers = await Promise.all([browser.submit(path, { once }), browser.submit(path, { once })])
    const third = await browser.submit(path, { once })
    expect([...answers, third].map(({ location }) => location)).toEqual(
      Array(3).fill('/credentials/openai?done=rotate'),
    )
    expect(harness.service.rotationsStarted).toHaveLength(1)
  })

  it('that was refused can be sent again', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const { text } = await browser.open('/credentials/openai/rotate')
    const once = /name="once" value="([^"]+)"/.exec(text)?.[1] ?? ''
    harness.service.failNextRotation = new KeyturnError('rotation_in_progress', 'It is being turned.', {
      fix: 'Wait.',
    })
    const path = '/credentials/openai/rotate'
    const refused = await browser.submit(path, { once })
    expect([refused.status, refused.text.includes('It is being turned.')]).toEqual([409, true])
    expect((await browser.submit(path, { once })).status).toBe(303)
  })

  it('of an emergency keeps what was said when it is refused, and refuses what was half said', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const path = '/credentials/openai/emergency'
    const wrong = await browser.submit(path, { isCompromised: 'yes', confirm: 'opneai', reason: 'leak' })
    expect(wrong.text).toMatch(/id="isCompromised"[^>]* checked>/)
    expect(wrong.text).toContain('value="leak"')
    const half = await browser.submit(path, { confirm: 'openai' })
    expect([half.status, half.text.includes('it is not ticked that the key is in the wrong hands')]).toEqual([
      409,
      true,
    ])
    expect(harness.service.rotationsStarted).toEqual([])
  })

  it('takes a key with the blanks that came along, says of rubbish that it is none, and never shows it', async () => {
    const harness = await startServer()
    const browser = await signedIn(harness)
    const path = '/credentials/openai/bring'
    const rubbish = await browser.submit(path, { apiKey: 'two words of rubbish' })
    expect([rubbish.status, rubbish.text.includes('is no key')]).toEqual([400, true])
    expect(rubbish.text).not.toContain('two words')
    expect((await browser.submit(path, { apiKey: ` ${'k'.repeat(30)} ` })).status).toBe(303)
  })
})

describe('an emergency that needs two persons', () => {
  it('waits for the second one, and is done once they approve it', async () => {
    const documents = new Map<string, { value: unknown; revision: number }>()
    const harness = await startServer({
      approvals: {
        rules: () => [{ credentials: ['*'], emergency: 2, revocation: 1 }],
        documents: {
          document: async (key) => documents.get(key),
          async putDocument({ key, value, revision }) {
            documents.set(key, { value, revision: revision + 1 })
            return true
          },
        },
      },
    })
    const anna = await signedIn(harness)
    expect((await anna.submit('/credentials/openai/emergency')).location).toBe(
      '/credentials/openai?done=waiting',
    )
    expect(harness.service.rotationsStarted).toEqual([])
    const { text } = await anna.open('/credentials/openai')
    const id = /id="approve-(apr_[0-9a-f]+)"/.exec(text)?.[1] ?? ''
    // Who asked cannot approve.
    expect((await anna.submit('/credentials/openai/approve', { of: id })).status).toBe(409)
    const second = await harness.tokens.create({ name: 'berta', role: 'operator' })
    const berta = await signedIn(harness, second.token)
    expect((await berta.open(`/credentials/openai/approve?of=${id}`)).text).toContain('ops asked for')
    // It is what was asked for, of the credential it was asked for, once: whatever the form says besides.
    expect((await berta.submit('/credentials/openai-prod/approve', { of: id })).status).toBe(404)
    const more = { of: id, isCompromised: 'yes', confirm: 'openai', reason: 'another', mode: 'normal' }
    expect((await berta.submit('/credentials/openai/approve', more)).status).toBe(303)
    expect((await berta.submit('/credentials/openai/approve', { of: id })).status).toBe(404)
    expect(harness.service.rotationsStarted).toEqual([{ mode: 'emergency' }])
  })
})
