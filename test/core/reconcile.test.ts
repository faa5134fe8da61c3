import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { markerOf } from '../../src/core/marker.ts'
import type { IssuedKey } from '../../src/core/ports.ts'
import {
  emptyMemory,
  type Findings,
  type Held,
  type Look,
  needsPlaces,
  reconcile,
} from '../../src/core/reconcile.ts'
import { Secret } from '../../src/core/secret.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { hourMs, minuteMs, recordWith, startAt, stateOf } from './fixtures.ts'

const ours = markerOf('inst1', 'a'.repeat(32))
const secretOf = (name: string): Secret => new Secret(['sk', 'svcacct', name.padEnd(30, 'x')].join('-'))
const redactedOf = (name: string): string => `${secretOf(name).reveal().slice(0, 16)}...xxxx`

function keyOf(name: string, change: Partial<IssuedKey> = {}): IssuedKey {
  return {
    keyId: `key-${name}`,
    name: ours,
    redacted: redactedOf(name),
    owner: 'service_account',
    createdAt: startAt - hourMs,
    ...change,
  }
}

const heldOf = (name: string, change: Partial<Held> = {}): Held => ({
  version: `v-${name}`,
  secret: secretOf(name),
  meta: {},
  ...change,
})

const inStore = (...held: readonly Held[]): Look['places'] => [
  { credential: 'openai', held, wholeSince: Number.NEGATIVE_INFINITY },
]

/** An hour after the first proof, nobody having the key. */
function lookOf(change: Partial<Look> = {}): Look {
  return {
    keys: [keyOf('orphan')],
    states: [stateOf([recordWith('v1', { stage: 'current' })])],
    here: new Set(['openai']),
    places: inStore(heldOf('v1')),
    memory: {
      ...emptyMemory,
      suspects: [{ keyId: 'key-orphan', marker: ours, firstAt: startAt - hourMs }],
    },
    installation: 'inst1',
    startedAt: startAt,
    endedAt: startAt + 1_000,
    apartMs: hourMs,
    bornAt: startAt - 30 * minuteMs,
    youngUntil: startAt - hourMs,
    ...change,
  }
}

const orphansOf = (look: Look): readonly string[] => reconcile(look).orphans.map(({ keyId }) => keyId)

