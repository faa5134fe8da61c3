import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  backoffMaxMs,
  backoffMs,
  type Effect,
  type Event,
  type Given,
  idle,
  type Policy,
  type State,
  startTriesMax,
  step,
} from '../../../src/cli/exec/supervision.ts'

const policy: Policy = {
  onRotation: 'restart',
  rotationSignal: 'SIGHUP',
  stopSignal: 'SIGTERM',
  graceMs: 10_000,
  spreadMs: 0,
}
const key = (generation: number, environment = `key-${generation}`): Given => ({ environment, generation })
const changed = (given: Given, at = 0, fraction = 0): Event => ({ kind: 'changed', given, at, fraction })
const told = (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR1', at = 0, isShared = false): Event => ({
  kind: 'told',
  signal,
  number: 15,
  isShared,
  at,
})

/** All that comes of these events, from the beginning. */
function after(events: readonly Event[], own: Partial<Policy> = {}): { state: State; effects: Effect[] } {
  const effects: Effect[] = []
  let state = idle
  for (const event of events) {
    const next = step(state, event, { ...policy, ...own })
    state = next.state
    effects.push(...next.effects)
  }
  return { state, effects }
}

const running: readonly Event[] = [changed(key(1)), { kind: 'started', at: 0 }]
/** Of what the last event alone brought. */
function last(events: readonly Event[], own: Partial<Policy> = {}): readonly Effect[] {
  return after(events, own).effects.slice(after(events.slice(0, -1), own).effects.length)
}
const due = (at = 0): Event => ({ kind: 'due', at })
const stopping: readonly Event[] = [...running, changed(key(2), 5), due(5)]

describe('a program', () => {
  it('is started with the first key, and its generation is held before that', () => {
    expect(last([changed(key(1))])).toEqual([
      { kind: 'hold', generation: 1 },
      { kind: 'start', given: key(1) },
    ])
  })

  it('that ends by itself ends everything with its code', () => {
    expect(last([...running, { kind: 'exited', code: 7 }])).toEqual([{ kind: 'end', code: 7 }])
  })

  it('that is not there ends everything with 127', () => {
    expect(last([changed(key(1)), { kind: 'refused', code: 127 }])).toEqual([{ kind: 'end', code: 127 }])
  })

  it('whose restart is planned already gets whatever is newest then, and no second plan', () => {
    const spread = { spreadMs: 60_000 }
    const planned: readonly Event[] = [...running, changed(key(2), 5, 0.5)]
    expect(last(planned, spread)).toEqual([
      { kind: 'say', what: 'restart-planned' },
      { kind: 'wake', event: 'due', afterMs: 30_000 },
    ])
    const again: readonly Event[] = [...planned, changed(key(3), 6, 0.9)]
    expect(last(again, spread)).toEqual([])
    expect(after([...again, due(30_005)], spread).state).toMatchObject({ kind: 'stopping', wanted: key(3) })
  })

  it('is asked to end when there is another key, and that it may be stopped is thought of', () => {
    expect(last(stopping)).toEqual([
      { kind: 'say', what: 'restarting' },
      { kind: 'send', signal: 'SIGTERM' },
      { kind: 'send', signal: 'SIGCONT' },
      { kind: 'wake', event: 'overdue', afterMs: 10_000 },
    ])
  })

  it('is started again only when the old one is gone, and until then the old generation is held', () => {
    expect(last([...stopping, { kind: 'exited', code: 143 }])).toEqual([])
    expect(last([...stopping, { kind: 'exited', code: 143 }, { kind: 'gone' }])).toEqual([
      { kind: 'hold', generation: 2 },
      { kind: 'start', given: key(2) },
    ])
  })

  it('that does not end in time is killed', () => {
    expect(last([...stopping, { kind: 'overdue' }])).toEqual([
      { kind: 'say', what: 'killed' },
      { kind: 'kill' },
    ])
  })

  it('gets the newest of keys that came while it ended', () => {
    const ended: readonly Event[] = [{ kind: 'exited', code: 0 }, { kind: 'gone' }]
    expect(last([...stopping, changed(key(3)), ...ended])).toContainEqual({ kind: 'start', given: key(3) })
  })

  it('is not restarted where only the generation is another, and holds that', () => {
    expect(last([...running, changed(key(2, 'key-1'))])).toEqual([{ kind: 'hold', generation: 2 }])
  })

  it('is not restarted where the first key is back before the restart', () => {
    const back: readonly Event[] = [...running, changed(key(2), 0, 1), changed(key(3, 'key-1')), due(60_000)]
    expect(last(back, { spreadMs: 60_000 })).toEqual([])
  })

  it('is restarted within a random part of the spread', () => {
    expect(last([...running, changed(key(2), 0, 0.5)], { spreadMs: 60_000 })).toContainEqual({
      kind: 'wake',
      event: 'due',
      afterMs: 30_000,
    })
  })

  it('is restarted at once the first time, and later each time after a run twice as long', () => {
    expect([0, 1, 2, 3, 20].map(backoffMs)).toEqual([0, 1_000, 2_000, 4_000, backoffMaxMs])
    const again: readonly Event[] = [
      ...stopping,
      { kind: 'exited', code: 0 },
      { kind: 'gone' },
      { kind: 'started', at: 10 },
      changed(key(3), 20),
    ]
    expect(last(again)).toContainEqual({ kind: 'wake', event: 'due', afterMs: 990 })
    expect(last([...again.slice(0, -1), changed(key(3), 700_000)])).toEqual([
      { kind: 'wake', event: 'due', afterMs: 0 },
    ])
  })

  it('that cannot be started again is tried a few times more', () => {
    const refused: Event = { kind: 'refused', code: 127 }
    const down: Event[] = [...stopping, { kind: 'exited', code: 0 }, { kind: 'gone' }, refused]
    expect(last(down)).toEqual([
      { kind: 'say', what: 'retrying' },
      { kind: 'wake', event: 'due', afterMs: 1_000 },
    ])
    for (let tries = 1; tries < startTriesMax; tries += 1) down.push(due(), refused)
    expect(last(down)).toEqual([{ kind: 'end', code: 127 }])
  })
})

