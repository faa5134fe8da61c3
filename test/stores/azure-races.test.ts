import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { PromoteOutcome, SecretStore } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import { raceSuite } from '../conformance/race-suite.ts'
import { newSecret, type StoreHarness } from '../conformance/store-suite-support.ts'
import { type HurriedClock, hurriedClock } from './fakes/azure-clock.ts'
import type { FakeAzureSecrets } from './fakes/azure-fake-vault.ts'
import { type Gate, openInProcess } from './fakes/azure-in-process.ts'
import { azureHarness } from './fakes/azure-place.ts'

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Each request and each answer takes its own number of turns, and some take longer than all that others do meanwhile. */
function shuffling(seed: number): Gate {
  const random = seeded(seed)
  return async () => {
    const longest = random() < 0.1 ? 300 : 12
    for (let turns = Math.floor(random() * longest); turns > 0; turns -= 1) await Promise.resolve()
  }
}

/** Who wins a tie is the seed's to say as well. */
function hurried(seed: number): HurriedClock {
  const random = seeded(seed + 1_000_000)
  return hurriedClock((count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256)))
}

async function inProcess(seed: number): Promise<StoreHarness> {
  const secrets: FakeAzureSecrets = new Map()
  const { context } = hurried(seed)
  const gate = shuffling(seed)
  const another = (): Promise<SecretStore> => openInProcess(secrets, gate, { context })
  return {
    store: await another(),
    ref: 'openai',
    absentRef: 'nowhere',
    another,
    logged: () => context.lines.join('\n'),
    cleanUp: async () => undefined,
  }
}

// Azure deletes no version and lists them 25 at a time: a thousand races over one secret would measure its pages.
describe('a thousand races of two', () => {
  for (let seed = 1; seed <= 40; seed += 1)
    raceSuite('azure-key-vault', () => inProcess(seed), { races: 25, seed })
})

const keys = (count: number): readonly { readonly version: string; readonly secret: Secret }[] =>
  Array.from({ length: count }, () => ({ version: randomUUID(), secret: newSecret() }))

/** Some of them die at one of their requests, before or after it was carried out, and are not heard of again. */
async function runWithDeaths(seed: number): Promise<{ readonly told: number; readonly died: number }> {
  const random = seeded(seed)
  const secrets: FakeAzureSecrets = new Map()
  const { context } = hurried(seed)
  const calm = shuffling(seed)
  const healthy = await openInProcess(secrets, calm, { context })
  const staged = keys(2 + Math.floor(random() * 4))
  const [first] = keys(1)
  if (first === undefined) throw new Error('no key was made')
  await healthy.stage('openai', { ...first, meta: {}, fence: 1 })
  for (const key of staged) await healthy.stage('openai', { ...key, meta: {}, fence: 1 })
  await healthy.promote('openai', { to: first.version, expectCurrent: undefined, fence: 1 })

  const dies = Promise.withResolvers<undefined>()
  let died = 0
  const race = staged.map(async ({ version }): Promise<PromoteOutcome | undefined> => {
    let left = random() < 0.4 ? Math.floor(random() * 24) : Number.POSITIVE_INFINITY
    const over = Promise.withResolvers<undefined>()
    const gate: Gate = async (line, when) => {
      await calm(line, when)
      left -= 1
      if (left >= 0) return
      over.resolve(undefined)
      await dies.promise
    }
    const client = await openInProcess(secrets, gate, { context })
    const request = { to: version, expectCurrent: first.version, fence: 1 }
    const outcome = await Promise.race([client.promote('openai', request), over.promise])
    if (outcome === undefined) died += 1
    return outcome
  })
  const outcomes = await Promise.all(race)
  const where = `seed ${seed}: ${JSON.stringify(outcomes)}`
  const winners = staged.filter((_, index) => outcomes[index]?.kind === 'promoted')
  expect(winners.length, where).toBeLessThanOrEqual(1)
  if (died === 0) expect(winners, where).toHaveLength(1)
  const told = new Set(
    outcomes.map((outcome, index) => {
      if (outcome?.kind === 'promoted' || outcome?.kind === 'already') return staged[index]?.version
      return outcome?.kind === 'conflict' ? outcome.current : undefined
    }),
  )
  told.delete(undefined)
  expect(told.size, where).toBeLessThanOrEqual(1)

  // Whoever comes next finds what was told, and can go on.
  const [current] = [...told]
  const later = await openInProcess(secrets, calm, { context })
  if (current !== undefined) {
    const again = { to: current, expectCurrent: randomUUID(), fence: 1 }
    expect(await later.promote('openai', again), where).toEqual({ kind: 'already' })
    expect((await later.read('openai'))?.version, where).toBe(current)
  }
  const [next] = keys(1)
  if (next === undefined) throw new Error('no key was made')
  await later.stage('openai', { ...next, meta: {}, fence: 2 })
  const expectCurrent = current ?? (await settledCurrent(later, next.version))
  const promote = { to: next.version, expectCurrent, fence: 2 }
  expect(await later.promote('openai', promote), where).toEqual({ kind: 'promoted' })
  expect((await later.read('openai'))?.secret.equals(next.secret), where).toBe(true)
  for (const { version, secret } of [first, ...staged])
    expect((await later.read('openai', { version }))?.secret.equals(secret), where).toBe(true)
  return { told: told.size, died }
}

