import { expect, it } from 'vitest'
import { tick } from '../../src/main.ts'
import { httpReceiver } from '../alerts/receivers.ts'
import { until } from './harness.ts'
import { tellingRig } from './telling-rig.ts'

interface Told {
  readonly type: string
  readonly data: { readonly code: string; readonly isOver: boolean }
}

it('keyturn tick tells what it finds before it ends, once, also where the receiver was away for a beat', async () => {
  const receiver = await httpReceiver()
  const rig = await tellingRig(receiver.url)
  const env = { ...rig.env, ALERTS_SECRET: 's'.repeat(24) }
  const beat = async (): Promise<void> => void (await tick({ env, cwd: rig.home, log: () => undefined }))
  const told = () =>
    receiver.taken.map(({ body, headers }) => ({ ...(JSON.parse(body) as Told), id: headers['webhook-id'] }))
  const beatsUntil = (what: string, count: number): Promise<unknown> =>
    until(
      what,
      async () => {
        await beat()
        return told()
      },
      (all) => all.length >= count,
    )
  await beat()
  expect(told()).toEqual([])
  // Nothing is left of the credit, and the receiver is away when it is found.
  rig.sandbox.set({ billing: 'insufficient_quota', billingOnModels: true })
  receiver.behave({ status: 503, retryAfter: 0 }, { status: 204 })
  await beatsUntil('it is tried again', 2)
  await beat()
  rig.sandbox.set({ billing: null })
  await beatsUntil('its end is told', 3)
  await beat()
  expect(told().map(({ type, data }) => `${data.code} ${type}`)).toEqual([
    'quota_exhausted alert.opened',
    'quota_exhausted alert.opened',
    'quota_exhausted alert.resolved',
  ])
  const [first, second, third] = told()
  expect(second?.id).toBe(first?.id)
  expect(third?.data.isOver).toBe(true)
}, 60_000)
