import { expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { ListOutcome, RevokeOutcome } from '../../src/core/ports.ts'
import type { Secret } from '../../src/core/secret.ts'
import type { Observation, Retirement } from '../../src/core/types.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { openMemoryStore } from '../../src/stores/memory.ts'
import { minuteMs } from '../core/fixtures.ts'
import { Mirror } from './mirror.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

/** What the simulator found, each as the shortest script that shows it. */

const policy = { overlapMs: 5 * minuteMs, quietMs: 0, activationGraceMs: 0, storePollMs: minuteMs }
const refusal: Observation = { kind: 'answer', status: 403, isIssuers: true, requestId: 'req_1' }

async function refuse(): Promise<RevokeOutcome> {
  return { kind: 'refused', observation: refusal }
}

/** Where nothing can be deleted, what has expired stays in the list. */
function listedWithExpired(world: World): ListOutcome {
  const keys = world.issuer.keys.map(({ keyId, name, expiresAt }) => ({
    keyId,
    name,
    redacted: '',
    owner: 'service_account' as const,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }))
  return { kind: 'listed', keys }
}

async function turned(world: World): Promise<void> {
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
}

/** As a person does in the store's console. */
async function moveTo(world: World, version: string): Promise<void> {
  const shelf = world.content.get('openai')?.shelf
  const fence = shelf?.fence ?? 0
  const request = { to: version, expectCurrent: shelf?.current, fence }
  await openMemoryStore({ content: world.content }, { system: world.time }).promote('openai', request)
}

it('ends a key whose delete is refused, though the answer to its last expiry was lost', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const issuer = world.issuer.asIssuer()
  let isLost = true
  await world.ready({
    setup: {
      issuer: {
        ...issuer,
        revoke: refuse,
        async setExpiry(keyId, seconds) {
          const key = world.issuer.keys.find((one) => one.keyId === keyId)
          if (key !== undefined && world.issuer.isExpired(key))
            return { kind: 'refused', observation: refusal }
          const outcome = await issuer.setExpiry?.(keyId, seconds)
          if (seconds > 1 || !isLost) return outcome ?? { kind: 'refused', observation: refusal }
          isLost = false
          return { kind: 'unknown', observation: refusal }
        },
        list: async () => listedWithExpired(world),
      },
    },
  })
  await turned(world)
  await turned(world)
  await world.time.advance(20 * minuteMs)
  expect((await world.state()).retirements.map((one) => one.phase)).toEqual(['kept', 'dead'])
  isLost = true
  await world.service.rotate('openai', { mode: 'rehearsal' }, operator)
  await world.walkRotation()
  expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'rehearsed' })
})

it('keeps an old key that a person made current in the store again, and takes it up', async () => {
  expectNoUnhandled()
  // It is looked at long after the overlap, so that nothing but the gate can see it.
  const world = new World({ policy: { ...policy, storePollMs: 60 * minuteMs } })
  await world.ready()
  await turned(world)
  const old = world.handedOut()
  await turned(world)
  await moveTo(world, old ?? '')
  await world.time.advance(30 * minuteMs)
  const held = (await world.state()).retirements.find((one) => one.version === old)
  expect(held).toMatchObject({ phase: 'draining', heldBy: 'the store, which has it for current' })
  await world.time.advance(60 * minuteMs)
  expect(world.handedOut()).toBe(old)
})

it('takes a pending key that got current in the store out of there before it ends it', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const issuer = world.issuer.asIssuer()
  const readersHad: (string | undefined)[] = []
  await world.ready({
    setup: {
      issuer: {
        ...issuer,
        async revoke(keyId) {
          const record = world.content.get('openai')
          const secret = record?.values.get(record.shelf.current ?? '')
          readersHad.push(world.issuer.keys.find((one) => secret?.equals(one.secret) === true)?.keyId)
          return (await issuer.revoke?.(keyId)) ?? { kind: 'gone' }
        },
      },
    },
  })
  const before = world.handedOut()
  world.issuer.breakCall('verify')
  const { id } = await world.service.rotate('openai', {}, operator)
  await world.time.advance(5_000)
  const pending = (await world.state()).rotation?.attempts.at(-1)
  await moveTo(world, pending?.version ?? '')
  await world.service.actOnRotation('openai', id, 'abort', operator)
  world.issuer.mend('verify')
  await world.time.advance(2 * minuteMs)
  expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'aborted' })
  expect(readersHad).toHaveLength(1)
  expect(readersHad).not.toContain(pending?.keyId)
  expect(world.content.get('openai')?.shelf.current).toBe(before)
})