describe('signals from outside', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)('%s is passed on', (signal) => {
    expect(last([...running, told(signal)])).toEqual([{ kind: 'send', signal }])
  })

  it('are not passed on where the terminal sent them to the program too', () => {
    expect(last([...running, told('SIGINT', 0, true)])).toEqual([])
  })

  it('SIGTERM means the end: no restart comes in between', () => {
    expect(last([...running, told('SIGTERM'), changed(key(2)), due(1e9)])).toEqual([])
  })

  it('SIGINT may be meant for what the program is at: a restart waits for a while', () => {
    const interrupted: readonly Event[] = [...running, changed(key(2), 0), told('SIGINT', 1)]
    expect(last([...interrupted, due(2)])).toEqual([{ kind: 'wake', event: 'due', afterMs: 9_999 }])
    expect(last([...interrupted, due(10_001)])).toContainEqual({ kind: 'send', signal: 'SIGTERM' })
  })

  it('while it ends for a restart mean that it is the last', () => {
    const ended: readonly Event[] = [{ kind: 'exited', code: 143 }, { kind: 'gone' }]
    expect(last([...stopping, told('SIGINT'), ...ended])).toEqual([{ kind: 'end', code: 143 }])
  })

  it('while nothing runs end with 128 and their number', () => {
    const down: readonly Event[] = [...stopping, { kind: 'gone' }, { kind: 'refused', code: 126 }]
    expect(last([...down, told('SIGTERM')])).toEqual([{ kind: 'end', code: 143 }])
  })

  it('while it is being started reach it as soon as it runs', () => {
    expect(last([changed(key(1)), told('SIGTERM'), { kind: 'started', at: 0 }])).toEqual([
      { kind: 'send', signal: 'SIGTERM' },
    ])
  })
})

describe('a program that is not restarted', () => {
  it('is sent a signal, and the old generation is held until it had time to read', () => {
    const own = { onRotation: 'signal' } as const
    expect(last([...running, changed(key(2))], own)).toEqual([
      { kind: 'send', signal: 'SIGHUP' },
      { kind: 'say', what: 'signalled' },
      { kind: 'wake', event: 'due', afterMs: 10_000 },
    ])
    expect(last([...running, changed(key(2)), due()], own)).toEqual([{ kind: 'hold', generation: 2 }])
  })

  it('keeps its generation until it ends, where nothing is done', () => {
    const own = { onRotation: 'none' } as const
    const all = after([...running, changed(key(2)), changed(key(3)), due()], own).effects
    expect(all.filter(({ kind }) => kind === 'hold')).toEqual([{ kind: 'hold', generation: 1 }])
  })
})

describe('whatever happens, in whatever order', () => {
  const at = fc.nat(1_000_000)
  const event: fc.Arbitrary<Event> = fc.oneof(
    fc.record({
      kind: fc.constant('changed' as const),
      given: fc.nat(3).map((n) => key(n)),
      at,
      fraction: fc.double({ min: 0, max: 0.99, noNaN: true }),
    }),
    fc.record({ kind: fc.constant('due' as const), at }),
    fc.constant<Event>({ kind: 'overdue' }),
    fc.constantFrom(told('SIGTERM'), told('SIGINT'), told('SIGUSR1', 0, true)),
  )
  /** What the program does: none of it can happen while none runs. */
  const program = fc.constantFrom<Event>(
    { kind: 'started', at: 0 },
    { kind: 'refused', code: 127 },
    { kind: 'exited', code: 3 },
    { kind: 'gone' },
  )

  it('one program runs at a time, it holds its own generation, and nothing is done after the end', () => {
    const own = fc.constantFrom<Policy['onRotation']>('restart', 'signal', 'none')
    fc.assert(
      fc.property(own, fc.array(fc.oneof(event, program), { maxLength: 40 }), (onRotation, events) => {
        let state: State = idle
        let life: 'none' | 'asked' | 'runs' | 'exited' = 'none'
        let held: number | undefined
        let given: Given | undefined
        let isOver = false
        for (const next of events) {
          if (!canHappen(next, life)) continue
          if (next.kind === 'started') life = 'runs'
          if (next.kind === 'refused' || next.kind === 'gone') life = 'none'
          if (next.kind === 'exited') life = 'exited'
          const result = step(state, next, { ...policy, onRotation })
          state = result.state
          expect(isOver && result.effects.length > 0).toBe(false)
          for (const effect of result.effects) {
            if (effect.kind === 'start') {
              expect(life).toBe('none')
              life = 'asked'
              given = effect.given
              expect(held).toBe(given.generation)
            }
            if (effect.kind === 'hold') held = effect.generation
            if (effect.kind === 'end') isOver = true
          }
          // A restart lets go of a generation only when nobody has its key any more.
          if (onRotation !== 'signal' && life !== 'none') expect(held).toBe(given?.generation)
        }
      }),
      { numRuns: 300 },
    )
  })
})

function canHappen({ kind }: Event, life: 'none' | 'asked' | 'runs' | 'exited'): boolean {
  if (kind === 'started' || kind === 'refused') return life === 'asked'
  if (kind === 'exited') return life === 'runs'
  return kind === 'gone' ? life === 'exited' : true
}
