import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { Mirror } from './mirror.ts'
import type { FakeKey } from './scripted-issuer.ts'
import { expectNoUnhandled, operator, World, type WorldOptions } from './world.ts'

const isUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

const policy = { overlapMs: hourMs, activationGraceMs: 0 }

function worldWith(
  ids: readonly string[],
  options: WorldOptions = {},
): { readonly world: World; readonly mirrors: readonly Mirror[]; readonly start: () => Promise<void> } {
  expectNoUnhandled()
  const world = new World({ ...options, policy: { ...policy, mirrors: ids, ...options.policy } })
  const mirrors = ids.map((id) => new Mirror(world, id))
  const start = async (): Promise<void> => {
    await world.ready({ setup: { mirrors: mirrors.map(({ setup }) => setup) } })
  }
  return { world, mirrors, start }
}

function one(world: ReturnType<typeof worldWith>): Mirror {
  const [mirror] = world.mirrors
  if (mirror === undefined) throw new Error('this world has a mirror')
  return mirror
}

const inPrimary = (world: World): FakeKey | undefined => {
  const secret = world.content.get('openai')?.values.get(world.handedOut() ?? '')
  return world.issuer.keys.find((key) => secret?.equals(key.secret) === true)
}

/** With a key that Keyturn made and may revoke, in all places. */
async function turned({ world, mirrors, start }: ReturnType<typeof worldWith>): Promise<FakeKey | undefined> {
  await start()
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  await world.time.until(() => mirrors.every((mirror) => inLine(world, mirror)()), minuteMs)
  return inPrimary(world)
}

const inLine = (world: World, mirror: Mirror) => (): boolean =>
  inPrimary(world) !== undefined && mirror.key() === inPrimary(world)

const alerts = (world: World, code: string): number =>
  world.events.filter(({ kind, data }) => kind === 'alert' && data['code'] === code).length

async function troubleCodes(world: World): Promise<readonly string[]> {
  return (await world.service.summary('openai')).troubles.map(({ code }) => code)
}

describe('a credential with mirrors', () => {
  it('copies the key that is there, under an id that every store takes', async () => {
    const all = worldWith(['aws/openai', 'gcp/openai'])
    await all.start()
    await all.world.time.until(() => all.mirrors.every((mirror) => inLine(all.world, mirror)()), minuteMs)
    for (const mirror of all.mirrors) expect(mirror.current()?.version).toMatch(isUuid)
    expect((await all.world.service.summary('openai')).mirrors).toMatchObject([
      { id: 'aws/openai', store: 'memory', current: 'first-openai', isInLine: true },
      { id: 'gcp/openai', store: 'memory', current: 'first-openai', isInLine: true },
    ])
  })

  it('leaves a mirror alone that has the key already under an id of its own', async () => {
    const all = worldWith(['aws/openai'])
    const mirror = one(all)
    const secret = all.world.content.get('openai')?.values.get('first-openai')
    if (secret === undefined) throw new Error('it is stocked')
    await mirror.byHand(secret, 'its-own-id')
    await all.start()
    await all.world.time.until(() => mirror.calls.includes('read'), minuteMs)
    await all.world.time.advance(minuteMs)
    expect(mirror.current()?.version).toBe('its-own-id')
    expect(mirror.calls).not.toContain('promote')
  })

  it('stages everywhere before it promotes anywhere, and takes the old key everywhere away in the end', async () => {
    const all = worldWith(['aws/openai', 'gcp/openai'])
    const { world } = all
    const first = await turned(all)
    let stagedAtPromotion: readonly boolean[] = []
    world.service.onEvent(({ kind, data }) => {
      if (kind !== 'rotation' || data['phase'] !== 'promoting') return
      const pending = world.issuer.keys.at(-1)
      stagedAtPromotion = all.mirrors.map((mirror) => mirror.holds(pending))
    })
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect(inPrimary(world)).not.toBe(first)
    await world.time.until(() => all.mirrors.every((mirror) => inLine(world, mirror)()), minuteMs)
    expect(stagedAtPromotion).toHaveLength(2)
    expect(first?.isDeleted).toBe(false)
    for (const mirror of all.mirrors) expect(mirror.holds(first)).toBe(true)
    await world.time.until(() => all.mirrors.every((mirror) => !mirror.holds(first)), 3 * hourMs)
    expect(first?.isDeleted).toBe(true)
    expect(await troubleCodes(world)).toEqual([])
    expect(world.faults()).toEqual([])
  })

  for (const mode of ['normal', 'emergency'] as const) {
    it(`that takes its time to take the new key ${mode === 'normal' ? 'is waited for' : 'is not waited for in an emergency'}`, async () => {
      const all = worldWith(['aws/openai'])
      const { world } = all
      const mirror = one(all)
      const first = await turned(all)
      let open: () => void = () => undefined
      mirror.gate = new Promise<void>((resolve) => (open = resolve))
      mirror.only = 'stage'
      await world.service.rotate('openai', { mode, reason: 'to see' }, operator)
      await world.time.advance(20_000)
      const { rotation } = await world.state()
      expect(rotation?.phase).toBe(mode === 'normal' ? 'promoting' : 'done')
      expect(inPrimary(world) === first).toBe(mode === 'normal')
      open()
      await world.walkRotation()
      await world.time.until(inLine(world, mirror), minuteMs)
      expect(inPrimary(world)).not.toBe(first)
    })
  }
})

