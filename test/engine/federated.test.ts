import { describe, expect, it } from 'vitest'
import { hourMs, minuteMs, startAt } from '../core/fixtures.ts'
import { away, canary, declined, FederatedWorld } from './federated-world.ts'
import { noAnswer } from './scripted-issuer.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, operator } from './world.ts'

const dayMs = 24 * hourMs

describe('a token of a workload identity', () => {
  it('is exchanged, proven and handed out, with a generation and an id of its own', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    expect(world.exchange.calls).toBe(1)
    expect(world.issuer.count('verify')).toBe(1)
    const { given } = world
    expect(given).toMatchObject({ stage: 'current', verdict: 'valid' })
    expect(given?.generation).toBeGreaterThanOrEqual(startAt)
    const state = await world.ledger.read('openai')
    expect(state?.current).toBe(given?.version)
    expect(state?.generation).toBe(given?.generation)
    expect(state?.versions[0]).toMatchObject({ origin: 'exchanged', stage: 'current' })
    expect(state?.belonging).toEqual({ organization: 'org-ours' })
    expect(world.events.map((one) => one.kind)).toEqual(['promoted'])
    expect(await service.summary('openai')).toMatchObject({
      store: 'none',
      issuer: 'workload-identity',
      troubles: [],
      current: { origin: 'exchanged', serviceAccount: 'svc_acct_1' },
    })
    expect(service.readiness()).toMatchObject({ ready: true })
  })

  it('is never one that was not proven, nor one of somebody else', async () => {
    const world = new FederatedWorld({ expected: { organization: 'org-ours' } })
    world.exchange.change = { organization: 'org-theirs' }
    const service = await world.start()
    await world.time.advance(minuteMs)
    expect(world.given).toBeUndefined()
    expect(service.handOut('openai')).toMatchObject({ kind: 'unavailable' })
    world.exchange.change = { isRefused: true }
    await world.time.advance(2 * minuteMs)
    expect(world.given).toBeUndefined()
    world.exchange.change = {}
    await world.time.advance(2 * minuteMs)
    expect(world.given).toBeDefined()
  })

  it('is exchanged once, however many ask at the same moment', async () => {
    const world = new FederatedWorld()
    world.exchange.latencyMs = 200
    const service = await world.start()
    const asked = Array.from({ length: 1_000 }, () => service.verify('openai', operator))
    await world.time.advance(1_000)
    await Promise.all(asked)
    expect(world.exchange.calls).toBe(1)
  })

  it('is refreshed ahead of its expiry, so that a working one is handed out at every moment of a day', async () => {
    const world = new FederatedWorld()
    await world.ready()
    let generation = 0
    for (let passed = 0; passed < dayMs; passed += minuteMs) {
      await world.time.advance(minuteMs)
      const { given, token } = world
      expect(token.expiresAt ?? 0).toBeGreaterThan(world.time.now())
      // A client that hears nothing more stops in time.
      expect(world.time.now() + (given?.staleAfterMs ?? 0)).toBeLessThanOrEqual(
        (token.expiresAt ?? 0) + 1_000,
      )
      expect(given?.generation).toBeGreaterThanOrEqual(generation)
      generation = given?.generation ?? 0
    }
    // 40 minutes each, a little less by the jitter.
    expect(world.exchange.calls).toBeGreaterThanOrEqual(36)
    expect(world.exchange.calls).toBeLessThanOrEqual(40)
    expect((await world.ledger.read('openai'))?.versions.length).toBeLessThanOrEqual(20)
  })

  it('that lives for seconds only is refreshed at half of its life', async () => {
    const world = new FederatedWorld()
    world.exchange.lifetimeMs = 6_000
    await world.ready()
    for (let passed = 0; passed < minuteMs; passed += 500) {
      await world.time.advance(500)
      expect(world.token.expiresAt ?? 0).toBeGreaterThan(world.time.now())
    }
    expect(world.exchange.calls).toBeGreaterThanOrEqual(20)
    expect(world.exchange.calls).toBeLessThanOrEqual(23)
  })
})

