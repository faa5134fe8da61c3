import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { Secret } from '../../src/core/secret.ts'
import { bundleOf } from '../../src/doctor/bundle/bundle.ts'
import { createScrub } from '../../src/doctor/bundle/scrub.ts'
import type { Facts } from '../../src/doctor/facts.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import type { RecordedCall } from '../../src/doctor/recorder.ts'
import { reportOf } from '../../src/doctor/report.ts'
import { createSystem } from '../../src/system.ts'
import { summaryOf } from '../cli/samples.ts'
import { Canaries } from '../system/canaries.ts'
import { emptyFacts } from './context.ts'
import { newKey } from './keys.ts'

const canaries = new Canaries()
const planted = (prefix = ''): string => {
  const secret = prefix + randomBytes(30).toString('base64url')
  canaries.add(secret, prefix)
  return secret
}
const key = newKey()
canaries.add(key, key.slice(0, 8))
const password = planted()
const token = planted('kt_op_')
const database = planted()
const inFile = planted()
const stored = newKey('svcacct')
canaries.add(stored, stored.slice(0, 11))

/** Everything that must not be in it, in one text. */
const everything = [key, token, database, inFile, stored, `https://alice:${password}@proxy:8080`].join(' ')

const call: RecordedCall = {
  at: '2026-11-21T12:00:00.000Z',
  what: `GET https://alice:${password}@api.openai.com/v1/models`,
  tookMs: 12,
  status: 401,
  type: 'invalid_request_error',
  code: 'invalid_api_key',
  requestId: 'req_kept',
  failure: null,
  detail: everything,
  isOverProxy: true,
  headers: { server: `cloudflare ${everything}`, [key]: 'x' },
}

const finding: Finding = {
  code: 'key_unknown',
  severity: 'error',
  seen: `it said: ${everything} for alice.smith@example.com, asmith on devbox-7`,
  cause: `in /home/asmith/secret-project and /Users/bob/x, not in /home/asmithson`,
  fix: everything,
  place: { kind: 'file', path: '/home/asmith/secret-project/.env', line: 1 },
  requestId: 'req_kept',
}

const facts: Facts = {
  ...emptyFacts,
  key: { place: { kind: 'variable', name: 'OPENAI_API_KEY' }, text: new Secret(key) },
  dotenv: [
    {
      path: '.env',
      loaders: [],
      dialect: 'dotenv',
      variables: [
        {
          name: 'MY_SECRET',
          text: new Secret(inFile),
          meant: new Secret(inFile),
          line: 1,
          column: 1,
          isReference: false,
        },
      ],
      faults: [],
    },
  ],
  keyturn: {
    isNamed: true,
    source: 'keyturn.yaml',
    problems: [],
    warnings: [],
    credentials: [
      {
        name: 'openai',
        store: 'vault',
        baseUrl: '',
        expectation: {},
        canMint: true,
        stored: { kind: 'found', secret: new Secret(stored) },
        permissions: [],
        status: summaryOf('openai', {
          troubles: [{ code: 'store_denied', summary: everything, fix: everything, since: null }],
        }),
      },
      {
        name: 'other',
        store: 'aws',
        baseUrl: '',
        expectation: {},
        canMint: true,
        stored: { kind: 'failed', error: new KeyturnError('store_absent', everything) },
        permissions: [],
      },
    ],
  },
}

function bundle() {
  const about = {
    hash: createSystem(),
    version: '9.9.9',
    at: 0,
    folder: '/home/asmith/secret-project',
    isOffline: false,
    steps: [{ name: 'dns', about: everything, state: 'passed', tookMs: 3 } as const],
    proven: { organization: 'org-kept', project: null, models: [] },
    comparisons: [],
  }
  const report = reportOf({ findings: [finding], facts, broken: [], tookMs: 1 }, about)
  return bundleOf(
    { report, calls: [call], facts },
    {
      env: {
        OPENAI_API_KEY: key,
        KEYTURN_TOKEN: token,
        HTTPS_PROXY: `http://alice:${password}@proxy.example:8080`,
        ALL_PROXY: `alice:${password}@proxy.example:8080`,
        DB_PASSWORD: database,
        HOME: '/home/asmith',
      },
      versions: { keyturn: '9.9.9', node: '24.0.0' },
      home: '/home/asmith',
      names: ['asmith', 'devbox-7', 'root'],
    },
  )
}

describe('a bundle for support', () => {
  const text = JSON.stringify(bundle())

  it('holds no piece of any key, token or password, wherever they stood', () => {
    expect(canaries.count).toBe(6)
    expect(canaries.search(new Map([['bundle', text]]))).toEqual([])
    // The search itself is no empty one.
    expect(canaries.search(new Map([['plain', everything]]))).toHaveLength(1)
  })

  it('holds nobody’s address, name, machine or home', () => {
    expect(text).not.toMatch(/alice|example\.com|asmith(?!son)|devbox-7|bob|\/home\/asmith/)
    expect(bundle().report.findings[0]?.cause).toBe(
      'in ~/secret-project and /Users/[user]/x, not in /home/[user]',
    )
  })

  it('holds what support asks for', () => {
    expect(bundle()).toMatchObject({
      versions: { keyturn: '9.9.9' },
      variables: ['ALL_PROXY', 'HTTPS_PROXY', 'KEYTURN_TOKEN', 'OPENAI_API_KEY'],
      proxies: { HTTPS_PROXY: 'http://proxy.example:8080/', ALL_PROXY: 'proxy.example:8080' },
      calls: [{ status: 401, code: 'invalid_api_key', requestId: 'req_kept', tookMs: 12, isOverProxy: true }],
      credentials: [
        { name: 'openai', stored: 'found', troubles: [{ code: 'store_denied' }] },
        { name: 'other', stored: 'store_absent' },
      ],
      report: { proven: { organization: 'org-kept' }, steps: [{ name: 'dns', tookMs: 3 }] },
    })
  })
})

describe('scrubbing', () => {
  const scrub = createScrub({ secrets: ['short1', 'abc'], home: '/', names: ['al', 'root', 'a.b'] })

  it('takes out short secrets whole, and no words of three letters', () => {
    expect(scrub('xshort1x abc')).toBe('x[redacted]x abc')
  })

  it('keeps what is nobody’s name, and takes a name for a text and not for a pattern', () => {
    expect(scrub('root al axb a.b')).toBe('root al axb [user]')
  })

  it('keeps numbers, truth and nothing as they are', () => {
    expect(scrub({ a: 1, b: true, c: null, d: ['short1'] })).toEqual({
      a: 1,
      b: true,
      c: null,
      d: ['[redacted]'],
    })
  })
})
