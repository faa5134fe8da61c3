import { expect, it, onTestFinished } from 'vitest'
import type { RotationSummary } from '../../src/api/types.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { type PostgresServer, startPostgres } from '../postgres/server.ts'
import { aliveKeys, call, handOut, rotate, summary, until, untilPromoted, untilTurned } from './harness.ts'
import { spawnService } from './process.ts'
import {
  type Apps,
  type Fleet,
  holderIn,
  type Replica,
  startApps,
  startFleet,
  untilSeen,
} from './replicas.ts'

/** A claim of a replica that is gone runs out within a minute; then another goes on. */
const takeOverMs = 120_000

/** Slow enough for every phase to be hit, and a database that keeps what it confirmed. */
async function prepare(callEvery?: number): Promise<{ fleet: Fleet; apps: Apps; server: PostgresServer }> {
  const server = await startPostgres({ isDurable: true })
  onTestFinished(() => server.stop())
  const fleet = await startFleet(server.address, { count: 3, knobs: { latencyMs: 15 } })
  return { fleet, apps: startApps(fleet, callEvery), server }
}

/** A phase may be over before it is seen: then the rotation is let through, and another begun. */
const attemptsMax = 6

/** Begins a rotation at the first replica, whoever will work on it; says who does, once it is in the phase. */
async function rotateUntil(fleet: Fleet, phase: string): Promise<{ id: string; holder: Replica }> {
  const [asked] = fleet.replicas
  if (asked === undefined) throw new Error('no replica')
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const { id } = await rotate(asked.rig)
    const { state } = await until(
      `the rotation is ${phase}, or over`,
      () => fleet.row(),
      ({ state, owner }) => hasEnded(state, id) || (state.rotation?.phase === phase && owner !== null),
      takeOverMs,
    )
    const holder = hasEnded(state, id) ? undefined : await holderIn(fleet)
    if (holder !== undefined) return { id, holder }
    await untilTurned(asked.rig, id, takeOverMs)
  }
  throw new Error(`no rotation was seen ${phase}`)
}

function hasEnded({ rotation }: CredentialState, id: string): boolean {
  return rotation === undefined || rotation.id !== id || rotation.phase === 'done'
}

function othersThan(fleet: Fleet, gone: Replica): readonly Replica[] {
  return fleet.replicas.filter((one) => one !== gone)
}

async function expectOneWinner(fleet: Fleet, apps: Apps, id: string, asked: Replica): Promise<void> {
  const turned = await untilTurned(asked.rig, id, takeOverMs)
  expect(turned.phase).toBe('done')
  const { items } = (await call<{ items: RotationSummary[] }>(asked.rig, '/v1/credentials/openai/rotations'))
    .body
  expect(items.filter((one) => one.id === id)).toHaveLength(1)
  const running = fleet.replicas.filter((one) => one.service.isRunning())
  const versions = await until(
    'all hand out the same',
    () => Promise.all(running.map(async ({ rig }) => (await handOut(rig)).body.version)),
    (all) => new Set(all).size === 1 && all[0] === turned.to,
  )
  const indexes = running.map((one) => fleet.replicas.indexOf(one))
  await untilSeen(apps, versions[0] ?? '', indexes)
  const { current } = await summary(asked.rig)
  expect(aliveKeys(fleet.sandbox)).toEqual([current?.keyId])
  expect(apps.failures).toEqual([])
}

for (const phase of ['minting', 'proving', 'promoting'] as const)
  it(`kill -9 of the one that turns the key, while ${phase}: another goes on, and no app notices`, async () => {
    const { fleet, apps } = await prepare()
    const { id, holder } = await rotateUntil(fleet, phase)
    await holder.service.kill()
    const [asked] = othersThan(fleet, holder)
    if (asked === undefined) throw new Error('no other')
    // The app of the dead one goes on with the old key, so that is not revoked yet.
    await untilPromoted(asked.rig, id, takeOverMs)
    holder.service = await spawnService(holder.rig)
    await expectOneWinner(fleet, apps, id, holder)
  }, 240_000)

it('SIGSTOP of the one that turns the key: another goes on, and what the first does when it wakes is refused', async () => {
  const { fleet, apps } = await prepare()
  const { id, holder } = await rotateUntil(fleet, 'proving')
  process.kill(holder.service.pid, 'SIGSTOP')
  const [asked] = othersThan(fleet, holder)
  if (asked === undefined) throw new Error('no other')
  await untilPromoted(asked.rig, id, takeOverMs)
  process.kill(holder.service.pid, 'SIGCONT')
  await expectOneWinner(fleet, apps, id, asked)
}, 240_000)

it('the one that turns the key is cut from the database without a word: another goes on, and it follows when it can', async () => {
  const { fleet, apps } = await prepare()
  const { id, holder } = await rotateUntil(fleet, 'proving')
  holder.proxy.drop()
  const [asked] = othersThan(fleet, holder)
  if (asked === undefined) throw new Error('no other')
  await untilPromoted(asked.rig, id, takeOverMs)
  // It hands out what it has, which lives on for the overlap or is what the others promoted.
  expect((await handOut(holder.rig)).status).toBe(200)
  holder.proxy.heal()
  await expectOneWinner(fleet, apps, id, asked)
}, 240_000)

for (const phase of ['minting', 'proving', 'promoting'] as const)
  it(`PostgreSQL crashes and comes back while ${phase}: the rotation goes on, and no app notices`, async () => {
    const { fleet, apps, server } = await prepare()
    const { id } = await rotateUntil(fleet, phase)
    await server.restart()
    const [asked] = fleet.replicas
    if (asked === undefined) throw new Error('no replica')
    await expectOneWinner(fleet, apps, id, asked)
  }, 240_000)

it('tells apps on every replica of a promotion; how fast is printed', async () => {
  const { fleet, apps } = await prepare(25)
  const delays: number[] = []
  const turns = Number(process.env['KEYTURN_WALK_TURNS'] ?? 40)
  for (let turn = 0; turn < turns; turn += 1) {
    const asked = fleet.replicas[turn % fleet.replicas.length]
    if (asked === undefined) throw new Error('no replica')
    const { id } = await rotate(asked.rig)
    const { to: newVersion, endedAt } = await untilPromoted(asked.rig, id)
    await until(
      'the old key is dead',
      async () => (await summary(asked.rig)).retirements.map(({ phase, heldBy }) => ({ phase, heldBy })),
      (retirements) => retirements.every(({ phase }) => phase === 'dead'),
      60_000,
    )
    await untilSeen(apps, newVersion ?? '', [0, 1, 2])
    const promotedAt = Date.parse(endedAt ?? '')
    for (const seen of apps.firstSeenAt) delays.push((seen.get(newVersion ?? '') ?? 0) - promotedAt)
  }
  expect(apps.failures).toEqual([])
  const sorted = delays.toSorted((one, other) => one - other)
  const quantile = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN
  process.stderr.write(
    `promotion to the app, ${turns} rotations x 3 replicas: median ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, slowest ${quantile(1)} ms\n`,
  )
}, 600_000)
