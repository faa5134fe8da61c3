import { expect, it } from 'vitest'
import { sharedPostgres } from '../postgres/database.ts'
import { aliveKeys, handOut, rotate, untilTurned } from './harness.ts'
import { startApps, startFleet, untilSeen } from './replicas.ts'

it('three processes on one PostgreSQL: one turns the key, all hand it out, and all can be asked about it', async () => {
  const fleet = await startFleet(await sharedPostgres(), { count: 3 })
  const [first, ...others] = fleet.replicas.map(({ rig }) => rig)
  if (first === undefined) throw new Error('no replica')
  expect(aliveKeys(fleet.sandbox)).toHaveLength(1)
  const apps = startApps(fleet)
  const { id } = await rotate(first)
  for (const rig of [...others, first]) {
    const turned = await untilTurned(rig, id)
    expect(turned.phase).toBe('done')
  }
  const versions = await Promise.all(fleet.replicas.map(async ({ rig }) => (await handOut(rig)).body.version))
  expect(new Set(versions).size).toBe(1)
  await untilSeen(apps, versions[0] ?? '', [0, 1, 2])
  expect(aliveKeys(fleet.sandbox)).toHaveLength(1)
  expect(apps.failures).toEqual([])
  expect(apps.calls).toBeGreaterThan(0)
}, 60_000)
