import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { Secret } from '../../src/core/secret.ts'
import type { Check } from '../../src/doctor/check.ts'
import type { Facts, KeyturnCredential, KeyturnFacts } from '../../src/doctor/facts.ts'
import { configuration } from '../../src/doctor/keyturn/configuration.ts'
import { rotation } from '../../src/doctor/keyturn/rotation.ts'
import { service } from '../../src/doctor/keyturn/service.ts'
import { shared } from '../../src/doctor/keyturn/shared.ts'
import { stores } from '../../src/doctor/keyturn/stores.ts'
import { createSystem } from '../../src/system.ts'
import { instant, retirementAt, rotationAt, start, summaryOf } from '../cli/samples.ts'
import { emptyFacts, testDoctor } from './context.ts'
import { newKey } from './keys.ts'

const dayMs = 86_400_000

const healthy: KeyturnCredential = {
  name: 'openai',
  store: 'vault',
  baseUrl: 'https://api.openai.com/v1',
  expectation: {},
  canMint: true,
  rotatesEveryMs: 92 * dayMs,
  stored: { kind: 'found', secret: new Secret(newKey()), createdAt: start - 80 * dayMs },
  permissions: [{ permission: 'update', resource: 'secret/openai', state: 'granted' }],
  status: summaryOf('openai', { rotation: null }),
}
const { status: _status, ...unserved } = healthy

function isList(
  change: Partial<KeyturnFacts> | readonly KeyturnCredential[],
): change is readonly KeyturnCredential[] {
  return Array.isArray(change)
}

function keyturn(change: Partial<KeyturnFacts> | readonly KeyturnCredential[]): Facts {
  const given = isList(change) ? { credentials: change } : change
  return {
    ...emptyFacts,
    keyturn: {
      isNamed: true,
      source: 'keyturn.yaml',
      problems: [],
      warnings: [],
      credentials: [healthy],
      ...given,
    },
  }
}

async function found(check: Check, facts: Facts) {
  const system = { ...createSystem(), now: () => start }
  const findings = await check.run(facts, testDoctor({ system }))
  return findings.map(({ code, severity, seen, fix }) => ({ code, severity, seen, fix }))
}

const all = [configuration, stores, service, rotation, shared]

