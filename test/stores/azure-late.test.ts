import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { openAzureCalls } from '../../src/stores/azure-calls.ts'
import type { AzureStore } from '../../src/stores/azure-look.ts'
import { promoteOnAzure } from '../../src/stores/azure-promote.ts'
import { giveUpAfterMs, tellWithinMs } from '../../src/stores/azure-race.ts'
import { type Attempt, createUnfinished, type Unfinished } from '../../src/stores/azure-unfinished.ts'
import { valueFormat } from '../../src/stores/value-format.ts'
import { canary, failure, newSecret, stageNew } from '../conformance/store-suite-support.ts'
import { type HurriedClock, hurriedClock, turnOfLoop } from './fakes/azure-clock.ts'
import type { FakeAzureSecrets } from './fakes/azure-fake-vault.ts'
import { type Gate, modulesInProcess, openInProcess } from './fakes/azure-in-process.ts'

const free: Gate = async () => undefined

interface Scene {
  readonly secrets: FakeAzureSecrets
  readonly clock: HurriedClock
  readonly healthy: SecretStore
  readonly first: string
  readonly a: string
  readonly b: string
}

/** One key is current, and two more are staged. */
async function startScene(): Promise<Scene> {
  const secrets: FakeAzureSecrets = new Map()
  const clock = hurriedClock()
  const healthy = await openInProcess(secrets, free, clock)
  const [first, a, b] = [randomUUID(), randomUUID(), randomUUID()]
  for (const version of [first, a, b])
    await healthy.stage('openai', { version, secret: newSecret(), meta: {}, fence: 1 })
  await healthy.promote('openai', { to: first, expectCurrent: undefined, fence: 1 })
  return { secrets, clock, healthy, first, a, b }
}

const hold = (): PromiseWithResolvers<void> => Promise.withResolvers<void>()

/** As seen from the clock: how long it lasts, and what comes of it. */
async function timed<Result>(
  { clock }: Scene,
  call: Promise<Result>,
): Promise<{ readonly outcome: Result | KeyturnError; readonly lasted: number }> {
  const from = clock.now()
  const outcome = await call.catch((thrown: unknown) => {
    if (thrown instanceof KeyturnError) return thrown
    throw thrown
  })
  return { outcome, lasted: clock.now() - from }
}

describe('a promotion that tells whom it saw too late', () => {
  it('is cancelled before the others give it up, and does not claim to have won', async () => {
    const scene = await startScene()
    const { secrets, clock, healthy, first, a, b } = scene
    const wrote = hold()
    const atTell = hold()
    const mayList = hold()
    const mayTell = hold()
    const bWrites = hold()
    const mayWrite = hold()
    let hasWritten = false
    const slow = await openInProcess(
      secrets,
      async (line, when) => {
        if (line === 'PUT /secrets/openai' && when === 'after') hasWritten = true
        if (hasWritten && line === 'GET /secrets/openai/versions' && when === 'before') {
          wrote.resolve()
          await mayList.promise
        }
        if (!line.startsWith('PATCH /secrets/openai/') || when !== 'before') return
        atTell.resolve()
        await mayTell.promise
      },
      { context: { ...clock.context, system: { ...clock.context.system, bytes: () => new Uint8Array(4) } } },
    )
    const other = await openInProcess(
      secrets,
      async (line, when) => {
        if (line !== 'PUT /secrets/openai' || when !== 'before') return
        bWrites.resolve()
        await mayWrite.promise
      },
      clock,
    )
    // Both write before either lists, so that each sees the other, and the smaller nonce is the slow one's.
    const others = other.promote('openai', { to: b, expectCurrent: first, fence: 1 })
    await bWrites.promise
    const slows = slow.promote('openai', { to: a, expectCurrent: first, fence: 1 })
    await wrote.promise
    mayWrite.resolve()
    await turnOfLoop()
    clock.advance(tellWithinMs - 1_000)
    mayList.resolve()
    await atTell.promise
    expect(await others).toEqual({ kind: 'promoted' })
    mayTell.resolve()
    expect(await slows).toEqual({ kind: 'conflict', current: b })
    expect((await healthy.read('openai'))?.version).toBe(b)
  })

  it('looks at what was decided where the answer was not heard in time', async () => {
    const { secrets, clock, first, a } = await startScene()
    // A machine that stood still: its own limits fire after what had been waiting for it already.
    const stoodStill = { ...clock.context.system, after: standingStill(clock) }
    const gate: Gate = async (line, when) => {
      if (line.startsWith('PATCH /secrets/openai/') && when === 'after') clock.advance(giveUpAfterMs / 2 + 1)
    }
    const lines: string[] = []
    const recording: Gate = async (line, when) => {
      if (when === 'before') lines.push(line)
      await gate(line, when)
    }
    const context = { ...clock.context, system: stoodStill }
    const slow = await openInProcess(secrets, recording, { context })
    const outcome = await slow.promote('openai', { to: a, expectCurrent: first, fence: 1 })
    expect(outcome).toEqual({ kind: 'already' })
    expect(lines.filter((line) => line === 'PUT /secrets/openai')).toHaveLength(1)
  })
})

