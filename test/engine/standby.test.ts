import { describe, expect, it } from 'vitest'
import type { StandbySummary } from '../../src/api/types.ts'
import { recordOf } from '../../src/core/credential.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { dayMs, hourMs, minuteMs } from '../core/fixtures.ts'
import type { FakeKey } from './scripted-issuer.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

const policy = { standby: true, standbyMaxAgeMs: 30 * dayMs, overlapMs: hourMs, activationGraceMs: 0 }

const standbyOf = (world: World): StandbySummary | null => world.service.standby('openai')

function keyOf(world: World, version: string | null | undefined): FakeKey {
  const value = world.content.get('openai')?.values.get(version ?? '')
  const key = world.issuer.keys.find((one) => value?.equals(one.secret) === true)
  if (key === undefined) throw new Error(`the store has a key as ${version}`)
  return key
}

/** A minted key is current, and a spare is ready. */
async function withSpare(change: Partial<typeof policy> = {}): Promise<World> {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, ...change } })
  await world.ready()
  await world.time.until(() => standbyOf(world)?.ready === 1, minuteMs)
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  return world
}

async function untilState(
  world: World,
  isSo: (state: CredentialState) => boolean,
  withinMs: number,
): Promise<CredentialState> {
  let latest: CredentialState | undefined
  await world.time.until(
    () => {
      void world.state().then((state) => (latest = state))
      return latest !== undefined && isSo(latest)
    },
    withinMs,
    50,
  )
  return world.state()
}

/** What an app does whose key is refused. */
async function die(world: World, version = world.handedOut()): Promise<void> {
  keyOf(world, version).isDeleted = true
  void world.service.report('openai', { version: version ?? '', status: 401 }, operator)
}

