import { describe, expect, it } from 'vitest'
import type { CredentialSummary, RotationRequest, RotationSummary } from '../../src/api/types.ts'
import type { Api } from '../../src/cli/api.ts'
import { createContext } from '../../src/cli/command.ts'
import { createOutput } from '../../src/cli/output.ts'
import { turnInWaves } from '../../src/cli/waves.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { fakeIo } from './fake-io.ts'
import { retirementAt, rotationAt, start, summaryOf } from './samples.ts'

type Looks = readonly (Partial<RotationSummary> | 'away')[]

/** A service in memory: each look at a credential brings the next of what is said of its rotation; the last one stays. */
function fleet(walks: Readonly<Record<string, Looks | KeyturnError>>) {
  const begun: string[] = []
  const looks = new Map<string, number>()
  const rotationOf = (name: string): RotationSummary => {
    const walk = walks[name]
    if (walk === undefined || walk instanceof KeyturnError) throw new Error(`${name} does not walk`)
    const index = Math.min(looks.get(name) ?? 0, walk.length - 1)
    looks.set(name, index + 1)
    const said = walk[index] ?? {}
    if (said === 'away') throw new KeyturnError('service_unreachable', 'nobody answers')
    return rotationAt('proving', { id: name, credential: name, ...said })
  }
  const api = {
    summariesOf: async (names: readonly string[]): Promise<readonly CredentialSummary[]> =>
      names.map((name) => summaryOf(name, { rotation: begun.includes(name) ? rotationOf(name) : null })),
    rotate: async (name: string, _request: RotationRequest): Promise<RotationSummary> => {
      const walk = walks[name]
      if (walk instanceof KeyturnError) throw walk
      begun.push(name)
      return rotationAt('checking', { id: name, credential: name })
    },
    rotation: async (name: string) => rotationOf(name),
  }
  return { api: api as unknown as Api, begun }
}

const promoted = rotationAt('done')
const halted: Partial<RotationSummary> = {
  phase: 'halted',
  halt: {
    from: 'checking',
    reason: 'permission_missing',
    summary: 'Not allowed.',
    fix: 'Allow it.',
    at: promoted.startedAt,
  },
}
const done: Partial<RotationSummary> = { ...promoted, retirement: retirementAt('draining') }
const dead: Partial<RotationSummary> = { ...promoted, retirement: retirementAt('dead') }
const { id: _id, credential: _credential, ...over } = done
const { id: _deadId, credential: _deadCredential, ...proven } = dead

async function turn(
  walks: Readonly<Record<string, Looks | KeyturnError>>,
  change: {
    readonly size?: number
    readonly isWaiting?: boolean
    readonly onNote?: (io: ReturnType<typeof fakeIo>) => void
  } = {},
) {
  // Pauses pass at once; what is waited for is the next look.
  const base = fakeIo({ now: () => start })
  const io = { ...base, after: (_ms: number, callback: () => void) => base.after(0, callback) }
  const out = createOutput({ ...io, isJson: true })
  const context = createContext({ io, out, args: [], values: {} })
  const { api, begun } = fleet(walks)
  change.onNote?.(base)
  const code = await turnInWaves(context, api, {
    names: Object.keys(walks),
    skipped: [],
    size: change.size ?? 2,
    pauseMs: 1_000,
    isWaiting: change.isWaiting ?? false,
    request: { mode: 'normal' },
    since: new Date(start).toISOString(),
  })
  return { code, begun, told: JSON.parse(io.out()) as Record<string, readonly unknown[]>, err: io.err() }
}

