import { describe, expect, it } from 'vitest'
import type { CredentialEvent } from '../../src/core/types.ts'
import { createNews } from '../../src/engine/news.ts'

const since = 1_000

function event(id: number, at = since): CredentialEvent {
  return { id, at, credential: 'openai', kind: 'verdict', generation: 1, data: {} }
}

/** A ledger that several share; reads wait until they are let go. */
function setUp(all: CredentialEvent[]) {
  const told: number[] = []
  const gates: (() => void)[] = []
  const gate = () => new Promise<void>((resolve) => void gates.push(resolve))
  const ledger = {
    failures: 0,
    /** After which id each reading began. */
    readAfter: [] as number[],
    watch: () => () => undefined,
    lastEventId: async () => all.at(-1)?.id ?? 0,
    async events(_name: string, after: number) {
      if (ledger.failures-- > 0) throw new Error('away')
      ledger.readAfter.push(after)
      await gate()
      return all.filter(({ id }) => id > after)
    },
  }
  const system = {
    after(_ms: number, again: () => void) {
      queueMicrotask(again)
      return () => undefined
    },
  }
  const place = { isBehind: false, generation: 1 }
  const isBehind = () => place.isBehind
  const generationOf = () => place.generation
  const options = { log: () => undefined, system, since, isBehind, generationOf }
  const news = createNews(ledger, options, ({ id }) => told.push(id))
  const release = async (): Promise<void> => {
    await expect.poll(() => gates.length).toBeGreaterThan(0)
    gates.splice(0).forEach((go) => go())
  }
  return { all, told, news, release, ledger, place }
}

describe('events of several replicas', () => {
  it('are told at once where they are ours and next', () => {
    const { news, told } = setUp([])
    news.committed([event(4), event(5)])
    news.committed([event(6)])
    expect(told).toEqual([4, 5, 6])
  })

  it('of another are told after its change was heard of, none from before this process', async () => {
    const { news, told, release } = setUp([event(1, 999), event(2), event(3)])
    const following = news.follow('openai')
    await release()
    await following
    expect(told).toEqual([2, 3])
  })

  it('from before this process are read once, and what came after them is told whatever its clock says', async () => {
    const { all, news, told, release, ledger } = setUp([event(1, 998), event(2, 999)])
    for (const next of [undefined, event(3, 999)]) {
      if (next !== undefined) all.push(next)
      const following = news.follow('openai')
      await release()
      await following
    }
    expect(ledger.readAfter).toEqual([0, 2])
    expect(told).toEqual([3])
  })

  it('of another come before ours that were committed after them', async () => {
    const { all, news, told, release } = setUp([event(1)])
    news.committed([event(1)])
    all.push(event(2), event(3))
    news.committed([event(3)])
    expect(told).toEqual([1])
    await release()
    await expect.poll(() => told).toEqual([1, 2, 3])
  })

  it('are told once, though heard of while they are being read', async () => {
    const { all, news, told, release } = setUp([event(1)])
    const first = news.follow('openai')
    all.push(event(2))
    const second = news.follow('openai')
    await release()
    await release()
    await Promise.all([first, second])
    expect(told).toEqual([1, 2])
  })

  it('are held back, ours too, until what they say can be handed out here', async () => {
    const { all, news, told, release, place } = setUp([event(1)])
    news.committed([event(1)])
    place.isBehind = true
    all.push(event(2), event(3))
    await news.follow('openai')
    news.committed([event(3)])
    expect(told).toEqual([1])
    place.isBehind = false
    const following = news.follow('openai')
    await release()
    await following
    expect(told).toEqual([1, 2, 3])
  })

  it('of a state that was not read yet wait for it', async () => {
    const { all, news, told, release, place } = setUp([event(1)])
    all.push({ ...event(2), generation: 2 }, { ...event(3), generation: 2 })
    const before = news.follow('openai')
    await release()
    await before
    expect(told).toEqual([1])
    place.generation = 2
    const after = news.follow('openai')
    await release()
    await after
    expect(told).toEqual([1, 2, 3])
  })

  it('are read again where the ledger did not tell them', async () => {
    const { news, told, release, ledger } = setUp([event(1)])
    ledger.failures = 1
    await news.follow('openai')
    await release()
    await expect.poll(() => told).toEqual([1])
  })
})
