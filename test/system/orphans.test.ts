import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { InventoryAnswer } from '../../src/api/types.ts'
import { createLog } from '../../src/log.ts'
import { serve } from '../../src/main.ts'
import { runCli } from './cli.ts'
import { aliveKeys, handOut, prepareRig, type Rig, rotate, until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'
import { shiftedSystem } from './shifted-system.ts'

const minuteMs = 60_000

/** Killed between the mint and the store, and then its ledger is lost: nobody on earth has that key or knows of it. */
async function orphaned(rig: Rig): Promise<string> {
  const service = await spawnService(rig)
  await untilReady(rig)
  const before = aliveKeys(rig.sandbox)
  rig.sandbox.set({ loseAnswers: { mint: 1 }, loseAnswersBy: 'hang' })
  await rotate(rig)
  const alive = await until(
    'a second key is alive',
    () => aliveKeys(rig.sandbox),
    (keys) => keys.length > before.length,
  )
  await service.kill()
  rig.sandbox.reset()
  for (const file of ['ledger.db', 'ledger.db-wal', 'ledger.db-shm'])
    if (existsSync(join(rig.home, file))) rmSync(join(rig.home, file))
  const orphan = alive.find((keyId) => !before.includes(keyId))
  if (orphan === undefined) throw new Error('a key was made')
  return orphan
}

it('an orphan of a ledger that was lost is shown by the inventory, found twice an hour apart, and ended', async () => {
  const rig = await prepareRig()
  const orphan = await orphaned(rig)
  const clock = shiftedSystem()
  const write = (line: string): void => void rig.logs.push(line)
  const log = createLog({ level: 'info', format: 'json', write, clock: clock.system })
  const serving = await serve({ env: rig.env, cwd: rig.home, log, system: clock.system })
  onTestFinished(() => serving.stop())
  await untilReady(rig)
  const { body: given } = await handOut(rig)

  clock.forward(minuteMs)
  const seen = await until(
    'it is suspected',
    async () => {
      const { out, code } = await runCli(rig, ['inventory', '--json'])
      expect(code).toBe(0)
      return JSON.parse(out) as InventoryAnswer
    },
    ({ items }) => items[0]?.standing === 'suspect',
  )
  expect(seen.items[0]).toMatchObject({ keyId: orphan, holders: [], project: rig.sandbox.project })
  expect(seen.items.filter(({ standing }) => standing === 'held')).toMatchObject([
    { holders: [{ credential: 'openai', stage: 'current' }] },
  ])
  const { out } = await runCli(rig, ['inventory'])
  expect(out).toMatch(/^suspect +- /m)
  expect(out).not.toContain(given.apiKey)
  expect(aliveKeys(rig.sandbox)).toContain(orphan)

  clock.forward(55 * minuteMs)
  for (let round = 0; aliveKeys(rig.sandbox).includes(orphan); round++) {
    expect(round, 'it is revoked within the hours after').toBeLessThan(20)
    clock.forward(6 * minuteMs)
    await until(
      'it is revoked',
      () => aliveKeys(rig.sandbox),
      (keys) => !keys.includes(orphan),
      1_000,
    ).catch(() => undefined)
  }
  await until(
    'people are told',
    () => rig.logs.join('\n'),
    (text) => text.includes('orphan_revoked'),
  )
  const { status, body } = await handOut(rig)
  expect(status).toBe(200)
  expect(rig.sandbox.isAlive(body.apiKey)).toBe(true)
}, 90_000)