describe('waves', () => {
  it('begin one after the other, each when all of the one before are promoted', async () => {
    const slow = [{}, {}, {}, over]
    const { code, begun, told } = await turn({ a: [over], b: slow, c: [over], d: [over], e: [over] })
    expect(code).toBe(0)
    expect(begun).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(told).toMatchObject({ done: ['a', 'b', 'c', 'd', 'e'], failed: [], notBegun: [] })
  })

  it('with --wait are over only when each old key is proven dead', async () => {
    const { told } = await turn({ a: [over, over, proven], b: [proven] }, { size: 1, isWaiting: true })
    expect(told).toMatchObject({ done: ['a', 'b'] })
  })

  it('end at the first halt, after the others of its wave, and name the fix and what was not begun', async () => {
    const { code, begun, told, err } = await turn(
      { a: [over], b: [halted], c: [{}, {}, over], d: [over] },
      { size: 3 },
    )
    expect(code).toBe(3)
    expect(begun).toEqual(['a', 'b', 'c'])
    expect(told).toMatchObject({
      done: ['a', 'c'],
      failed: [{ name: 'b', code: 'rotation_halted', fix: 'Allow it.' }],
      notBegun: ['d'],
    })
    expect(err).toContain('b: Not allowed.')
  })

  it('end at a refusal, and begin nothing more of that wave', async () => {
    const refused = new KeyturnError('rotation_halted', 'halted before', { fix: 'keyturn resume b' })
    const { code, begun, told } = await turn({ a: [over], b: refused, c: [over] }, { size: 3 })
    expect([code, begun]).toEqual([3, ['a']])
    expect(told).toMatchObject({ done: ['a'], notBegun: ['c'] })
  })

  it('leave out what cannot be turned', async () => {
    const readOnly = new KeyturnError('store_read_only', 'its store cannot be written')
    const { code, told } = await turn({ a: readOnly, b: [over] })
    expect(code).toBe(0)
    expect(told).toMatchObject({ done: ['b'], skipped: [{ name: 'a', why: 'its store cannot be written' }] })
  })

  it('leave out what is in a blackout, and go on with the others', async () => {
    const until = new Date(start).toISOString()
    const refused = new KeyturnError(
      'blackout',
      `b is in a blackout until ${until}: its key is not turned now.`,
    )
    const { code, told } = await turn({ a: [over], b: refused, c: [over] }, { size: 1 })
    expect(code).toBe(0)
    expect(told).toMatchObject({
      done: ['a', 'c'],
      failed: [],
      skipped: [
        {
          name: 'b',
          why: `in a blackout until ${until}: its key is not turned now (--in-blackout turns it all the same)`,
        },
      ],
    })
  })

  it('wait for a service that is started anew', async () => {
    const { code, told } = await turn({ a: [{}, 'away', 'away', over] })
    expect(code).toBe(0)
    expect(told).toMatchObject({ done: ['a'] })
  })

  it('that are stopped begin nothing more and leave what runs to the service', async () => {
    const { code, begun, told } = await turn(
      { a: [{}], b: [over] },
      { size: 1, onNote: (io) => void io.seen('a: proving').then(() => io.signal('SIGINT')) },
    )
    expect(code).toBe(130)
    expect(begun).toEqual(['a'])
    expect(told).toMatchObject({ running: ['a'], notBegun: ['b'] })
  })
})

it('a person sees which wave it is, and on Ctrl-C how to look again', async () => {
  const base = fakeIo({ now: () => start, isTerminal: true })
  const io = { ...base, after: (_ms: number, callback: () => void) => base.after(0, callback) }
  const out = createOutput({ ...io, isJson: false })
  const { api } = fleet({ a: [over], b: [over], c: [{}] })
  void base.seen('wave 2 of 2: 3 of 3 begun, 2 done').then(() => base.signal('SIGINT'))
  const code = await turnInWaves(createContext({ io, out, args: [], values: {} }), api, {
    names: ['a', 'b', 'c'],
    skipped: [],
    size: 2,
    pauseMs: 0,
    isWaiting: false,
    request: { mode: 'normal' },
    since: new Date(start).toISOString(),
  })
  expect(code).toBe(130)
  expect(base.err()).toContain('wave 1 of 2: 1 of 3 begun')
  expect(base.out()).toMatch(
    /still running: 1 \(c\)[\s\S]*goes on without this command: see 'keyturn status --watch'/,
  )
})
