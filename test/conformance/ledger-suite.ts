import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/core/ports.ts'
import type { CredentialState, NewCredentialEvent } from '../../src/core/types.ts'
import { eventOf, retirementOf, rotationOf, stateOf, sweepOf } from '../ledger/states.ts'

export interface LedgerUnderTest {
  /** Another connection to the same data, as a second process would have. */
  open(options?: LedgerLimits): Promise<Ledger>
  dispose(): Promise<void>
}

export interface LedgerLimits {
  readonly maxEventsPerCredential?: number
  readonly maxRotationsPerCredential?: number
}

/** What every ledger owes, whatever it is made of. `make` gives fresh, empty data each time. */
export function ledgerSuite(name: string, make: () => Promise<LedgerUnderTest>): void {
  describe(`ledger ${name}`, () => {
    let place: LedgerUnderTest
    let ledger: Ledger

    beforeEach(async () => {
      place = await make()
      ledger = await place.open()
    })
    afterEach(async () => {
      await ledger.close()
      await place.dispose()
    })

    const fresh = async (credential = 'openai') => ledger.open(credential, stateOf(credential))
    const put = async (state: CredentialState, dueAt = 0, events: readonly NewCredentialEvent[] = []) => {
      const outcome = await ledger.commit({ state, dueAt, events })
      if (outcome.kind !== 'committed') throw new Error('expected a commit')
      return outcome
    }
    const claimOne = async (owner: string, now: number, leaseMs = 1_000) => {
      const [claim] = await ledger.claim({ owner, now, leaseMs, limit: 1 })
      if (claim === undefined) throw new Error('expected a claim')
      return claim
    }

    describe('states', () => {
      it('knows nothing at first, and nothing of what was never opened', async () => {
        expect(await ledger.read('openai')).toBeUndefined()
        expect(await ledger.readAll()).toEqual([])
        expect(await ledger.nextDueAt()).toBeUndefined()
        expect(await ledger.lastEventId('openai')).toBe(0)
        expect(await ledger.events('openai', 0)).toEqual([])
        expect(await ledger.rotations('openai')).toEqual([])
        expect(await ledger.rotation('openai', 'r1')).toBeUndefined()
        expect(await ledger.aftermath('openai', { rotation: 'r1' })).toEqual([])
        expect(await ledger.leases('openai')).toEqual([])
      })

      it('opens a credential once: the second time gives what is there', async () => {
        expect(await ledger.open('openai', stateOf('openai', { generation: 3 }))).toMatchObject({
          generation: 3,
        })
        expect(await ledger.open('openai', stateOf('openai', { generation: 9 }))).toMatchObject({
          generation: 3,
        })
        await fresh('azure')
        expect((await ledger.readAll()).map((state) => state.name)).toEqual(['azure', 'openai'])
      })

      it('opens many in one step, in their order, and leaves those alone that are there', async () => {
        const { state } = await put({ ...(await fresh('b')), generation: 7 })
        const turning = stateOf('c', {
          rotation: rotationOf('c', 'r1'),
          retirements: [retirementOf('dead', { rotation: 'r1' })],
        })
        const opened = await ledger.openAll?.([stateOf('d'), stateOf('b', { generation: 9 }), turning])
        expect(opened).toEqual([stateOf('d'), state, turning])
        expect(await ledger.readAll()).toEqual([state, turning, stateOf('d')])
        expect(await ledger.rotation('c', 'r1')).toEqual(rotationOf('c', 'r1'))
        expect(await ledger.aftermath('c', { rotation: 'r1' })).toHaveLength(1)
      })

      it('keeps a state as it was given, with the next revision', async () => {
        const state = await fresh()
        const changed = { ...state, generation: 4, belonging: { project: 'proj "ü" \n' }, automaticAt: [1] }
        const outcome = await put(changed)
        expect(outcome.state).toEqual({ ...changed, revision: state.revision + 1 })
        expect(await ledger.read('openai')).toEqual(outcome.state)
      })

      it('refuses a commit on a revision that is no longer the last, and changes nothing', async () => {
        const state = await fresh()
        const first = await put({ ...state, generation: 1 })
        const late = { ...state, generation: 2, rotation: rotationOf('openai', 'late') }
        expect(await ledger.commit({ state: late, dueAt: 5, events: [eventOf('openai', 'late')] })).toEqual({
          kind: 'conflict',
        })
        expect(await ledger.read('openai')).toEqual(first.state)
        expect(await ledger.events('openai', 0)).toEqual([])
        expect(await ledger.rotations('openai')).toEqual([])
      })

      it('refuses a commit on a credential that was never opened', async () => {
        expect(await ledger.commit({ state: stateOf('nobody'), dueAt: 0, events: [] })).toEqual({
          kind: 'conflict',
        })
      })

      it('lets exactly one of many racing commits through, over two connections', async () => {
        const state = await fresh()
        const second = await place.open()
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? ledger : second).commit({
              state: { ...state, generation: index },
              dueAt: 0,
              events: [eventOf('openai', String(index))],
            }),
          ),
        )
        await second.close()
        expect(outcomes.filter((outcome) => outcome.kind === 'committed')).toHaveLength(1)
        expect(await ledger.events('openai', 0)).toHaveLength(1)
      })

      it('keeps everything over a close and a new open', async () => {
        const { state } = await put(
          { ...(await fresh()), generation: 7, rotation: rotationOf('openai', 'r1') },
          42,
          [eventOf('openai', 'kept')],
        )
        await ledger.touchLease({
          credential: 'openai',
          instance: 'i1',
          app: 'web',
          generation: 7,
          seenAt: 9,
        })
        await ledger.once('installation', 'abc')
        await ledger.putDocument({ key: 'job', value: { dueAt: 42 }, revision: 0 })
        await ledger.close()
        ledger = await place.open()
        expect(await ledger.read('openai')).toEqual(state)
        expect(await ledger.nextDueAt()).toBe(42)
        expect(await ledger.events('openai', 0)).toHaveLength(1)
        expect(await ledger.rotation('openai', 'r1')).toEqual(rotationOf('openai', 'r1'))
        expect(await ledger.leases('openai')).toHaveLength(1)
        expect(await ledger.once('installation', 'xyz')).toBe('abc')
        expect(await ledger.document('job')).toEqual({ value: { dueAt: 42 }, revision: 1 })
      })
    })

    describe('claims', () => {
      it('gives what is due, earliest first, up to the limit', async () => {
        for (const [credential, dueAt] of [
          ['a', 300],
          ['b', 100],
          ['c', 200],
          ['d', 900],
        ] as const)
          await put(await fresh(credential), dueAt)
        const claims = await ledger.claim({ owner: 'w1', now: 500, leaseMs: 100, limit: 2 })
        expect(claims.map((claim) => claim.state.name)).toEqual(['b', 'c'])
        const rest = await ledger.claim({ owner: 'w2', now: 500, leaseMs: 100, limit: 9 })
        expect(rest.map((claim) => claim.state.name)).toEqual(['a'])
      })

      it('has a credential that was just opened due at once', async () => {
        await fresh()
        expect(await ledger.nextDueAt()).toBe(0)
        expect((await claimOne('w1', 1)).state.name).toBe('openai')
      })

      it('narrows to names, and to nothing where no name is given', async () => {
        await fresh('a')
        await fresh('b')
        const request = { owner: 'w1', now: 1, leaseMs: 100, limit: 9 }
        expect(await ledger.claim({ ...request, names: [] })).toEqual([])
        const claims = await ledger.claim({ ...request, names: ['b', 'nobody'] })
        expect(claims.map((claim) => claim.state.name)).toEqual(['b'])
      })

      it('raises the fence, in the state too, and keeps it raised', async () => {
        await fresh()
        const first = await claimOne('w1', 10, 100)
        expect(first).toMatchObject({ fence: 1, untilAt: 110, state: { fence: 1, revision: 1 } })
        expect(await ledger.read('openai')).toEqual(first.state)
        await ledger.release({ owner: 'w1', name: 'openai', fence: 1 })
        expect(await claimOne('w2', 10)).toMatchObject({ fence: 2, state: { fence: 2 } })
      })

      it('goes on from a fence that a commit has raised', async () => {
        await put({ ...(await fresh()), fence: 40 })
        expect((await claimOne('w1', 1)).fence).toBe(41)
      })

      it('never lets a fence fall', async () => {
        const { state } = await put({ ...(await fresh()), fence: 40 })
        await expect(
          ledger.commit({ state: { ...state, fence: 39 }, dueAt: 0, events: [] }),
        ).rejects.toMatchObject({ code: 'internal' })
      })

      it('gives a credential to one of many owners, over two connections', async () => {
        await fresh()
        const second = await place.open()
        const claims = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            (index % 2 === 0 ? ledger : second).claim({
              owner: `w${index}`,
              now: 5,
              leaseMs: 100,
              limit: 5,
            }),
          ),
        )
        await second.close()
        expect(claims.flat()).toHaveLength(1)
      })

      it('does not give a live claim away', async () => {
        await fresh()
        await claimOne('w1', 100, 50)
        expect(await ledger.claim({ owner: 'w2', now: 149, leaseMs: 50, limit: 1 })).toEqual([])
      })

      it('gives an owner that restarted its own claim again, with a new fence', async () => {
        await fresh()
        const before = await claimOne('w1', 100, 50)
        const after = await claimOne('w1', 101, 50)
        expect(after.fence).toBe(before.fence + 1)
        const late = { state: after.state, fence: before.fence, dueAt: 1, events: [] }
        expect(await ledger.commit(late)).toEqual({ kind: 'conflict' })
        expect((await ledger.commit({ ...late, fence: after.fence })).kind).toBe('committed')
      })

      it('lets a claim go when its time is over, and the first owner can do nothing any more', async () => {
        await fresh()
        const lost = await claimOne('w1', 100, 50)
        const taken = await claimOne('w2', 150, 50)
        expect(taken.fence).toBe(lost.fence + 1)
        const late = { state: lost.state, fence: lost.fence, dueAt: 1, events: [] }
        expect(await ledger.commit(late)).toEqual({ kind: 'conflict' })
        // Not even on the newest revision: it is the fence that says who may.
        expect(await ledger.commit({ ...late, state: taken.state })).toEqual({ kind: 'conflict' })
        expect(await ledger.renew({ owner: 'w1', name: 'openai', fence: lost.fence, untilAt: 999 })).toBe(
          false,
        )
        await ledger.release({ owner: 'w1', name: 'openai', fence: lost.fence })
        expect(await ledger.claim({ owner: 'w3', now: 160, leaseMs: 50, limit: 1 })).toEqual([])
        const outcome = await ledger.commit({
          state: taken.state,
          fence: taken.fence,
          dueAt: 1,
          events: [],
        })
        expect(outcome.kind).toBe('committed')
      })

      it('renews a claim that is held', async () => {
        await fresh()
        const { fence } = await claimOne('w1', 100, 50)
        expect(await ledger.renew({ owner: 'w1', name: 'openai', fence, untilAt: 300 })).toBe(true)
        expect(await ledger.renew({ owner: 'w2', name: 'openai', fence, untilAt: 900 })).toBe(false)
        expect(await ledger.claim({ owner: 'w2', now: 299, leaseMs: 50, limit: 1 })).toEqual([])
        expect((await claimOne('w2', 300)).fence).toBe(fence + 1)
      })

      it('frees a credential at once when it is released, and refuses the work of before', async () => {
        await fresh()
        const claim = await claimOne('w1', 100, 1_000)
        await ledger.release({ owner: 'w1', name: 'openai', fence: claim.fence })
        expect(await ledger.commit({ state: claim.state, fence: claim.fence, dueAt: 1, events: [] })).toEqual(
          {
            kind: 'conflict',
          },
        )
        expect((await claimOne('w2', 101)).fence).toBe(claim.fence + 1)
      })

      it('lets an operator commit under a claim; the worker reads again and goes on', async () => {
        await fresh()
        const claim = await claimOne('w1', 100)
        const operator = await put({ ...claim.state, generation: 5 })
        const work = { fence: claim.fence, dueAt: 1, events: [] }
        expect(await ledger.commit({ ...work, state: claim.state })).toEqual({ kind: 'conflict' })
        expect((await ledger.commit({ ...work, state: operator.state })).kind).toBe('committed')
      })

      it('says what is due next, and counts what is claimed from the end of its claim', async () => {
        await put(await fresh('a'), 100)
        await put(await fresh('b'), 700)
        expect(await ledger.nextDueAt()).toBe(100)
        const claim = await claimOne('w1', 100, 400)
        expect(claim.state.name).toBe('a')
        expect(await ledger.nextDueAt()).toBe(500)
        await ledger.commit({ state: claim.state, fence: claim.fence, dueAt: 900, events: [] })
        await ledger.release({ owner: 'w1', name: 'a', fence: claim.fence })
        expect(await ledger.nextDueAt()).toBe(700)
      })
    })

    describe('events', () => {
      it('numbers events per credential from 1 without a gap, and replays them after an id', async () => {
        const other = await fresh('other')
        await put(other, 0, [eventOf('other', 'x')])
        const first = await put(await fresh(), 0, [eventOf('openai', 'a'), eventOf('openai', 'b')])
        await put(first.state, 0, [eventOf('openai', 'c')])
        expect(first.events.map((event) => event.id)).toEqual([1, 2])
        expect(await ledger.lastEventId('openai')).toBe(3)
        const replay = await ledger.events('openai', 1)
        expect(replay).toEqual([
          { ...eventOf('openai', 'b'), id: 2 },
          { ...eventOf('openai', 'c'), id: 3 },
        ])
        expect((await ledger.events('openai', 0, 2)).map((event) => event.id)).toEqual([1, 2])
        expect(await ledger.events('openai', 3)).toEqual([])
      })

      it('keeps the newest only, and never uses an id again, not after a new open either', async () => {
        await ledger.close()
        ledger = await place.open({ maxEventsPerCredential: 3 })
        let { state } = await put(await fresh(), 0, [eventOf('openai', '1')])
        for (const round of [2, 3, 4, 5])
          ({ state } = await put(state, 0, [eventOf('openai', String(round))]))
        expect((await ledger.events('openai', 0)).map((event) => event.id)).toEqual([3, 4, 5])
        await ledger.close()
        ledger = await place.open({ maxEventsPerCredential: 3 })
        const many = Array.from({ length: 5 }, (_, index) => eventOf('openai', `more ${index}`))
        expect((await put(state, 0, many)).events.map((event) => event.id)).toEqual([6, 7, 8, 9, 10])
        expect((await ledger.events('openai', 0)).map((event) => event.id)).toEqual([8, 9, 10])
        expect(await ledger.lastEventId('openai')).toBe(10)
      })

      it('refuses an event of another credential', async () => {
        const state = await fresh()
        await expect(
          ledger.commit({ state, dueAt: 0, events: [eventOf('other', 'x')] }),
        ).rejects.toMatchObject({ code: 'internal' })
      })
    })

    describe('rotations', () => {
      it('keeps every rotation the state ever held, as it was last, newest first', async () => {
        let { state } = await put({ ...(await fresh()), rotation: rotationOf('openai', 'r1') })
        const ended = rotationOf('openai', 'r1', { phase: 'done', outcome: 'promoted', endedAt: 9 })
        ;({ state } = await put({ ...state, rotation: ended }))
        ;({ state } = await put({ ...state, rotation: rotationOf('openai', 'r2', { startedAt: 5 }) }))
        const { rotation: _gone, ...without } = state
        await put(without)
        expect(await ledger.rotation('openai', 'r1')).toEqual(ended)
        expect((await ledger.rotations('openai')).map((rotation) => rotation.id)).toEqual(['r2', 'r1'])
        expect((await ledger.rotations('openai', 1)).map((rotation) => rotation.id)).toEqual(['r2'])
        expect(await ledger.rotation('other', 'r1')).toBeUndefined()
      })

      it('keeps a bounded number of them', async () => {
        await ledger.close()
        ledger = await place.open({ maxRotationsPerCredential: 2 })
        let state = await fresh()
        for (const id of ['r1', 'r2', 'r3'])
          ({ state } = await put({ ...state, rotation: rotationOf('openai', id) }))
        expect((await ledger.rotations('openai')).map((rotation) => rotation.id)).toEqual(['r3', 'r2'])
        expect(await ledger.rotation('openai', 'r1')).toBeUndefined()
      })
    })

    describe('what a rotation set off', () => {
      it('is kept once it has ended, also when the state has forgotten it', async () => {
        const { endedAt: _walks, ...walking } = retirementOf('w', { rotation: 'r1', phase: 'draining' })
        const dead = retirementOf('dead', { rotation: 'r1' })
        const swept = sweepOf('m1', { rotation: 'r1', outcome: 'revoked', keyId: 'key-1' })
        const first = { ...(await fresh()), rotation: rotationOf('openai', 'r1') }
        let { state } = await put({ ...first, retirements: [walking, dead], sweeps: [swept] })
        ;({ state } = await put({ ...state, retirements: [walking], sweeps: [] }))
        const kept = [
          { kind: 'retirement', retirement: dead },
          { kind: 'sweep', sweep: swept },
        ]
        expect(await ledger.aftermath('openai', { rotation: 'r1' })).toEqual(kept)
        const ended = { ...walking, phase: 'dead', endedAt: 5_000 } as const
        await put({ ...state, retirements: [ended] })
        await ledger.close()
        ledger = await place.open()
        expect(await ledger.aftermath('openai', { rotation: 'r1' })).toEqual([
          ...kept,
          { kind: 'retirement', retirement: ended },
        ])
      })

      it('is found by its rotation or its version, and is nothing of another credential', async () => {
        const without = retirementOf('by-hand')
        await put({ ...(await fresh()), retirements: [without] })
        await fresh('other')
        expect(await ledger.aftermath('openai', { version: without.version })).toEqual([
          { kind: 'retirement', retirement: without },
        ])
        expect(await ledger.aftermath('openai', { rotation: 'r1' })).toEqual([])
        expect(await ledger.aftermath('other', { version: without.version })).toEqual([])
      })

      it('is written once, through whichever connection, and not where the commit is refused', async () => {
        const state = { ...(await fresh()), retirements: [retirementOf('dead')] }
        const late = { ...state, retirements: [retirementOf('late')] }
        const { state: after } = await put(state)
        expect((await ledger.commit({ state: late, dueAt: 0, events: [] })).kind).toBe('conflict')
        const second = await place.open()
        await second.commit({ state: after, dueAt: 0, events: [] })
        await second.close()
        const version = retirementOf('dead').version
        expect(await ledger.aftermath('openai', { version })).toHaveLength(1)
        expect(await ledger.aftermath('openai', { version: late.retirements[0]?.version ?? '' })).toEqual([])
      })

      it('goes with its rotation; of what no rotation set off a bounded number is kept', async () => {
        await ledger.close()
        ledger = await place.open({ maxRotationsPerCredential: 2 })
        let state = await fresh()
        for (const id of ['r1', 'r2', 'r3']) {
          const retirements = [
            retirementOf(`of-${id}`, { rotation: id }),
            retirementOf(`after-${id}`, { version: 'v' }),
          ]
          ;({ state } = await put({ ...state, rotation: rotationOf('openai', id), retirements }))
        }
        expect(await ledger.aftermath('openai', { rotation: 'r1' })).toEqual([])
        expect(await ledger.aftermath('openai', { rotation: 'r2' })).toHaveLength(1)
        expect(await ledger.aftermath('openai', { version: 'v' })).toMatchObject([
          { retirement: { id: 'after-r2' } },
          { retirement: { id: 'after-r3' } },
        ])
      })
    })

    describe('leases', () => {
      it('keeps one per instance, as it was last seen', async () => {
        await fresh()
        const lease = { credential: 'openai', instance: 'i1', app: 'web', generation: 1, seenAt: 10 }
        await ledger.touchLease(lease)
        await ledger.touchLease({ ...lease, instance: 'i2' })
        await ledger.touchLease({ ...lease, generation: 2, seenAt: 20 })
        expect(await ledger.leases('openai')).toEqual([
          { ...lease, generation: 2, seenAt: 20 },
          { ...lease, instance: 'i2' },
        ])
        expect(await ledger.leases('other')).toEqual([])
      })

      it('tells instances of the same name apart by their apps, and drops them together', async () => {
        await fresh()
        const lease = { credential: 'openai', instance: 'web-1', app: 'a', generation: 1, seenAt: 10 }
        await ledger.touchLease(lease, { ...lease, app: 'b', generation: 2 })
        expect(await ledger.leases('openai')).toEqual([lease, { ...lease, app: 'b', generation: 2 }])
        expect(await ledger.dropLease('openai', 'web-1')).toBe(true)
        expect(await ledger.leases('openai')).toEqual([])
      })

      it('writes all of them or none', async () => {
        await fresh()
        const lease = { credential: 'openai', instance: 'i1', app: 'a', generation: 1, seenAt: 10 }
        const writing = ledger.touchLease(lease, { ...lease, credential: 'nobody' })
        await expect(writing).rejects.toMatchObject({ code: 'not_found' })
        expect(await ledger.leases('openai')).toEqual([])
      })

      it('keeps what other apps hold, however many instances one app makes up', async () => {
        await fresh()
        const lease = { credential: 'openai', instance: 'i1', app: 'quiet', generation: 1, seenAt: 1 }
        await ledger.touchLease(lease)
        const flood = Array.from({ length: 11_000 }, (_, index) => ({
          ...lease,
          app: 'loud',
          instance: `made-up-${index}`,
          seenAt: 2 + index,
        }))
        await ledger.touchLease(...flood)
        const kept = await ledger.leases('openai')
        expect(kept).toContainEqual(lease)
        expect(kept).toHaveLength(10_001)
        expect(kept).not.toContainEqual(flood[0])
      })

      it('drops one, and says whether there was one', async () => {
        await fresh()
        await ledger.touchLease({
          credential: 'openai',
          instance: 'i1',
          app: 'web',
          generation: 1,
          seenAt: 1,
        })
        expect(await ledger.dropLease('openai', 'i1')).toBe(true)
        expect(await ledger.dropLease('openai', 'i1')).toBe(false)
        expect(await ledger.leases('openai')).toEqual([])
      })

      it('ends the one of an app, and nobody else’s of the same name; with its next sign of life it is there again', async () => {
        await fresh()
        const own = { credential: 'openai', instance: 'web-1', app: 'a', generation: 1, seenAt: 10 }
        const theirs = { ...own, app: 'b' }
        await ledger.touchLease(own, theirs)
        await ledger.endLease(own)
        expect(await ledger.leases('openai')).toEqual([theirs])
        await ledger.endLease({ ...own, instance: 'never-seen' })
        await ledger.endLease({ ...own, credential: 'nobody' })
        expect(await ledger.leases('openai')).toEqual([theirs])
        const later = { ...own, seenAt: 1_000 }
        await ledger.touchLease(later)
        expect((await ledger.leases('openai')).map(({ app }) => app)).toEqual(['a', 'b'])
        await ledger.endLease(own)
        expect(await ledger.dropLease('openai', 'web-1')).toBe(true)
        expect(await ledger.dropLease('openai', 'web-1')).toBe(false)
      })

      it('refuses a lease of a credential that it does not know', async () => {
        await expect(
          ledger.touchLease({ credential: 'nobody', instance: 'i', app: 'a', generation: 0, seenAt: 0 }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })
    })

    describe('small memories', () => {
      it('keeps the first value under a name, whoever else comes', async () => {
        const second = await place.open()
        const values = await Promise.all([
          ledger.once('installation', 'a'),
          second.once('installation', 'b'),
          ledger.once('installation', 'c'),
        ])
        await second.close()
        expect(new Set(values).size).toBe(1)
        expect(await ledger.once('other', 'd')).toBe('d')
      })

      it('keeps a document whole, and replaces it only by who has read it last', async () => {
        expect(await ledger.document('job')).toBeUndefined()
        expect(await ledger.putDocument({ key: 'job', value: { dueAt: 1 }, revision: 1 })).toBe(false)
        expect(await ledger.putDocument({ key: 'job', value: { dueAt: 1 }, revision: 0 })).toBe(true)
        expect(await ledger.putDocument({ key: 'job', value: { dueAt: 2 }, revision: 0 })).toBe(false)
        expect(await ledger.document('job')).toEqual({ value: { dueAt: 1 }, revision: 1 })
        expect(await ledger.putDocument({ key: 'job', value: { dueAt: 3, said: ['ü'] }, revision: 1 })).toBe(
          true,
        )
        expect(await ledger.document('job')).toEqual({ value: { dueAt: 3, said: ['ü'] }, revision: 2 })
        expect(await ledger.document('other')).toBeUndefined()
      })

      it('lets exactly one of many racing writers of a document through, over two connections', async () => {
        const second = await place.open()
        for (const revision of [0, 1]) {
          const written = await Promise.all(
            Array.from({ length: 10 }, (_, index) =>
              (index % 2 === 0 ? ledger : second).putDocument({ key: 'job', value: { index }, revision }),
            ),
          )
          expect(written.filter(Boolean)).toHaveLength(1)
        }
        expect(await second.document('job')).toMatchObject({ revision: 2 })
        await second.close()
      })

      it('gives the first answer to a repeated request, and shows that its body was another', async () => {
        const first = { key: 'k', requestHash: 'h1', answer: '{"id":1}', at: 1_000 }
        expect(await ledger.remember(first)).toEqual({ requestHash: 'h1', answer: '{"id":1}' })
        const again = { key: 'k', requestHash: 'h2', answer: '{"id":2}', at: 2_000 }
        expect(await ledger.remember(again)).toEqual({ requestHash: 'h1', answer: '{"id":1}' })
      })

      it('forgets an answer after a day', async () => {
        const dayMs = 24 * 60 * 60 * 1000
        const first = { key: 'k', requestHash: 'h1', answer: 'one', at: 1_000 }
        await ledger.remember(first)
        expect(await ledger.remember({ ...first, answer: 'two', at: 999 + dayMs })).toMatchObject({
          answer: 'one',
        })
        expect(await ledger.remember({ ...first, answer: 'three', at: 1_000 + dayMs })).toMatchObject({
          answer: 'three',
        })
      })
    })

    describe('secrets', () => {
      const key = ['sk', 'proj', 'Ab3dEf6h'.repeat(9)].join('-')

      it('stops a write that holds text like a key, and keeps nothing of it', async () => {
        const state = await fresh()
        const before = await ledger.read('openai')
        const leaking: readonly Promise<unknown>[] = [
          ledger.commit({ state: { ...state, belonging: { project: key } }, dueAt: 0, events: [] }),
          ledger.commit({ state, dueAt: 0, events: [eventOf('openai', `said ${key}`)] }),
          ledger.commit({
            state: { ...state, rotation: rotationOf('openai', 'r', { reason: `because\n${key}` }) },
            dueAt: 0,
            events: [],
          }),
          ledger.open('leak', stateOf('leak', { belonging: { organization: key } })),
          ledger.once('leak', key),
          ledger.putDocument({ key: 'leak', value: { said: key }, revision: 0 }),
          ledger.putDocument({ key, value: {}, revision: 0 }),
          ledger.remember({ key: 'leak', requestHash: 'h', answer: JSON.stringify({ key }), at: 1 }),
          ledger.touchLease({ credential: 'openai', instance: key, app: 'a', generation: 0, seenAt: 0 }),
        ]
        for (const outcome of await Promise.allSettled(leaking)) {
          expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'internal' } })
          expect(JSON.stringify(outcome)).not.toContain(key)
        }
        expect(await ledger.read('openai')).toEqual(before)
        expect(await ledger.read('leak')).toBeUndefined()
        expect(await ledger.events('openai', 0)).toEqual([])
        expect(await ledger.once('leak', 'clean')).toBe('clean')
      })
    })

    it('closes more than once, and says that it is closed', async () => {
      const second = await place.open()
      await second.close()
      await second.close()
      await expect(second.read('openai')).rejects.toMatchObject({ code: 'stopping' })
    })
  })
}
