import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

/** Rows of the tables whose last column names tests: all but those of what is protected. */
const rows = read('docs/threat-model.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| attacker') && line.split(' | ').length === 4)

const named = rows.flatMap((row) =>
  [...row.matchAll(/`(test\/[\w./-]+)`: “([^”]+)”/g)].map(([, file = '', name = '']) => ({
    file,
    name,
    row,
  })),
)

describe('docs/threat-model.md', () => {
  it('names a test for each row', () => {
    expect(rows.length).toBeGreaterThan(25)
    expect(rows.filter((row) => !named.some((one) => one.row === row))).toEqual([])
    // Every path of a test is one of a name beside it: none is written in a way that is not looked at.
    const paths = rows.flatMap((row) => row.match(/test\/[\w/.-]+/g) ?? [])
    expect(named.length).toBe(paths.length)
  })

  it('and docs/security.md name only files of tests that are there', () => {
    const texts = [read('docs/threat-model.md'), read('docs/security.md')].join('\n')
    const files = new Set(texts.match(/test\/[\w/.-]+\.(?:test|walk)\.ts/g) ?? [])
    expect(files.size).toBeGreaterThan(15)
    for (const file of files) expect(read(file).length).toBeGreaterThan(0)
  })

  it.each(named)('$file has “$name”', ({ file, name }) => {
    const source = read(file).replaceAll(/\\'/g, "'")
    const isThere = [`'${name}'`, `"${name}"`, `\`${name}\``, `'${name}',`].some((quoted) =>
      source.includes(quoted),
    )
    expect(isThere).toBe(true)
  })
})