describe('an orphan', () => {
  it('is a key of ours that was in no store, no mirror and no ledger in two looks an hour apart', () => {
    expect(orphansOf(lookOf())).toEqual(['key-orphan'])
  })

  it('is only suspected at the first look, from its end on', () => {
    const { orphans, memory, nextAt } = reconcile(lookOf({ memory: emptyMemory, states: [] }))
    expect(orphans).toEqual([])
    expect(memory.suspects).toEqual([{ keyId: 'key-orphan', marker: ours, firstAt: startAt + 1_000 }])
    expect(nextAt).toBe(startAt + 1_000 + hourMs)
  })

  const kept: readonly (readonly [string, Partial<Look>])[] = [
    ['the looks are less than an hour apart', { startedAt: startAt - 1 }],
    ['a store could not be read', { places: undefined }],
    ['the ledger is younger than an overlap', { youngUntil: startAt + 1 }],
    ['its marker is that of another installation', { installation: 'other' }],
    ['it bears no marker', { keys: [keyOf('orphan', { name: 'by hand' })] }],
    [
      'its redacted value shows too little to be told apart',
      { keys: [keyOf('orphan', { redacted: 's...f' })] },
    ],
    ['somebody has used it since', { keys: [keyOf('orphan', { lastUsedAt: startAt - minuteMs })] }],
    ['it has expired by itself', { keys: [keyOf('orphan', { expiresAt: startAt })] }],
    ['a store has its value', { places: inStore(heldOf('orphan')) }],
    [
      'a mirror has its value',
      {
        places: [
          ...(inStore(heldOf('v1')) ?? []),
          { credential: 'openai', held: [heldOf('orphan')], wholeSince: Number.NEGATIVE_INFINITY },
        ],
      },
    ],
    [
      'a store names it beside a value that is gone',
      { places: inStore(heldOf('x', { secret: undefined, meta: { marker: ours } })) },
    ],
    [
      'a store may have older versions than it names',
      { places: [{ credential: 'openai', held: [], wholeSince: startAt - minuteMs }] },
    ],
    [
      'a credential that is no longer configured has it on record',
      { states: [{ ...stateOf([recordWith('orphan')]), name: 'gone' }] },
    ],
    [
      'a retired version is it: its walk is another’s',
      { states: [stateOf([recordWith('orphan', { stage: 'retired' })])] },
    ],
    [
      'its mint is still looked for',
      {
        states: [
          stateOf([], {
            openAttempts: [{ marker: ours, version: 'v', until: startAt + hourMs, nextAt: startAt }],
          }),
        ],
      },
    ],
  ]
  it.each(kept)('is none where %s', (_why, change) => {
    expect(orphansOf(lookOf(change))).toEqual([])
  })

  it('stays suspected over a look that could read nothing, and begins anew when it was used or found', () => {
    const firstAt = (change: Partial<Look>): number | undefined =>
      reconcile(lookOf(change)).memory.suspects[0]?.firstAt
    expect(firstAt({ places: undefined })).toBe(startAt - hourMs)
    expect(firstAt({ keys: [keyOf('orphan', { lastUsedAt: startAt - minuteMs })] })).toBe(startAt + 1_000)
    expect(firstAt({ places: inStore(heldOf('orphan')) })).toBeUndefined()
    expect(firstAt({ keys: [] })).toBeUndefined()
  })

  it('is not found sooner, nor out of reach, by a clock that was set back', () => {
    const memory = {
      ...emptyMemory,
      suspects: [{ keyId: 'key-orphan', marker: ours, firstAt: startAt + 5 * hourMs }],
    }
    expect(reconcile(lookOf({ memory })).memory.suspects[0]?.firstAt).toBe(startAt + 1_000)
  })

  it('is found under an id from before the ledger was lost, which a minted version still bears', () => {
    const old = markerOf('before', 'b'.repeat(32))
    const minted = recordWith('v1', { stage: 'current', meta: { keyId: 'key-v1', marker: old } })
    const keys = [keyOf('orphan', { name: markerOf('before', 'c'.repeat(32)), lastUsedAt: null })]
    const known = lookOf({ keys, states: [stateOf([minted])] })
    expect(orphansOf(known)).toEqual(['key-orphan'])
    expect(reconcile(known).memory.installations).toEqual(['before'])
    const claimed = stateOf([{ ...minted, origin: 'found' }])
    expect(orphansOf({ ...known, states: [claimed] })).toEqual([])
    const remembered = { ...known.memory, installations: ['before'] }
    expect(orphansOf({ ...known, states: [claimed], memory: remembered })).toEqual(['key-orphan'])
  })

  it('is not forgotten for many others that bear our name and are used', () => {
    const keysAt = (lastUsedAt: number): readonly IssuedKey[] => [
      ...Array.from({ length: 300 }, (_, index) => keyOf(`used-${index}`, { lastUsedAt })),
      keyOf('orphan', { lastUsedAt: null }),
    ]
    const { memory } = reconcile(lookOf({ keys: keysAt(startAt - minuteMs), memory: emptyMemory }))
    expect(memory.suspects).toHaveLength(200)
    expect(memory.suspects.map(({ keyId }) => keyId)).toContain('key-orphan')
    const keys = keysAt(startAt + hourMs)
    const later = { startedAt: startAt + 2 * hourMs, endedAt: startAt + 2 * hourMs }
    expect(orphansOf(lookOf({ keys, memory, ...later }))).toEqual(['key-orphan'])
  })

  const living: readonly (readonly [string, Partial<IssuedKey>])[] = [
    ['was used since our ledger was begun', { lastUsedAt: startAt - minuteMs }],
    ['was made since our ledger was begun', { createdAt: startAt - minuteMs, lastUsedAt: null }],
    ['may have been used', {}],
  ]
  it.each(living)('is none under the id of an installation of which another key %s', (_why, change) => {
    const nameOf = (digit: string): string => markerOf('before', digit.repeat(32))
    const minted = recordWith('v1', { stage: 'current', meta: { keyId: 'key-v1', marker: nameOf('b') } })
    const unused = keyOf('orphan', { name: nameOf('c'), lastUsedAt: null })
    const keys = [unused, keyOf('other', { name: nameOf('d'), ...change })]
    const memory = { ...lookOf().memory, installations: ['before'] }
    const look = lookOf({ keys, states: [stateOf([minted])], memory })
    expect(orphansOf(look)).toEqual([])
    expect(reconcile(look).memory).toMatchObject({ suspects: [], installations: [] })
    // Nor where a store says that it is ours.
    const planted = heldOf('p', { meta: { keyId: 'key-other', marker: nameOf('d') } })
    expect(orphansOf({ ...look, places: inStore(planted) })).toEqual([])
  })
})

