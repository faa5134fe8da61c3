import { describe, expect, it } from 'vitest'
import { errnoOf, errnoText } from '../../src/core/errno.ts'
import { fieldOf, isRecord, parseJson } from '../../src/core/json.ts'

describe('JSON of others', () => {
  it('is a value, or undefined where it is none', () => {
    expect([parseJson('{"a":[1]}'), parseJson('null'), parseJson('{'), parseJson('')]).toEqual([
      { a: [1] },
      null,
      undefined,
      undefined,
    ])
  })

  it('has fields where it is an object alone, and none that every object has', () => {
    const values = [{}, [], null, 'text', 1, undefined]
    expect(values.map(isRecord)).toEqual([true, false, false, false, false, false])
    expect(fieldOf({ a: 1 }, 'a')).toBe(1)
    expect([fieldOf({}, 'constructor'), fieldOf(['x'], '0'), fieldOf(null, 'a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('a failure', () => {
  it('is known by its code alone, never by its words', () => {
    const failure = Object.assign(new Error('open /srv/secret: no such file'), { code: 'ENOENT' })
    expect([errnoOf(failure), errnoText(failure)]).toEqual(['ENOENT', 'ENOENT'])
    for (const other of [new Error('words'), Object.assign(new Error('x'), { code: 7 }), { code: 'E' }, 'E'])
      expect([errnoOf(other), errnoText(other)]).toEqual([undefined, 'no reason given'])
  })
})
