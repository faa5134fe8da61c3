import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import type { VersionId } from '../../src/core/types.ts'
import { arrivals } from '../stores/fakes/impatience.ts'
import { rotateUntilDone } from '../stores/fakes/rotate.ts'
import {
  establish,
  failure,
  newSecret,
  type StoreHarness,
  someMeta,
  stageNew,
} from './store-suite-support.ts'

/**
 * What can happen to a request, in words that every wire has: refused for want of a permission; throttled, without a word
 * on how long (or 0), or with `slow_down`: for a second; an internal error of the service; a page of some proxy in place of
 * an answer; nothing at all (`hang`: not carried out); a connection that breaks before the request was carried out
 * (`reset`) or after it (`broken`).
 */
export type StoreFault =
  | 'denied'
  | 'throttled'
  | 'slow_down'
  | 'internal'
  | 'proxy_page'
  | 'hang'
  | 'reset'
  | 'broken'

export interface FaultHarness extends StoreHarness {
  /** Another client, which makes one attempt per call, and waits for its answer as long as `store` does. */
  readonly once: () => Promise<SecretStore>
  /** The same, but it gives up soon: for requests that never get an answer. */
  readonly impatient: () => Promise<SecretStore>
  /** A client of an address at which nobody listens, with one attempt per call. */
  readonly nowhere: () => Promise<SecretStore>
  /** Does this to the next `times` requests (default 1), whatever they ask for, after letting `after` of them through. */
  readonly fail: (kind: StoreFault, options?: FaultOptions) => void
  /** Forgets the faults that are still to come. */
  readonly heal: () => void
  /** How many requests have arrived until now. */
  readonly requests: () => number
  /** The name of one more secret that is free to be used, as `ref` is. */
  readonly freshRef: () => string
  /**
   * Brings `ref`, which has a current version, into the state in which the store has it and does not give it out:
   * deleted and in its recovery window, or disabled. Not for stores that know no such state.
   */
  readonly disable?: () => void
}

export interface FaultOptions {
  readonly times?: number
  readonly after?: number
}

/** More attempts than any client makes of one call. */
const always = 99
const requestsPerCallMax = 15

/**
 * What every store that is reached over a network owes when that network, or the store, has a bad day. `knowsDisabled` is
 * false for a store that knows no such state; then the harness has no `disable`. With `stride` each kind of fault hits one in so
 * many requests of a rotation, each kind beginning at another one: for stores whose rotations take long. Default 1, and at most
 * 5, so that every request still meets a fault.
 */
