import { describe, expect, it } from 'vitest'
import type { CredentialSummary } from '../../src/api/types.ts'
import { aliveKeys, call, handOut, summary, until, untilReady } from './harness.ts'
import { spawnService } from './process.ts'
import { envPlace, filePlace, memoryPlace, type OpenPlace } from './store-places.ts'
import {
  expectEverywhere,
  expectNothingSecret,
  expectOutagesSurvived,
  handedOut,
  keyturn,
  keyturnJson,
  mints,
  prepareStage,
  promote,
  startAnew,
  turnToDeath,
} from './store-walk.ts'

describe('stores that are only read', () => {
  const readOnly: readonly (readonly [string, OpenPlace])[] = [
    ['env', envPlace],
    ['file', filePlace],
  ]
  it.each(readOnly)(
    '%s: handed out, never turned, taken up when somebody changes it, and there after a kill',
    async (_kind, open) => {
      const stage = await prepareStage(open)
      const { sandbox, place, rig } = stage
      const { value: first } = sandbox.createServiceAccountKey()
      await place.put?.(first)
      let service = await spawnService(rig)
      await untilReady(rig)
      const held = await handedOut(stage)
      expect(held.apiKey).toBe(first)
      await expectEverywhere(stage, held)

      const alive = aliveKeys(sandbox)
      for (const more of [[], ['--emergency'], ['--rehearse']]) {
        const refused = await keyturn(stage, 'rotate', 'openai', '--wait', '--json', ...more)
        expect(refused.code).toBe(1)
        const { error } = JSON.parse(refused.err) as { error: { code: string; message: string; fix: string } }
        expect(error.code).toBe('store_read_only')
        expect(error.fix).not.toBe('')
      }
      expect([mints(stage), aliveKeys(sandbox)]).toEqual([0, alive])
      expect((await summary(rig)).rotation).toBeNull()

      const { value: second } = sandbox.createServiceAccountKey()
      await place.put?.(second)
      const taken = await until(
        'what somebody put there is handed out',
        () => handOut(rig),
        ({ body }) => body.apiKey === second,
      )
      await expectEverywhere(stage, taken.body)
      const foreign = sandbox.createServiceAccountKey({ serviceAccount: sandbox.other.serviceAccount })
      await place.put?.(foreign.value)
      await until(
        'a key of somebody else is alarmed',
        () => summary(rig),
        ({ troubles }) => troubles.length > 0,
      )
      expect((await handedOut(stage)).apiKey).toBe(second)
      await place.put?.(second)

      for (const isLedgerLost of [false, true]) {
        service = await startAnew(stage, service, { isLedgerLost })
        await untilReady(rig)
        expect((await handedOut(stage)).apiKey).toBe(second)
      }
      await expectOutagesSurvived(stage)
      expect([mints(stage), service.isRunning()]).toEqual([0, true])
      expectNothingSecret(stage)
    },
    120_000,
  )
})

it('memory: turned and rolled back; it forgets with the process, and the operator is told so and mends it', async () => {
  const stage = await prepareStage(memoryPlace)
  let service = await spawnService(stage.rig)
  await untilReady(stage.rig)
  const { after } = await turnToDeath(stage)
  await expectEverywhere(stage, after)

  service = await startAnew(stage, service)
  const told = await until(
    'the trouble is told',
    () => summary(stage.rig),
    ({ troubles }) => troubles.some((one) => one.code === 'store_absent'),
  )
  expect(told.troubles.every((one) => one.fix !== '')).toBe(true)
  // What the store forgot is in the last-known-good file, and OpenAI still takes it.
  const answer = await call<{ readonly version: string }>(stage.rig, '/v1/credentials/openai')
  expect([answer.status, answer.body.version]).toEqual([200, after.version])
  const turned = await keyturn(stage, 'rotate', 'openai', '--emergency')
  expect(turned.code, turned.err).toBe(0)
  await until(
    'it is turned',
    () => summary(stage.rig),
    ({ rotation, troubles }) => rotation?.phase === 'done' && troubles.length === 0,
  )

  const { before } = await promote(stage)
  const back = await keyturnJson<CredentialSummary>(stage, 'rollback', 'openai')
  expect(back.current?.version).toBe(before.version)
  await expectEverywhere(stage, before)
  expect(service.isRunning()).toBe(true)
  expectNothingSecret(stage)
}, 120_000)