describe('while the exchange is down', () => {
  it('the token before goes on being handed out until its own expiry, then why not is said, and then it is mended', async () => {
    expectNoUnhandled()
    const world = new FederatedWorld()
    const service = await world.ready()
    const first = world.given
    world.exchange.failing = away
    await world.time.advance(55 * minuteMs)
    expect(world.given?.version).toBe(first?.version)
    const summary = await service.summary('openai')
    expect(summary.troubles[0]).toMatchObject({ code: 'exchange_failing' })
    expect(world.events.filter((one) => one.kind === 'alert')).toHaveLength(1)
    await world.time.advance(6 * minuteMs)
    const given = service.handOut('openai')
    expect(given).toMatchObject({ kind: 'unavailable' })
    expect(given?.generation).toBeGreaterThan(first?.generation ?? 0)
    expect(given?.kind === 'unavailable' ? given.summary : '').toMatch(/expired.*cannot be connected to/)
    expect(world.events.at(-1)).toMatchObject({ kind: 'outage' })
    expect(service.readiness().ready).toBe(false)
    world.exchange.failing = undefined
    await world.time.advance(2 * minuteMs)
    expect(world.given?.generation).toBeGreaterThan(given?.generation ?? 0)
    expect((await service.summary('openai')).troubles).toEqual([])
  })

  it('it is asked again with growing pauses, and not in a storm', async () => {
    const world = new FederatedWorld()
    world.exchange.failing = away
    await world.start()
    await world.time.advance(hourMs)
    // Every minute at the end, half of the pause by chance.
    expect(world.exchange.calls).toBeGreaterThan(60)
    expect(world.exchange.calls).toBeLessThan(130)
    expect(world.events.filter((one) => one.kind === 'outage')).toHaveLength(1)
  })

  it('what OpenAI declined is said as what it is', async () => {
    const world = new FederatedWorld()
    world.exchange.failing = declined
    const service = await world.start()
    await world.time.advance(1_000)
    const given = service.handOut('openai')
    expect(given).toMatchObject({ kind: 'unavailable' })
    expect(given?.kind === 'unavailable' ? given.fix : '').toMatch(/issuer, audience/)
    expect((await service.summary('openai')).troubles.map((one) => one.code)).toEqual([
      'no_verified_key',
      'exchange_refused',
    ])
  })

  it('a new token that nobody can judge is kept for the next try, and no other is exchanged', async () => {
    const world = new FederatedWorld()
    world.issuer.breakCall('verify')
    await world.start()
    await world.time.advance(10_000)
    expect(world.given).toBeUndefined()
    expect(world.exchange.calls).toBe(1)
    world.issuer.mend('verify')
    await world.time.advance(30_000)
    expect(world.given).toBeDefined()
    expect(world.exchange.calls).toBe(1)
  })
})

