import { expect, it } from 'vitest'
import { pageOf } from '../../src/audit/journal-reader.ts'
import { bodyOf, chained, genesis } from '../../src/audit/row.ts'
import { createFakeDisk } from './fake-disk.ts'
import { folder, path, read } from './journal-harness.ts'

const rows = 3_000

/** One file of a megabyte, and how much of it was read. */
function disk() {
  const real = createFakeDisk()
  let prev = genesis
  const lines: string[] = []
  for (let seq = 1; seq <= rows; seq += 1) {
    const { line, hash } = chained({ seq, at: '2026-11-25T21:00:00.000Z', body: bodyOf(read(seq)), prev })
    lines.push(`${line}\n`)
    prev = hash
  }
  const only = path(1).replace(/^.*\//, `${folder}/`)
  real.write(only, Buffer.from(lines.join('')))
  const self = {
    ...real,
    only,
    bytes: 0,
    read(file: string, at: number, bytesMax: number) {
      const found = real.read(file, at, bytesMax)
      self.bytes += found.length
      return found
    },
  }
  return self
}

it('finds the rows after any other, as those who read from the beginning do', () => {
  const files = disk()
  for (let after = 0; after <= rows; after += 7) {
    const page = pageOf({ files, folder, after, limit: 3, filter: {} })
    const expected = [1, 2, 3].map((ahead) => after + ahead).filter((seq) => seq <= rows)
    expect(page.rows.map(({ seq }) => seq)).toEqual(expected)
  }
})

it('reads only the end of a file for its latest rows: a request must not hold up hand-outs', () => {
  const files = disk()
  expect(files.size(files.only)).toBeGreaterThan(1_000_000)
  const page = pageOf({ files, folder, after: rows - 5, limit: 100, filter: {} })
  expect(page.rows).toHaveLength(5)
  expect(files.bytes).toBeLessThan(400_000)
})

it('finds rows in a file in which lines were changed, and does not run for ever', () => {
  const files = disk()
  const bytes = files.contents.get(files.only) ?? Buffer.alloc(0)
  for (const from of [0, 300_000, 700_000]) {
    files.write(
      files.only,
      Buffer.concat([bytes.subarray(0, from), Buffer.alloc(100_000, 'x'), bytes.subarray(from)]),
    )
    const page = pageOf({ files, folder, after: rows - 5, limit: 100, filter: {} })
    expect(page.rows.map(({ seq }) => seq)).toContain(rows)
  }
})
