import { describe, expect, it } from 'vitest'
import { alertRules } from '../../src/core/alert-codes.ts'
import type { DeliveryOutcome } from '../../src/core/alert-deliveries.ts'
import { type Alert, levelOf } from '../../src/core/alerts.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { alertingOf, delivered, Inbox, memory } from './alerting-world.ts'
import { operator, World } from './world.ts'

const refused: DeliveryOutcome = {
  kind: 'failed',
  summary: 'status 503',
  isPermanent: false,
  isUnsure: false,
}

const disk: Alert = {
  id: '/audit_unavailable',
  code: 'audit_unavailable',
  severity: alertRules.audit_unavailable.severity,
  level: levelOf(alertRules.audit_unavailable.severity, 0),
  summary: 'The disk is full.',
  fix: 'Make room.',
  holdMs: alertRules.audit_unavailable.holdMs,
}

function refuseAll(world: World): void {
  for (const key of world.issuer.keys) key.isRefused = true
}

describe('alerts of a running service', () => {
  it('tells that the only key was rejected, with who holds it, and that it is over', async () => {
    const world = new World()
    const service = await world.ready()
    service.touchLease({ name: 'openai', instance: 'i1', app: 'checkout', generation: 1 })
    await world.time.advance(10_000)
    const inbox = new Inbox()
    const alerting = alertingOf(world, inbox)
    alerting.start()
    refuseAll(world)
    void service.report('openai', { version: world.handedOut() ?? '', status: 401 }, operator)
    await world.time.until(() => inbox.tried.length > 0, 300_000)
    const [first] = inbox.tried
    expect(['no_verified_key', 'failover']).toContain(first?.code)
    expect(first).toMatchObject({
      kind: 'opened',
      credentials: ['openai'],
      apps: ['checkout'],
      link: 'https://keyturn.example.com/credentials/openai',
    })
    await world.time.until(() => world.isHandedOut(), 3_600_000, 1_000)
    const open = new Set<string>()
    await world.time.until(
      () => {
        open.clear()
        for (const { incident, isOver } of inbox.tried)
          if (isOver) open.delete(incident)
          else open.add(incident)
        return open.size === 0
      },
      3 * 3_600_000,
      10_000,
    )
    const begun = inbox.tried.filter(({ kind }) => kind === 'opened').map(({ incident }) => incident)
    expect(new Set(begun).size).toBe(begun.length)
    const stopping = alerting.stop()
    await world.time.advance(1_000)
    await stopping
  })

  it('tells once, and with what OpenAI said, that no key is left where the only one was rejected', async () => {
    const world = new World()
    const service = await world.ready()
    const inbox = new Inbox()
    const alerting = alertingOf(world, inbox)
    alerting.start()
    world.issuer.breakCall('mint')
    refuseAll(world)
    void service.report('openai', { version: world.handedOut() ?? '', status: 401 }, operator)
    await world.time.until(() => inbox.tried.length > 0, 300_000)
    await world.time.advance(60_000)
    const ofTheKey = () =>
      inbox.tried.filter(({ code }) => code === 'no_verified_key' || code === 'key_rejected')
    const said = () => ofTheKey().map(({ kind, code }) => `${code} ${kind}`)
    expect(said()).toEqual(['no_verified_key opened'])
    expect(JSON.stringify(ofTheKey()[0])).toContain('does not accept this key')
    world.issuer.mend('mint')
    await world.time.until(() => world.isHandedOut(), 24 * 3_600_000, 10_000)
    await world.time.until(() => said().length > 1, 300_000)
    expect(said()).toEqual(['no_verified_key opened', 'no_verified_key resolved'])
    const stopping = alerting.stop()
    await world.time.advance(1_000)
    await stopping
  })

  it('is told once where two replicas look after the same ledger, and goes on when one of them is gone', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    const [one, other] = [alertingOf(world, inbox), alertingOf(world, inbox, { owner: 'two' })]
    one.start()
    other.start()
    await world.time.advance(5_000)
    world.content.delete('openai')
    world.issuer.breakCall('verify')
    await world.time.until(() => inbox.tried.length > 0, 3_600_000, 1_000)
    await world.time.advance(300_000)
    const told = inbox.said()
    expect(new Set(told).size).toBe(told.length)
    const stopping = one.stop()
    await world.time.advance(1_000)
    await stopping
    world.issuer.mend('verify')
    world.stock('openai', 'again')
    await world.time.until(() => inbox.tried.some(({ isOver }) => isOver), 7_200_000, 5_000)
    const ids = inbox.tried.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const ending = other.stop()
    await world.time.advance(1_000)
    await ending
  })

  it('is told under the same id, and at most once more, when the process ends before it is noted', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    const first = alertingOf(world, inbox)
    // It arrives, and nobody ever hears of it.
    inbox.answer = () => new Promise(() => undefined)
    first.start()
    refuseAll(world)
    void world.service.report('openai', { version: world.handedOut() ?? '', status: 401 }, operator)
    await world.time.until(() => inbox.tried.length > 0, 300_000)
    const stopping = first.stop()
    await world.time.advance(11_000)
    await stopping
    inbox.answer = () => delivered
    const second = alertingOf(world, inbox)
    second.start()
    const id = inbox.tried[0]?.id
    await world.time.until(() => inbox.tried.filter((one) => one.id === id).length > 1, 300_000, 1_000)
    await world.time.advance(30_000)
    expect(inbox.tried.filter((one) => one.id === id)).toHaveLength(2)
    const ending = second.stop()
    await world.time.advance(1_000)
    await ending
  })

  it('tells from memory that the ledger is away, once, and that it is back', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    let isAway = false
    const away = async (): Promise<never> => {
      throw new KeyturnError('ledger_unreachable', 'The ledger does not answer.', { fix: 'Start it.' })
    }
    const documents: Pick<Ledger, 'document' | 'putDocument'> = {
      document: (key) => (isAway ? away() : world.ledger.document(key)),
      putDocument: (request) => (isAway ? away() : world.ledger.putDocument(request)),
    }
    const alerting = alertingOf(world, inbox, { documents })
    alerting.start()
    await world.time.advance(30_000)
    isAway = true
    await world.time.advance(600_000)
    expect(inbox.said()).toEqual(['ledger_unreachable opened'])
    isAway = false
    await world.time.advance(300_000)
    expect(inbox.said()).toEqual(['ledger_unreachable opened', 'ledger_unreachable resolved'])
    const stopping = alerting.stop()
    await world.time.advance(1_000)
    await stopping
  })

  it('goes on after a restart with what this replica alone told, and ends it', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    const kept = memory()
    let isFull = true
    const own = () => (isFull ? [disk] : [])
    for (let start = 0; start < 2; start += 1) {
      const alerting = alertingOf(world, inbox, { own, memory: kept })
      alerting.start()
      await world.time.advance(120_000)
      expect(inbox.said()).toEqual(['audit_unavailable opened'])
      if (start === 1) {
        isFull = false
        await world.time.advance(120_000)
      }
      const stopping = alerting.stop()
      await world.time.advance(1_000)
      await stopping
    }
    expect(inbox.said()).toEqual(['audit_unavailable opened', 'audit_unavailable resolved'])
    expect(new Set(inbox.tried.map(({ incident }) => incident)).size).toBe(1)
  })

  it('lists what fires, who was told, and what waits and why; and says once what is wrong with a channel', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    inbox.answer = () => refused
    const alerting = alertingOf(world, inbox, { own: () => [disk] })
    alerting.start()
    await world.time.advance(120_000)
    const { items, channels } = await alerting.list()
    expect(items).toEqual([
      expect.objectContaining({
        code: 'audit_unavailable',
        severity: 'critical',
        summary: 'The disk is full.',
        told: [
          expect.objectContaining({ channel: 'ops', toldAt: null, waiting: 'opened', failure: 'status 503' }),
        ],
      }),
    ])
    expect(channels).toEqual([
      expect.objectContaining({ name: 'ops', kind: 'inbox', failure: 'status 503', isRefusing: false }),
    ])
    expect(world.logs.filter(({ message }) => message === 'a channel did not take an alert')).toHaveLength(1)
    const stopping = alerting.stop()
    await world.time.advance(1_000)
    await stopping
  })

  it('tests one channel or all, and says which there are', async () => {
    const world = new World()
    await world.ready()
    const inbox = new Inbox()
    const alerting = alertingOf(world, inbox)
    expect(await alerting.test()).toEqual([
      { channel: 'ops', kind: 'inbox', isDelivered: true, failure: null },
    ])
    inbox.answer = () => refused
    expect(await alerting.test('ops')).toEqual([
      { channel: 'ops', kind: 'inbox', isDelivered: false, failure: 'status 503' },
    ])
    await expect(alerting.test('pager')).rejects.toMatchObject({ code: 'not_found', fix: 'There are: ops.' })
    await alerting.stop()
  })
})

it('lists of a channel that only this replica cannot reach that it fails', async () => {
  const world = new World()
  const real = await world.ready()
  const inbox = new Inbox()
  const trouble = { code: 'no_verified_key', summary: 'No key.', fix: 'Bring one.', since: null }
  const service: World['service'] = {
    ...real,
    summary: async (name) => ({ ...(await real.summary(name)), troubles: [trouble] }),
  }
  let isFull = false
  const alerting = alertingOf(world, inbox, { service, own: () => (isFull ? [disk] : []) })
  alerting.start()
  await world.time.advance(120_000)
  expect(inbox.said()).toEqual(['no_verified_key opened'])
  isFull = true
  inbox.answer = () => refused
  await world.time.advance(120_000)
  const { channels } = await alerting.list()
  expect(channels).toEqual([
    expect.objectContaining({ deliveredAt: expect.any(String), failure: 'status 503' }),
  ])
  const stopping = alerting.stop()
  await world.time.advance(1_000)
  await stopping
})
