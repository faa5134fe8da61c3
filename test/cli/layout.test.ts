import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { facts, fold, layOut, type Table } from '../../src/cli/layout.ts'
import { colourPaint, cut, visibleLength } from '../../src/cli/text.ts'

const whole: Table = {
  columns: [
    { title: 'NAME', least: 8 },
    { title: 'KEY' },
    { title: 'STATE', leaves: 2 },
    { title: 'SEEN', leaves: 1 },
  ],
  rows: [
    ['openai', '0123456789ab', 'proving', '5s ago'],
    ['a-name-that-is-rather-long', 'ba9876543210', '-', '1h ago'],
  ],
}

describe('a table', () => {
  it('is whole where there is room, and where it goes to no terminal', () => {
    const lines = [
      'NAME                        KEY           STATE    SEEN',
      'openai                      0123456789ab  proving  5s ago',
      'a-name-that-is-rather-long  ba9876543210  -        1h ago',
    ]
    expect(layOut(whole, 57)).toEqual(lines)
    expect(layOut(whole, Number.POSITIVE_INFINITY)).toEqual(lines)
  })

  it('is cut first, where that is allowed', () => {
    expect(layOut(whole, 50)).toEqual([
      'NAME                 KEY           STATE    SEEN',
      'openai               0123456789ab  proving  5s ago',
      'a-name-that-is-rat…  ba9876543210  -        1h ago',
    ])
  })

  it('then has fewer columns, the least needed first', () => {
    expect(layOut(whole, 36)).toEqual([
      'NAME           KEY           STATE',
      'openai         0123456789ab  proving',
      'a-name-that-…  ba9876543210  -',
    ])
    expect(layOut(whole, 22)).toEqual(['NAME      KEY', 'openai    0123456789ab', 'a-name-…  ba9876543210'])
  })

  it('is in blocks of all fields at last, without those that say nothing', () => {
    expect(layOut(whole, 21)).toEqual([
      'openai',
      '  key    0123456789ab',
      '  state  proving',
      '  seen   5s ago',
      'a-name-that-is-rathe…',
      '  key   ba9876543210',
      '  seen  1h ago',
    ])
  })

  it('never is wider than what there is, whatever stands in it', () => {
    const word = fc
      .string({ unit: 'grapheme', maxLength: 30 })
      .map((text) => text.replaceAll(/[\s\p{C}]/gu, 'x'))
    const tables = fc.array(fc.tuple(word, word, word, word), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(tables, fc.integer({ min: 40, max: 130 }), (rows, width) => {
        const lines = layOut({ ...whole, rows }, width)
        // A single word that is longer than the line stays whole where nothing else stands on it.
        const longest = Math.max(...rows.flat().map(visibleLength)) + 9
        for (const line of lines) expect(visibleLength(line)).toBeLessThanOrEqual(Math.max(width, longest))
      }),
    )
  })
})

describe('the room that text takes', () => {
  it.each([
    ['openai', 6],
    ['日本語', 6],
    ['ｆｕｌｌ', 8],
    ['한국', 4],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['✓', 1],
    ['a\u200bb', 2],
    ['❤️', 2],
    [colourPaint('red', '日本'), 4],
  ])('%s', (text, columns) => {
    expect(visibleLength(text)).toBe(columns)
  })

  it('is counted when it is cut, and a colour stays', () => {
    expect(cut('日本語', 4)).toBe('日…')
    expect(cut('日本語', 6)).toBe('日本語')
    expect(cut('👩‍👩‍👧 family', 4)).toBe('👩‍👩‍👧 …')
    expect(cut(colourPaint('red', 'rejected'), 4)).toBe(colourPaint('red', 'rej…'))
  })

  it('keeps the columns of a table straight', () => {
    const columns = [{ title: 'A' }, { title: 'B' }]
    expect(
      layOut(
        {
          columns,
          rows: [
            ['日本', 'x'],
            ['abcd', 'y'],
          ],
        },
        80,
      ),
    ).toEqual(['A     B', '日本  x', 'abcd  y'])
  })
})

describe('long lines', () => {
  it('go on under their text', () => {
    expect(fold('  because        found in a log of the web server', 34)).toEqual([
      '  because        found in a log of',
      '                 the web server',
    ])
    expect(fold('  - one two three four', 12)).toEqual(['  - one two', '    three', '    four'])
    expect(fold('short', 30)).toEqual(['short'])
  })

  it('that are facts stand straight', () => {
    const rows = [
      ['key', '0123456789ab'],
      ['belongs to', 'org-a / proj_a'],
    ] as const
    expect(facts(rows, 20)).toEqual([
      '  key         0123456789ab',
      '  belongs to  org-a',
      '              /',
      '              proj_a',
    ])
  })
})