it('is superseded by no key that is never handed out again, and says so', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, storePollMs: 60 * minuteMs } })
  await world.ready()
  const leaked = world.handedOut()
  await world.service.rotate(
    'openai',
    { mode: 'emergency', isCompromised: true, confirm: 'openai', reason: 'leaked' },
    operator,
  )
  await world.walkRotation()
  await moveTo(world, leaked ?? '')
  await turned(world)
  expect((await world.state()).rotation).toMatchObject({ phase: 'halted', halt: { reason: 'store_changed' } })
  await world.time.advance(70 * minuteMs)
  const { troubles } = await world.service.summary('openai')
  expect(troubles.map((one) => one.code)).toContain('store_changed')
})

it('replaces a dead key that somebody put into the store when nothing else is left', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  await world.ready()
  const content = openMemoryStore({ content: world.content }, { system: world.time })
  const dead = world.issuer.plant({ isRefused: true })
  const fence = world.content.get('openai')?.shelf.fence ?? 0
  await content.stage('openai', { version: 'by-hand', secret: dead.secret, meta: {}, fence })
  await moveTo(world, 'by-hand')
  await world.time.advance(2 * minuteMs)
  for (const key of world.issuer.keys) key.isDeleted = true
  await world.time.advance(20 * minuteMs)
  expect(world.isHandedOut()).toBe(true)
  expect(world.content.get('openai')?.shelf.current).toBe(world.handedOut())
})

it('hands out on every replica what one of them has promoted', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const ledger = openSqliteLedger({ path: ':memory:' })
  const listeners = new Set<(name: string) => void>()
  const shared = {
    ...ledger,
    close: async () => undefined,
    async commit(commit: Parameters<typeof ledger.commit>[0]) {
      const outcome = await ledger.commit(commit)
      for (const tell of listeners) tell(commit.state.name)
      return outcome
    },
    watch(onChange: (name: string) => void) {
      listeners.add(onChange)
      return () => void listeners.delete(onChange)
    },
  }
  const other = await world.start({ deps: { ledger: shared, owner: 'other-host' }, beat: 'none' })
  const one = await world.ready({ deps: { ledger: shared } })
  await one.rotate('openai', {}, operator)
  await world.time.advance(minuteMs)
  const given = one.handOut('openai')
  const { generation } = given ?? {}
  expect(given?.kind).toBe('available')
  expect(other.handOut('openai')).toMatchObject({ kind: 'available', generation })
  await other.stop()
  expect(listeners.size).toBe(1)
  await world.stop()
  await ledger.close()
})

it('goes on above every generation that a lost ledger gave out', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  await world.ready()
  await turned(world)
  await turned(world)
  const before = world.service.handOut('openai')
  await world.stop()
  const ledger = openSqliteLedger({ path: ':memory:' })
  await world.ready({ deps: { ledger: { ...ledger, close: async () => undefined } } })
  const after = world.service.handOut('openai')
  expect(after).toMatchObject({ kind: 'available', stage: 'current' })
  expect(after?.generation).toBeGreaterThan(before?.generation ?? 0)
  await world.stop()
  await ledger.close()
})

it('takes a key that has expired for dead where its value is lost and keys are not deleted', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const issuer = world.issuer.asIssuer()
  const setup = { issuer: { ...issuer, revoke: refuse, list: async () => listedWithExpired(world) } }
  await world.ready({ setup })
  await turned(world)
  const old = world.handedOut() ?? ''
  await turned(world)
  await world.stop()
  const record = world.content.get('openai')
  if (record !== undefined)
    world.content.set('openai', { ...record, values: withoutValue(record.values, old) })
  await world.ready({ setup })
  await world.time.advance(30 * minuteMs)
  expect((await world.state()).retirements.find((one) => one.version === old)?.phase).toBe('dead')
})

function withoutValue<Value>(
  values: ReadonlyMap<string, Value>,
  version: string,
): ReadonlyMap<string, Value> {
  return new Map([...values].filter(([name]) => name !== version))
}

