import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { statuses, statusOf } from '../../src/api/status.ts'
import { errorCodes } from '../../src/core/errors.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [code = '', meaning = '', fix = '', status = ''] = line.split(/(?<!\\)\|/).slice(1, -1)
    return { code: code.trim().replaceAll('`', ''), meaning, fix, status: Number(status) }
  })

describe('docs/errors.md', () => {
  it('has a line for each code, in the order of the code list, and no other', () => {
    expect(rows.map((row) => row.code)).toEqual([...errorCodes])
  })

  it('says what each code means, what to do, and the status that the API answers', () => {
    for (const row of rows) {
      expect(row.meaning.trim(), row.code).toMatch(/\.$/)
      expect(row.fix.trim(), row.code).toMatch(/\.$/)
    }
    expect(Object.fromEntries(rows.map((row) => [row.code, row.status]))).toEqual(statuses)
  })
})

describe('the status of a code', () => {
  it.each(errorCodes)('%s is one of a refusal or a fault', (code) => {
    expect(statusOf(code)).toBeGreaterThanOrEqual(400)
    expect(statusOf(code)).toBeLessThan(600)
  })
})