describe('a mirror that fails', () => {
  it('holds up nothing but the end of the old key, is reported once, and catches up', async () => {
    const all = worldWith(['aws/openai', 'gcp/openai'])
    const { world } = all
    const [bad, good] = all.mirrors
    if (bad === undefined || good === undefined) throw new Error('there are two')
    const first = await turned(all)
    bad.away()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect((await world.state()).rotation?.outcome).toBe('promoted')
    await world.time.until(inLine(world, good), minuteMs)
    expect(await troubleCodes(world)).toContain('mirror_behind')
    // Long after the overlap: its readers still have the old key.
    await world.time.advance(5 * hourMs)
    expect(first?.isDeleted).toBe(false)
    expect(bad.key()).toBe(first)
    expect((await world.service.summary('openai')).retirements[0]?.heldBy).toBe(
      'the mirror aws/openai, which cannot be read',
    )
    expect(alerts(world, 'mirror_behind')).toBe(1)
    bad.back()
    await world.time.until(inLine(world, bad), 2 * minuteMs)
    expect(await troubleCodes(world)).not.toContain('mirror_behind')
    await world.time.until(() => first?.isDeleted === true, hourMs)
    await world.time.until(() => !bad.holds(first) && !good.holds(first), hourMs)
    expect(world.faults()).toEqual([])
  })

  it('that can be read and not be written keeps the old key alive as well', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    const first = await turned(all)
    mirror.away()
    mirror.only = 'promote'
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.advance(2 * hourMs)
    expect(first?.isDeleted).toBe(false)
    const heldBy = (await world.service.summary('openai')).retirements.map((each) => each.heldBy)
    expect(heldBy).toContain('the mirror aws/openai, which still has it for current')
    mirror.back()
    await world.time.until(() => first?.isDeleted === true, 2 * hourMs)
  })

  it('catches up with what it missed after a restart too', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.time.until(inLine(world, mirror), minuteMs)
    mirror.away()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.stop()
    mirror.back()
    await all.start()
    await world.time.until(inLine(world, mirror), 2 * minuteMs)
    expect(alerts(world, 'mirror_behind')).toBe(1)
  })

  it('does not keep a key alive that is in the wrong hands', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.until(inLine(world, mirror), minuteMs)
    const leaked = inPrimary(world)
    mirror.away()
    await world.service.rotate(
      'openai',
      { mode: 'emergency', isCompromised: true, confirm: 'openai', reason: 'leaked' },
      operator,
    )
    await world.time.until(() => leaked?.isDeleted === true, 2 * minuteMs)
    expect(inPrimary(world)).not.toBe(leaked)
    mirror.back()
    await world.time.until(inLine(world, mirror), 2 * minuteMs)
  })

  it('does not keep a key alive beyond the limit where the policy says revoke', async () => {
    const all = worldWith(['aws/openai'], { policy: { afterLimit: 'revoke', drainLimitMs: hourMs } })
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.until(inLine(world, mirror), minuteMs)
    const second = inPrimary(world)
    await world.service.rotate('openai', {}, operator)
    mirror.away()
    await world.walkRotation()
    await world.time.advance(hourMs)
    expect(second?.isDeleted).toBe(false)
    await world.time.until(() => second?.isDeleted === true, 2 * hourMs)
  })

  it('is asked for its permissions before anything is minted; an emergency is not held up by that', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.time.until(inLine(world, mirror), minuteMs)
    mirror.findings = [
      { permission: 'secretsmanager:PutSecretValue', resource: 'copy', state: 'missing', fix: 'Grant it.' },
    ]
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const { rotation } = await world.state()
    expect(rotation?.halt).toMatchObject({
      reason: 'permission_missing',
      fix: expect.stringContaining('Grant it.'),
    })
    expect(world.issuer.count('mint')).toBe(0)
    await world.service.rotate('openai', { mode: 'emergency', reason: 'now' }, operator)
    await world.time.until(() => world.issuer.count('mint') === 1, minuteMs)
    await world.time.until(inLine(world, mirror), minuteMs)
  })
})

