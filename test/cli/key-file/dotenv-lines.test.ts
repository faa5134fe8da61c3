import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isInDotenv, removeFromDotenv, setInDotenv } from '../../../src/cli/key-file/dotenv-lines.ts'
import { dialects } from '../../../src/doctor/dotenv/dialects.ts'
import { readDotenv } from '../../../src/doctor/dotenv/read.ts'

const set = (text: string, value = 'new-key') => setInDotenv(text, [{ name: 'KEY', value }])

describe('a .env', () => {
  it.each([
    ['nothing', '', 'KEY=new-key\n'],
    ['no end of the last line', 'A=1', 'A=1\nKEY=new-key\n'],
    ['a bare value', 'A=1\nKEY=old\nB=2\n', 'A=1\nKEY=new-key\nB=2\n'],
    ['line ends of Windows', 'A=1\r\nKEY=old\r\n', 'A=1\r\nKEY=new-key\r\n'],
    ['line ends of Windows, and nothing to replace', 'A=1\r\n', 'A=1\r\nKEY=new-key\r\n'],
    ['export, indentation and blanks', '  export KEY = old', '  export KEY = new-key'],
    ['double quotes and a comment', 'KEY="old" # mine\n', 'KEY="new-key" # mine\n'],
    ['single quotes', "KEY='old'", "KEY='new-key'"],
    ['backticks, which a shell would run', 'KEY=`old`', 'KEY=new-key'],
    ['a comment behind a bare value', 'KEY=old # mine', 'KEY=new-key # mine'],
    ['no value', 'KEY=\nA=1', 'KEY=new-key\nA=1'],
    ['the same name twice', 'KEY=a\nKEY=b\n', 'KEY=new-key\nKEY=new-key\n'],
    ['a value over lines', 'KEY="a\nb"\nA=1\n', 'KEY="new-key"\nA=1\n'],
    ['the name inside of a value over lines', 'A="\nKEY=inner\n"\n', 'A="\nKEY=inner\n"\nKEY=new-key\n'],
    ['the name in a comment', '# KEY=old\n', '# KEY=old\nKEY=new-key\n'],
    ['names that begin or end alike', 'MY_KEY=1\nKEY_2=2\n', 'MY_KEY=1\nKEY_2=2\nKEY=new-key\n'],
    ['a byte order mark', '\uFEFFKEY=old\n', '\uFEFFKEY=new-key\n'],
    ['a quote of the value itself', 'KEY="a\\"b" # mine\n', 'KEY="new-key" # mine\n'],
    ['a value of several pieces', 'KEY="a"b"c"\nA="1"\n', 'KEY=new-key\nA="1"\n'],
    ['a quote that is not closed', 'KEY="old\nA=1\n', 'KEY=new-key\nA=1\n'],
  ])('with %s', (_what, before, expected) => {
    expect(set(before)).toBe(expected)
    expect(set(expected)).toBe(expected)
    expect(isInDotenv(expected, 'KEY')).toBe(true)
  })

  it('gets quotes where a reader would take the value for something else', () => {
    expect(set('', 'a b#c$d')).toBe("KEY='a b#c$d'\n")
    expect(() => set('', "it's")).toThrow(/the value of KEY cannot be written/)
  })

  it('loses the line again only where the value is ours', () => {
    expect(removeFromDotenv('A=1\nKEY="x"\nKEY=y\n', [{ name: 'KEY', value: 'x' }])).toBe('A=1\nKEY=y\n')
  })

  it('keeps every other line byte for byte, and every reader reads the new value', () => {
    const piece = fc.constantFrom(
      'A=1',
      'B="x y"',
      "C='z' # c",
      '# KEY=no',
      '',
      '   ',
      'D: 4',
      'export E=5',
      'KEY=old',
      'KEY="old"',
      'F="a\nb"',
      'junk',
    )
    const end = fc.constantFrom('\n', '\r\n')
    fc.assert(
      fc.property(fc.array(fc.tuple(piece, end), { maxLength: 12 }), (lines) => {
        const before = lines.map(([text, after]) => text + after).join('')
        const after = set(before)
        const others = (text: string) => text.split('\n').filter((line) => !line.startsWith('KEY='))
        expect(others(after)).toEqual(others(before))
        for (const name of ['dotenv', 'node', 'python', 'compose'] as const)
          expect(readDotenv(after, dialects[name]).findLast((entry) => entry.name === 'KEY')?.value).toBe(
            'new-key',
          )
      }),
      { numRuns: 200 },
    )
  })
})
