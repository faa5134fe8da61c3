import { parseEnv } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DialectName, dialects } from '../../../src/doctor/dotenv/dialects.ts'
import { linesMax, readDotenv } from '../../../src/doctor/dotenv/read.ts'

const read = (text: string, dialect: DialectName = 'dotenv') =>
  Object.fromEntries(readDotenv(text, dialects[dialect]).map(({ name, value }) => [name, value]))

describe('a dotenv file is read as its loader reads it', () => {
  it.each<readonly [string, Readonly<Partial<Record<DialectName, Readonly<Record<string, string>>>>>]>([
    [
      'A=x',
      { dotenv: { A: 'x' }, node: { A: 'x' }, python: { A: 'x' }, docker: { A: 'x' }, shell: { A: 'x' } },
    ],
    [
      'A = x',
      {
        dotenv: { A: 'x' },
        node: { A: 'x' },
        python: { A: 'x' },
        compose: { A: 'x' },
        docker: {},
        shell: {},
      },
    ],
    ['export A=x', { dotenv: { A: 'x' }, python: { A: 'x' }, shell: { A: 'x' }, docker: {} }],
    ['A="x"', { dotenv: { A: 'x' }, python: { A: 'x' }, docker: { A: '"x"' } }],
    ['A=`x`', { dotenv: { A: 'x' }, node: { A: 'x' }, python: { A: '`x`' } }],
    ['A="x', { dotenv: { A: '"x' }, node: { A: '"x' }, python: {}, docker: { A: '"x' } }],
    ['A="x"y', { dotenv: { A: 'x' }, node: { A: 'x' }, python: {} }],
    ['A=x # y', { dotenv: { A: 'x' }, node: { A: 'x' }, python: { A: 'x' }, docker: { A: 'x # y' } }],
    ['A=x#y', { dotenv: { A: 'x' }, node: { A: 'x' }, python: { A: 'x#y' }, docker: { A: 'x#y' } }],
    ['A: x', { dotenv: { A: 'x' }, node: {}, python: {}, compose: { A: 'x' } }],
    [
      'A="x\ny"\nB=z',
      { dotenv: { A: 'x\ny', B: 'z' }, node: { A: 'x\ny', B: 'z' }, python: { A: 'x\ny', B: 'z' } },
    ],
    ['A="x\nB=z', { dotenv: { A: '"x', B: 'z' }, node: { A: '"x', B: 'z' }, python: { B: 'z' } }],
    [
      'A=x\r\nB=y\r\n',
      { dotenv: { A: 'x', B: 'y' }, docker: { A: 'x', B: 'y' }, shell: { A: 'x\r', B: 'y\r' } },
    ],
    [
      '\uFEFFA=x',
      { dotenv: { A: 'x' }, node: { '\uFEFFA': 'x' }, python: { '\uFEFFA': 'x' }, compose: { A: 'x' } },
    ],
    ['A="x\\ny"', { dotenv: { A: 'x\ny' }, node: { A: 'x\ny' }, python: { A: 'x\ny' } }],
    ['# A=x\n\n  B=y  ', { dotenv: { B: 'y' }, node: { B: 'y' }, python: { B: 'y' }, docker: { B: 'y  ' } }],
    ['A=\nB=', { dotenv: { A: '', B: '' }, python: { A: '', B: '' }, docker: { A: '', B: '' } }],
    ['A=x\nA=y', { dotenv: { A: 'y' }, node: { A: 'y' }, python: { A: 'y' } }],
  ])('%j', (text, expected) => {
    for (const [dialect, variables] of Object.entries(expected))
      expect([dialect, read(text, dialect as DialectName)]).toEqual([dialect, variables])
  })

  it('knows where each value stands', () => {
    expect(readDotenv('# a\r\nexport A = "x"\nB=y', dialects.dotenv)).toEqual([
      { name: 'A', value: 'x', line: 2, column: 13, quote: '"', lines: 1 },
      { name: 'B', value: 'y', line: 3, column: 3, lines: 1 },
    ])
  })

  it('agrees with Node about whatever both claim to read', () => {
    const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,12}$/)
    const plain = fc.stringMatching(/^[A-Za-z0-9_./:+-]{1,40}$/)
    const inner = fc.stringMatching(/^[A-Za-z0-9 _#=:\n-]{0,40}$/)
    const value = fc.oneof(
      plain,
      inner.map((text) => `"${text}"`),
      inner.map((text) => `'${text}'`),
      inner.map((text) => `\`${text}\``),
    )
    const gap = fc.constantFrom('', ' ', '  ', '\t')
    const assignment = fc
      .tuple(
        fc.constantFrom('', 'export '),
        name,
        gap,
        fc.constantFrom('', ' '),
        value,
        gap,
        fc.constantFrom('', '# note', ' # it'),
      )
      .map(
        ([exported, name, before, after, value, end, note]) =>
          `${exported}${name}${before}=${after}${value}${end}${note}`,
      )
    const line = fc.oneof({ weight: 4, arbitrary: assignment }, fc.constantFrom('', '# A=x', 'nothing here'))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'), (lines, end) => {
        const text = lines.join(end)
        expect(read(text, 'node')).toEqual({ ...parseEnv(text) })
      }),
      { numRuns: 500 },
    )
  })

  it('throws at nothing, and needs no longer than the text is long', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('A', '=', '"', "'", '`', '\n', '\r\n', ' ', '#', '\\', 'export ', '\uFEFF'), {
          maxLength: 300,
        })
        .map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(texts, fc.constantFrom(...(Object.keys(dialects) as DialectName[])), (text, dialect) => {
        for (const { line, lines } of readDotenv(text, dialects[dialect]))
          expect(line + lines - 1).toBeLessThanOrEqual(text.split('\n').length)
      }),
    )
    expect(readDotenv('A="x" y\n'.repeat(100_000), dialects.python)).toEqual([])
    expect(readDotenv('A=\n'.repeat(100_000), dialects.python)).toHaveLength(linesMax)
  })
})