describe('a mirror that somebody changed by hand', () => {
  it('is taken up everywhere within one poll where the key works and is ours', async () => {
    const all = worldWith(['aws/openai', 'gcp/openai'])
    const { world } = all
    const [changed, other] = all.mirrors
    if (changed === undefined || other === undefined) throw new Error('there are two')
    await all.start()
    await world.time.until(() => inLine(world, changed)() && inLine(world, other)(), minuteMs)
    const theirs = world.issuer.plant()
    await changed.byHand(theirs.secret)
    await world.time.until(() => inPrimary(world) === theirs, 2 * minuteMs)
    await world.time.until(() => inLine(world, changed)() && inLine(world, other)(), minuteMs)
    expect(world.content.get('openai')?.shelf.current).toBe(world.handedOut())
    expect(alerts(world, 'mirror_drift')).toBe(1)
    expect(await troubleCodes(world)).toEqual([])
    expect(world.faults()).toEqual([])
  })

  const bad: readonly (readonly [string, Partial<FakeKey>])[] = [
    ['does not work', { isRefused: true }],
    ['is of another organisation', { organization: 'org-theirs' }],
  ]
  for (const [what, change] of bad) {
    it(`is put right and alarmed where the key ${what}, which is never handed out`, async () => {
      const all = worldWith(['aws/openai'])
      const { world } = all
      const mirror = one(all)
      await all.start()
      await world.time.until(inLine(world, mirror), minuteMs)
      const right = world.handedOut()
      const theirs = world.issuer.plant(change)
      await mirror.byHand(theirs.secret)
      let isHandedOut = false
      world.service.onHandOut(() => (isHandedOut ||= world.handedOut() !== right))
      await world.time.until(() => alerts(world, 'mirror_drift') > 1, 3 * minuteMs)
      await world.time.until(inLine(world, mirror), 3 * minuteMs)
      expect(isHandedOut).toBe(false)
      expect(world.handedOut()).toBe(right)
      expect(theirs.isDeleted).toBe(false)
      await world.time.advance(2 * minuteMs)
      expect(await troubleCodes(world)).toEqual([])
    })
  }

  it('is left as it is while nobody can say whether the key works', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.time.until(inLine(world, mirror), minuteMs)
    const right = world.handedOut()
    world.issuer.breakCall('verify')
    const theirs = world.issuer.plant()
    await mirror.byHand(theirs.secret)
    await world.time.advance(10 * minuteMs)
    expect(mirror.key()).toBe(theirs)
    expect(world.handedOut()).toBe(right)
    expect(await troubleCodes(world)).toContain('mirror_drift')
    world.issuer.mend('verify')
    await world.time.until(() => inPrimary(world) === theirs, 5 * minuteMs)
  })

  it('is put right where somebody went back to a key that is on its way out', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.time.until(inLine(world, mirror), minuteMs)
    const first = mirror.current()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    await world.time.until(inLine(world, mirror), minuteMs)
    if (first === undefined) throw new Error('it was copied')
    await mirror.byHand(first.secret, 'gone-back')
    await world.time.until(inLine(world, mirror), 2 * minuteMs)
    expect(alerts(world, 'mirror_drift')).toBe(1)
  })

  it('with an admin key is not even verified', async () => {
    const all = worldWith(['aws/openai'])
    const { world } = all
    const mirror = one(all)
    await all.start()
    await world.time.until(inLine(world, mirror), minuteMs)
    const asked = world.issuer.count('verify')
    await mirror.byHand(new Secret(['sk', 'admin', 'A'.repeat(40)].join('-')))
    await world.time.until(() => alerts(world, 'mirror_behind') === 1, 2 * minuteMs)
    expect(await troubleCodes(world)).toEqual(['mirror_behind'])
    expect(world.issuer.count('verify') - asked).toBeLessThanOrEqual(2)
  })
})

describe('immediately before a key is deleted', () => {
  it('the store is read once more: where it has another key for current, nothing is deleted', async () => {
    const all = worldWith([])
    const { world } = all
    const old = await turned(all)
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    const before = world.content.get('openai')
    const version = [...(before?.values ?? [])].find(([, value]) => old?.secret.equals(value))?.[0]
    // Somebody else's write got past, in the moment in which all was found in order.
    world.service.onEvent(({ kind, data }) => {
      const record = world.content.get('openai')
      if (
        kind !== 'retirement' ||
        data['phase'] !== 'revoking' ||
        record === undefined ||
        version === undefined
      )
        return
      world.content.set('openai', { ...record, shelf: { ...record.shelf, current: version } })
    })
    const isMovedBack = (): boolean => world.content.get('openai')?.shelf.current === version
    await world.time.until(isMovedBack, 3 * hourMs)
    await world.time.advance(10 * minuteMs)
    expect(isMovedBack()).toBe(true)
    expect(old?.isDeleted).toBe(false)
    const { retirements } = await world.service.summary('openai')
    expect(retirements.map(({ heldBy }) => heldBy)).toContain(
      'the store, which has another key for current than the one handed out',
    )
    expect(await troubleCodes(world)).toContain('store_changed')
    const record = world.content.get('openai')
    if (record === undefined) throw new Error('it is there')
    world.content.set('openai', { ...record, shelf: { ...record.shelf, current: world.handedOut() ?? '' } })
    await world.time.until(() => old?.isDeleted === true, 10 * minuteMs)
  })
})