describe('keys of others', () => {
  it('are counted, and nothing else', () => {
    const keys = [keyOf('a', { name: 'by hand' }), keyOf('v1', { name: 'x' }), keyOf('orphan')]
    const { counts } = reconcile(lookOf({ keys }))
    expect(counts).toEqual({ listed: 3, held: 1, suspects: 1, unknown: 1 })
  })

  it('need no look into the stores', () => {
    const keys = [keyOf('a', { name: 'by hand' }), keyOf('v1', { name: 'x' })]
    expect(needsPlaces(lookOf({ keys }))).toBe(false)
    expect(needsPlaces(lookOf())).toBe(true)
  })
})

describe('a key that vanished', () => {
  const record = recordWith('v1', { stage: 'current' })
  const unlisted = (change: Partial<Look> = {}): Look =>
    lookOf({ keys: [], memory: emptyMemory, states: [stateOf([record])], ...change })

  it('is told once, when two listings a minute apart do not show it', () => {
    const first = reconcile(unlisted())
    expect(first.vanished).toEqual([])
    expect(first.nextAt).toBe(startAt + 1_000 + minuteMs)
    const later = { startedAt: startAt + 2 * minuteMs, endedAt: startAt + 2 * minuteMs }
    const second = reconcile(unlisted({ ...later, memory: first.memory }))
    expect(second.vanished).toMatchObject([{ credential: 'openai', version: 'v1', keyId: 'key-v1' }])
    const third = reconcile(unlisted({ ...later, memory: second.memory }))
    expect(third.vanished).toEqual([])
    expect(reconcile(unlisted({ keys: [keyOf('v1')], memory: third.memory })).memory.missing).toEqual([])
  })

  const expected: readonly (readonly [string, CredentialState, Partial<Look>])[] = [
    ['it was made a moment ago', stateOf([{ ...record, addedAt: startAt - minuteMs }]), {}],
    ['it is retired', stateOf([{ ...record, stage: 'retired' }], { current: 'v1' }), {}],
    ['it was withdrawn', stateOf([{ ...record, withdrawnAt: startAt }]), {}],
    ['it has expired', stateOf([{ ...record, meta: { keyId: 'key-v1', expiresAt: startAt } }]), {}],
    ['its id is only the word of a store', stateOf([{ ...record, origin: 'found' }]), {}],
    ['its keys are listed elsewhere', stateOf([record]), { here: new Set(['azure']) }],
  ]
  it.each(expected)('is none where %s', (_why, state, change) => {
    expect(reconcile(unlisted({ ...change, states: [state] })).memory.missing).toEqual([])
  })
})

