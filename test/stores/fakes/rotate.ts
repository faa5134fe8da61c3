import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { SecretStore } from '../../../src/core/ports.ts'
import type { Secret } from '../../../src/core/secret.ts'
import type { VersionMeta } from '../../../src/core/types.ts'
import { failure, newSecret, someMeta } from '../../conformance/store-suite-support.ts'

interface Made {
  readonly version: string
  readonly secret: Secret
}

/** First key, second key, what is known of it, retirement of the first: each step again until it succeeds, as the engine does. */
export async function rotateUntilDone(
  client: SecretStore,
  ref: string,
): Promise<{ readonly old: Made; readonly current: Made; readonly meta: VersionMeta }> {
  const old = { version: randomUUID(), secret: newSecret() }
  const current = { version: randomUUID(), secret: newSecret() }
  for (const [to, expectCurrent] of [
    [old, undefined],
    [current, old.version],
  ] as const) {
    await untilDone(() => client.stage(ref, { ...to, meta: {}, fence: 1 }))
    const outcome = await untilDone(() => client.promote(ref, { to: to.version, expectCurrent, fence: 1 }))
    expect(['promoted', 'already']).toContain(outcome.kind)
  }
  await untilDone(() => client.annotate(ref, current.version, someMeta))
  await untilDone(() => client.retire(ref, { version: old.version, fence: 1 }))
  await untilDone(() => client.destroy(ref, old.version))
  return { old, current, meta: someMeta }
}

async function untilDone<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (thrown) {
    const error = await failure(Promise.reject(thrown instanceof Error ? thrown : new Error('not an error')))
    expect(error.retryable, error.message).toBe(true)
    return act()
  }
}