describe('a token that is rejected', () => {
  it('is replaced after two rejections of our own, it alone, and apps go straight from the one to the other', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    await world.time.advance(minuteMs)
    const first = world.given
    const seen: string[] = []
    service.onHandOut(() => seen.push(service.handOut('openai')?.kind ?? ''))
    world.token.isRefused = true
    const reported = service.report('openai', { version: first?.version ?? '', status: 401 }, operator)
    await world.time.advance(3_000)
    const answer = await reported
    expect(answer.version).not.toBe(first?.version)
    expect(answer.generation).toBeGreaterThan(first?.generation ?? 0)
    expect(seen).not.toContain('unavailable')
    expect(world.exchange.calls).toBe(2)
    const state = await world.ledger.read('openai')
    expect(state?.versions.find((one) => one.version === first?.version)?.rejections?.count).toBe(2)
  })

  it('a late answer about a token that was replaced says nothing of the one in its place', async () => {
    const world = new FederatedWorld({}, { activationGraceMs: 0 })
    const service = await world.ready()
    await world.time.advance(minuteMs)
    const { given, token } = world
    const release = world.holdProofsOf(token)
    token.isRefused = true
    void service.report('openai', { version: given?.version ?? '', status: 401 }, operator)
    await world.time.advance(1_000)
    await service.rotate('openai', {}, operator)
    release()
    await world.time.advance(200)
    const { current } = await service.summary('openai')
    expect(current?.version).not.toBe(given?.version)
    expect(current?.check).toMatchObject({ verdict: 'valid' })
    const versions = (await world.ledger.read('openai'))?.versions ?? []
    expect(versions.find((one) => one.version === current?.version)?.rejections).toBeUndefined()
  })

  it('a report about a token that works changes nothing, and thousands of them are a look a second', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    await world.time.advance(minuteMs)
    const version = world.given?.version ?? ''
    const before = world.issuer.count('verify')
    const reports = Array.from({ length: 1_000 }, () =>
      service.report('openai', { version, status: 401 }, operator),
    )
    await world.time.advance(5_000)
    const answers = await Promise.all(reports)
    expect(new Set(answers.map((one) => one.version))).toEqual(new Set([version]))
    expect(world.exchange.calls).toBe(1)
    expect(world.issuer.count('verify') - before).toBeLessThanOrEqual(6)
  })

  it('no answer, once or for long, takes none away', async () => {
    const world = new FederatedWorld()
    await world.ready()
    const version = world.given?.version
    world.issuer.breakCall('verify')
    await world.time.advance(30 * minuteMs)
    expect(world.given?.version).toBe(version)
    expect(world.exchange.calls).toBe(1)
    expect(noAnswer.kind).toBe('no_answer')
  })

  it('tokens that are all rejected after a while cause no storm of exchanges', async () => {
    const world = new FederatedWorld({}, { activationGraceMs: 0, verifyCloselyEveryMs: 1_000 })
    await world.ready()
    for (let passed = 0; passed < 2 * minuteMs; passed += 200) {
      // Each is good when it is proven and bad right after.
      if (world.given !== undefined) world.token.isRefused = true
      await world.time.advance(200)
    }
    expect(world.exchange.calls).toBeLessThanOrEqual(15)
  })

  it('tokens that live for a moment only cause no storm either', async () => {
    const world = new FederatedWorld()
    world.exchange.lifetimeMs = 1
    await world.start()
    await world.time.advance(minuteMs)
    expect(world.exchange.calls).toBeLessThanOrEqual(70)
  })

  it('where no other can be had, nothing is handed out, and the rejected one does not come back', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    await world.time.advance(minuteMs)
    const first = world.given
    world.token.isRefused = true
    world.exchange.failing = declined
    void service.report('openai', { version: first?.version ?? '', status: 401 }, operator)
    await world.time.advance(3_000)
    expect(world.given).toBeUndefined()
    world.exchange.failing = undefined
    await world.time.advance(2 * minuteMs)
    expect(world.given?.version).not.toBe(first?.version)
    const state = await world.ledger.read('openai')
    expect(state?.versions.find((one) => one.version === first?.version)).toMatchObject({
      stage: 'retired',
      withdrawnAt: expect.any(Number),
    })
  })
})

describe('the generation', () => {
  it('rises over restarts, also where the ledger could not be written or was lost', async () => {
    const world = new FederatedWorld()
    await world.ready()
    const first = world.given?.generation ?? 0
    await world.stop()
    await world.time.advance(1_000)
    await world.ready()
    const second = world.given?.generation ?? 0
    expect(second).toBeGreaterThan(first)
    world.isLedgerDown = true
    await world.time.advance(2 * hourMs)
    const third = world.given?.generation ?? 0
    expect(third).toBeGreaterThan(second)
    await world.stop()
    world.isLedgerDown = false
    await world.ready()
    expect(world.given?.generation ?? 0).toBeGreaterThan(third)
  })

  it('rises with a clock that was set back, and another token is had at once', async () => {
    const world = new FederatedWorld()
    await world.ready()
    const before = world.given?.generation ?? 0
    world.time.jump(-dayMs)
    await world.time.advance(2 * minuteMs)
    expect(world.exchange.calls).toBe(2)
    expect(world.given?.generation ?? 0).toBeGreaterThan(before)
  })

  it('with the ledger down for hours tokens are refreshed all the same, and what happened is written down later', async () => {
    const world = new FederatedWorld()
    await world.ready()
    world.isLedgerDown = true
    await world.time.advance(3 * hourMs)
    expect(world.token.expiresAt ?? 0).toBeGreaterThan(world.time.now())
    world.isLedgerDown = false
    await world.time.advance(minuteMs)
    const state = await world.ledger.read('openai')
    expect(state?.current).toBe(world.given?.version)
    expect(state?.generation).toBe(world.given?.generation)
  })
})

