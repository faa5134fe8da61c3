import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { renderBlastRadius } from '../../src/cli/blast-radius.ts'
import { run } from '../../src/cli/main.ts'
import { plainPaint, visibleLength } from '../../src/cli/text.ts'
import { fakeIo } from './fake-io.ts'
import { type FakeService, fakeService } from './fake-service.ts'
import {
  blastRadiusOf,
  instant,
  inventory,
  operatorToken,
  retirementAt,
  rotationAt,
  start,
  summaryOf,
  tokenSummary,
  versionSummary,
} from './samples.ts'

let service: FakeService

const long = 'billing-of-the-south-eastern-subsidiary-for-test-and-acceptance'
const trouble = {
  code: 'permission_missing',
  summary: 'The service account may not list its keys, so an old key cannot be proven dead.',
  fix: 'Give the admin key the scope api.management.read at platform.openai.com, then keyturn resume it.',
  since: instant(-60),
}
const versions = [
  versionSummary,
  { ...versionSummary, version: 'v-previous-0001', stage: 'previous', isCompromised: true },
]
const all = [
  summaryOf(long, { troubles: [trouble], versions, rotation: rotationAt('done') }),
  summaryOf('openai', { versions, retirements: [retirementAt('draining', { heldBy: '3 apps of billing' })] }),
]

beforeEach(async () => {
  service = await fakeService()
  service.answer('GET /v1/credentials', { items: all })
  service.answer(`GET /v1/credentials/${long}/versions`, { items: versions })
  service.answer(`GET /v1/credentials/${long}/leases`, {
    items: [
      { app: 'billing', instance: 'billing-7c9d8b6f5d-x2x4z@node-14', generation: 3, seenAt: instant(-900) },
      { app: '請求書', instance: 'web-1', generation: 4, seenAt: instant(-5) },
    ],
  })
  service.answer('GET /v1/inventory', {
    ...inventory,
    items: inventory.items.map((item) => ({ ...item, projectName: 'Zahlungsverkehr und Rechnungen 日本' })),
  })
  service.answer('GET /v1/tokens', { items: [{ ...tokenSummary, name: long }] })
  service.answer('GET /v1/audit?after=0', {
    items: [
      {
        seq: 1200,
        at: instant(0),
        kind: 'refusal',
        action: 'getCredential',
        outcome: 'forbidden',
        caller: { name: 'billing-worker-in-production' },
        credential: long,
        source: '2001:db8:85a3::8a2e:370:7334',
      },
    ],
    through: 1200,
    isEnd: true,
  })
})
afterEach(async () => {
  await service.close()
})

const lines = [
  'status',
  `status ${long}`,
  'status openai',
  `versions ${long}`,
  `leases ${long}`,
  'inventory',
  'token list',
  'approve openai',
  'audit list',
  'report openai',
]

async function shown(line: string, options: { readonly columns: number; readonly isTerminal: boolean }) {
  const io = fakeIo({
    ...options,
    now: () => start,
    env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, NO_COLOR: '1' },
  })
  await run(line.split(' '), io)
  return (io.out() + io.err()).trimEnd().split('\n')
}

/** A word with its label that is longer than the line; to be copied, it stays whole. */
function isOneWord(line: string): boolean {
  return !/\S\s\S/.test(line.trim().replace(/^(?:- |\S+(?: \S+){0,3} {2,})/, ''))
}

describe.each([40, 80, 120])('on a terminal of %i columns', (columns) => {
  it.each(lines)('keyturn %s fits', async (line) => {
    const told = await shown(line, { columns, isTerminal: true })
    expect(told.length).toBeGreaterThan(1)
    const wide = told.filter((one) => visibleLength(one) > columns && !isOneWord(one))
    expect(wide).toEqual([])
  })

  it('who loses a key fits', () => {
    const told = renderBlastRadius(
      blastRadiusOf({
        mirrors: [{ id: 'aws/openai', store: 'aws' }],
        holders: [
          {
            app: long,
            instance: 'billing-7c9d8b6f5d-x2x4z',
            generation: 3,
            seenAt: instant(-5),
            isSilent: false,
            isListening: true,
          },
        ],
      }),
      { now: start, out: { paint: plainPaint, noteColumns: columns } },
    )
    expect(told.filter((one) => visibleLength(one) > columns)).toEqual([])
  })
})

describe('through a pipe', () => {
  it.each(lines)('keyturn %s is cut nowhere', async (line) => {
    const told = await shown(line, { columns: 40, isTerminal: false })
    const wide = await shown(line, { columns: 10_000, isTerminal: true })
    expect(told).toEqual(wide)
    expect(told.join('\n')).not.toContain('…')
  })
})

