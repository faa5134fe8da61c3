import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newKey, type TestKeyKind } from '../keys.ts'
import { loader } from '../scan.ts'
import { findingsIn, node, nodeWithoutDotenv, python, pythonWithoutDotenv, type Texts } from './examined.ts'

const kinds: readonly TestKeyKind[] = ['proj', 'svcacct', 'admin', 'legacy']
const keys = kinds.flatMap((kind) => Array.from({ length: 3 }, () => newKey(kind)))
const pieceLength = 8

/** Every piece of the random part of every key. */
const pieces: ReadonlySet<string> = new Set(
  keys.flatMap((key) => {
    const random = key.replace(/^sk-(?:proj-|svcacct-|admin-)?/, '')
    return Array.from({ length: random.length - pieceLength + 1 }, (_, at) =>
      random.slice(at, at + pieceLength),
    )
  }),
)

function leaks(text: string): boolean {
  for (let at = 0; at + pieceLength <= text.length; at += 1)
    if (pieces.has(text.slice(at, at + pieceLength))) return true
  return false
}

const key = fc.constantFrom(...keys)
const stray = fc.constantFrom(
  '',
  ' ',
  '\n',
  '\r\n',
  '"',
  "'",
  '\u201C',
  '\uFEFF',
  '\u200B',
  '\u00A0',
  '%0A',
  'Bearer ',
  '`',
  '#',
  '${',
  '}',
  '\\',
  '=',
  ':',
  ' # ',
  '<',
  'sk-',
)
const name = fc.constantFrom(
  'OPENAI_API_KEY',
  'OPENAI_KEY',
  'API_KEY',
  'OPENAI_ORG',
  'NEXT_PUBLIC_OPENAI_API_KEY',
  'OPENAI_BASE_URL',
  'A',
  'openai_api_key',
  'export OPENAI_API_KEY',
  '"OPENAI_API_KEY"',
  'OPENAI_PROJECT',
)
const broken = fc
  .tuple(stray, key, fc.nat(200), stray, stray)
  .map(([before, key, at, inside, after]) => `${before}${key.slice(0, at)}${inside}${key.slice(at)}${after}`)
const value = fc.oneof(key, broken, fc.string({ unit: 'binary', maxLength: 40 }), fc.constant(''))
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(name, fc.constantFrom('=', ' = ', ':', ': ', ' ', '=='), value)
      .map((parts) => parts.join('')),
  },
  value,
  // The wrong way round: the key is the name.
  fc.tuple(key, fc.constantFrom('=', ': '), value).map((parts) => parts.join('')),
)
const dotenv = fc
  .tuple(
    fc.constantFrom('', '\uFEFF', '\uFFFD\uFFFD\0'),
    fc.array(line, { maxLength: 6 }),
    fc.constantFrom('\n', '\r\n'),
  )
  .map(([mark, lines, end]) => mark + lines.join(end))
const project = fc.constantFrom<Texts>(node, nodeWithoutDotenv, python, pythonWithoutDotenv, {})
const loaders = fc.constantFrom(
  undefined,
  ...['docker run', 'shell source', 'node --env-file'].map((name) => [loader(name)]),
)
const variables = fc.dictionary(fc.oneof(name, key), value, { maxKeys: 4 })

describe('whatever is in the environment and in .env', () => {
  it('throws nothing, and no piece of a key is in a finding', async () => {
    let found = 0
    await fc.assert(
      fc.asyncProperty(
        project,
        dotenv,
        variables,
        fc.constantFrom('.env', 'src/.env', '.env.local'),
        loaders,
        async (texts, text, env, path, loaders) => {
          const findings = await findingsIn({ ...texts, [path]: text }, env, { loaders })
          found += findings.length
          for (const finding of findings) expect(leaks(JSON.stringify(finding))).toBe(false)
        },
      ),
      { numRuns: 1_500 },
    )
    expect(found).toBeGreaterThan(1_000)
  })

  it('would be seen by this test', () => {
    for (const key of keys) expect(leaks(`${key.slice(20, 28)}…`)).toBe(true)
  })
})
