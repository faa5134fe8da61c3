import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileJsonSchema } from '../../src/config/schema.ts'
import { errorCodes } from '../../src/core/errors.ts'
import { verdictRows } from '../../src/core/verdict-rows.ts'
import { blocks } from './blocks.ts'
import { blocksOf, made, pages, repository } from './pages.ts'
import { toldCodes } from './told-codes.ts'

const all = pages()

describe('what the pages quote from the code', () => {
  it.each(all.filter(({ text }) => blocksOf(text).length > 0))('$path is current', ({ path, text }) => {
    expect(text === made(text), `${path} is not what the code says: run npm run docs`).toBe(true)
  })

  it('the JSON Schema of the configuration is current', () => {
    const schema = readFileSync(join(repository, 'docs', 'keyturn.schema.json'), 'utf8')
    const current = JSON.stringify(JSON.parse(schema)) === JSON.stringify(fileJsonSchema())
    expect(current, 'docs/keyturn.schema.json is not what the code says: run npm run docs').toBe(true)
  })

  it('has each generated block on one page', () => {
    const used = all.flatMap(({ text }) => blocksOf(text))
    expect(used.sort()).toEqual(Object.keys(blocks).sort())
  })
})

describe('the codes of alerts and troubles', () => {
  const sources = ['core', 'engine']
    .flatMap((folder) =>
      readdirSync(join(repository, 'src', folder)).map((name) => join(repository, 'src', folder, name)),
    )
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
  const inSources = [...sources.matchAll(/\bcode(?:: | = |: isRefused \? )'([a-z_]+)'(?: : '([a-z_]+)')?/g)]
    .flatMap(([, first, second]) => [first, second])
    .filter((code) => code !== undefined)

  it('each that the sources name is told on a page', () => {
    const told = new Set<string>([
      ...Object.keys(toldCodes),
      ...errorCodes,
      ...verdictRows.map((row) => row.cause),
    ])
    expect(inSources.length).toBeGreaterThan(20)
    expect([...new Set(inSources)].filter((code) => !told.has(code))).toEqual([])
  })

  it('each that is told is in the sources', () => {
    expect(Object.keys(toldCodes).filter((code) => !sources.includes(`'${code}'`))).toEqual([])
  })
})
