import * as fc from 'fast-check'
import { expect } from 'vitest'
import type { IssuerCall } from '../engine/scripted-issuer.ts'
import type { FaultKind } from '../stores/fakes/aws-fake.ts'
import { RotationWorld } from './rotation-world.ts'

const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const

/** What can happen to one call of the function. */
interface Mishap {
  readonly death?: { readonly atCall: number; readonly isAfter: boolean }
  readonly aws?: { readonly kind: FaultKind; readonly after: number; readonly times: number }
  readonly openai?: { readonly call: IssuerCall; readonly how: 'before' | 'after' }
}

type Move =
  | { readonly kind: 'step'; readonly step: (typeof steps)[number] | 'tick'; readonly mishap: Mishap }
  /** AWS calls twice at once. */
  | { readonly kind: 'twice'; readonly step: (typeof steps)[number]; readonly mishap: Mishap }
  /** AWS gives up what is under way and begins anew. */
  | { readonly kind: 'rotate' }
  /** An operator gives up what is under way. */
  | { readonly kind: 'abort' }
  /** Somebody writes another field of the document, where the key is in one. */
  | { readonly kind: 'change' }
  | { readonly kind: 'wait'; readonly ms: number }

const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 4,
    arbitrary: fc.record({
      death: fc.record({ atCall: fc.integer({ min: 1, max: 45 }), isAfter: fc.boolean() }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      aws: fc.record({
        kind: fc.constantFrom<FaultKind>('broken', 'reset', 'throttled', 'internal', 'proxy_page'),
        after: fc.integer({ min: 0, max: 12 }),
        times: fc.integer({ min: 1, max: 3 }),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      openai: fc.record({
        call: fc.constantFrom<IssuerCall>('mint', 'list', 'revoke', 'setExpiry', 'verify'),
        how: fc.constantFrom('before' as const, 'after' as const),
      }),
    }),
  },
)

const step = fc.constantFrom(...steps)
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('step' as const),
      step: fc.oneof({ weight: 6, arbitrary: step }, { weight: 1, arbitrary: fc.constant('tick' as const) }),
      mishap,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('twice' as const), step, mishap }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'rotate' as const }, { kind: 'abort' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'change' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(1_000, 70_000, 1_000_000),
    }),
  },
)

/** In AWS's order, each step some times over and with what can happen in between; or in any order at all. */
const inOrder = fc
  .tuple(
    ...steps.map((each) =>
      fc.array(fc.oneof({ weight: 3, arbitrary: ofStep(each) }, move), { maxLength: 3 }),
    ),
  )
  .map((parts) => parts.flat())
const anyOrder = fc.array(move, { minLength: 2, maxLength: 7 })
const history = fc.oneof({ weight: 3, arbitrary: inOrder }, { weight: 1, arbitrary: anyOrder })

function ofStep(each: (typeof steps)[number]): fc.Arbitrary<Move> {
  return fc.record({
    kind: fc.constantFrom('step' as const, 'twice' as const),
    step: fc.constant(each),
    mishap,
  })
}

/**
 * Whatever AWS calls, in whatever order, and whatever fails or dies on the way: what readers get works at every moment,
 * and afterwards, when AWS has called its four steps once more, there is the new key, the one that people made, and no
 * other alive.
 */
export async function everyOrderOfFailure(options: {
  readonly runs: number
  readonly seed?: number
}): Promise<void> {
  await fc.assert(
    fc.asyncProperty(history, fc.constantFrom(undefined, 'OPENAI_API_KEY'), async (moves, field) => {
      const world = await RotationWorld.start(field)
      try {
        const byHand = world.current.key
        let token = world.rotateSecret()
        for (const one of moves) {
          token = await play(world, one, token)
          expect(world.isAlive(world.current.key)).toBe(true)
        }
        const current = await recover(world, token)
        const alive = world.issuer.alive.map(({ secret }) => secret.reveal())
        expect(alive.toSorted()).toEqual([byHand, current].toSorted())
      } finally {
        await world.end()
      }
    }),
    {
      numRuns: options.runs,
      endOnFailure: true,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    },
  )
}

async function play(world: RotationWorld, one: Move, token: string): Promise<string> {
  switch (one.kind) {
    case 'rotate':
      return world.rotateSecret()
    case 'abort':
      await world.invoke('abort', token)
      return token
    case 'change':
      world.changeDocument({ user: `ann ${world.clock.now()}` })
      return token
    case 'wait':
      world.clock.forward(one.ms)
      return token
    case 'step':
      await amid(world, one.mishap, () => world.invoke(one.step, token, one.mishap.death))
      return token
    case 'twice':
      await amid(world, one.mishap, () =>
        Promise.all([world.invoke(one.step, token, one.mishap.death), world.invoke(one.step, token)]),
      )
      return token
  }
}

async function amid(
  world: RotationWorld,
  { aws, openai }: Mishap,
  work: () => Promise<unknown>,
): Promise<void> {
  if (aws !== undefined) world.place.fake.fault(aws)
  if (openai !== undefined) world.issuer.breakCall(openai.call, openai.how)
  const mended =
    openai === undefined
      ? () => undefined
      : world.clock.system.after(40, () => world.issuer.mend(openai.call))
  await work()
  mended()
  if (openai !== undefined) world.issuer.mend(openai.call)
  world.place.fake.clear()
}

/** As AWS does, without anybody's help: the steps once more, under the same token while that is pending; then the schedule goes on. */
async function recover(world: RotationWorld, first: string): Promise<string> {
  let token = first
  for (let rounds = 0; !(await isTurned(world, token)); rounds++) {
    expect(rounds).toBeLessThan(4)
    token = world.attemptAgain()
  }
  for (const ms of [61_000, 61_000, 3_600_000, 86_400_000]) {
    world.clock.forward(ms)
    expect(await world.invoke('tick', token)).toBe('done')
  }
  expect(world.isAlive(world.current.key)).toBe(true)
  // AWS goes on: it may be left on what is current, and on nothing else.
  expect(world.attemptAgain()).not.toBe(token)
  return world.current.key
}

async function isTurned(world: RotationWorld, token: string): Promise<boolean> {
  for (const one of steps) if ((await world.invoke(one, token)) !== 'done') return false
  return true
}