describe('an old key of ours that nobody minds', () => {
  const marked = heldOf('orphan', { meta: { marker: ours } })
  const untended = (change: Partial<Look>): Findings['untended'] =>
    reconcile(lookOf({ places: inStore(marked), ...change })).untended

  it('is in a store with our marker beside it, and the issuer lists just one that fits, under that name', () => {
    expect(untended({})).toMatchObject([{ credential: 'openai', keyId: 'key-orphan' }])
    const found = recordWith('v-orphan', { origin: 'found', meta: { marker: ours, keyId: 'key-orphan' } })
    const look = lookOf({ places: inStore(marked), states: [stateOf([found])] })
    expect(needsPlaces(look)).toBe(true)
    expect(reconcile(look).untended).toHaveLength(1)
  })

  const minded: readonly (readonly [string, Partial<Look>])[] = [
    ['the marker beside it is another', { keys: [keyOf('orphan', { name: 'by hand' })] }],
    ['two keys fit', { keys: [keyOf('orphan'), keyOf('orphan', { keyId: 'key-other' })] }],
    ['the ledger minds it', { states: [stateOf([recordWith('orphan')])] }],
    ['the credential mints elsewhere', { here: new Set<string>() }],
    ['a store could not be read', { places: undefined }],
  ]
  it.each(minded)('is none where %s', (_why, change) => {
    expect(untended(change)).toEqual([])
  })
})

describe('whatever is seen, one look after another', () => {
  const mostly = fc.constantFrom(true, true, true, true, true, false)
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 90 * minuteMs }),
    takesMs: fc.integer({ min: 0, max: 5 * minuteMs }),
    isListed: mostly,
    isReadable: mostly,
    heldIn: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'none', 'store', 'mirror', 'ledger'),
    isUsed: mostly.map((isQuiet) => !isQuiet),
    youngMs: fc.constantFrom(0, 0, 3 * hourMs),
    isMarked: mostly,
  })

  it('only what was proven absent twice, an hour apart and without a trace in between, is an orphan', () => {
    let found = 0
    const histories = fc.array(step, { minLength: 2, maxLength: 12 })
    fc.assert(
      fc.property(histories, (steps) => {
        let [now, memory] = [startAt, emptyMemory]
        /** Ends of the looks since the last trace of anybody who has it that proved its absence. */
        let proofs: readonly number[] = []
        for (const one of steps) {
          const startedAt = now + one.afterMs
          now = startedAt + one.takesMs
          const key = keyOf('orphan', {
            createdAt: startAt - hourMs,
            ...(one.isUsed ? { lastUsedAt: startedAt } : {}),
            ...(one.isMarked ? {} : { name: 'by hand' }),
          })
          const elsewhere = { held: [heldOf('orphan')], wholeSince: Number.NEGATIVE_INFINITY }
          const places = inStore(...(one.heldIn === 'store' ? [heldOf('orphan')] : [])) ?? []
          const findings = reconcile(
            lookOf({
              keys: one.isListed ? [key] : [],
              states: one.heldIn === 'ledger' ? [stateOf([recordWith('orphan')])] : [],
              places: one.isReadable
                ? [...places, ...(one.heldIn === 'mirror' ? [{ credential: 'azure', ...elsewhere }] : [])]
                : undefined,
              memory,
              startedAt,
              endedAt: now,
              youngUntil: startedAt + one.youngMs,
            }),
          )
          const isTraced = !one.isMarked || !one.isListed || one.heldIn === 'ledger'
          const isProof = one.isReadable && one.heldIn === 'none' && !isTraced
          if (findings.orphans.length > 0) {
            found += 1
            expect(isProof && !one.isUsed && one.youngMs === 0).toBe(true)
            expect(Math.min(...proofs)).toBeLessThanOrEqual(startedAt - hourMs)
          }
          if (isTraced || (one.isReadable && (one.heldIn !== 'none' || one.isUsed))) proofs = []
          if (isProof) proofs = [...proofs, now]
          memory = findings.memory
        }
      }),
      { numRuns: 2_000, seed: 4 },
    )
    expect(found).toBeGreaterThan(100)
  })
})
