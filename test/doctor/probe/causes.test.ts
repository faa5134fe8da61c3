import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/core/secret.ts'
import { verdictRows } from '../../../src/core/verdict-rows.ts'
import { findingKinds } from '../../../src/doctor/catalogue.ts'
import { codeOfCause } from '../../../src/doctor/probe/causes.ts'
import { shownWithout } from '../../../src/doctor/probe/shown.ts'

describe('the causes of verdicts', () => {
  it('all have a finding, or a reason to have none, and no cause is made up', () => {
    expect(Object.keys(codeOfCause).toSorted()).toEqual(verdictRows.map(({ cause }) => cause).toSorted())
    for (const code of Object.values(codeOfCause))
      if (code !== null) expect(findingKinds).toHaveProperty(code)
  })

  it('leave none without a finding where calls fail', () => {
    const silent = verdictRows.filter(({ cause }) => codeOfCause[cause] === null).map(({ cause }) => cause)
    expect(silent).toEqual([
      'request_too_large',
      'valid',
      'probe_aborted',
      'key_malformed',
      'belonging_untold',
      'not_probed',
    ])
  })
})

describe('what a server says', () => {
  const text = ['sk', 'proj', 'Zq8Wv3Lm5Xt7Rb1N'].join('-')
  const shown = shownWithout([new Secret(text)])

  it.each([
    ['nginx/1.2', 'nginx/1.2'],
    ['a\r\nb\u0000c\u001b[31m', 'a b c [31m'],
    ['x'.repeat(500), 'x'.repeat(80)],
    ['sk-proj-', 'sk-proj-'],
    ['echo 8Wv3', '[withheld]'],
    [`Bearer ${text}`, 'Bearer [redacted]'],
  ])('%j is shown as %j', (said, seen) => {
    expect(shown(said)).toBe(seen)
  })
})
