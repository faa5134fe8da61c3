import { describe, expect, it } from 'vitest'
import { createPacedPages } from '../../src/audit/paced-pages.ts'
import { bodyOf, chained, genesis } from '../../src/audit/row.ts'
import { createFakeDisk } from './fake-disk.ts'
import { folder, path, read } from './journal-harness.ts'

/** A journal of so many rows, and turns of the event loop that come when they are told to. */
function world(rows: number) {
  const disk = createFakeDisk()
  let prev = genesis
  const lines: string[] = []
  for (let seq = 1; seq <= rows; seq += 1) {
    const { line, hash } = chained({ seq, at: '2026-11-25T21:00:00.000Z', body: bodyOf(read(seq)), prev })
    lines.push(`${line}\n`)
    prev = hash
  }
  disk.write(path(1).replace(/^.*\//, `${folder}/`), Buffer.from(lines.join('')))
  const all = { waiting: [] as (() => void)[], turns: 0, reads: 0 }
  const files = {
    ...disk,
    read: (...asked: Parameters<typeof disk.read>) => {
      all.reads += 1
      return disk.read(...asked)
    },
  }
  const pages = createPacedPages({ files, folder, soon: (callback) => void all.waiting.push(callback) })
  /** One turn after another until nobody waits for one. */
  const run = async (): Promise<void> => {
    for (let idle = 0; idle < 20; idle += 1) {
      const next = all.waiting.shift()
      if (next === undefined) {
        await Promise.resolve()
        continue
      }
      idle = 0
      all.turns += 1
      next()
    }
  }
  return { ...all, all, pages, run }
}

describe('reading the journal', () => {
  it('finds what one look at all of it would, a piece at a time', async () => {
    const { pages, run, all } = world(1_200)
    const found = pages({ after: 100, limit: 1_000, filter: {} })
    await run()
    const { rows, through, isEnd } = await found
    expect([rows[0]?.seq, rows.length, through, isEnd]).toEqual([101, 1_000, 1_100, false])
    expect(all.turns).toBeGreaterThanOrEqual(4)
    const rest = pages({ after: through, limit: 1_000, filter: {} })
    await run()
    expect(await rest).toMatchObject({ through: 1_200, isEnd: true })
  })

  it('ends after a bounded number of rows of which none fits, and says how far it came', async () => {
    const { pages, run } = world(6_000)
    const found = pages({ after: 0, limit: 10, filter: { kind: 'refusal' } })
    await run()
    expect(await found).toEqual({ rows: [], through: 5_000, isEnd: false })
  })

  it('lets others have their turn between two pieces, however many read at once', async () => {
    const { pages, run, all } = world(1_200)
    const many = Array.from({ length: 10 }, () => pages({ after: 0, limit: 1_000, filter: { kind: 'act' } }))
    await Promise.resolve()
    await Promise.resolve()
    // Nothing is read before its turn has come, and one turn is asked for at a time.
    expect([all.reads, all.waiting.length]).toEqual([0, 1])
    await run()
    for (const { isEnd } of await Promise.all(many)) expect(isEnd).toBe(true)
    expect(all.turns).toBeGreaterThanOrEqual(10 * 4)
  })

  it('is for a bounded number at once, and for others afterwards', async () => {
    const { pages, run } = world(10)
    const asked = Array.from({ length: 101 }, () => pages({ after: 0, limit: 1, filter: {} }))
    const settled = Promise.allSettled(asked)
    await run()
    const refused = (await settled).filter(({ status }) => status === 'rejected')
    expect(refused).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ code: 'too_many_requests', retryable: true }) },
    ])
    const later = pages({ after: 0, limit: 1, filter: {} })
    await run()
    expect((await later).rows).toHaveLength(1)
  })
})
