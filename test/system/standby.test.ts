import OpenAI from 'openai'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CredentialSummary, StandbySummary } from '../../src/api/types.ts'
import { createClient } from '../../src/client/create-client.ts'
import { createLog } from '../../src/log.ts'
import { serve } from '../../src/main.ts'
import {
  breath,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summary,
  until,
  untilReady,
  untilTold,
} from './harness.ts'
import { scrape } from './scrape.ts'
import { shiftedSystem } from './shifted-system.ts'

/** The whole turn in every app, on a machine that has other things to do. */
const promisedMs = 5_000
const knobs = { revocationMs: 0, activationMs: [0, 40, 90] }
const policy = {
  overlap: '1h',
  drainLimit: '2h',
  verifyEvery: '1m',
  verifyCloselyEvery: '30s',
  standby: 'true',
}

/** The sandbox's project has a second account, called batch. */
async function rigWithSpare(): Promise<{ readonly rig: Rig; readonly spare: StandbySummary }> {
  const rig = await prepareRig({
    knobs,
    policy,
    credential: (sandbox) => [
      'store: { kind: local }',
      `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, standbyServiceAccountName: batch, timeout: 5s }`,
      `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
    ],
  })
  const clock = shiftedSystem()
  const log = createLog({ level: 'warn', format: 'json', write: () => undefined, clock: clock.system })
  const serving = await serve({ env: rig.env, cwd: rig.home, log, system: clock.system })
  onTestFinished(() => serving.stop())
  await untilReady(rig)
  const spare = await untilSpare(rig)
  // One that is used up within a minute after it was made is followed by another only after a pause.
  clock.forward(120_000)
  return { rig, spare }
}

const standbyOf = ({ standby }: CredentialSummary): StandbySummary => {
  if (standby === null) throw new Error('a spare is configured')
  return standby
}

async function untilSpare(rig: Rig): Promise<StandbySummary> {
  const seen = await until(
    'a spare is ready',
    () => summary(rig),
    (one) => standbyOf(one).ready === 1 && one.rotation?.phase === 'done',
  )
  return standbyOf(seen)
}

function accountOf(rig: Rig, key: string): string | null {
  const found = rig.sandbox.keys().find((one) => rig.sandbox.isAlive(one.id) && key === one.id)
  return found?.serviceAccount ?? null
}

interface App {
  readonly key: () => Promise<string>
  /** Calls until it is told to stop; resolves with how many requests failed. */
  readonly run: (isOver: () => boolean) => Promise<{ readonly made: number; readonly failed: number }>
}

function appOf(rig: Rig): App {
  const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
  onTestFinished(() => client.close())
  const openai = new OpenAI({
    apiKey: client.getOpenAIKey,
    baseURL: rig.sandbox.baseUrl,
    organization: null,
    project: null,
    maxRetries: 0,
    fetch: client.withKeyRefresh(globalThis.fetch),
  })
  return {
    key: () => client.getOpenAIKey(),
    async run(isOver) {
      let [made, failed] = [0, 0]
      while (!isOver()) {
        made += 1
        await openai.models.list().catch(() => (failed += 1))
        await breath()
      }
      return { made, failed }
    },
  }
}

describe('a spare key', () => {
  it('takes over in every app when the current key is deleted, no request fails, and another spare is made', async () => {
    const { rig, spare } = await rigWithSpare()
    const before = await summary(rig)
    const apps = Array.from({ length: 3 }, () => appOf(rig))
    const old = (await handOut(rig)).body.apiKey
    for (const app of apps) expect(await app.key()).toBe(old)

    let isOver = false
    onTestFinished(() => void (isOver = true))
    const running = apps.map((app) => app.run(() => isOver))
    const from = performance.now()
    rig.sandbox.deleteKey(before.current?.keyId ?? '')
    await until(
      'every app has another key',
      () => Promise.all(apps.map((app) => app.key())),
      (keys) => keys.every((key) => key !== old && rig.sandbox.isAlive(key)),
      promisedMs,
    )
    const tookMs = Math.round(performance.now() - from)
    const { current } = await summary(rig)
    process.stderr.write(`a deleted current key was replaced by the spare in three apps after ${tookMs} ms\n`)
    await until(
      'the failover has made a fresh key and another spare',
      () => summary(rig),
      (one) =>
        one.rotation?.mode === 'standby' && one.rotation.phase === 'done' && standbyOf(one).ready === 1,
      30_000,
    )
    isOver = true
    const told = await Promise.all(running)
    expect(told.map((one) => one.failed)).toEqual([0, 0, 0])
    expect(told.every((one) => one.made > 0)).toBe(true)

    const after = await untilTold(rig)
    const took = after.versions.find((one) => one.version === spare.version)
    expect(took?.promotedAt).not.toBeNull()
    expect([current?.version, after.current?.version]).toContain(spare.version)
    const ready = after.versions.find((one) => one.version === standbyOf(after).version)
    expect(ready).toMatchObject({ stage: 'standby', check: { verdict: 'valid' } })
    expect(ready?.serviceAccount).not.toBe(after.current?.serviceAccount)
    expect(accountOf(rig, ready?.keyId ?? '')).toBe(ready?.serviceAccount)
  }, 60_000)

  it('replaces a compromised key at once, which is dead soon after, and is counted', async () => {
    const { rig, spare } = await rigWithSpare()
    const before = await summary(rig)
    const rotation = await rotate(rig, { mode: 'emergency', isCompromised: true, confirm: 'openai' })
    expect(rotation).toMatchObject({ outcome: 'promoted', from: before.current?.version, to: spare.version })
    expect((await handOut(rig)).body.version).toBe(spare.version)
    const dead = before.current?.keyId ?? ''
    await until(
      'the compromised key is deleted',
      () => rig.sandbox.isAlive(dead),
      (isAlive) => !isAlive,
    )
    const next = await untilSpare(rig)
    expect(next.version).not.toBe(spare.version)
    await until(
      'the spare is in the metrics',
      () => scrape(rig),
      ({ valueOf }) => valueOf('keyturn_standby_ready', { credential: 'openai' }) === 1,
    )
  }, 60_000)
})
