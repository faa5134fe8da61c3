import { describe, expect, it } from 'vitest'
import {
  type Ban,
  bans,
  compositionRoots,
  type FolderRule,
  importTable,
  linesMax,
  testBans,
  typeTests,
  wordBans,
} from './tidy-rules.ts'
import { type Import, type SourceFile, separate, sourceFiles } from './tidy-source.ts'

const sources = sourceFiles('src')
const tests = sourceFiles('test')
const own = new Set(['tidy.test.ts', 'tidy-rules.ts', 'tidy-source.ts'])

const isRoot = (path: string) => compositionRoots.some((root) => path === root || path.startsWith(root))
const unitOf = (path: string) => path.split('/')[0] ?? path

function covers(target: string, one: Import): boolean {
  if (target === 'node') return one.target.startsWith('node:')
  return one.target === target || one.target.startsWith(`${target}/`)
}

const isOwn = (unit: string, one: Import) => one.target === unit || one.target.startsWith(`${unit}/`)

function isAllowed(rule: FolderRule, unit: string, one: Import): boolean {
  return (
    isOwn(unit, one) ||
    Object.entries(rule).some(([target, strengths]) => covers(target, one) && strengths.includes(one.kind))
  )
}

function offences(files: readonly SourceFile[], ban: Ban): string[] {
  return files
    .filter((file) => ban.pattern.test(file.code) && ban.unless?.test(file.code) !== true)
    .map((file) => file.path)
}

describe('the import table', () => {
  it('has a line for every folder and file on top of src', () => {
    const units = new Set(sources.filter((file) => !isRoot(file.path)).map((file) => unitOf(file.path)))
    expect([...units].sort()).toEqual(Object.keys(importTable).sort())
  })

  it.each(Object.entries(importTable))('holds for %s', (unit, rule) => {
    const broken = sources
      .filter((file) => unitOf(file.path) === unit)
      .flatMap((file) =>
        file.imports
          .filter((one) => !isAllowed(rule, unit, one))
          .map((one) => `${file.path}: ${one.kind} import of ${one.target}`),
      )
    expect(broken).toEqual([])
  })

  it('keeps everything but the composition roots from the sandbox, so that nothing knows that it talks to one', () => {
    const knowing = sources
      .filter((file) => !isRoot(file.path) && unitOf(file.path) !== 'sandbox')
      .filter((file) =>
        file.imports.some((one) => one.target.startsWith('sandbox/') && one.kind === 'static'),
      )
    expect(knowing.map((file) => file.path)).toEqual([])
  })
})

describe('the bans in src', () => {
  it.each(bans.map((ban) => [ban.name, ban] as const))('%s: only in the files that own it', (_name, ban) => {
    expect(offences(sources, ban).filter((path) => !(path in ban.owners))).toEqual([])
  })

  it.each(bans.map((ban) => [ban.name, ban] as const))('%s: every owner still needs it', (_name, ban) => {
    const found = new Set(offences(sources, ban))
    expect(Object.keys(ban.owners).filter((path) => !found.has(path))).toEqual([])
  })

  it.each(wordBans.map((ban) => [ban.name, ban] as const))(
    '%s: nowhere, not in tests either',
    (_name, ban) => {
      const found = [...sources, ...tests.filter((file) => !own.has(file.path))]
        .filter((file) => ban.pattern.test(file.comments) || ban.pattern.test(file.code))
        .map((file) => file.path)
      expect(found).toEqual([])
    },
  )

  it('expected type errors: only in the type tests', () => {
    const found = [...sources, ...tests.filter((file) => !file.path.startsWith(typeTests))]
      .filter((file) => !own.has(file.path) && file.comments.includes('@ts-'))
      .map((file) => file.path)
    expect(found).toEqual([])
  })

  it(`no file is longer than ${linesMax} lines`, () => {
    const long = sources.filter((file) => file.lineCount > linesMax)
    expect(long.map((file) => `${file.path}: ${file.lineCount}`)).toEqual([])
  })
})

describe('the bans in tests', () => {
  const watched = tests.filter((file) => !own.has(file.path))

  it.each(testBans.map((ban) => [ban.name, ban] as const))('%s: nowhere', (_name, ban) => {
    const found = watched.filter(
      (file) => ban.pattern.test(file.code) || file.imports.some((one) => ban.pattern.test(one.target)),
    )
    expect(found.map((file) => file.path).filter((path) => !(path in ban.owners))).toEqual([])
  })
})

describe('the reader of sources', () => {
  it('keeps words in sentences and quotes apart from code', () => {
    const text = [
      '// console in a sentence',
      "const a = \"console\" + 'it\\'s console' + `console ${call(`inner console ${deep}`)} console`",
      'const b = /[/"]console/.test(a) ? one / two : three / four /* console */',
      'console.log(a)',
    ].join('\n')
    const { code, comments } = separate(text)
    expect(code.match(/console/g)).toHaveLength(1)
    expect(comments.match(/console/g)).toHaveLength(2)
    for (const word of ['call', 'deep', 'one', 'two', 'three', 'four']) expect(code).toContain(word)
  })

  it('sees every import of this file', () => {
    const file = tests.find((one) => one.path === 'tidy.test.ts')
    expect(file?.imports).toEqual([
      { target: 'vitest', kind: 'static' },
      { target: 'tidy-rules.ts', kind: 'static' },
      { target: 'tidy-source.ts', kind: 'static' },
    ])
  })

  it.each([
    ['Date.now', 'const at = Date.now()'],
    ['new Date() of now', 'const at = new Date()'],
    ['global fetch by its bare name', 'const answer = await fetch(url)'],
    ['timers', 'const t = setTimeout(a, 1)'],
    ['global fetch', 'await globalThis.fetch(url)'],
    ['the type that turns checking off', 'const a: any = 1'],
    ['the type that turns checking off', 'const a = b as any'],
    ['an empty catch', 'try { a() } catch (error) { /* nothing */ }'],
    ['reveal()', 'send(secret.reveal())'],
  ])('finds %s in %s', (name, text) => {
    const ban = bans.find((one) => one.name === name)
    expect(ban?.pattern.test(separate(text).code)).toBe(true)
  })

  it.each([
    ['the type that turns checking off', 'AbortSignal.any([a, b])'],
    ['new Date() of now', 'new Date(at).toISOString()'],
    ['global fetch', 'type Fetch = typeof globalThis.fetch'],
    ['global fetch by its bare name', 'await options.fetch(url)'],
    ['an empty catch', 'try { a() } catch { return undefined }'],
  ])('does not take for %s: %s', (name, text) => {
    const ban = bans.find((one) => one.name === name)
    expect(ban?.pattern.test(separate(text).code)).toBe(false)
  })
})
