import { expect, it } from 'vitest'
import { initialState } from '../../src/core/credential.ts'
import type { Ledger } from '../../src/core/ports.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { type Book, ClaimLost, createBook } from '../../src/engine/book.ts'
import { expectNoUnhandled, World } from './world.ts'

async function bookOf(world: World, ledger: Partial<Ledger> = {}): Promise<Book> {
  const setup = world.setup('openai')
  const deps = world.deps({ ledger: { ...world.ledger, ...ledger } })
  const book = createBook(new Map([['openai', setup]]), deps)
  book.adopt(
    await world.ledger.open('openai', { ...initialState('openai', world.time.now()), generation: 0 }),
  )
  return book
}

const counted = (state: CredentialState) => ({
  state: { ...state, generation: state.generation + 1 },
  events: [{ at: 1, credential: 'openai', kind: 'verdict', generation: state.generation, data: {} } as const],
})

it('a thousand changes at once all land, in their order, without a conflict in the ledger', async () => {
  const world = new World()
  let conflicts = 0
  const book = await bookOf(world, {
    async commit(commit) {
      const outcome = await world.ledger.commit(commit)
      if (outcome.kind === 'conflict') conflicts++
      return outcome
    },
  })
  const revisions: number[] = []
  const ids: number[] = []
  book.onCommit((state, events) => {
    revisions.push(state.revision)
    ids.push(...events.map((one) => one.id))
  })
  await Promise.all(Array.from({ length: 1_000 }, () => book.change('openai', counted)))
  expect(book.state('openai').generation).toBe(1_000)
  expect(conflicts).toBe(0)
  expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
  expect(ids).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
})

it('a race lost to another process is mended on what that one left, and both changes land', async () => {
  const world = new World()
  const ours = await bookOf(world)
  const theirs = await bookOf(world)
  await Promise.all([
    ...Array.from({ length: 20 }, () => ours.change('openai', counted)),
    ...Array.from({ length: 20 }, () => theirs.change('openai', counted)),
  ])
  expect((await world.state()).generation).toBe(40)
})

it('a conflict that never ends is a retryable error and no endless loop', async () => {
  const world = new World()
  let tries = 0
  const book = await bookOf(world, {
    async commit() {
      tries++
      return { kind: 'conflict' }
    },
  })
  await expect(book.change('openai', counted)).rejects.toMatchObject({
    code: 'ledger_unreachable',
    retryable: true,
  })
  expect(tries).toBeLessThanOrEqual(50)
})

it('a change that was refused, or that failed, does not hold up the next one', async () => {
  expectNoUnhandled()
  const world = new World()
  const book = await bookOf(world)
  const refused = book.change('openai', () => {
    throw new Error('no')
  })
  const next = book.change('openai', counted)
  await expect(refused).rejects.toThrow('no')
  expect((await next).generation).toBe(1)
})

it('a state that breaks an invariant is not written', async () => {
  const world = new World()
  const book = await bookOf(world)
  const broken = book.change('openai', (state) => ({ state: { ...state, current: 'nobody' }, events: [] }))
  await expect(broken).rejects.toMatchObject({ code: 'internal' })
  expect((await world.state()).current).toBeUndefined()
})

it('nothing is committed under a claim that somebody else has taken over, and what that one left is known', async () => {
  const world = new World()
  const book = await bookOf(world)
  const claim = async (owner: string, now: number) =>
    (await world.ledger.claim({ owner, now, leaseMs: 1_000, limit: 1 }))[0]
  const mine = await claim('me', world.time.now())
  expect(mine).toBeDefined()
  book.adopt(mine?.state ?? book.state('openai'))
  const theirs = await claim('them', world.time.now() + 5_000)
  expect(theirs?.fence).toBeGreaterThan(mine?.fence ?? 0)
  await expect(book.change('openai', counted, mine?.fence)).rejects.toBeInstanceOf(ClaimLost)
  expect((await world.state()).generation).toBe(0)
  expect(book.state('openai').fence).toBe(theirs?.fence)
})

it('a listener that throws neither undoes the commit nor keeps the others from hearing of it', async () => {
  const world = new World()
  const book = await bookOf(world)
  const heard: number[] = []
  book.onCommit(() => {
    throw new Error('a broken stream')
  })
  const cancel = book.onCommit((state) => void heard.push(state.generation))
  await book.change('openai', counted)
  cancel()
  await book.change('openai', counted)
  expect(heard).toEqual([1])
  expect(world.faults()).toHaveLength(2)
})

it('listeners hear after it is durable', async () => {
  const world = new World()
  const book = await bookOf(world)
  const durable: Promise<boolean>[] = []
  book.onCommit((state, events) => {
    durable.push(
      Promise.all([world.ledger.read('openai'), world.ledger.lastEventId('openai')]).then(
        ([read, last]) => read?.revision === state.revision && events.every((one) => one.id <= last),
      ),
    )
  })
  await book.change('openai', counted)
  expect(await Promise.all(durable)).toEqual([true])
})

it('an answer of the ledger that was overtaken does not turn back what is known', async () => {
  const world = new World()
  const book = await bookOf(world)
  const old = book.state('openai')
  await book.change('openai', counted)
  book.adopt(old)
  expect(book.state('openai').generation).toBe(1)
})