describe('a spare', () => {
  it('is minted on the other account, staged in the store, proven, and shown', async () => {
    const world = await withSpare()
    const standby = standbyOf(world)
    expect(standby).toMatchObject({ ready: 1, reason: null, nextTryAt: null })
    expect(Date.parse(standby?.refreshAt ?? '') - Date.parse(standby?.addedAt ?? '')).toBe(30 * dayMs)
    expect(keyOf(world, standby?.version).serviceAccount).toBe(world.issuer.spareAccount)
    expect(keyOf(world, world.handedOut()).serviceAccount).toBe(world.issuer.account)
    expect((await world.service.summary('openai')).standby).toEqual(standby)
    expect(standby?.version).not.toBe(world.handedOut())
  })

  it('takes over within a second of the first report, and another one is made on an account apart', async () => {
    const world = await withSpare()
    const spare = standbyOf(world)?.version
    const first = world.handedOut()
    // Probes of one key stay a second apart, and it was proven at its promotion.
    await world.time.advance(2_000)
    const from = world.time.now()
    await die(world)
    await world.time.until(() => world.handedOut() !== first, 10_000, 10)
    expect(world.handedOut()).toBe(spare)
    expect(world.time.now() - from).toBeLessThanOrEqual(1_000)
    await untilState(world, (state) => state.current !== spare, 10 * minuteMs)
    await world.time.until(() => standbyOf(world)?.ready === 1, 10 * minuteMs)
    const accounts = [standbyOf(world)?.version, world.handedOut()].map(
      (version) => keyOf(world, version).serviceAccount,
    )
    expect(new Set(accounts).size).toBe(2)
    expect(world.faults()).toEqual([])
  })

  it('takes over while the store is away, and is written to it when that is back', async () => {
    const world = await withSpare()
    const spare = standbyOf(world)?.version
    await world.stop()
    const base = world.store()
    let isAway = false
    const away = async (): Promise<never> => {
      throw new Error('the store is away')
    }
    const store = {
      ...base,
      read: (...args: Parameters<typeof base.read>) => (isAway ? away() : base.read(...args)),
      promote: (...args: Parameters<typeof base.promote>) => (isAway ? away() : base.promote(...args)),
    }
    await world.ready({ setup: { store } })
    await world.time.advance(2_000)
    isAway = true
    const first = world.handedOut()
    await die(world)
    await world.time.until(() => world.handedOut() !== first, 10_000, 10)
    expect(world.handedOut()).toBe(spare)
    isAway = false
    await untilState(world, (state) => state.storeCurrent === spare, 10 * minuteMs)
  })

  it('is handed out in place of a compromised key, which is deleted at once, and another follows', async () => {
    const world = await withSpare()
    const leaked = keyOf(world, world.handedOut())
    const spare = standbyOf(world)?.version
    const request = { mode: 'emergency', isCompromised: true, confirm: 'openai', reason: 'leaked' } as const
    const rotation = await world.service.rotate('openai', request, operator)
    expect(rotation).toMatchObject({ outcome: 'promoted', to: spare, retirement: { phase: 'retiring' } })
    expect(world.handedOut()).toBe(spare)
    await world.time.until(() => leaked.isDeleted, minuteMs)
    await world.time.until(() => standbyOf(world)?.ready === 1, 10 * minuteMs)
    expect(keyOf(world, standbyOf(world)?.version).serviceAccount).toBe(world.issuer.account)
  })

  it('that dies in reserve is found, retired to the end, and replaced', async () => {
    const world = await withSpare({ overlapMs: 5 * minuteMs })
    const dead = standbyOf(world)?.version ?? ''
    keyOf(world, dead).isDeleted = true
    await world.time.until(() => standbyOf(world)?.ready === 0, 10 * minuteMs)
    await world.time.until(() => standbyOf(world)?.ready === 1, 10 * minuteMs)
    expect(standbyOf(world)?.version).not.toBe(dead)
    const state = await untilState(
      world,
      ({ retirements }) => retirements.some((one) => one.version === dead && one.phase === 'dead'),
      20 * minuteMs,
    )
    expect(recordOf(state, dead)?.stage).toBe('retired')
    expect(world.handedOut()).toBe(state.current)
  })

  it('is replaced when it has aged, and only the old one is revoked', async () => {
    const world = await withSpare({ standbyMaxAgeMs: 2 * hourMs })
    const old = standbyOf(world)?.version
    const oldKey = keyOf(world, old)
    await world.time.until(() => oldKey.isDeleted, 4 * hourMs, 10_000)
    expect(standbyOf(world)?.ready).toBe(1)
    expect(standbyOf(world)?.version).not.toBe(old)
    expect(keyOf(world, world.handedOut()).isDeleted).toBe(false)
  })

  it('that cannot be made holds nothing up: told with cause and fix, tried again, and a rotation goes on', async () => {
    expectNoUnhandled()
    const world = new World({ policy })
    const issuer = world.issuer.asIssuer()
    const check = async (asked?: { readonly forSpare: boolean }) =>
      asked?.forSpare === true
        ? [{ permission: 'read', resource: 'second account', state: 'missing' as const, fix: 'Make it.' }]
        : []
    await world.ready({ setup: { issuer: { ...issuer, check } } })
    const reason = 'Not allowed: read on second account.'
    await world.time.until(() => standbyOf(world)?.reason === reason, minuteMs)
    const { troubles, rotation } = await world.service.summary('openai')
    expect(rotation).toMatchObject({ mode: 'standby', outcome: 'given_up', halt: null })
    expect(troubles).toMatchObject([
      { code: 'standby_missing', fix: 'Make it. It is tried again by itself.' },
    ])
    expect(world.events.some((one) => one.data['code'] === 'standby_failed')).toBe(true)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect((await world.state()).rotation).toMatchObject({ mode: 'normal', outcome: 'promoted' })
    expect(world.issuer.count('mint')).toBe(1)
  })
})

describe('keys of both accounts that are rejected while OpenAI still lists them', () => {
  it('freeze the minting of whatever nobody asked for, while the next spare is handed out', async () => {
    const world = await withSpare()
    keyOf(world, standbyOf(world)?.version).isRefused = true
    await world.time.until(() => standbyOf(world)?.ready === 0, 10 * minuteMs)
    await world.time.until(() => standbyOf(world)?.ready === 1, minuteMs)
    const minted = world.issuer.count('mint')
    const first = world.handedOut()
    keyOf(world, first).isRefused = true
    void world.service.report('openai', { version: first ?? '', status: 401 }, operator)
    const state = await untilState(world, ({ rotation }) => rotation?.phase === 'halted', minuteMs)
    expect(state.rotation?.halt).toMatchObject({ reason: 'mass_rejection' })
    expect(state.rotation?.halt?.summary).toContain('of its spare')
    expect(world.handedOut()).not.toBe(first)
    expect(world.issuer.count('mint')).toBe(minted)
  })
})
