import { describe, expect, it } from 'vitest'
import { usableUntil } from '../../src/core/last-known-good.ts'
import { dayMs, hourMs, minuteMs } from '../core/fixtures.ts'
import { SteadyWorld } from './steady-world.ts'
import { operator } from './world.ts'

async function running(options: ConstructorParameters<typeof SteadyWorld>[0] = {}) {
  const steady = new SteadyWorld(options)
  const life = await steady.start()
  await steady.world.time.until(() => life.key() !== undefined, minuteMs)
  await steady.world.time.advance(2_000)
  const version = life.key()
  if (version === undefined) throw new Error('a key is handed out')
  const { generation } = life.handOut() ?? { generation: -1 }
  return { steady, life, version, generation, time: steady.world.time }
}

describe('with everything away', () => {
  it('90 days of it, with a restart every third day: the same key, the same generation, and its age; then all is as before', async () => {
    const {
      steady,
      life: first,
      version,
      generation,
      time,
    } = await running({
      policy: { verifyEveryMs: dayMs, verifyCloselyEveryMs: hourMs, storePollMs: hourMs },
    })
    const provenAt = time.now()
    steady.takeAllAway()
    await time.advance(hourMs)
    expect(first.key()).toBe(version)
    for (let day = 0; day < 90; day += 3) {
      steady.kill()
      steady.ledger = 'refuses'
      const life = await steady.start()
      // At once, and not only once everything has been tried.
      expect(life.handOut()).toMatchObject({ version, generation, isLastKnownGood: true })
      await time.advance(minuteMs)
      steady.ledger = 'hangs'
      await time.advance(3 * dayMs - minuteMs)
      expect(life.handOut()).toMatchObject({ kind: 'available', version, generation, isLastKnownGood: true })
      const summary = await life.service?.summary('openai')
      expect(summary?.troubles.map(({ code }) => code)).toEqual(['ledger_unreachable', 'last_known_good'])
      expect(Date.parse(summary?.lastKnownGood?.verifiedAt ?? '')).toBeLessThanOrEqual(provenAt)
    }
    expect(time.now() - provenAt).toBeGreaterThan(90 * dayMs)
    steady.kill()
    steady.ledger = 'refuses'
    const last = await steady.start()
    steady.giveAllBack()
    await time.until(() => last.handOut()?.kind === 'available' && !isOld(last), 5 * minuteMs)
    expect(last.handOut()).toMatchObject({ version, generation })
    await last.service?.rotate('openai', { mode: 'normal', reason: 'test' }, operator)
    await time.until(() => last.key() !== version, 10 * minuteMs)
    expect(last.handOut()?.generation).toBeGreaterThan(generation)
  })

  it('no longer than the bound on its age, and then says why', async () => {
    const { steady, time } = await running()
    steady.maxAgeMs = 10 * dayMs
    steady.takeAllAway()
    steady.kill()
    steady.ledger = 'hangs'
    const life = await steady.start()
    const entry = life.file?.kept('openai')
    const end = entry === undefined ? 0 : usableUntil(entry, steady.maxAgeMs)
    expect(end - time.now()).toBeGreaterThan(9 * dayMs)
    await time.advance(end - time.now() - minuteMs)
    expect(life.key()).toBeDefined()
    await time.advance(2 * minuteMs)
    expect(life.handOut()).toMatchObject({ kind: 'unavailable' })
    expect((await life.service?.summary('openai'))?.troubles[0]?.code).toBe('no_verified_key')
    expect(life.service?.readiness()).toMatchObject({ ready: false, isInService: false })
  })

  it.each([
    ['another base URL', { baseUrl: 'https://elsewhere.example/v1' }, 'baseUrl'],
    ['another organisation', { organization: 'org-theirs' }, 'organization or project'],
    ['another store or issuer', { binding: 'b2' }, 'was configured anew'],
  ])('%s than it was written for: it is not used, and a line says why', async (_name, change, line) => {
    const { steady } = await running()
    steady.kill()
    steady.takeAllAway()
    steady.expected = { ...steady.expected, ...change }
    await expect(steady.start()).rejects.toMatchObject({ code: 'ledger_unreachable' })
    expect(steady.world.logs.some(({ message }) => message.includes(line))).toBe(true)
  })

  it.each([
    ['of another installation', (text: string) => text.replace('"inst1"', '"inst2"'), 'another installation'],
    ['damaged', (text: string) => text.slice(0, -10), 'damaged'],
    ['of a newer Keyturn', (text: string) => text.replace('"formatVersion":1', '"formatVersion":2'), 'newer'],
    ['with an entry that is none', (text: string) => text.replace('"generation"', '"g"'), 'damaged'],
  ])('a file %s is not used, told, and put right once the ledger is there', async (_name, change, line) => {
    const { steady, version, time } = await running()
    steady.kill()
    steady.takeAllAway()
    steady.text = change(steady.text ?? '')
    const spoilt = steady.text
    await expect(steady.start()).rejects.toMatchObject({ code: 'ledger_unreachable' })
    expect(steady.world.logs.some(({ message }) => message.includes(line))).toBe(true)
    expect(steady.text).toBe(spoilt)
    steady.giveAllBack()
    const life = await steady.start()
    await time.until(() => life.key() === version, minuteMs)
    await time.advance(2_000)
    expect(steady.text).toContain(version)
    expect(steady.text).not.toBe(spoilt)
  })
})

