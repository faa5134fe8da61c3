import { expect, it } from 'vitest'
import type { AlertNotice } from '../../src/core/alert-notice.ts'
import { testNotice } from '../../src/core/alert-notice.ts'
import { drivers, open } from './drivers.ts'
import type { Receiver } from './receivers.ts'

const [driver] = drivers.filter(({ kind }) => kind === 'pagerduty')
const base = testNotice('ops', { installation: 'inst', linkBase: undefined, unique: 'a' }, 0)

async function scene() {
  if (driver === undefined) throw new Error('there is PagerDuty')
  const receiver = await driver.listen()
  const channel = await open(driver, receiver)
  const deliver = (change: Partial<AlertNotice>) =>
    channel.deliver({ ...base, code: 'key_expiring', incident: 'i1', kind: 'opened', ...change })
  return { receiver, deliver }
}

function events({ taken }: Receiver): readonly string[] {
  return taken.map(({ body }) => {
    const { event_action: action, dedup_key: key } = JSON.parse(body) as Record<string, string>
    return `${action} ${key}`
  })
}

it('pages anew for what has become critical, which an open alert would only write into its log', async () => {
  const { receiver, deliver } = await scene()
  await deliver({ severity: 'warning' })
  await deliver({ severity: 'warning', kind: 'worsened' })
  await deliver({ severity: 'critical', kind: 'worsened' })
  await deliver({ severity: 'critical', kind: 'reminded' })
  await deliver({ severity: 'critical', kind: 'resolved', isOver: true })
  expect(events(receiver)).toEqual([
    'trigger i1',
    'trigger i1',
    'trigger i1-critical',
    'resolve i1',
    'trigger i1-critical',
    'resolve i1-critical',
    'resolve i1',
  ])
})

it('leaves no alert open, also where PagerDuty was away when it became critical', async () => {
  const { receiver, deliver } = await scene()
  await deliver({ severity: 'warning' })
  receiver.behave({ status: 500 }, { status: 202 }, { status: 500 }, { status: 202 })
  expect(await deliver({ severity: 'critical', kind: 'resolved', isOver: true })).toMatchObject({
    kind: 'failed',
  })
  // The first of two was taken, the second was not: both are tried again.
  expect(await deliver({ severity: 'critical', kind: 'resolved', isOver: true })).toMatchObject({
    kind: 'failed',
  })
  expect(await deliver({ severity: 'critical', kind: 'resolved', isOver: true })).toEqual({
    kind: 'delivered',
  })
  expect(events(receiver).slice(-2)).toEqual(['resolve i1-critical', 'resolve i1'])
})

it('opens and ends what is critical and over before it could be told', async () => {
  const { receiver, deliver } = await scene()
  await deliver({ severity: 'critical', kind: 'passed', isOver: true })
  expect(events(receiver)).toEqual(['trigger i1-critical', 'resolve i1-critical', 'resolve i1'])
})