/** Limits do not fire at all. */
function standingStill({ context }: HurriedClock): HurriedClock['context']['system']['after'] {
  return (delayMs, callback, options) =>
    options?.background === true ? () => undefined : context.system.after(delayMs, callback)
}

describe('a call next to a replica that died, with a vault that takes 4 s for each request', () => {
  const limitMs = 31_000

  async function startWithDead(): Promise<Scene & { readonly slow: SecretStore }> {
    const scene = await startScene()
    const never = new Promise<void>(() => undefined)
    let isDead = false
    const died = hold()
    const dying = await openInProcess(
      scene.secrets,
      async (line, when) => {
        if (isDead) await never
        if (line !== 'PUT /secrets/openai' || when !== 'after') return
        isDead = true
        died.resolve()
        await never
      },
      {
        context: {
          ...scene.clock.context,
          system: { ...scene.clock.context.system, after: () => () => undefined },
        },
      },
    )
    void dying.promote('openai', { to: scene.b, expectCurrent: scene.first, fence: 1 })
    await died.promise
    const gate: Gate = async (_line, when) => {
      if (when === 'before') scene.clock.advance(4_000)
    }
    return { ...scene, slow: await openInProcess(scene.secrets, gate, scene.clock) }
  }

  it('ends within 30 s, and asked for again it is done', async () => {
    const scene = await startWithDead()
    const { slow, healthy, a, b, first } = scene
    const retirement = await timed(scene, slow.retire('openai', { version: a, fence: 1 }))
    expect(retirement.lasted).toBeLessThan(limitMs)
    if (retirement.outcome instanceof KeyturnError) expect(retirement.outcome.retryable).toBe(true)
    const { version } = await stageNew(healthy, 'openai')
    const promote = { to: version, expectCurrent: b, fence: 1 }
    const promotion = await timed(scene, slow.promote('openai', promote))
    expect(promotion.lasted).toBeLessThan(limitMs)
    if (promotion.outcome instanceof KeyturnError) expect(promotion.outcome.retryable).toBe(true)
    const described = await healthy.describe('openai')
    const expectCurrent = described?.current ?? first
    expect(['promoted', 'already']).toContain(
      (await healthy.promote('openai', { to: version, expectCurrent, fence: 1 })).kind,
    )
  })

  it('says what is waited for where the time runs out', async () => {
    const scene = await startWithDead()
    const { slow, a, first } = scene
    const error = await failure(slow.promote('openai', { to: a, expectCurrent: first, fence: 1 }))
    expect(error.retryable).toBe(true)
    expect(['store_conflict', 'store_unreachable']).toContain(error.code)
    expect(error.message).toContain('openai')
  })
})

// ------------------------------------------------------------------ what is kept of a failed promotion

