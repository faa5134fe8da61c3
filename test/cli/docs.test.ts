import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { specs } from '../../src/cli/specs.ts'

const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
const sections = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((section) => [/^`keyturn ([a-z ]+?)[`<[ ]*(?=[`<[])/.exec(section)?.[1]?.trim() ?? '', section]),
)

describe('docs/cli.md', () => {
  it('has a section for each command, and no other', () => {
    expect([...sections.keys()].sort()).toEqual(specs.map(({ name }) => name).sort())
  })

  it.each(specs.map((spec) => [spec.name, spec] as const))('says of %s what its help says', (name, spec) => {
    const section = sections.get(name) ?? ''
    expect(section).toContain(spec.details)
    for (const example of spec.examples) expect(section).toContain(`\n${example}\n`)
    expect(section).toContain(spec.exits)
    const rows = section.split('\n').filter((line) => line.startsWith('| `'))
    const expected = [
      ...spec.args.map((arg) => `| \`${arg.name}\``),
      ...spec.options.map(({ flags }) => `| \`${flags}\``),
    ]
    expect(rows.map((row) => row.split(' |')[0])).toEqual(expected)
    for (const { description } of [...spec.args, ...spec.options]) expect(section).toContain(description)
  })
})
