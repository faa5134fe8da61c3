import { describe, expect, it } from 'vitest'
import { withoutExplained } from '../../src/doctor/explained.ts'
import type { Finding } from '../../src/doctor/finding.ts'

const at = (code: Finding['code'], place: Finding['place']): Finding => ({
  code,
  severity: 'error',
  seen: 'seen',
  cause: 'cause',
  fix: 'fix',
  ...(place === undefined ? {} : { place }),
})
const variable = { kind: 'variable', name: 'OPENAI_API_KEY' } as const
const file = (path: string) => ({ kind: 'file', path, line: 1 }) as const
const codes = (findings: readonly Finding[]) => withoutExplained(findings).map(({ code }) => code)

describe('one cause is told once', () => {
  it('no key anywhere is left out where another finding says why', () => {
    const missing = at('key_missing', variable)
    expect(codes([missing])).toEqual(['key_missing'])
    expect(codes([missing, at('config_map_holds_key', file('map.yaml'))])).toEqual(['config_map_holds_key'])
    expect(codes([missing, at('platform_variable_missing', file('.github/workflows/ci.yml'))])).toEqual([
      'platform_variable_missing',
    ])
    // Compose passes on what is nowhere: there is none to pass on.
    expect(codes([missing, at('compose_variable_empty', file('compose.yaml'))])).toEqual([
      'key_missing',
      'compose_variable_empty',
    ])
    expect(codes([missing, at('client_outdated', file('package.json'))])).toEqual([
      'key_missing',
      'client_outdated',
    ])
  })

  it('so is that a platform sets none, where a manifest of it is told', () => {
    const unset = at('platform_variable_missing', variable)
    expect(codes([unset])).toEqual(['platform_variable_missing'])
    expect(withoutExplained([unset, at('platform_variable_missing', file('vercel.json'))])).toHaveLength(1)
  })

  it('an unknown key is left out where its text is told, at that place only', () => {
    const unknown = at('key_unknown', variable)
    expect(codes([at('key_cut_off', variable), unknown])).toEqual(['key_cut_off'])
    const inFile = { ...file('.env'), column: 16 }
    expect(codes([at('dotenv_malformed', file('.env')), at('key_unknown', inFile)])).toEqual([
      'dotenv_malformed',
    ])
    expect(codes([at('key_cut_off', file('.env')), unknown])).toEqual(['key_cut_off', 'key_unknown'])
  })

  it('a key for browsers is left out where the line is told that hands it over', () => {
    const held = at('key_in_browser', file('.env'))
    expect(codes([held])).toEqual(['key_in_browser'])
    expect(codes([held, at('client_in_browser', file('app.tsx'))])).toEqual(['client_in_browser'])
  })
})