const isOld = (life: { handOut(): unknown }): boolean =>
  (life.handOut() as { isLastKnownGood?: boolean }).isLastKnownGood === true

describe('what was withdrawn', () => {
  const policy = { canMint: false, isManual: true }

  it('is off the disk before the ledger has it, and stays away: killed at every step between', async () => {
    let isDone = false
    for (let at = 1; !isDone; at++) {
      const { steady, life, version, time } = await running({ policy })
      let steps = 0
      // A disk that is slower than the ledger.
      steady.diskLatencyMs = 20
      steady.onStep = (_step, stepping) => {
        if (stepping !== life || life.isDead) return
        steps += 1
        if (steps === at) steady.kill(life)
      }
      for (const key of steady.world.issuer.keys) key.isRefused = true
      // Whoever asked a process that died is never answered.
      void life.service?.verify('openai', operator).catch(() => undefined)
      await time.advance(minuteMs)
      isDone = !life.isDead
      steady.kill(life)
      const state = await steady.world.state()
      const isInLedger = state.versions.some(
        (one) => one.version === version && one.withdrawnAt !== undefined,
      )
      expect(isDone && !isInLedger, 'at the end it is withdrawn').toBe(false)
      steady.onStep = () => undefined
      steady.takeAllAway()
      const again = await steady.start().catch(() => undefined)
      if (isInLedger) expect(again?.key(), `killed at step ${at}`).toBeUndefined()
      steady.kill()
      expect(at).toBeLessThan(60)
    }
  })

  it('a disk that is full lets go of the file: better none than one with a dead key', async () => {
    const { steady, life, version, time } = await running({ policy })
    steady.disk = 'full'
    for (const key of steady.world.issuer.keys) key.isRefused = true
    await time.until(() => life.key() === undefined, 10 * minuteMs)
    expect(steady.text).toBeUndefined()
    expect((await life.service?.summary('openai'))?.troubles.map(({ code }) => code)).toContain(
      'last_known_good_unwritten',
    )
    steady.disk = 'here'
    await time.advance(2 * minuteMs)
    expect((await life.service?.summary('openai'))?.troubles.map(({ code }) => code)).not.toContain(
      'last_known_good_unwritten',
    )
    expect(steady.text).not.toContain(version)
  })

  it('a disk that takes nothing and lets go of nothing holds no withdrawal up, and the file to remove by hand is told', async () => {
    const { steady, life, version, time } = await running({ policy })
    steady.disk = 'broken'
    for (const key of steady.world.issuer.keys) key.isRefused = true
    await time.until(() => life.key() === undefined, 10 * minuteMs)
    expect(steady.text).toContain(version)
    const troubles = (await life.service?.summary('openai'))?.troubles ?? []
    const told = troubles.find(({ code }) => code === 'last_known_good_unwritten')
    expect(told?.fix).toContain('/keys.age')
    steady.disk = 'here'
    await time.advance(2 * minuteMs)
    expect(steady.text ?? '').not.toContain(version)
  })
})