it('takes a pending key that got current in a mirror out of there before it ends it', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, mirrors: ['aws/openai'] } })
  const mirror = new Mirror(world, 'aws/openai')
  const issuer = world.issuer.asIssuer()
  const readersHad: (string | undefined)[] = []
  const revoke = async (keyId: string): Promise<RevokeOutcome> => {
    readersHad.push(mirror.key()?.keyId)
    return (await issuer.revoke?.(keyId)) ?? { kind: 'gone' }
  }
  await world.ready({ setup: { mirrors: [mirror.setup], issuer: { ...issuer, revoke } } })
  await world.time.advance(minuteMs)
  world.issuer.breakCall('verify')
  const { id } = await world.service.rotate('openai', {}, operator)
  await world.time.advance(5_000)
  const pending = (await world.state()).rotation?.attempts.at(-1)
  const secret = world.issuer.keys.find((one) => one.keyId === pending?.keyId)?.secret
  if (secret === undefined) throw new Error('a key is pending')
  await mirror.byHand(secret)
  // It is seen there, and cannot be put right at first.
  mirror.away()
  mirror.only = 'promote'
  await world.service.actOnRotation('openai', id, 'abort', operator)
  await world.time.advance(30_000)
  expect(readersHad).toEqual([])
  mirror.back()
  world.issuer.mend('verify')
  await world.time.advance(2 * minuteMs)
  expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'aborted' })
  expect(readersHad).toHaveLength(1)
  expect(readersHad).not.toContain(pending?.keyId)
})

it('revokes a key that a person made also when it is asked for once more, after the key was deleted by hand', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  await world.ready()
  const first = world.handedOut() ?? ''
  await turned(world)
  await moveTo(world, first)
  const release = world.issuer.hold('verify')
  await world.service.revoke('openai', first, {}, operator)
  await world.time.advance(1_000)
  expect((await world.state()).retirements.at(-1)).toMatchObject({ version: first, phase: 'halted' })
  for (const key of world.issuer.keys.filter((one) => one.name === 'by hand')) key.isDeleted = true
  release()
  await moveTo(world, world.handedOut() ?? '')
  await world.service.revoke('openai', first, {}, operator)
  await world.time.advance(10 * minuteMs)
  expect((await world.state()).retirements.at(-1)).toMatchObject({ version: first, phase: 'dead' })
})

it('replaces the old key also where the store has it under another id', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, mirrors: ['aws/openai'] } })
  const mirror = new Mirror(world, 'aws/openai')
  await world.ready({ setup: { mirrors: [mirror.setup] } })
  const { secret } = world.issuer.plant()
  await mirror.byHand(secret)
  await world.time.advance(10 * minuteMs)
  const found = world.handedOut()
  expect(
    world.content
      .get('openai')
      ?.values.get(found ?? '')
      ?.equals(secret),
  ).toBe(true)
  const store = openMemoryStore({ content: world.content }, { system: world.time })
  const fence = world.content.get('openai')?.shelf.fence ?? 0
  await store.stage('openai', { version: 'the-same', secret, meta: {}, fence })
  await moveTo(world, 'the-same')
  await turned(world)
  expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
})

it('does not delete an old key in a second try, when what replaced it has died meanwhile', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, automaticPerDayMax: 0 } })
  await world.ready()
  await turned(world)
  const [, old] = world.issuer.keys
  await turned(world)
  world.issuer.breakCall('revoke')
  await world.time.advance(7 * minuteMs)
  const walk = async (): Promise<Retirement | undefined> =>
    (await world.state()).retirements.find((one) => one.keyId === old?.keyId)
  expect((await walk())?.phase).toBe('revoking')
  for (const key of world.issuer.keys) if (key !== old) key.isDeleted = true
  await world.time.advance(2 * minuteMs)
  world.issuer.mend('revoke')
  await world.time.advance(10 * minuteMs)
  expect(old?.isDeleted).toBe(false)
  expect(await walk()).toMatchObject({
    phase: 'revoking',
    heldBy: expect.stringContaining('could not be proven'),
  })
})

