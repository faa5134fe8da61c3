import { describe, expect, it } from 'vitest'
import type { Check } from '../../src/doctor/check.ts'
import { examine } from '../../src/doctor/examine.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { emptyFacts, testDoctor } from './context.ts'

const finding = (code: Finding['code'], severity: Finding['severity'], line = 1): Finding => ({
  code,
  severity,
  seen: 'seen',
  cause: 'cause',
  fix: 'fix',
  place: { kind: 'file', path: '.env', line },
})
const check = (name: string, findings: readonly Finding[], needsNetwork = false): Check => ({
  name,
  needsNetwork,
  run: async () => findings,
})

describe('an examination', () => {
  it('tells the worst first, and one cause at one place once', async () => {
    const { findings } = await examine(testDoctor(), {
      gather: async () => emptyFacts,
      checks: [
        check('one', [finding('dotenv_duplicate', 'warning'), finding('key_placeholder', 'error')]),
        check('two', [finding('key_placeholder', 'error'), finding('key_placeholder', 'error', 2)]),
      ],
    })
    expect(findings.map(({ code, place }) => [code, place])).toEqual([
      ['key_placeholder', { kind: 'file', path: '.env', line: 1 }],
      ['key_placeholder', { kind: 'file', path: '.env', line: 2 }],
      ['dotenv_duplicate', { kind: 'file', path: '.env', line: 1 }],
    ])
  })

  it('leaves the network alone where it is told to', async () => {
    const { findings } = await examine(testDoctor({ options: { isOffline: true } }), {
      gather: async () => emptyFacts,
      checks: [check('network', [finding('dns_failed', 'error')], true)],
    })
    expect(findings).toEqual([])
  })

  it('goes on where a check breaks, and says so', async () => {
    const { findings, broken } = await examine(testDoctor(), {
      gather: async () => emptyFacts,
      checks: [
        { name: 'bad', needsNetwork: false, run: () => Promise.reject(new TypeError('no')) },
        check('good', [finding('key_missing', 'error')]),
      ],
    })
    expect(findings.map(({ code }) => code)).toEqual(['key_missing'])
    expect(broken).toEqual([{ check: 'bad', code: 'internal' }])
  })
})