describe('the checks of Keyturn', () => {
  it.each(all.map((check) => [check.name, check] as const))(
    '%s: silent where all is well',
    async (_, check) => {
      expect(await found(check, keyturn({}))).toEqual([])
      expect(await found(check, keyturn([unserved]))).toEqual([])
      expect(await found(check, emptyFacts)).toEqual([])
    },
  )

  it('stores that were not asked, since the configuration was only found: a note, before a deploy a warning', async () => {
    const far: KeyturnCredential = { ...healthy, store: 'vault', stored: { kind: 'unread' } }
    const facts = keyturn({ isNamed: false, credentials: [far, healthy] })
    const [note] = await stores.run(facts, testDoctor())
    expect(note).toMatchObject({
      code: 'stores_unasked',
      severity: 'note',
      fix: 'Where the file is yours: keyturn doctor --config keyturn.yaml',
    })
    const thorough = testDoctor({ options: { isThorough: true } })
    expect(await stores.run(facts, thorough)).toMatchObject([{ severity: 'warning' }])
    expect(await stores.run(keyturn({ isNamed: true, credentials: [far] }), testDoctor())).toEqual([])
    expect(await stores.run(facts, testDoctor({ options: { isOffline: true } }))).toEqual([])
  })

  it('a configuration that is wrong: at its line, with what to write instead', async () => {
    const problem = {
      message: "credentials.openai: 'stor' is not known",
      fix: "Did you mean 'store'?",
      line: 3,
      column: 5,
    }
    const facts = keyturn({
      problems: [problem],
      credentials: [],
      warnings: [{ message: 'odd', fix: 'mend' }],
    })
    expect(await configuration.run(facts, testDoctor())).toMatchObject([
      { code: 'config_invalid', severity: 'error', place: { path: 'keyturn.yaml', line: 3, column: 5 } },
      { code: 'config_invalid', severity: 'warning', seen: 'odd', fix: 'mend' },
    ])
  })

  it.each([
    ['store_denied', 'store_denied'],
    ['permissions_lax', 'store_denied'],
    ['store_absent', 'store_absent'],
    ['store_disabled', 'store_disabled'],
    ['store_throttled', 'store_unreachable'],
    ['store_unreachable', 'store_unreachable'],
    ['store_malformed', 'store_malformed'],
    ['store_too_large', 'store_malformed'],
    ['package_missing', 'config_invalid'],
  ] as const)('T34: a store that fails with %s is %s, in its own words', async (code, expected) => {
    const error = new KeyturnError(code, 'secret/openai may not be read.', {
      fix: 'Grant read on secret/data/openai.',
    })
    expect(await found(stores, keyturn([{ ...healthy, stored: { kind: 'failed', error } }]))).toEqual([
      {
        code: expected,
        severity: 'error',
        seen: `secret/openai may not be read (${code})`,
        fix: 'Grant read on secret/data/openai.',
      },
    ])
  })

  it('T34: an empty store, but not where Keyturn puts the first key there itself', async () => {
    const absent = { ...healthy, stored: { kind: 'absent' } as const }
    expect(await found(stores, keyturn([absent]))).toEqual([])
    expect(await found(stores, keyturn([{ ...absent, canMint: false }]))).toMatchObject([
      { code: 'store_absent', fix: 'keyturn bring openai < key.txt' },
    ])
  })

  it('T34: a variable that the configuration names and nobody has set', async () => {
    const unset = {
      ...healthy,
      store: 'env',
      ref: 'APP_KEY',
      canMint: false,
      stored: { kind: 'absent' },
    } as const
    const [finding] = await found(stores, keyturn([unset]))
    expect(finding?.seen).toBe('APP_KEY, which the configuration names for openai, is not set')
    expect(finding?.fix.split('\n').at(-1)).toBe('read -rs APP_KEY && export APP_KEY')
  })

  it('T34: the permission that is missing, by its own name', async () => {
    const missing = {
      permission: 'update',
      resource: 'secret/data/openai',
      state: 'missing',
      fix: 'Add update.',
    } as const
    expect(await found(stores, keyturn([{ ...healthy, permissions: [missing] }]))).toMatchObject([
      { code: 'store_denied', seen: 'vault does not allow update on secret/data/openai', fix: 'Add update.' },
    ])
  })

  it('K02: a service that is named and away, or refuses the token', async () => {
    const problem = new KeyturnError('service_unreachable', 'no Keyturn answers at http://h:1', {
      fix: 'Start it.',
    })
    expect(await found(service, keyturn({ service: { url: 'http://h:1', problem } }))).toEqual([
      { code: 'service_unreachable', severity: 'error', seen: problem.message, fix: 'Start it.' },
    ])
    expect(await found(service, keyturn({ service: { url: 'http://h:1' } }))).toEqual([])
  })

  describe('T32', () => {
    const halt = {
      from: 'minting',
      reason: 'refused',
      summary: 'It was refused.',
      fix: 'Look.',
      at: instant(-60),
    }

    it('a rotation that halted, and not that it is late as well', async () => {
      const status = summaryOf('openai', {
        rotation: rotationAt('minting', { halt }),
        rotatesAt: instant(-30 * 86_400),
      })
      expect(await found(rotation, keyturn([{ ...healthy, status }]))).toEqual([
        {
          code: 'rotation_halted',
          severity: 'error',
          seen: `halted in minting since ${instant(-60)}: It was refused`,
          fix: 'Look.\nkeyturn resume openai',
        },
      ])
    })

    it('a retirement that halted; not one that has ended since', async () => {
      const withRetirement = (endedAt: string | null) =>
        keyturn([
          {
            ...healthy,
            status: summaryOf('openai', {
              rotation: null,
              retirements: [retirementAt('halted', { halt, endedAt })],
            }),
          },
        ])
      expect(await found(rotation, withRetirement(null))).toMatchObject([{ code: 'rotation_halted' }])
      expect(await found(rotation, withRetirement(instant(-1)))).toEqual([])
    })

    it.each([
      ['due six hours ago and a bit', { rotatesAt: instant(-6 * 3_600 - 1) }, 1],
      ['due an hour ago: it may wait for its jitter', { rotatesAt: instant(-3_600) }, 0],
      ['due long ago, in a blackout', { rotatesAt: instant(-86_400), blackoutUntil: instant(60) }, 0],
      ['due long ago, and under way', { rotatesAt: instant(-86_400), rotation: rotationAt('minting') }, 0],
      ['never due', { rotatesAt: null }, 0],
    ] as const)('%s', async (_, change, count) => {
      const status = summaryOf('openai', { rotation: null, ...change })
      const findings = await found(rotation, keyturn([{ ...healthy, status }]))
      expect(findings.map(({ code }) => code)).toEqual(
        Array.from({ length: count }, () => 'rotation_overdue'),
      )
    })

    it('a key older than its schedule, where no service can be asked', async () => {
      const aged = (days: number) =>
        keyturn([
          {
            ...unserved,
            stored: { kind: 'found', secret: new Secret(newKey()), createdAt: start - days * dayMs },
          },
        ])
      expect(await found(rotation, aged(95))).toMatchObject([
        {
          code: 'rotation_overdue',
          severity: 'warning',
          seen: 'the key is 95 days old, and is turned every 92 days at least',
          fix: 'keyturn rotate openai --wait',
        },
      ])
      expect(await found(rotation, aged(93))).toEqual([])
    })
  })

  describe('T33', () => {
    const inFiles = (paths: readonly string[], text = new Secret(newKey())): Facts => ({
      ...emptyFacts,
      keys: paths.map((path) => ({ place: { kind: 'file', path, line: 1 }, text })),
    })

    it.each([
      ['two environments', ['.env', '.env.production']],
      ['two environments, named in two manners', ['deploy/staging.env', 'deploy/prod.env']],
      ['two apps', ['apps/web/.env', 'apps/worker/.env']],
    ])('one key in %s', async (_, paths) => {
      expect(await found(shared, inFiles(paths))).toMatchObject([{ code: 'key_shared', severity: 'warning' }])
    })

    it.each([
      ['a .env and what this developer changes of it', ['.env', '.env.local']],
      ['development and tests', ['.env.development', '.env.test']],
      ['an app in a project, and the project', ['.env', 'api/.env']],
      ['a template', ['.env', '.env.production.example']],
      ['source', ['.env', 'src/app.ts']],
    ])('not: %s', async (_, paths) => {
      expect(await found(shared, inFiles(paths))).toEqual([])
    })

    it('not a placeholder, and not keys that differ', async () => {
      expect(await found(shared, inFiles(['.env', '.env.production'], new Secret('changeme')))).toEqual([])
      const keys = ['.env', '.env.production'].map((path) => ({
        place: { kind: 'file', path } as const,
        text: new Secret(newKey()),
      }))
      expect(await found(shared, { ...emptyFacts, keys })).toEqual([])
    })

    it('two credentials with one key; but not one that is read from the app’s own .env', async () => {
      const twins = [healthy, { ...healthy, name: 'reports' }]
      expect(await found(shared, keyturn(twins))).toMatchObject([
        { code: 'key_shared', seen: expect.stringContaining('openai in vault and in reports in vault') },
      ])
      const text = healthy.stored.kind === 'found' ? healthy.stored.secret : new Secret(newKey())
      const keys = [{ place: { kind: 'file', path: '.env' } as const, text }]
      expect(await found(shared, { ...keyturn({}), keys })).toEqual([])
    })
  })
})
