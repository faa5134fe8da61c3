import { beforeEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import {
  type GoogleSecretManagerOptions,
  openGoogleSecretManagerStore,
} from '../../src/stores/google-secret-manager.ts'
import { establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { type Around, directSdk } from './fakes/google-direct.ts'
import { createGoogleState, type GoogleFakeState, type Message, Refusal } from './fakes/google-fake-state.ts'
import { skippingPauses } from './fakes/google-pauses.ts'
import { type ManualClock, manualClock } from './fakes/manual-clock.ts'
import { testContext } from './fakes/system.ts'

let state: GoogleFakeState
let clock: ManualClock

beforeEach(() => {
  state = createGoogleState()
  clock = manualClock()
})

const plainly: Around = async (_rpc, _request, run) => run()
const open = (
  options: GoogleSecretManagerOptions = {},
  around: Around = plainly,
  system = clock.system,
): Promise<SecretStore> =>
  openGoogleSecretManagerStore(
    { endpoint: 'http://127.0.0.1:1', createIfAbsent: true, maxAttempts: 1, ...options },
    { ...testContext('.', { GOOGLE_CLOUD_PROJECT: 'team-1' }), system },
    async () => directSdk(state, around),
  )
const isAdd = (rpc: string, { parent }: Message): boolean =>
  rpc === 'AddSecretVersion' && String(parent).endsWith('/openai')

describe('a promotion whose version got no answer', () => {
  /** A client whose next version of the secret is sent and arrives when the test says so. */
  async function withLateAdd(): Promise<{ readonly client: SecretStore; readonly arrive: () => void }> {
    let late: (() => Message) | undefined
    const client = await open({}, async (rpc, request, run) => {
      if (!isAdd(rpc, request) || late !== undefined) return run()
      late = run
      throw new Refusal(4, 'no answer')
    })
    return { client, arrive: () => void late?.() }
  }

  it('keeps its version from being retired, by whoever sent it as by others, for as long as it may arrive', async () => {
    const others = await open()
    const { version: expectCurrent } = await establish(others, 'openai')
    const { client, arrive } = await withLateAdd()
    const { version } = await stageNew(client, 'openai')
    const promote = client.promote('openai', { to: version, expectCurrent, fence: 1 })
    expect((await failure(promote)).code).toBe('store_unreachable')
    for (const store of [others, client])
      expect(await failure(store.retire('openai', { version, fence: 1 }))).toMatchObject({
        code: 'store_conflict',
        retryable: true,
      })
    arrive()
    expect((await client.read('openai'))?.version).toBe(version)
    // Now that it is there it is current, and is not retired for that reason.
    expect((await failure(client.retire('openai', { version, fence: 1 }))).message).toContain('current')
  })

  it('can be retired by both once it cannot arrive any more', async () => {
    const others = await open()
    const { version: expectCurrent } = await establish(others, 'openai')
    for (const isSender of [true, false]) {
      const { client } = await withLateAdd()
      const { version } = await stageNew(client, 'openai')
      await failure(client.promote('openai', { to: version, expectCurrent, fence: 1 }))
      const retiring = isSender ? client : others
      await failure(retiring.retire('openai', { version, fence: 1 }))
      clock.pass(20_001)
      await retiring.retire('openai', { version, fence: 1 })
      expect((await others.read('openai'))?.version).toBe(expectCurrent)
    }
  })

  it('is made by its sender in the end, without a word to whoever asked for it', async () => {
    const others = await open()
    const { version: expectCurrent } = await establish(others, 'openai')
    let isFirst = true
    const around: Around = async (rpc, request, run) => {
      if (!isAdd(rpc, request) || !isFirst) return run()
      isFirst = false
      throw new Refusal(14, 'not carried out')
    }
    const client = await open({ maxAttempts: 3 }, around, skippingPauses())
    const { version } = await stageNew(client, 'openai')
    const promote = client.promote('openai', { to: version, expectCurrent, fence: 1 })
    expect(await promote).toEqual({ kind: 'promoted' })
    expect((await others.read('openai'))?.version).toBe(version)
  })

  it('is over at once where Google refused it', async () => {
    const others = await open()
    const { version: expectCurrent } = await establish(others, 'openai')
    let isRefused = true
    const client = await open({}, async (rpc, request, run) => {
      if (isRefused && isAdd(rpc, request)) throw new Refusal(7, 'denied')
      return run()
    })
    const { version } = await stageNew(client, 'openai')
    const request = { to: version, expectCurrent, fence: 1 }
    expect((await failure(client.promote('openai', request))).code).toBe('store_denied')
    isRefused = false
    expect(await client.promote('openai', request)).toEqual({ kind: 'promoted' })
  })
})

describe('a promotion of several rounds', () => {
  const options = { format: 'json', field: 'K', requestTimeoutMs: 20_000 } as const
  const theirs = (key: Secret, other: number): string => JSON.stringify({ K: key.reveal(), other })

  it('is not taken over in its second round by one who has seen its first', async () => {
    const waiter = await open(options)
    const first = await establish(waiter, 'openai')
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let adds = 0
    const owner = await open(options, async (rpc, request, run) => {
      const isFirstOver = adds > 0
      if (isAdd(rpc, request)) {
        adds += 1
        arrivals[adds - 1]?.resolve()
        await gates[adds - 1]?.promise
        // Somebody who knows of no claims writes a field into what they had read.
        if (adds === 1) state.put('openai', theirs(first.secret, 1))
      }
      // Slow, and within its limit: both rounds together take longer than the life of one claim.
      if (isFirstOver && adds === 1) clock.pass(19_000)
      return run()
    })
    const one = await stageNew(owner, 'openai')
    const other = await stageNew(waiter, 'openai')
    const promoted = owner.promote('openai', { to: one.version, expectCurrent: first.version, fence: 1 })
    await arrivals[0]?.promise
    const request = { to: other.version, expectCurrent: first.version, fence: 1 }
    expect((await failure(waiter.promote('openai', request))).code).toBe('store_conflict')
    clock.pass(20_000)
    gates[0]?.resolve()
    await arrivals[1]?.promise
    const again = await failure(waiter.promote('openai', { ...request, expectCurrent: one.version }))
    expect(again.message).toContain('under way')
    gates[1]?.resolve()
    expect(await promoted).toEqual({ kind: 'promoted' })
    expect((await waiter.read('openai'))?.version).toBe(one.version)
    expect(JSON.parse(state.newest('openai') ?? '')).toEqual({ K: one.secret.reveal(), other: 1 })
  })

  it('sends no version under a claim that took so long that the version could outlive it', async () => {
    const others = await open()
    const { version: expectCurrent } = await establish(others, 'openai')
    const claims: (string | undefined)[] = []
    const addedUnder: (string | undefined)[] = []
    let asleepMs = 0
    const system = { ...clock.system, now: () => clock.system.now() + asleepMs }
    const around: Around = async (rpc, request, run) => {
      const held = (): string | undefined => state.secret('openai')?.annotations['keyturn-claim']
      const before = held()
      if (isAdd(rpc, request)) addedUnder.push(before)
      const answer = run()
      if (held() === before || held() === undefined) return answer
      claims.push(held())
      // Its answer is there in time, and the process sleeps before it looks at it.
      asleepMs = 15_000
      return answer
    }
    const slow = await open({}, around, system)
    const { version } = await stageNew(slow, 'openai')
    expect(await slow.promote('openai', { to: version, expectCurrent, fence: 1 })).toEqual({
      kind: 'promoted',
    })
    expect([claims.length, addedUnder]).toEqual([2, [claims[1]]])
  })
})

describe('a promotion that is written down and not yet sent', () => {
  /** One whose claim comes when the test says so, while the next look at the secret is an old one. */
  async function underWay() {
    const others = await open({ maxAttempts: 3 }, plainly, skippingPauses())
    const { version: expectCurrent } = await establish(others, 'openai')
    const arrived = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const slow = await open({ maxAttempts: 3 }, async (rpc, { secret }, run) => {
      const { name } = (secret ?? {}) as Message
      if (rpc === 'UpdateSecret' && String(name).endsWith('/openai')) {
        arrived.resolve()
        await gate.promise
      }
      return run()
    })
    const { version } = await stageNew(slow, 'openai')
    const promoted = slow.promote('openai', { to: version, expectCurrent, fence: 1 })
    await arrived.promise
    state.lag(1, 'openai')
    return { others, version, promoted, open: gate.resolve, expectCurrent }
  }

  it.each(['at once', 'after a note on another version'])(
    'never arrives once its version was retired by one who was told of an older secret, %s',
    async (when) => {
      const { others, version, promoted, open: go, expectCurrent } = await underWay()
      if (when !== 'at once') {
        await others.annotate('openai', expectCurrent, { keyId: 'key_x' })
        state.lag(1, 'openai')
      }
      await others.retire('openai', { version, fence: 1 })
      go()
      expect(await promoted).toEqual({ kind: 'gone' })
      expect((await others.read('openai'))?.version).toBe(expectCurrent)
    },
  )

  it('never arrives once a higher fence was written by one who was told of an older secret', async () => {
    const { others, promoted, open: go, expectCurrent } = await underWay()
    await stageNew(others, 'openai', 2)
    go()
    expect((await failure(promoted)).message).toContain('under fence 2')
    expect((await others.read('openai'))?.version).toBe(expectCurrent)
  })

  it('is stopped by a promotion under a higher fence, which goes on', async () => {
    const { others, promoted, open: go, expectCurrent } = await underWay()
    const { version: to } = await stageNew(others, 'openai')
    state.lag(1, 'openai')
    expect(await others.promote('openai', { to, expectCurrent, fence: 2 })).toEqual({ kind: 'promoted' })
    go()
    expect((await failure(promoted)).message).toContain('under fence 2')
    expect((await others.read('openai'))?.version).toBe(to)
  })
})