describe('a ledger that comes back', () => {
  it('takes over without a restart: listeners are told, and what others did meanwhile', async () => {
    const { steady, version, generation, time } = await running()
    steady.kill()
    const other = await steady.start()
    await time.until(() => other.key() === version, minuteMs)
    await other.service?.rotate('openai', { mode: 'emergency', reason: 'meanwhile' }, operator)
    const kept = steady.text
    await time.until(() => other.key() !== version, 10 * minuteMs)
    const turned = other.key()
    steady.kill()
    // A replica whose disk has not heard of it.
    steady.text = kept
    steady.ledger = 'refuses'
    const life = await steady.start()
    expect(life.handOut()).toMatchObject({ version, generation, isLastKnownGood: true })
    const told: string[] = []
    life.service?.onHandOut((name) => void told.push(name))
    const events: string[] = []
    life.service?.onEvent(({ kind }) => void events.push(kind))
    const head = (await life.service?.lastEventId('openai')) ?? 0
    steady.ledger = 'here'
    await time.until(() => life.key() === turned, minuteMs)
    expect(life.handOut()?.generation).toBeGreaterThan(generation)
    expect(told).toContain('openai')
    expect(events).toContain('promoted')
    expect((await life.service?.lastEventId('openai')) ?? 0).toBeGreaterThan(head)
  })

  it('is heard before the file where it answers in time: what it knows to be withdrawn is never handed out', async () => {
    const { steady, version, time } = await running({ policy: { canMint: false, isManual: true } })
    const kept = steady.text
    for (const key of steady.world.issuer.keys) key.isRefused = true
    await time.until(() => steady.life?.key() === undefined, 10 * minuteMs)
    steady.kill()
    steady.text = kept
    const life = await steady.start()
    expect(life.key()).toBeUndefined()
    await time.advance(minuteMs)
    expect(life.key()).toBeUndefined()
    expect(steady.text).not.toContain(version)
  })

  it.each([
    ['accepts the key', true],
    ['says that the key is dead', false],
  ])('is lost, with the store and OpenAI away: the file goes on, until OpenAI %s', async (_name, isAlive) => {
    const policy = { canMint: false, isManual: true }
    const { steady, version, generation, time } = await running({ policy })
    steady.kill()
    const fresh = new SteadyWorld({ policy })
    fresh.text = steady.text
    fresh.world.content.clear()
    for (const [ref, value] of steady.world.content) fresh.world.content.set(ref, value)
    fresh.world.issuer.keys.splice(0, Number.POSITIVE_INFINITY, ...steady.world.issuer.keys)
    await fresh.world.time.advance(time.now() - fresh.world.time.now())
    fresh.store = 'away'
    fresh.openAI = 'away'
    const life = await fresh.start()
    expect(life.handOut()).toMatchObject({ version, generation, isLastKnownGood: true })
    await fresh.world.time.advance(10 * minuteMs)
    expect(life.handOut()).toMatchObject({ version, generation, isLastKnownGood: true })
    fresh.store = 'here'
    await fresh.world.time.advance(5 * minuteMs)
    // The store has the same key, and nobody can say yet whether it works.
    expect(life.key()).toBe(version)
    if (!isAlive) for (const key of fresh.world.issuer.keys) key.isRefused = true
    fresh.openAI = 'here'
    await fresh.world.time.until(() => !isOld(life), 10 * minuteMs)
    await fresh.world.time.advance(2_000)
    expect(life.key()).toBe(isAlive ? version : undefined)
    expect(life.handOut()?.generation).toBeGreaterThan(generation)
    expect((fresh.text ?? '').includes(version)).toBe(isAlive)
  })

  it('is out of a backup: what comes after is above what apps were given', async () => {
    const { steady, version, generation, time } = await running()
    steady.kill()
    steady.text = steady.text?.replace(`"generation":${generation}`, `"generation":${generation + 1_000}`)
    const life = await steady.start()
    await time.until(() => life.key() === version, minuteMs)
    expect(life.handOut()?.generation).toBe(generation + 1_000)
    await life.service?.rotate('openai', { mode: 'emergency', reason: 'test' }, operator)
    await time.until(() => life.key() !== version, 10 * minuteMs)
    expect(life.handOut()?.generation).toBeGreaterThan(generation + 1_000)
  })
})

describe('a key that expires', () => {
  it('is not handed out after that instant while OpenAI is away, and is again when OpenAI accepts it', async () => {
    const fresh = new SteadyWorld({ policy: { canMint: false, isManual: true }, isStocked: false })
    const planted = fresh.world.issuer.plant({ expiresAt: fresh.world.time.now() + hourMs })
    await fresh.world.store().stage('openai', {
      version: 'v1',
      secret: planted.secret,
      meta: { createdAt: fresh.world.time.now(), expiresAt: fresh.world.time.now() + hourMs },
      fence: 1,
    })
    await fresh.world.store().promote('openai', { to: 'v1', expectCurrent: undefined, fence: 2 })
    const other = await fresh.start()
    await fresh.world.time.until(() => other.key() === 'v1', minuteMs)
    fresh.openAI = 'away'
    await fresh.world.time.advance(hourMs - 2 * minuteMs)
    expect(other.key()).toBe('v1')
    await fresh.world.time.advance(3 * minuteMs)
    expect(other.handOut()).toMatchObject({ kind: 'unavailable' })
    const given = other.handOut()
    expect(given?.kind === 'unavailable' && given.summary).toMatch(/expired at .* not handed out/)
    planted.expiresAt = undefined
    fresh.openAI = 'here'
    await fresh.world.time.until(() => other.key() === 'v1', 10 * minuteMs)
  })
})

describe('back again', () => {
  it('OpenAI is asked about a bounded number of keys at once, however many became due meanwhile', async () => {
    const names = Array.from({ length: 150 }, (_, index) => `app-${index}`)
    const steady = new SteadyWorld({ names, policy: { verifyEveryMs: hourMs } })
    const { time, issuer } = steady.world
    const first = await steady.start()
    await time.until(() => names.every((name) => first.key(name) !== undefined), 10 * minuteMs)
    await time.advance(2_000)
    steady.kill()
    steady.takeAllAway()
    const life = await steady.start()
    await time.advance(dayMs)
    expect(names.every((name) => life.key(name) !== undefined)).toBe(true)
    const before = issuer.count('verify')
    // All are due by now, and each answer takes its time.
    const answer = issuer.hold('verify')
    steady.giveAllBack()
    await time.advance(2 * minuteMs)
    const atOnce = issuer.count('verify') - before
    expect(atOnce).toBeGreaterThan(0)
    expect(atOnce).toBeLessThanOrEqual(64)
    answer()
    await time.advance(5 * minuteMs)
    expect(names.filter((name) => life.key(name) === undefined)).toEqual([])
    expect(issuer.count('verify') - before).toBeLessThan(2 * names.length)
  })
})
