import { onTestFinished } from 'vitest'
import type { KeyturnClient } from '../../src/index.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import type { FakeService } from './fake-service.ts'
import { clientOf, serviceForTest } from './support.ts'

export interface World {
  readonly sandbox: Sandbox
  readonly service: FakeService
  readonly client: KeyturnClient
  /** A new key is handed out. The old one stays alive for as long as requests may hold it. */
  turn(overlap?: () => Promise<void>): Promise<void>
  /** Kills the key that is served, before anybody is told. Keyturn hands out another one once that is reported. */
  kill(): void
  /** What the sandbox refused. */
  refusals(): number
}

/** A local OpenAI that forgets a deleted key at once, and a Keyturn that hands out its keys. */
export async function openWorld(): Promise<World> {
  const knobs = { edges: 2, activationMs: 0, revocationMs: 0, streamChunks: 4, streamChunkDelayMs: 3 }
  const sandbox = await startSandbox({ knobs })
  onTestFinished(() => sandbox.close())
  let current = sandbox.createServiceAccountKey()
  const { baseUrl, organization, project } = sandbox
  const service = await serviceForTest({ apiKey: current.value, baseUrl, organization, project })
  const client = clientOf(service)
  return {
    sandbox,
    service,
    client,
    async turn(overlap) {
      const old = current
      current = sandbox.createServiceAccountKey()
      service.turn({ apiKey: current.value })
      const { generation } = service.answer()
      // The retirement's gate: every lease has moved on, and the minimum overlap is over.
      await service.until(() =>
        service.hands().some((seen) => Number(seen.headers['keyturn-generation-in-flight']) >= generation),
      )
      await overlap?.()
      sandbox.deleteKey(old.id)
    },
    kill() {
      sandbox.deleteKey(current.id)
      current = sandbox.createServiceAccountKey()
      service.onReport = () => {
        service.onReport = () => undefined
        service.turn({ apiKey: current.value })
      }
    },
    refusals: () => sandbox.requests().filter((request) => request.status === 401).length,
  }
}

/**
 * Keeps `width` calls going until `acts` has ended, and rejects with the first that fails. Resolves with their number.
 * `settled`, which the acts are given, resolves when every call that is under way has ended.
 */
export async function underLoad(
  width: number,
  call: (index: number) => Promise<void>,
  acts: (settled: () => Promise<void>) => Promise<void>,
): Promise<number> {
  const over = new AbortController()
  let calls = 0
  const underWay = new Set<Promise<void>>()
  const worker = async () => {
    while (!over.signal.aborted) {
      calls += 1
      const running = call(calls)
      underWay.add(running)
      await running.finally(() => underWay.delete(running))
    }
  }
  const workers = Promise.all(Array.from({ length: width }, worker))
  const settled = async () => {
    await Promise.all(underWay)
  }
  const acting = acts(settled).finally(() => over.abort())
  await Promise.race([workers, acting])
  await Promise.all([workers, acting])
  return calls
}
