import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import type { Readiness } from '../../src/api/types.ts'
import { tick } from '../../src/main.ts'
import {
  breath,
  call,
  handOut,
  prepareRig,
  type Rig,
  type RigOptions,
  rotate,
  summary,
  until,
  untilPromoted,
  untilReady,
  untilTold,
} from './harness.ts'
import { serveRig } from './in-process.ts'
import { spawnService } from './process.ts'

const options: RigOptions = {
  policy: { overlap: '2s', provingSettle: '50ms' },
  credential: (sandbox) => [
    'store: { kind: local }',
    `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 300ms }`,
    `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
  ],
}

const ledgerFiles = (rig: Rig): readonly string[] =>
  readdirSync(rig.home).filter((name) => name.startsWith('ledger.db'))

/** Ledger, store and OpenAI, all at once; the way back is returned. */
function takeAllAway(rig: Rig): () => void {
  const away = join(rig.home, 'away')
  mkdirSync(away)
  const ledger = ledgerFiles(rig)
  for (const name of ledger) renameSync(join(rig.home, name), join(away, name))
  // In one file, so that one step brings it back: a service that looks in between would begin an empty one.
  const kept = new DatabaseSync(join(away, 'ledger.db'))
  kept.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  kept.close()
  writeFileSync(join(rig.home, 'ledger.db'), 'no ledger', { mode: 0o600 })
  renameSync(join(rig.home, 'secrets', 'openai'), join(away, 'openai'))
  writeFileSync(join(rig.home, 'secrets', 'openai'), 'no folder')
  rig.sandbox.set({ hang: true })
  return () => {
    rig.sandbox.reset()
    rmSync(join(rig.home, 'secrets', 'openai'))
    renameSync(join(away, 'openai'), join(rig.home, 'secrets', 'openai'))
    renameSync(join(away, 'ledger.db'), join(rig.home, 'ledger.db'))
    rmSync(away, { recursive: true })
  }
}

const safe = (rig: Rig): string => join(rig.home, 'last-known-good', 'keys.age')

/** Its first write is the first key that was handed out. */
async function untilWritten(rig: Rig): Promise<void> {
  await until(
    'the last-known-good file is written',
    () => existsSync(safe(rig)),
    (isThere) => isThere,
  )
}

it('killed, and started with ledger, store and OpenAI all away: the same key, with its age; back again: no request fails', async () => {
  const rig = await prepareRig(options)
  const first = await spawnService(rig)
  await untilReady(rig)
  await untilWritten(rig)
  const before = (await handOut(rig)).body
  expect(before.isLastKnownGood).toBeUndefined()
  const text = readFileSync(safe(rig))
  expect(text.toString('latin1')).toMatch(/^age-encryption.org/)
  expect(text.includes(before.apiKey)).toBe(false)
  expect(statSync(safe(rig)).mode & 0o777).toBe(0o600)

  await first.kill()
  const giveBack = takeAllAway(rig)
  await spawnService(rig)
  const during = await handOut(rig)
  expect(during.status).toBe(200)
  expect(during.body).toMatchObject({
    apiKey: before.apiKey,
    generation: before.generation,
    version: before.version,
    baseUrl: before.baseUrl,
    isLastKnownGood: true,
  })
  expect(Number(during.headers.get('keyturn-last-known-good'))).toBeGreaterThanOrEqual(0)
  const ready = await call<Readiness>(rig, '/readyz')
  expect(ready.status).toBe(200)
  expect(ready.body.credentials[0]?.lastKnownGood?.verifiedAt).toBe(during.body.verifiedAt)
  await untilTold(rig, ['ledger_corrupt', 'last_known_good'])
  const refused = await call<{ code: string; fix: string }>(rig, '/v1/credentials/openai/rotations', {
    method: 'POST',
    body: {},
  })
  expect(refused).toMatchObject({ status: 503, body: { code: 'ledger_unreachable' } })
  expect(refused.body.fix).toMatch(/Move it away/)

  let isOver = false
  const statuses: number[] = []
  const asking = (async () => {
    while (!isOver) {
      statuses.push((await handOut(rig)).status)
      await breath()
    }
  })()
  giveBack()
  await until(
    'the engine has taken over',
    () => handOut(rig),
    ({ body }) => body.isLastKnownGood === undefined && body.verdict === 'valid',
    40_000,
  )
  expect((await handOut(rig)).body).toMatchObject({ apiKey: before.apiKey, generation: before.generation })
  await untilPromoted(rig, (await rotate(rig)).id)
  isOver = true
  await asking
  expect(statuses.filter((status) => status !== 200)).toEqual([])
  const after = (await handOut(rig)).body
  expect(after.apiKey).not.toBe(before.apiKey)
  expect(after.generation).toBeGreaterThan(before.generation)
}, 90_000)

it('a key that was withdrawn does not come back with a restart: not even the instant after', async () => {
  const rig = await prepareRig(options)
  const first = await spawnService(rig)
  await untilReady(rig)
  await untilWritten(rig)
  const leaked = (await handOut(rig)).body
  const { id } = await rotate(rig, {
    mode: 'emergency',
    isCompromised: true,
    reason: 'leaked',
    confirm: 'openai',
  })
  const replaced = await until(
    'another key is handed out',
    () => handOut(rig),
    ({ body }) => body.apiKey !== leaked.apiKey,
  )
  // In the moment in which an app can have the new key, the old one has left the disk.
  await first.kill()
  const giveBack = takeAllAway(rig)
  await spawnService(rig)
  const during = await handOut(rig)
  expect(during.body).toMatchObject({ apiKey: replaced.body.apiKey, generation: replaced.body.generation })
  giveBack()
  const walked = await untilPromoted(rig, id, 60_000)
  expect(walked.outcome).toBe('promoted')
  expect((await handOut(rig)).body.apiKey).toBe(replaced.body.apiKey)
}, 120_000)

it('what a beat withdraws does not come back from the file that the service wrote before', async () => {
  const rig = await prepareRig(options)
  const first = await spawnService(rig)
  await untilReady(rig)
  await untilWritten(rig)
  const dead = (await handOut(rig)).body
  const { current } = await summary(rig)
  await first.kill()
  rig.sandbox.deleteKey(current?.keyId ?? '')
  const log = (): void => undefined
  await until(
    'a beat has found out',
    async () => (await tick({ env: rig.env, cwd: rig.home, log })).credentials[0],
    (found) => found?.current?.keyId !== current?.keyId,
  )
  takeAllAway(rig)
  const started = await serveRig(rig).then(
    () => 'with the next key',
    () => 'without any',
  )
  if (started === 'with the next key') expect((await handOut(rig)).body.apiKey).not.toBe(dead.apiKey)
}, 60_000)
