import { expect, it } from 'vitest'
import type { AlertsAnswer } from '../../src/api/alert-types.ts'
import { httpReceiver } from '../alerts/receivers.ts'
import { aliveKeys, call, until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'
import { tellingRig } from './telling-rig.ts'

interface Told {
  readonly type: string
  readonly data: {
    readonly id: string
    readonly code: string
    readonly incident: string
    readonly isOver: boolean
  }
}

it('a receiver that is away over kill -9 of the service is told all of it once, under the ids of the first try', async () => {
  const receiver = await httpReceiver()
  const rig = await tellingRig(receiver.url, ['momentary: 20s', 'resolveAfter: 1s', 'groupWithin: 1s'])
  const withEnv = { ...rig, env: { ...rig.env, ALERTS_SECRET: 's'.repeat(24) } }
  const first = await spawnService(withEnv)
  await untilReady(rig)
  await receiver.leave()
  for (const key of aliveKeys(rig.sandbox)) rig.sandbox.deleteKey(key)
  const alerts = async (): Promise<AlertsAnswer> => (await call<AlertsAnswer>(rig, '/v1/alerts')).body
  await until('it was tried', alerts, ({ items }) =>
    items.some(({ told }) => told.some(({ tries }) => tries > 0)),
  )
  await first.kill()
  await receiver.back()
  await spawnService(withEnv)
  const told = (): readonly Told[] => receiver.taken.map(({ body }) => JSON.parse(body) as Told)
  await until(
    'it is told, and over',
    async () => ({ told: told(), ...(await alerts()) }),
    ({ told: all, items }) => all.length > 0 && items.length === 0,
    120_000,
  )
  expect(new Set(told().map(({ data }) => data.id)).size).toBe(told().length)
  const incidents = Map.groupBy(told(), ({ data }) => data.incident)
  for (const all of incidents.values()) {
    expect(all.filter(({ data }) => data.isOver)).toHaveLength(1)
    expect(all.at(-1)?.data.isOver).toBe(true)
    expect(all.length).toBeLessThanOrEqual(2)
  }
  const begun = [...incidents.values()].map(([one]) => one?.data.code)
  expect(new Set(begun).size).toBe(begun.length)
}, 200_000)