it('gives up a rotation without ending its key, where that was handed out before it was heard to be staged', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const store = world.store()
  await world.ready({
    setup: {
      store: {
        ...store,
        async stage(ref, request) {
          await store.stage(ref, request)
          await new Promise<void>((resolve) => world.time.after(5 * minuteMs, resolve))
        },
      },
    },
  })
  const before = world.handedOut()
  const { id } = await world.service.rotate('openai', {}, operator)
  await world.time.advance(5_000)
  const staged = (await store.describe('openai'))?.pending ?? ''
  await moveTo(world, staged)
  await world.time.advance(2 * minuteMs)
  expect(world.handedOut()).toBe(staged)
  await moveTo(world, before ?? '')
  await world.time.advance(2 * minuteMs)
  world.issuer.breakCall('verify')
  await world.time.advance(2 * minuteMs)
  expect((await world.state()).rotation?.phase).toBe('proving')
  await world.service.actOnRotation('openai', id, 'abort', operator)
  world.issuer.mend('verify')
  await world.time.advance(2 * minuteMs)
  const { rotation, versions } = await world.state()
  expect(rotation).toMatchObject({ phase: 'done', outcome: 'aborted' })
  expect(world.handedOut()).toBe(before)
  const kept = versions.find((one) => one.version === staged)
  expect(kept?.stage).toBe('previous')
  expect(world.issuer.keys.find((one) => one.keyId === kept?.meta.keyId)?.isDeleted).toBe(false)
})

it('knows a key that was in the wrong hands also when its version is long forgotten', async () => {
  expectNoUnhandled()
  const world = new World({ policy: { ...policy, provingCount: 1, provingSettleMs: 0 } })
  await world.ready()
  const leaked = world.issuer.keys[0]?.secret.reveal() ?? ''
  const compromised = { mode: 'emergency', isCompromised: true, confirm: 'openai' } as const
  await world.service.rotate('openai', compromised, operator)
  await world.walkRotation()
  for (let turn = 0; turn < 24; turn++) await turned(world)
  await world.time.advance(30 * minuteMs)
  await turned(world)
  expect((await world.state()).versions.map((one) => one.version)).not.toContain('first-openai')
  const before = world.handedOut()
  await moveTo(world, 'first-openai')
  await world.time.advance(5 * minuteMs)
  expect(world.handedOut()).toBe(before)
  expect((await world.state()).storeTrouble?.code).toBe('store_changed')
  await expect(world.service.bring('openai', { apiKey: leaked }, operator)).rejects.toMatchObject({
    code: 'version_not_live',
  })
})

it('replaces what it hands out, though a reader of old values had it begin against another key', async () => {
  expectNoUnhandled()
  const world = new World({ policy })
  const store = world.store()
  let stale: string | undefined
  const read: typeof store.read = (ref, options) =>
    store.read(ref, stale === undefined || options !== undefined ? options : { version: stale })
  await world.ready({ setup: { store: { ...store, read } } })
  const leaked = world.handedOut() ?? ''
  const leak = { mode: 'emergency', isCompromised: true, reason: 'leaked', confirm: 'openai' } as const
  await world.service.rotate('openai', leak, operator)
  await world.walkRotation()
  const current = world.handedOut()
  stale = leaked
  await world.time.advance(70_000)
  expect((await world.state()).storeTrouble?.code).toBe('store_changed')
  stale = undefined
  await turned(world)
  expect((await world.state()).rotation).toMatchObject({ phase: 'done', outcome: 'promoted' })
  expect(world.handedOut()).not.toBe(current)
})

it('hands out after a restart what was adopted from a mirror and is not in the store yet', async () => {
  const world = new World({ policy: { ...policy, mirrors: ['aws/openai'] } })
  const mirror = new Mirror(world, 'aws/openai')
  const store = world.store()
  const away = async (): Promise<never> => {
    throw new KeyturnError('store_unreachable', 'It cannot be written.', { retryable: true })
  }
  const mirrors = [mirror.setup]
  await world.ready({ setup: { mirrors, store: { ...store, promote: away, stage: away } } })
  await world.time.until(() => mirror.current() !== undefined, minuteMs)
  const planted = world.issuer.plant({ name: 'by a person' })
  await mirror.byHand(planted.secret)
  await world.time.until(() => isHandedOut(world, planted.secret), 5 * minuteMs)
  await world.stop()
  await world.start({ setup: { mirrors } })
  await world.time.until(() => isHandedOut(world, planted.secret), minuteMs)
  await world.time.advance(minuteMs)
  expect((await store.read('openai'))?.secret.equals(planted.secret)).toBe(true)
})

function isHandedOut(world: World, secret: Secret): boolean {
  const given = world.service.handOut('openai')
  return given?.kind === 'available' && given.secret.equals(secret)
}
