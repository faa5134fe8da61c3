import { describe, expect, it } from 'vitest'
import { alertRules } from '../../src/core/alert-codes.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { alertingOf, delivered, Inbox } from './alerting-world.ts'
import { World } from './world.ts'

describe('alerts of one beat after another, with no service running between them', () => {
  type Trouble = Awaited<ReturnType<World['service']['summary']>>['troubles'][number]
  const none: Trouble = { code: 'no_verified_key', summary: 'No key.', fix: 'Bring one.', since: null }
  const unanswered: Trouble = { code: 'check_unknown', summary: 'No answer.', fix: 'Look.', since: null }

  async function scene() {
    const world = new World()
    const real = await world.ready()
    const inbox = new Inbox()
    let troubles: readonly Trouble[] = []
    let isBroken = false
    const service: World['service'] = {
      ...real,
      async summary(name) {
        if (isBroken) throw new KeyturnError('ledger_unreachable', 'Not now.')
        return { ...(await real.summary(name)), troubles }
      },
    }
    const beat = async (owner: string, ms = 100): Promise<void> => {
      const alerting = alertingOf(world, inbox, { owner, service })
      let isDone = false
      void alerting.once(20_000).then(() => (isDone = true))
      await world.time.advance(ms)
      expect(isDone).toBe(true)
      const stopping = alerting.stop()
      await world.time.advance(11_000)
      await stopping
    }
    return {
      world,
      inbox,
      service,
      beat,
      set: (...all: readonly Trouble[]) => void (troubles = all),
      breakLooks: (is: boolean) => void (isBroken = is),
    }
  }

  it('are told once, by the beat that finds them, and their end by the first beat that finds it', async () => {
    const { inbox, beat, set, breakLooks } = await scene()
    await beat('first')
    set(none)
    for (const owner of ['second', 'third', 'fourth']) await beat(owner)
    expect(inbox.said()).toEqual(['no_verified_key opened'])
    // What could not be looked at is not over.
    breakLooks(true)
    await beat('blind')
    breakLooks(false)
    expect(inbox.said()).toEqual(['no_verified_key opened'])
    set()
    for (const owner of ['fifth', 'sixth']) await beat(owner)
    expect(inbox.said()).toEqual(['no_verified_key opened', 'no_verified_key resolved'])
  })

  it('wait for what is to last before anybody is told, counted from the beat that saw it first', async () => {
    const { world, inbox, beat, set } = await scene()
    set(unanswered)
    await beat('first')
    expect(inbox.said()).toEqual([])
    await world.time.advance(alertRules.issuer_unreachable.holdMs)
    await beat('second')
    expect(inbox.said()).toEqual(['issuer_unreachable opened'])
    for (const owner of ['third', 'fourth']) await beat(owner)
    expect(inbox.said()).toEqual(['issuer_unreachable opened'])
    set()
    await beat('fifth')
    set(unanswered)
    await beat('sixth')
    await world.time.advance(3 * 86_400_000)
    await beat('seventh')
    expect(inbox.said()).toEqual(['issuer_unreachable opened', 'issuer_unreachable resolved'])
  })

  it('are left to the service that runs', async () => {
    const { world, inbox, service, beat, set } = await scene()
    const running = new Inbox()
    const serving = alertingOf(world, running, { service })
    serving.start()
    await world.time.advance(5_000)
    set(none)
    await beat('beat')
    expect(inbox.tried).toEqual([])
    const stopping = serving.stop()
    await world.time.advance(1_000)
    await stopping
  })

  it('end in time with a receiver that does not, and a later beat tells it under the same id', async () => {
    const { world, inbox, beat, set } = await scene()
    inbox.answer = () => new Promise(() => undefined)
    set(none)
    await beat('first', 20_000)
    await world.time.advance(60_000)
    inbox.answer = () => delivered
    await beat('second')
    expect(inbox.tried).toHaveLength(2)
    expect(inbox.tried[1]?.id).toBe(inbox.tried[0]?.id)
  })
})
