import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import type { CredentialState } from '../../src/core/types.ts'
import type { Knobs } from '../../src/sandbox/index.ts'
import { aliveKeys, handOut, prepareRig, type Rig, rotate, summary, until, untilReady } from './harness.ts'
import { type LogLine, type ServiceProcess, spawnService } from './process.ts'

/**
 * SIGKILL in every phase. A phase is hit when the ledger of the dead process says that it died in it; the local ones last
 * a few milliseconds, so the kill is tried again until it hits. Where this process was too slow that often, the service is
 * made to end itself by the same signal, as soon as it is about to say that it is in the phase.
 */
const triesMax = 6

interface Crash {
  readonly phase: string
  readonly walk: 'rotation' | 'retirement'
  readonly request?: Record<string, unknown>
  readonly knobs?: Partial<Knobs>
}

const crashes: readonly Crash[] = [
  { phase: 'checking', walk: 'rotation' },
  { phase: 'minting', walk: 'rotation' },
  // The answer is lost and the key was made: what reconciling is for.
  { phase: 'reconciling', walk: 'rotation', knobs: { loseAnswers: { mint: 1 } } },
  { phase: 'proving', walk: 'rotation' },
  { phase: 'discarding', walk: 'rotation', request: { mode: 'rehearsal' } },
  { phase: 'extending', walk: 'rotation' },
  { phase: 'promoting', walk: 'rotation' },
  { phase: 'confirming', walk: 'rotation' },
  { phase: 'draining', walk: 'retirement' },
  { phase: 'retiring', walk: 'retirement' },
  { phase: 'proving_current', walk: 'retirement' },
  { phase: 'revoking', walk: 'retirement' },
  { phase: 'dying', walk: 'retirement' },
  { phase: 'destroying', walk: 'retirement' },
]

for (const crash of crashes) {
  it(`killed while ${crash.phase} (${crash.walk}): started again, it ends, one key is current and no other is alive`, async () => {
    const rig = await prepareRig({ knobs: { latencyMs: 15 } })
    let service = await spawnService(rig)
    await untilReady(rig)
    for (let tries = 1; ; tries++) {
      rig.sandbox.set(crash.knobs ?? {})
      if (tries < triesMax) await killIn(crash, rig, service)
      else {
        await service.kill()
        await dieIn(crash, rig)
      }
      const died = phaseOf(crash, rig)
      service = await spawnService(rig)
      await expectConverged(rig)
      if (died === crash.phase) break
      expect(tries, `the kill never hit ${crash.phase}; last hit: ${died}`).toBeLessThan(triesMax)
    }
  }, 300_000)
}

it('killed when a key was made at OpenAI and nobody was told yet: the key is found by its marker and does not stay alive', async () => {
  const rig = await prepareRig()
  const service = await spawnService(rig)
  await untilReady(rig)
  // Applied at once, answered never: the process dies waiting.
  rig.sandbox.set({ loseAnswers: { mint: 1 }, loseAnswersBy: 'hang' })
  const before = aliveKeys(rig.sandbox)
  await rotate(rig)
  await until(
    'a second key is alive',
    () => aliveKeys(rig.sandbox).length,
    (count) => count > before.length,
  )
  await service.kill()
  rig.sandbox.reset()
  await spawnService(rig)
  await expectConverged(rig)
  expect(aliveKeys(rig.sandbox)).not.toEqual(before)
}, 60_000)

/** Starts a rotation and kills the process as soon as it says that it is in the phase. */
async function killIn(crash: Crash, rig: Rig, service: ServiceProcess): Promise<void> {
  // A retirement enters draining without an event of its own: the promotion is it.
  const isThere = (line: LogLine): boolean =>
    crash.phase === 'draining'
      ? line.message === 'openai: promoted'
      : line.message === `openai: ${crash.walk}` && line.phase === crash.phase
  let isKilled = false
  const dead = new Promise<void>((resolve, reject) => {
    service.onLine((line) => {
      if (isKilled || !isThere(line)) return
      isKilled = true
      service.kill().then(resolve, reject)
    })
  })
  await rotate(rig, crash.request).catch((thrown: unknown) => {
    // The kill may be faster than the answer to the request that led to it.
    if (!isKilled) throw thrown
  })
  await dead
}

/** Loaded before everything else by a service that is to end itself: what it writes is looked at. */
const ending = `
const parts = JSON.parse(process.env.END_AT)
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write
  stream.write = function (chunk, ...rest) {
    if (parts.every((part) => String(chunk).includes(part))) process.kill(process.pid, 'SIGKILL')
    return write.call(this, chunk, ...rest)
  }
}
`

/** Starts a service that ends itself in the phase, and a rotation. */
async function dieIn(crash: Crash, rig: Rig): Promise<void> {
  const hook = join(rig.home, 'ending.mjs')
  writeFileSync(hook, ending)
  const said =
    crash.phase === 'draining'
      ? ['"openai: promoted"']
      : [`"openai: ${crash.walk}"`, `"phase":"${crash.phase}"`]
  const service = await spawnService({
    ...rig,
    env: { ...rig.env, NODE_OPTIONS: `--import=${hook}`, END_AT: JSON.stringify(said) },
  })
  await untilReady(rig)
  await rotate(rig, crash.request).catch((thrown: unknown) => {
    // It may be gone before the answer to the request that led to it.
    if (!/fetch failed|terminated/.test(String(thrown))) throw thrown
  })
  await until(
    `the service has ended itself in ${crash.phase}`,
    () => service.isRunning(),
    (isRunning) => !isRunning,
    60_000,
  )
  await service.kill()
}

/** Where the ledger says that the walk stood. */
function phaseOf(crash: Crash, rig: Rig): string | undefined {
  const database = new DatabaseSync(join(rig.home, 'ledger.db'))
  try {
    const row = database.prepare('SELECT state FROM credentials').get()
    const state = JSON.parse(String(row?.['state'])) as CredentialState
    return crash.walk === 'rotation'
      ? state.rotation?.phase
      : state.retirements.find((one) => one.endedAt === undefined)?.phase
  } finally {
    database.close()
  }
}

async function expectConverged(rig: Rig): Promise<void> {
  const ended = await until(
    'rotation and retirements have ended',
    () => summary(rig),
    ({ rotation, retirements, current }) =>
      current !== null &&
      (rotation === null || rotation.phase === 'done') &&
      retirements.every((one) => one.phase === 'dead'),
    40_000,
  )
  expect(ended.versions.filter((one) => one.stage === 'current')).toHaveLength(1)
  expect(ended.versions.filter((one) => one.stage === 'pending' || one.stage === 'previous')).toEqual([])
  expect(aliveKeys(rig.sandbox)).toEqual([ended.current?.keyId])
  const { status, body } = await handOut(rig)
  expect(status).toBe(200)
  expect(rig.sandbox.isAlive(body.apiKey)).toBe(true)
}