/** What a lost promotion says of the current one: by then it is decided. */
async function settledCurrent(store: SecretStore, to: string): Promise<string | undefined> {
  const outcome = await store.promote('openai', { to, expectCurrent: randomUUID(), fence: 2 })
  return outcome.kind === 'conflict' ? outcome.current : undefined
}

it('lets nobody win twice, and leaves no dead end, when replicas die in the middle of it', async () => {
  let deaths = 0
  for (let seed = 1; seed <= 150; seed += 1) deaths += (await runWithDeaths(seed)).died
  expect(deaths).toBeGreaterThan(50)
})

/** Some requests or their answers take longer than their sender waits, and some longer than the others do. */
async function runSlowly(seed: number): Promise<{ readonly isCancelled: boolean }> {
  const random = seeded(seed)
  const secrets: FakeAzureSecrets = new Map()
  const clock = hurried(seed)
  const calm = shuffling(seed)
  const healthy = await openInProcess(secrets, calm, clock)
  const [first, ...staged] = keys(3 + Math.floor(random() * 2))
  if (first === undefined) throw new Error('no key was made')
  for (const key of [first, ...staged]) await healthy.stage('openai', { ...key, meta: {}, fence: 1 })
  await healthy.promote('openai', { to: first.version, expectCurrent: undefined, fence: 1 })

  let isCancelled = false
  const slow: Gate = async (line, when) => {
    await calm(line, when)
    if (random() > (line.startsWith('PATCH') && when === 'before' ? 0.5 : 0.02)) return
    const until = clock.now() + random() * 30_000
    while (clock.now() < until) {
      // As the pauses of the others, so that they get on meanwhile.
      await new Promise<void>((resolve) => void clock.context.system.after(500, resolve))
    }
  }
  const outcomes = await Promise.all(
    staged.map(async ({ version }): Promise<PromoteOutcome | undefined> => {
      const client = await openInProcess(secrets, slow, { ...clock, requestTimeoutMs: 30_000 })
      for (let asked = 0; asked < 8; asked += 1)
        try {
          return await client.promote('openai', { to: version, expectCurrent: first.version, fence: 1 })
        } catch (thrown) {
          if (!(thrown instanceof KeyturnError && thrown.retryable)) throw thrown
          isCancelled = true
        }
      return undefined
    }),
  )
  const where = `seed ${seed}: ${JSON.stringify(outcomes)}`
  expect(outcomes.filter((outcome) => outcome?.kind === 'promoted').length, where).toBeLessThanOrEqual(1)
  const told = new Set(
    outcomes.map((outcome, index) => {
      if (outcome?.kind === 'promoted' || outcome?.kind === 'already') return staged[index]?.version
      return outcome?.kind === 'conflict' ? outcome.current : undefined
    }),
  )
  told.delete(undefined)
  expect(told.size, where).toBeLessThanOrEqual(1)
  const [current] = [...told]
  if (current !== undefined) expect((await healthy.read('openai'))?.version, where).toBe(current)
  return { isCancelled }
}

it('tells nobody that he won whom the others have given up, however long requests take', async () => {
  let cancelled = 0
  for (let seed = 1; seed <= 30; seed += 1) cancelled += (await runSlowly(seed)).isCancelled ? 1 : 0
  expect(cancelled).toBeGreaterThan(2)
})

describe('races over the wire', () => {
  raceSuite('azure-key-vault', () => azureHarness(), { races: 15 })
})