describe('what people ask for', () => {
  it('to rotate is to exchange now, and it is shown as a rotation that is over', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    const before = world.given?.version
    await world.time.advance(1_000)
    const rotation = await service.rotate('openai', { reason: 'to try it' }, operator)
    expect(rotation).toMatchObject({
      phase: 'done',
      outcome: 'promoted',
      from: before,
      to: world.given?.version,
    })
    expect(world.given?.version).not.toBe(before)
    expect(await service.rotation('openai', rotation.id)).toMatchObject({ reason: 'to try it' })
    expect(await service.rotations('openai')).toHaveLength(1)
  })

  it('a rehearsal proves the exchange and changes nothing', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    const before = world.given?.version
    expect(await service.rotate('openai', { mode: 'rehearsal' }, operator)).toMatchObject({
      outcome: 'rehearsed',
    })
    expect(world.given?.version).toBe(before)
    expect(world.exchange.calls).toBe(2)
  })

  it('an exchange that fails is refused with its cause, and the token before stays', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    world.exchange.failing = declined
    await expect(service.rotate('openai', {}, operator)).rejects.toMatchObject({
      code: 'issuer_refused',
      fix: expect.stringContaining('audience'),
    })
    world.exchange.failing = away
    await expect(service.rotate('openai', {}, operator)).rejects.toMatchObject({
      code: 'issuer_unreachable',
      retryable: true,
    })
    expect(world.given).toBeDefined()
  })

  it('what goes with stored keys only is refused, with what to do in its place', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    const code = 'federated_credential'
    await expect(service.rollback('openai', {}, operator)).rejects.toMatchObject({ code })
    await expect(service.bring('openai', { apiKey: 'x' }, operator)).rejects.toMatchObject({ code })
    await expect(service.revoke('openai', 'x', {}, operator)).rejects.toMatchObject({ code })
    await expect(service.actOnRotation('openai', 'x', 'pause', operator)).rejects.toMatchObject({
      code: 'rotation_not_running',
    })
  })

  it('nobody is told who loses a token where there is none', async () => {
    const world = new FederatedWorld()
    world.exchange.failing = away
    const service = await world.start()
    await expect(service.blastRadius('openai', undefined, () => true)).rejects.toMatchObject({
      code: 'federated_credential',
      fix: expect.stringContaining('keyturn rotate openai'),
    })
  })

  it('who holds a token is told, and where one is in the wrong hands, until when it lives', async () => {
    const world = new FederatedWorld()
    const service = await world.ready()
    const { given } = world
    service.touchLease({ name: 'openai', instance: 'one', app: 'shop', generation: given?.generation ?? 0 })
    const radius = await service.blastRadius('openai', undefined, () => true)
    expect(radius).toMatchObject({
      version: given?.version,
      isCurrent: true,
      lastUse: 'unknown',
      spare: null,
    })
    expect((await service.leases('openai')).map((one) => one.instance)).toEqual(['one'])
    const asked = { mode: 'emergency', isCompromised: true, confirm: 'openai' } as const
    const { steps } = await service.rotate('openai', asked, operator)
    expect(steps.map((one) => one.note).join('\n')).toMatch(/cannot be revoked; it ends at 20/)
    await expect(service.blastRadius('openai', 'none', () => false)).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('a tick exchanges once, and nothing is left running', async () => {
    const world = new FederatedWorld()
    const service = await world.start(false)
    await service.tick()
    expect(world.given).toBeDefined()
    await world.time.advance(hourMs * 2)
    expect(world.exchange.calls).toBe(1)
  })
})

it('nothing that is written, logged or told holds a token, and no timer keeps the process alive', async () => {
  const world = new FederatedWorld()
  const service = await world.ready()
  await world.time.advance(2 * hourMs)
  world.exchange.failing = declined
  await world.time.advance(2 * hourMs)
  await settle()
  const state = await world.ledger.read('openai')
  const seen = [world.events, world.logs, state, await service.summaries(), service.readiness()]
  expect(JSON.stringify(seen)).not.toContain(canary)
  expect(world.time.waiting.foreground).toBe(0)
})
