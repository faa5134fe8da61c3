import { expect, it } from 'vitest'
import { fingerprint } from '../../src/core/fingerprint.ts'
import { Secret } from '../../src/core/secret.ts'
import { createSystem } from '../../src/system.ts'
import { aliveKeys, fastPolicy, untilReady } from './harness.ts'
import { spawnService } from './process.ts'
import type { OpenPlace } from './store-places.ts'
import {
  expectEverywhere,
  expectNothingSecret,
  expectOutagesSurvived,
  expectStatus,
  handedOut,
  keyturn,
  mints,
  prepareStage,
  promote,
  type Sight,
  type Stage,
  startAnew,
  type Turn,
  turnToDeath,
  versionsOf,
  watchReader,
} from './store-walk.ts'

/** The main job on one store that can be written, from the first key to a lost ledger, as its user has it. */
export function wholeWalk(store: string, open: OpenPlace): void {
  it(`${store}: handed out, turned to the old key's death, rolled back, killed, without its ledger, without its store`, async () => {
    const stage = await prepareStage(open)
    const isFound = stage.place.put !== undefined
    const existing = isFound ? stage.sandbox.createServiceAccountKey().value : undefined
    if (existing !== undefined) await stage.place.put?.(existing)
    const others = stage.place.others?.()
    let service = await spawnService(stage.rig)
    await untilReady(stage.rig)
    const first = await handedOut(stage)
    if (existing === undefined) expect(mints(stage)).toBe(1)
    else expect([first.apiKey, mints(stage)]).toEqual([existing, 0])
    await expectEverywhere(stage, first)

    const watch = watchReader(stage)
    const turn = await turnToDeath(stage)
    await expectOnlyProven(stage, turn, await watch.stop())
    await expectEverywhere(stage, turn.after)
    expect(aliveKeys(stage.sandbox)).toHaveLength(1)

    const minted = mints(stage)
    service = await startAnew(stage, service)
    await untilReady(stage.rig)
    await expectEverywhere(stage, turn.after)
    await expectStatus(stage, turn.after)
    expect(mints(stage)).toBe(minted)

    const second = await promote(stage)
    await expectEverywhere(stage, second.after)
    const back = await keyturn(stage, 'rollback', 'openai', '--reason', 'the new one is slow')
    expect(back.code, back.err).toBe(0)
    await expectEverywhere(stage, second.before)
    await expectStatus(stage, second.before)
    expect(stage.place.others?.()).toEqual(others)

    const known = await versionsOf(stage)
    service = await startAnew(stage, service, { isLedgerLost: true })
    await untilReady(stage.rig)
    await expectEverywhere(stage, second.before)
    expect(mints(stage)).toBe(minted + 1)
    const current = known.find((one) => one.version === second.before.version)
    expect(current).toMatchObject({
      stage: 'current',
      keyId: expect.any(String),
      serviceAccount: stage.sandbox.serviceAccount,
      project: stage.sandbox.project,
      createdAt: expect.any(String),
      expiresAt: expect.any(String),
    })
    const { keyId, serviceAccount, project, createdAt, expiresAt, fingerprint: print } = current!
    expect((await versionsOf(stage)).find((one) => one.version === second.before.version)).toMatchObject({
      keyId,
      serviceAccount,
      project,
      createdAt,
      expiresAt,
      fingerprint: print,
    })

    // The store has seen the fences of the old ledger: those of the new one have to be above them.
    const third = await promote(stage)
    await expectEverywhere(stage, third.after)
    expect(stage.place.others?.()).toEqual(others)

    await expectOutagesSurvived(stage)
    expect(mints(stage)).toBe(minted + 2)
    expect(service.isRunning()).toBe(true)
    expectNothingSecret(stage)
  }, 120_000)
}

/** Nobody who reads the store without Keyturn got the new key before OpenAI had said yes to it as often as is asked. */
async function expectOnlyProven(
  { place }: Stage,
  { before, after }: Turn,
  sights: readonly Sight[],
): Promise<void> {
  if (sights.length === 0) return expect(await place.read()).toBeUndefined()
  const system = createSystem()
  const seen = sights.map(({ value }) => fingerprint(new Secret(value), system))
  expect(seen).toEqual([before.fingerprint, after.fingerprint])
  for (const value of place.history?.() ?? []) expect(seen).toContain(fingerprint(new Secret(value), system))
  const proofs = Math.max(
    ...[...(sights[1]?.proofs ?? [])]
      .filter(([keyId]) => !sights[0]?.proofs.has(keyId))
      .map(([, count]) => count),
  )
  expect(proofs).toBeGreaterThanOrEqual(Number(fastPolicy['provingCount']))
}