function attemptOf(clock: HurriedClock, seen?: readonly string[]): Attempt {
  const value = {
    id: 'x',
    tags: {},
    isEnabled: true,
    createdAt: 0,
    contentType: undefined,
    expiresAt: undefined,
    text: newSecret(),
  }
  const own = {
    version: 'v',
    nonce: 'n',
    turn: 1,
    fence: 1,
    beganAt: clock.now(),
    slot: 's',
    known: new Set<string>(),
    base: { value, key: newSecret() },
  }
  const tags = {
    version: 'v',
    previous: undefined,
    turn: 1,
    nonce: 'n',
    edition: 1,
    fence: 1,
    slot: 's',
    digest: '',
    settledAt: 0,
    seen: undefined,
  }
  return {
    own,
    text: newSecret(),
    tags,
    others: {},
    contentType: undefined,
    expiresAt: undefined,
    wasCurrent: false,
    hasTold: false,
    ...(seen === undefined ? {} : { seen }),
  }
}

describe('what is kept of a promotion that failed', () => {
  const request = { to: 'v', expectCurrent: undefined, fence: 1 }

  it('shows no key, and is gone once it cannot go on any more', () => {
    const clock = hurriedClock()
    const unfinished = createUnfinished(clock.context.system)
    const attempt = attemptOf(clock)
    expect(inspect(attempt, { depth: 10, showHidden: true })).not.toContain(canary)
    expect(JSON.stringify(attempt)).not.toContain(canary)
    unfinished.keep('one', attempt)
    unfinished.keep('withdrawn', attemptOf(clock, []))
    clock.advance(tellWithinMs - 100)
    expect(unfinished.size).toBe(2)
    clock.advance(100)
    expect(unfinished.size).toBe(1)
    expect(unfinished.take('one', request)).toBeUndefined()
    expect(unfinished.take('withdrawn', request)).toBeDefined()
    expect(unfinished.size).toBe(0)
    unfinished.keep('one', attempt)
    expect(unfinished.size).toBe(0)
  })

  it('goes to the same promotion alone', () => {
    const clock = hurriedClock()
    const unfinished = createUnfinished(clock.context.system)
    for (const other of [{ to: 'w' }, { fence: 2 }]) {
      unfinished.keep('one', attemptOf(clock))
      expect(unfinished.take('one', { ...request, ...other })).toBeUndefined()
      expect(unfinished.size).toBe(0)
    }
  })

  it('makes room for others by its oldest', () => {
    const clock = hurriedClock()
    const unfinished = createUnfinished(clock.context.system)
    for (let count = 0; count < 1_001; count += 1) unfinished.keep(`ref-${count}`, attemptOf(clock))
    expect(unfinished.size).toBe(1_000)
    expect(unfinished.take('ref-0', request)).toBeUndefined()
    expect(unfinished.take('ref-1', request)).toBeDefined()
    unfinished.clear()
    expect(unfinished.size).toBe(0)
  })

  it.each([
    [401, 0],
    [503, 1],
  ])('after %i it is kept of %i', async (status, kept) => {
    const { secrets, clock, first, a } = await startScene()
    const gate: Gate = async (line, when) => {
      if (line.startsWith('PATCH') && when === 'before')
        throw Object.assign(new Error('refused'), { statusCode: status })
    }
    const { store, unfinished } = await openParts(secrets, gate, clock)
    const promote = { to: a, expectCurrent: first, fence: 1 }
    const error = await failure(promoteOnAzure(store, unfinished, 'openai', promote))
    expect([error.retryable, unfinished.size]).toEqual([kept === 1, kept])
  })
})

async function openParts(
  secrets: FakeAzureSecrets,
  gate: Gate,
  { context }: HurriedClock,
): Promise<{ readonly store: AzureStore; readonly unfinished: Unfinished }> {
  const load = async (): ReturnType<Parameters<typeof openAzureCalls>[2]> => modulesInProcess(secrets, gate)
  const store: AzureStore = {
    calls: await openAzureCalls({ vault: 'https://vault.example.com' }, context, load),
    format: valueFormat({}),
    field: undefined,
    context,
    failuresMax: 0,
    silentSince: new Map(),
    untilAt: Number.POSITIVE_INFINITY,
  }
  return { store, unfinished: createUnfinished(context.system) }
}
