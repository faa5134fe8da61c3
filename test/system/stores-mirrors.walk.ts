import { expect, it, onTestFinished } from 'vitest'
import type { CredentialSummary } from '../../src/api/types.ts'
import { createLog } from '../../src/log.ts'
import { serve } from '../../src/main.ts'
import { fastPolicy, summary, until, untilReady } from './harness.ts'
import { shiftedSystem } from './shifted-system.ts'
import type { StorePlace } from './store-places.ts'
import { awsPlace, azurePlace, googlePlace, vaultPlace } from './store-places-remote.ts'
import {
  expectNothingSecret,
  handedOut,
  keyturn,
  keyturnJson,
  prepareStage,
  promote,
  type Stage,
  turnToDeath,
  watchReader,
} from './store-walk.ts'

/** Longer than any store of this test asks for: Google's readers may be five minutes behind. */
const overlapMs = 6 * 60_000

it('AWS with mirrors in Google, Azure and Vault: turned everywhere, one of them away, and changed by hand', async () => {
  const clock = shiftedSystem()
  const mirrors: StorePlace[] = []
  for (const open of [googlePlace, azurePlace, vaultPlace]) {
    const mirror = await open()
    mirrors.push(mirror)
    onTestFinished(() => mirror.end())
  }
  const [google, azure, vault] = mirrors as [StorePlace, StorePlace, StorePlace]
  const stage = await prepareStage(awsPlace, { mirrors, now: clock.now })
  const { sandbox, rig } = stage
  const existing = sandbox.createServiceAccountKey().value
  await stage.place.put?.(existing)
  await serveOn(stage, clock)
  await untilReady(rig)
  expect((await handedOut(stage)).apiKey).toBe(existing)
  const everywhere = [stage.place, ...mirrors]
  await untilHeld(everywhere, existing)

  // A rotation lands everywhere, and no reader of any of them gets the key before it is proven.
  const watches = everywhere.map((place) => watchReader({ place, sandbox }))
  const { after: second } = await turnToDeath(stage)
  await untilHeld(everywhere, second.apiKey)
  for (const watch of watches) {
    const sights = await watch.stop()
    expect(sights.map(({ value }) => value === second.apiKey)).toEqual([false, true])
    const { keyId } = (await summary(rig)).current ?? {}
    const proofs = sights[1]?.proofs.get(keyId ?? '') ?? 0
    expect(proofs).toBeGreaterThanOrEqual(Number(fastPolicy['provingCount']))
  }

  // One is away: the rotation goes through, and the old key lives on for the readers of that one.
  await google.outages[0]?.begin()
  const { after: third } = await promote(stage)
  await untilHeld([stage.place, azure, vault], third.apiKey)
  clock.forward(overlapMs)
  await until(
    'the old key is kept for the mirror',
    () => summary(rig),
    // The others may have been in the middle of something when the clock jumped.
    ({ retirements, troubles }) =>
      troubles.map((one) => one.code).join() === 'mirror_behind' &&
      retirements.some(({ heldBy }) => heldBy?.includes('google') === true),
  )
  const status = await keyturnJson<CredentialSummary>(stage, 'status', 'openai')
  expect(status.troubles).toEqual([
    expect.objectContaining({ code: 'mirror_behind', summary: expect.stringMatching(/google.*openai/) }),
  ])
  expect(status.mirrors.map(({ isInLine }) => isInLine)).toEqual([false, true, true])
  const shown = await keyturn(stage, 'status', 'openai')
  expect(shown.out).toContain('(not in line)')
  expect(shown.out).toContain(`fix: ${status.troubles[0]?.fix}`)
  expect(await google.read()).toBe(second.apiKey)
  expect(sandbox.isAlive(second.apiKey)).toBe(true)
  await google.outages[0]?.end()
  await untilHeld(everywhere, third.apiKey)
  // Readers of a store that takes its time are waited for, from when it caught up.
  await until(
    'the old key is kept for readers of the late one',
    () => summary(rig),
    ({ retirements }) =>
      retirements.some(({ heldBy }) => /google.* for a short time only/.test(heldBy ?? '')),
  )
  clock.forward(overlapMs)
  await until(
    'the old key is dead',
    () => summary(rig),
    ({ retirements, troubles }) =>
      troubles.length === 0 && retirements.every(({ phase }) => phase === 'dead'),
    30_000,
  )
  expect(sandbox.isAlive(second.apiKey)).toBe(false)

  // A key of another organisation works and is nobody's business here.
  const foreign = sandbox.createServiceAccountKey({ serviceAccount: sandbox.other.serviceAccount })
  const alarms = alarmsOf(stage, 'mirror_drift')
  await vault.put?.(foreign.value)
  const handOuts = new Set<string>()
  await until(
    'it is put right',
    async () => {
      handOuts.add((await handedOut(stage)).apiKey)
      return (await vault.read()) === third.apiKey
    },
    Boolean,
  )
  expect([...handOuts]).toEqual([third.apiKey])
  expect(alarmsOf(stage, 'mirror_drift')).toBeGreaterThan(alarms)
  expect(sandbox.isAlive(foreign.id)).toBe(true)
  expect(vault.others?.()).toBe('the billing team')
  await untilHeld(everywhere, third.apiKey)

  // One that is ours is taken up everywhere.
  const ours = sandbox.createServiceAccountKey().value
  await azure.put?.(ours)
  await untilHeld(everywhere, ours)
  await until(
    'it is handed out',
    () => handedOut(stage),
    ({ apiKey }) => apiKey === ours,
  )
  await until(
    'all is well',
    () => summary(rig),
    ({ troubles, mirrors: all }) => troubles.length === 0 && all.every(({ isInLine }) => isInLine),
  )
  clock.forward(overlapMs)
  await until(
    'the key before it is dead',
    () => sandbox.isAlive(third.apiKey),
    (isAlive) => !isAlive,
  )
  expectNothingSecret(stage)
}, 120_000)

/** The service as in production, but for a clock that can be put forward. */
async function serveOn({ rig }: Stage, { system }: ReturnType<typeof shiftedSystem>): Promise<void> {
  const write = (line: string): void => void rig.logs.push(line)
  const log = createLog({ level: 'debug', format: 'json', write, clock: system })
  const serving = await serve({ env: rig.env, cwd: rig.home, log, system })
  onTestFinished(() => serving.stop())
}

async function untilHeld(places: readonly StorePlace[], apiKey: string): Promise<void> {
  await until(
    'all stores have it',
    // Never the values: what was seen last is told when it does not come about.
    () => Promise.all(places.map(async (place) => (await place.read()) === apiKey)),
    (have) => have.every(Boolean),
    30_000,
  )
}

function alarmsOf({ rig }: Stage, code: string): number {
  return rig.logs.filter((line) => line.includes('"openai: alert"') && line.includes(`"${code}"`)).length
}
