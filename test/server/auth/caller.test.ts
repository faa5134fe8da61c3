import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { globOf } from '../../../src/core/patterns.ts'
import { createCaller, operatorGrants } from '../../../src/server/auth/caller.ts'

const plain = { id: 'tok_1', name: 'web', kind: 'token' } as const

describe('a caller', () => {
  it('may do what a rule says on the names that its patterns fit, and nothing else', () => {
    const caller = createCaller({
      ...plain,
      grants: [
        { credentials: ['openai', 'team-*'], may: ['read'] },
        { credentials: ['team-a'], may: ['operate'] },
      ],
    })
    expect(['openai', 'team-a', 'team-', 'team', 'xteam-a'].map((name) => caller.may('read', name))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
    expect([caller.may('operate', 'team-a'), caller.may('operate', 'openai')]).toEqual([true, false])
    expect(caller.may('audit', 'openai')).toBe(false)
  })

  it('holds a grant for the service only by the pattern that means all', () => {
    const some = createCaller({ ...plain, grants: [{ credentials: ['a*', '*b'], may: ['operate'] }] })
    expect([some.holds('operate'), some.may('operate')]).toEqual([true, false])
    const all = createCaller({ ...plain, grants: operatorGrants })
    expect([all.holds('metrics'), all.may('operate'), all.may('metrics')]).toEqual([true, true, true])
  })

  it('sees what any grant of a credential is held on; that metrics may be read shows none', () => {
    const auditor = createCaller({ ...plain, grants: [{ credentials: ['openai'], may: ['audit'] }] })
    expect([auditor.sees('openai'), auditor.sees('other')]).toEqual([true, false])
    const gauge = createCaller({ ...plain, grants: [{ credentials: ['*'], may: ['metrics', 'dashboard'] }] })
    expect(gauge.sees('openai')).toBe(false)
  })
})

describe('a pattern', () => {
  it('fits what the regular expression of the same meaning fits', () => {
    const pieces = fc.array(fc.constantFrom('a', 'b', '-', '*'), { maxLength: 8 }).map((all) => all.join(''))
    const names = fc.array(fc.constantFrom('a', 'b', '-'), { maxLength: 8 }).map((all) => all.join(''))
    fc.assert(
      fc.property(pieces, names, (pattern, name) => {
        for (const [never, any] of [
          [[], '.*'],
          [['-'], '[^-]*'],
        ] as const)
          expect(globOf(pattern, never)(name)).toBe(
            new RegExp(`^${pattern.replaceAll('*', any)}$`).test(name),
          )
      }),
      { numRuns: 5_000 },
    )
  })
})