describe('keyturn status', () => {
  it('at 120 columns', async () => {
    expect((await shown('status', { columns: 120, isTerminal: true })).join('\n')).toMatchInlineSnapshot(`
      "CREDENTIAL                                                  VERDICT  KEY           VERIFIED  ROTATES  STATE
      billing-of-the-south-eastern-subsidiary-for-test-and-acce…  valid    0123456789ab  5s ago    in 1h    permission_missing
      openai                                                      valid    0123456789ab  5s ago    in 1h    minting
      billing-of-the-south-eastern-subsidiary-for-test-and-acceptance: The service account may not list its keys, so an old
        key cannot be proven dead.
        fix: Give the admin key the scope api.management.read at platform.openai.com, then keyturn resume it."
    `)
  })

  it('at 80 columns', async () => {
    expect((await shown('status', { columns: 80, isTerminal: true })).join('\n')).toMatchInlineSnapshot(`
      "CREDENTIAL          VERDICT  KEY           VERIFIED  ROTATES  STATE
      billing-of-the-so…  valid    0123456789ab  5s ago    in 1h    permission_missing
      openai              valid    0123456789ab  5s ago    in 1h    minting
      billing-of-the-south-eastern-subsidiary-for-test-and-acceptance: The service
        account may not list its keys, so an old key cannot be proven dead.
        fix: Give the admin key the scope api.management.read at platform.openai.com,
          then keyturn resume it."
    `)
  })

  it('at 40 columns', async () => {
    expect((await shown('status', { columns: 40, isTerminal: true })).join('\n')).toMatchInlineSnapshot(`
      "CREDENTIAL        VERDICT  STATE
      billing-of-the-…  valid    permission_m…
      openai            valid    minting
      billing-of-the-south-eastern-subsidiary-for-test-and-acceptance:
        The service account may not list its
        keys, so an old key cannot be proven
        dead.
        fix: Give the admin key the scope
          api.management.read at
          platform.openai.com, then keyturn
          resume it."
    `)
  })
})

describe('keyturn versions', () => {
  it('at 80 columns', async () => {
    const told = await shown(`versions ${long}`, { columns: 80, isTerminal: true })
    expect(told.join('\n')).toMatchInlineSnapshot(`
      "VERSION   STAGE                   FINGERPRINT   VERDICT  CHECKED  EXPIRES
      v-curren  current                 0123456789ab  valid    5s ago   in 1d
      v-previo  previous (compromised)  0123456789ab  valid    5s ago   in 1d"
    `)
  })

  it('at 40 columns', async () => {
    const told = await shown(`versions ${long}`, { columns: 40, isTerminal: true })
    expect(told.join('\n')).toMatchInlineSnapshot(`
      "v-curren
        stage        current
        fingerprint  0123456789ab
        verdict      valid
        checked      5s ago
        origin       minted
        added        1m ago
        expires      in 1d
      v-previo
        stage        previous (compromised)
        fingerprint  0123456789ab
        verdict      valid
        checked      5s ago
        origin       minted
        added        1m ago
        expires      in 1d"
    `)
  })
})

describe('colours', () => {
  const status = async (env: Readonly<Record<string, string>>, isTerminal = true): Promise<boolean> => {
    const own = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken }
    const io = fakeIo({ isTerminal, now: () => start, env: { ...own, ...env } })
    await run(['status'], io)
    return io.out().includes('\u001b[')
  }

  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ TERM: 'dumb' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
  ])('with %o and a terminal: %s', async (env, isTerminal, expected) => {
    expect(await status(env, isTerminal)).toBe(expected)
  })

  it('are on the end that is a terminal, and not on the other', async () => {
    const io = fakeIo({ isTerminal: true, now: () => start, env: { KEYTURN_URL: 'http://127.0.0.1:1' } })
    const stdout = { ...io.stdout, isTerminal: false }
    await run(['status'], { ...io, stdout })
    expect(io.err()).toContain('\u001b[31merror:')
    await run(['status'], {
      ...io,
      stdout,
      env: { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken },
    })
    expect(io.out()).not.toContain('\u001b')
  })

  it('never are in JSON', async () => {
    const env = { KEYTURN_URL: service.url, KEYTURN_OPERATOR_TOKEN: operatorToken, FORCE_COLOR: '1' }
    const io = fakeIo({ isTerminal: true, env })
    await run(['status', '--json'], io)
    expect(io.out()).not.toContain('\u001b')
  })
})
