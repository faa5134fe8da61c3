import { describe, expect, it } from 'vitest'
import { frame } from '../../src/server/frame.ts'
import { createRecentEvents } from '../../src/server/recent-events.ts'

const event = (id: number) => frame(`id: ${id}\n\n`, id)

/** A ledger whose answers are given by hand. */
function ledgerOf() {
  const asked: { readonly name: string; readonly answer: (id: number) => void }[] = []
  const lastEventId = (name: string) =>
    new Promise<number>((resolve) => void asked.push({ name, answer: resolve }))
  return { asked, recent: createRecentEvents({ lastEventId }) }
}

describe('the latest events in memory', () => {
  it('ask the ledger once for however many streams that come at once', async () => {
    const { asked, recent } = ledgerOf()
    expect(recent.after('openai', undefined)).toBeUndefined()
    const heads = [1, 2, 3].map(() => recent.load('openai'))
    expect(asked).toHaveLength(1)
    asked[0]?.answer(7)
    expect(await Promise.all(heads)).toEqual([7, 7, 7])
    expect(recent.after('openai', undefined)).toEqual({ head: 7, events: [] })
    expect(recent.after('openai', 7)).toEqual({ head: 7, events: [] })
  })

  it('give what came after an id, and nothing where they do not reach back so far', async () => {
    const { asked, recent } = ledgerOf()
    const head = recent.load('openai')
    asked[0]?.answer(7)
    await head
    for (const id of [8, 9, 10]) recent.note('openai', event(id))
    const idsAfter = (id: number) => recent.after('openai', id)?.events.map((one) => one.id)
    expect(idsAfter(7)).toEqual([8, 9, 10])
    expect(idsAfter(9)).toEqual([10])
    expect(idsAfter(10)).toEqual([])
    expect(idsAfter(6)).toBeUndefined()
    // Another replica has told it, and only the ledger knows of it here.
    expect(idsAfter(11)).toBeUndefined()
  })

  it('do not lose what is told while the ledger answers, nor take it for less than it is', async () => {
    const { asked, recent } = ledgerOf()
    const head = recent.load('openai')
    recent.note('openai', event(8))
    expect(recent.after('openai', 7)).toBeUndefined()
    asked[0]?.answer(7)
    expect(await head).toBe(8)
    expect(recent.after('openai', 7)?.events.map((one) => one.id)).toEqual([8])
  })

  it('forget what lies before a gap: the ledger has it', async () => {
    const { asked, recent } = ledgerOf()
    const head = recent.load('openai')
    asked[0]?.answer(7)
    await head
    recent.note('openai', event(8))
    recent.note('openai', event(10))
    expect(recent.after('openai', 8)).toBeUndefined()
    expect(recent.after('openai', 9)?.events.map((one) => one.id)).toEqual([10])
    expect(recent.after('openai', undefined)?.head).toBe(10)
  })

  it('keep a bounded number, in order, each once', async () => {
    const { asked, recent } = ledgerOf()
    const head = recent.load('openai')
    asked[0]?.answer(0)
    await head
    for (let id = 1; id <= 100; id += 1) {
      recent.note('openai', event(id))
      recent.note('openai', event(id))
    }
    expect(recent.after('openai', 50)).toBeUndefined()
    expect(recent.after('openai', 95)?.events.map((one) => one.id)).toEqual([96, 97, 98, 99, 100])
  })
})