export function faultSuite(
  name: string,
  make: () => Promise<FaultHarness>,
  { knowsDisabled = true, stride = 1 }: { readonly knowsDisabled?: boolean; readonly stride?: number } = {},
): void {
  describe(`the ${name} store in trouble`, () => {
    let harness: FaultHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(() => harness.cleanUp())

    const failures: readonly (readonly [StoreFault, readonly KeyturnError['code'][], boolean])[] = [
      ['denied', ['store_denied'], false],
      ['throttled', ['store_throttled'], true],
      ['internal', ['store_unreachable'], true],
      ['proxy_page', ['store_unreachable', 'store_malformed'], true],
      ['hang', ['store_unreachable'], true],
      ['reset', ['store_unreachable'], true],
    ]
    it.each(failures)(
      'says of %s that it is %j, whatever it was doing, and changes nothing',
      async (...row) => {
        const [kind, codes, retryable] = row
        const { store, ref } = harness
        const acts = actsOn(ref, await someVersions(store, ref))
        const before = await store.describe(ref)
        const client = await (kind === 'hang' ? harness.impatient() : harness.once())
        for (const [act, run] of acts) {
          harness.fail(kind, { times: always })
          const error = await failure(run(client))
          expect([act, codes.includes(error.code), error.retryable], error.message).toEqual([
            act,
            true,
            retryable,
          ])
          expect(error.message).toContain(ref)
          expect(error.fix, error.message).toBeTruthy()
          // Whoever gave up while this process stood still has sent his request: once healed it would be carried out.
          await arrivals()
          harness.heal()
          expect(await store.describe(ref), act).toEqual(before)
        }
        for (const [, run] of acts) await run(store)
      },
    )

    it('tries again what passes, and a bounded number of times what does not', async () => {
      const { store, ref } = harness
      const { secret } = await establish(store, ref)
      harness.fail('throttled', { times: 2 })
      expect((await store.read(ref))?.secret.equals(secret)).toBe(true)
      harness.fail('throttled', { times: always })
      const before = harness.requests()
      expect((await failure(store.read(ref))).code).toBe('store_throttled')
      expect(harness.requests() - before).toBeGreaterThan(1)
      expect(harness.requests() - before).toBeLessThanOrEqual(requestsPerCallMax)
    })

    it('waits for as long as the store asks it to', async () => {
      const { store, ref } = harness
      await establish(store, ref)
      harness.fail('slow_down')
      const startedAt = performance.now()
      expect(await store.read(ref)).toBeDefined()
      // Timers may fire a little early.
      expect(performance.now() - startedAt).toBeGreaterThan(990)
    })

    it('is unreachable where nobody listens', async () => {
      const client = await harness.nowhere()
      const error = await failure(client.read(harness.ref))
      expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
      expect(error.message).toContain(harness.ref)
    })

    if (knowsDisabled)
      it('says that a secret is there and disabled, and writes nothing over it', async () => {
        const { store, ref, disable } = harness
        await establish(store, ref)
        if (disable === undefined) expect.fail('the harness must be able to disable the secret')
        disable()
        for (const call of [() => store.read(ref), () => stageNew(store, ref)]) {
          const error = await failure(call())
          expect([error.code, error.retryable]).toEqual(['store_disabled', false])
          expect(error.fix).toContain(ref)
        }
      })

    const passing: readonly StoreFault[] = ['broken', 'reset', 'internal', 'throttled', 'proxy_page']
    it.each(passing)('ends in the same place whichever one request of a rotation meets %s', async (kind) => {
      const { store } = harness
      const client = await harness.once()
      const requestsMax = 100
      let position = passing.indexOf(kind) % stride
      for (let isOver = false; !isOver; position += stride) {
        expect(position).toBeLessThan(requestsMax)
        const ref = harness.freshRef()
        harness.fail(kind, { after: position })
        const before = harness.requests()
        const { old, current, meta } = await rotateUntilDone(client, ref)
        isOver = harness.requests() - before <= position
        harness.heal()
        const described = await store.describe(ref)
        expect([described?.current, described?.pending], `request ${position}`).toEqual([
          current.version,
          undefined,
        ])
        const read = await store.read(ref)
        expect([read?.secret.equals(current.secret), read?.meta]).toEqual([true, meta])
        const promote = { to: old.version, expectCurrent: current.version, fence: 1 }
        expect(await store.promote(ref, promote)).toEqual({ kind: 'gone' })
        if (store.capabilities.destroy === 'version')
          expect(await store.read(ref, { version: old.version })).toBeUndefined()
      }
      expect(position).toBeGreaterThan(10)
    })
  })
}

interface Versions {
  readonly previous: VersionId
  readonly current: VersionId
  readonly pending: VersionId
}

async function someVersions(store: SecretStore, ref: string): Promise<Versions> {
  const { version: previous } = await establish(store, ref)
  const { version: current } = await establish(store, ref)
  const { version: pending } = await stageNew(store, ref)
  return { previous, current, pending }
}

type Act = readonly [name: string, run: (client: SecretStore) => Promise<unknown>]

/** Everything a store is asked for, in an order in which all of it can be done one after another. */
function actsOn(ref: string, { previous, current, pending }: Versions): readonly Act[] {
  const added = { version: randomUUID(), secret: newSecret(), meta: {}, fence: 1 }
  return [
    ['read', (client) => client.read(ref)],
    ['read a version', (client) => client.read(ref, { version: previous })],
    ['describe', (client) => client.describe(ref)],
    ['annotate', (client) => client.annotate(ref, current, someMeta)],
    ['stage', (client) => client.stage(ref, added)],
    ['promote', (client) => client.promote(ref, { to: pending, expectCurrent: current, fence: 1 })],
    ['retire', (client) => client.retire(ref, { version: previous, fence: 1 })],
    ['destroy', (client) => client.destroy(ref, added.version)],
  ]
}
