import { beforeEach, describe, expect, it } from 'vitest'
import type { CredentialState, Retirement } from '../../src/core/types.ts'
import { dayMs, minuteMs } from '../core/fixtures.ts'
import { operator, World } from './world.ts'

const policy = {
  overlapMs: 2 * minuteMs,
  quietMs: 30_000,
  drainLimitMs: 30 * dayMs,
  deadSpanMs: 2_000,
  staleAfterMs: 90 * minuteMs,
}

/** A minted key is handed out, and its retirement is what follows the next turn. */
async function turnedOnce(world: World): Promise<CredentialState> {
  await world.ready()
  await world.service.rotate('openai', { mode: 'normal' }, operator)
  await world.walkRotation()
  return world.state()
}

function lease(world: World, generation: number, instance = 'worker-1'): void {
  world.service.touchLease({ name: 'openai', app: 'shop', instance, generation })
}

async function turnAgain(world: World): Promise<void> {
  await world.service.rotate('openai', { mode: 'normal' }, operator)
  await world.walkRotation()
}

async function walkOf(world: World, version: string | undefined): Promise<Retirement | undefined> {
  return (await world.state()).retirements.find((one) => one.version === version)
}

/** Lets time pass, and returns the walk of that version then. */
async function after(world: World, ms: number, version: string | undefined): Promise<Retirement | undefined> {
  await world.time.advance(ms)
  return walkOf(world, version)
}

describe('an old key is revoked by evidence', () => {
  let world: World
  let old: string | undefined
  let generation = 0

  beforeEach(async () => {
    world = new World({ policy })
    const state = await turnedOnce(world)
    old = state.current
    generation = state.generation
  })

  it('goes when the overlap is over and nobody uses it', async () => {
    await turnAgain(world)
    expect((await after(world, minuteMs, old))?.phase).toBe('draining')
    expect((await after(world, 3 * minuteMs, old))?.phase).toBe('dead')
  })

  it('waits for an instance that is heard of and has requests of before under way, and says which', async () => {
    lease(world, generation)
    await turnAgain(world)
    for (let minute = 0; minute < 20; minute++) {
      lease(world, generation)
      await world.time.advance(minuteMs)
    }
    expect(await walkOf(world, old)).toMatchObject({
      phase: 'draining',
      heldBy: 'still in use by shop (worker-1)',
    })
    lease(world, (await world.state()).generation)
    expect((await after(world, 3 * minuteMs, old))?.phase).toBe('dead')
  })

  it('does not wait for one that fell silent, where OpenAI tells the last use', async () => {
    lease(world, generation)
    await turnAgain(world)
    expect((await after(world, 5 * minuteMs, old))?.phase).toBe('draining')
    expect((await after(world, 15 * minuteMs, old))?.phase).toBe('dead')
  })

  it('waits for one that fell silent where OpenAI does not tell, for as long as an app may go on with a key', async () => {
    world.issuer.tellsLastUse = false
    lease(world, generation)
    await turnAgain(world)
    expect((await after(world, 85 * minuteMs, old))?.phase).toBe('draining')
    expect((await after(world, 10 * minuteMs, old))?.phase).toBe('dead')
  })

  it('waits no longer for one whose lease an operator drops', async () => {
    world.issuer.tellsLastUse = false
    lease(world, generation)
    await turnAgain(world)
    expect((await after(world, 60 * minuteMs, old))?.phase).toBe('draining')
    await world.service.dropLease('openai', 'worker-1', operator)
    expect((await after(world, 3 * minuteMs, old))?.phase).toBe('dead')
  })

  it('waits while OpenAI sees it used, and counts no probe of ours for a use', async () => {
    await turnAgain(world)
    const keyId = (await world.state()).versions.find((one) => one.version === old)?.meta.keyId
    const used = world.issuer.keys.find((one) => one.keyId === keyId)
    if (used === undefined) throw new Error('the old key is one of the issuer')
    for (let round = 0; round < 20; round++) {
      used.lastUsedAt = world.time.now()
      await world.time.advance(20_000)
    }
    expect(await walkOf(world, old)).toMatchObject({
      phase: 'draining',
      heldBy: expect.stringMatching(/OpenAI saw it used \d+ seconds ago/) as string,
    })
    // The one use on record is as old as our own last look at it.
    used.lastUsedAt = (await world.state()).versions.find((one) => one.version === old)?.checkedAt ?? null
    expect((await after(world, 3 * minuteMs, old))?.phase).toBe('dead')
  })

  it('waits once more where an app is heard of again between the gate and the delete', async () => {
    await turnAgain(world)
    world.issuer.breakCall('verify')
    expect((await after(world, 3 * minuteMs, old))?.phase).toBe('proving_current')
    lease(world, generation)
    world.issuer.mend('verify')
    expect(await after(world, 2 * minuteMs, old)).toMatchObject({
      phase: 'revoking',
      heldBy: 'shop (worker-1), which may still use it',
    })
    lease(world, (await world.state()).generation)
    expect((await after(world, 5 * minuteMs, old))?.phase).toBe('dead')
  })

  it('is held by nobody’s retirement: two old keys go side by side, and neither holds up the next turn', async () => {
    lease(world, generation)
    await turnAgain(world)
    const middle = (await world.state()).current
    lease(world, generation)
    await turnAgain(world)
    const state = await world.state()
    expect(state.rotation?.outcome).toBe('promoted')
    expect((await walkOf(world, old))?.phase).toBe('draining')
    expect((await walkOf(world, middle))?.phase).toBe('draining')
    await world.time.advance(30 * minuteMs)
    expect((await walkOf(world, old))?.phase).toBe('dead')
    expect((await walkOf(world, middle))?.phase).toBe('dead')
  })
})
