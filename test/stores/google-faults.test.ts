import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PromoteRequest, SecretStore } from '../../src/core/ports.ts'
import { canary, establish, failure, someMeta, stageNew } from '../conformance/store-suite-support.ts'
import { type GooglePlace, startGoogle } from './fakes/google-place.ts'
import { impatience } from './fakes/impatience.ts'
import { manualClock } from './fakes/manual-clock.ts'

let place: GooglePlace
let store: SecretStore

beforeEach(async () => {
  place = await startGoogle()
  store = await place.open()
})
afterEach(() => place.end())

describe('the secret that others read', () => {
  it('has the current key as its newest version, and nothing of a key that is not', async () => {
    const first = await establish(store, 'openai')
    const pending = await stageNew(store, 'openai')
    expect(place.fake.texts('openai')).toEqual([first.secret.reveal()])
    expect(place.fake.texts('openai-keyturn')).toEqual([first.secret.reveal(), pending.secret.reveal()])
    expect(JSON.stringify(place.fake.secret('openai')?.annotations)).toContain(first.version)
    expect(place.fake.secret('openai')?.annotations['keyturn-claim']).toBeUndefined()
  })

  it('keeps labels, annotations and aliases that are not ours', async () => {
    place.fake.make('openai', { labels: { team: 'one' }, annotations: { owner: 'ünï' } })
    place.fake.put('openai', `${canary}-0`)
    const secret = place.fake.secret('openai')
    if (secret !== undefined) secret.aliases = { theirs: 1 }
    await establish(store, 'openai')
    await establish(store, 'openai')
    expect(secret).toMatchObject({
      labels: { team: 'one' },
      annotations: { owner: 'ünï' },
      aliases: { theirs: 1 },
    })
  })

  it('may be added to by hand, which is found, and kept for a way back', async () => {
    const first = await establish(store, 'openai')
    place.fake.put('openai', `${canary}-by-hand\n`)
    const found = await store.read('openai')
    expect([found?.secret.reveal(), found?.version]).toEqual([
      `${canary}-by-hand`,
      expect.stringMatching(/^google-secret-manager-[0-9a-f]{12}$/),
    ])
    expect(await store.describe('openai')).toMatchObject({ current: found?.version, previous: first.version })
    const next = await establish(store, 'openai')
    const back = { to: found?.version ?? '', expectCurrent: next.version, fence: 1 }
    expect(await store.promote('openai', back)).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.secret.reveal()).toBe(`${canary}-by-hand`)
  })

  it('says by which command a disabled newest version comes back, and is not written over', async () => {
    await establish(store, 'openai')
    const version = place.fake.put('openai', `${canary}-disabled`)
    version.state = 'DISABLED'
    for (const call of [() => store.read('openai'), () => stageNew(store, 'openai')]) {
      const error = await failure(call())
      expect([error.code, error.fix]).toEqual([
        'store_disabled',
        'gcloud secrets versions enable 2 --secret=openai --project=team-1',
      ])
    }
  })

  it('holds nothing where the newest version was destroyed, and can be promoted over', async () => {
    await establish(store, 'openai')
    place.fake.put('openai', `${canary}-gone`).state = 'DESTROYED'
    expect(await store.read('openai')).toBeUndefined()
    const { secret } = await establish(store, 'openai')
    expect((await store.read('openai'))?.secret.equals(secret)).toBe(true)
  })

  it('is malformed where it is blank, no text, or damaged on the way', async () => {
    place.fake.put('openai', '\n')
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
    place.fake.put('openai', 'x').data = Buffer.from([0xff, 0xfe, 0x80])
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
  })

  it('is warned of, once, where Google will delete it by itself', async () => {
    place.fake.make('openai', { expiresAt: Date.UTC(2030, 0, 1) })
    await establish(store, 'openai')
    await store.describe('openai')
    expect(place.context.warnings.filter((text) => text.includes('2030-01-01'))).toHaveLength(1)
  })

  it('keeps no version with a destroyed key, nor does the sibling', async () => {
    const old = await establish(store, 'openai')
    const current = await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    await store.destroy('openai', old.version)
    expect(place.fake.texts('openai')).toEqual([current.secret.reveal()])
    expect(place.fake.texts('openai-keyturn')).toEqual([current.secret.reveal()])
  })
})

describe('polling', () => {
  it('costs one access and no look at metadata', async () => {
    const { version, secret } = await establish(store, 'openai')
    await store.annotate('openai', version, someMeta)
    await store.read('openai')
    const before = place.fake.requests.length
    for (let round = 0; round < 5; round += 1) {
      const read = await store.read('openai')
      expect([read?.version, read?.secret.equals(secret), read?.meta]).toEqual([version, true, someMeta])
    }
    expect(place.fake.requests.slice(before)).toEqual(
      Array.from({ length: 5 }, () => 'AccessSecretVersion openai'),
    )
  })

  it('sees what another replica promoted, or rolled back, at the next read', async () => {
    const reader = await place.open()
    const first = await establish(store, 'openai')
    expect((await reader.read('openai'))?.version).toBe(first.version)
    const second = await establish(store, 'openai')
    expect((await reader.read('openai'))?.version).toBe(second.version)
    const back = { to: first.version, expectCurrent: second.version, fence: 1 }
    await store.promote('openai', back)
    expect((await reader.read('openai'))?.version).toBe(first.version)
  })

  it('does not believe a latest that is older than what was seen', async () => {
    await establish(store, 'openai')
    const { version } = await establish(store, 'openai')
    place.fake.lag(99, 'openai')
    expect((await store.read('openai'))?.version).toBe(version)
    // Nor does a client that has seen nothing yet: the annotations name the number.
    place.fake.lag(0)
    const other = await place.open()
    await other.describe('openai')
    place.fake.lag(99, 'openai')
    expect((await other.read('openai'))?.version).toBe(version)
  })

  it('tells a secret that was made anew from an old answer', async () => {
    await establish(store, 'openai')
    await establish(store, 'openai')
    place.fake.secrets.delete('projects/team-1/secrets/openai')
    place.fake.put('openai', `${canary}-anew`)
    expect((await store.read('openai'))?.secret.reveal()).toBe(`${canary}-anew`)
  })
})

describe('an old state of the sibling', () => {
  it('is not taken for the truth by one who has written a newer one', async () => {
    await establish(store, 'openai')
    const { version, secret } = await stageNew(store, 'openai')
    place.fake.lag(2, 'openai-keyturn')
    expect((await store.read('openai', { version }))?.secret.equals(secret)).toBe(true)
    place.fake.lag(99, 'openai-keyturn')
    const error = await failure(store.describe('openai'))
    expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
  })

  it('is not taken for an absence, nor for a refusal, by one who has seen nothing newer', async () => {
    const first = await establish(store, 'openai')
    const other = await place.open()
    const { version, secret } = await stageNew(store, 'openai')
    place.fake.lag(1, 'openai-keyturn')
    expect((await other.read('openai', { version }))?.secret.equals(secret)).toBe(true)
    const third = await place.open()
    const next = await stageNew(store, 'openai')
    place.fake.lag(1, 'openai-keyturn')
    const promote = { to: next.version, expectCurrent: first.version, fence: 1 }
    expect(await third.promote('openai', promote)).toEqual({ kind: 'promoted' })
    const fourth = await place.open()
    const last = await stageNew(store, 'openai')
    place.fake.lag(1, 'openai-keyturn')
    await fourth.retire('openai', { version: last.version, fence: 1 })
    const [newest] = (await store.describe('openai'))?.versions ?? []
    expect(newest).toMatchObject({ version: last.version, isRetired: true })
  })

  it('is proven by one write in ten seconds, however often somebody asks for what is not there', async () => {
    await establish(store, 'openai')
    const clock = manualClock()
    const reader = await place.open({}, { ...place.context, system: clock.system })
    const writes = (): number => place.fake.requests.filter((line) => line.startsWith('Update')).length
    const before = writes()
    for (let round = 0; round < 5; round += 1)
      expect(await reader.read('openai', { version: 'not-there' })).toBeUndefined()
    expect(writes() - before).toBe(1)
    clock.pass(10_000)
    await reader.read('openai', { version: 'not-there' })
    expect(writes() - before).toBe(2)
  })

  it('cannot make a client lose what another wrote', async () => {
    const first = await establish(store, 'openai')
    const other = await place.open()
    const second = await establish(store, 'openai')
    place.fake.lag(1, 'openai-keyturn')
    const { version } = await stageNew(other, 'openai')
    const listed = (await store.describe('openai'))?.versions.map((each) => each.version)
    expect(listed).toEqual([version, second.version, first.version])
  })
})

describe('promotions take turns', () => {
  /** Holds the first request of another client that `line` names until `meanwhile` is over. */
  async function promoteAround(
    line: string,
    request: PromoteRequest,
    meanwhile: (release: () => void) => Promise<void>,
  ): Promise<Awaited<ReturnType<SecretStore['promote']>>> {
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    let isFirst = true
    place.fake.onRequest = async (each) => {
      if (!isFirst || each !== line) return
      isFirst = false
      arrived.resolve()
      await held.promise
    }
    const late = await place.open({ requestTimeoutMs: 60_000 })
    const outcome = late.promote('openai', request)
    await arrived.promise
    await meanwhile(() => held.resolve())
    held.resolve()
    return outcome
  }

  it('so that one that has not begun cannot make a version current that was retired', async () => {
    const { version: expectCurrent } = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const request = { to: version, expectCurrent, fence: 1 }
    const outcome = await promoteAround('UpdateSecret openai', request, () =>
      store.retire('openai', { version, fence: 1 }),
    )
    expect(outcome).toEqual({ kind: 'gone' })
    expect((await store.read('openai'))?.version).toBe(expectCurrent)
  })

  it('and one that has begun is waited for', async () => {
    const { version: expectCurrent } = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    let retired: Promise<unknown> = Promise.resolve()
    const outcome = await promoteAround(
      'AddSecretVersion openai',
      { to: version, expectCurrent, fence: 1 },
      async (release) => {
        retired = failure(store.retire('openai', { version, fence: 1 }))
        // It has looked, found the claim, and looks again.
        await expect
          .poll(() => place.fake.requests.filter((line) => line === 'GetSecret openai').length)
          .toBeGreaterThan(9)
        release()
      },
    )
    expect(outcome).toEqual({ kind: 'promoted' })
    expect(await retired).toMatchObject({ code: 'store_conflict' })
    expect((await store.read('openai'))?.version).toBe(version)
  })

  it('and none arrives after somebody took over with a higher fence', async () => {
    const { version: expectCurrent } = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const late = promoteAround('UpdateSecret openai', { to: version, expectCurrent, fence: 1 }, async () => {
      await stageNew(store, 'openai', 2)
    })
    expect((await failure(late)).message).toContain('fence 1')
    expect((await store.read('openai'))?.version).toBe(expectCurrent)
  })

  it('and what a dead replica claimed is taken over once its calls must be over, and not before', async () => {
    const { version: expectCurrent } = await establish(store, 'openai')
    const dead = await stageNew(store, 'openai')
    const client = await place.open({ maxAttempts: 1 })
    place.fake.fault('reset', { on: (line) => line === 'AddSecretVersion openai' })
    await failure(client.promote('openai', { to: dead.version, expectCurrent, fence: 1 }))
    const clock = manualClock()
    const other = await place.open({}, { ...place.context, system: clock.system })
    const { version } = await stageNew(other, 'openai')
    const request = { to: version, expectCurrent, fence: 1 }
    const error = await failure(other.promote('openai', request))
    expect([error.code, error.retryable, error.message]).toEqual([
      'store_conflict',
      true,
      'A promotion of openai by another replica is under way.',
    ])
    clock.pass(10 * 60_000)
    expect(await other.promote('openai', request)).toEqual({ kind: 'promoted' })
    expect((await store.read('openai'))?.version).toBe(version)
  })

  it('and a version that arrives all the same is seen for what it is', async () => {
    const first = await establish(store, 'openai')
    const second = await establish(store, 'openai')
    place.fake.put('openai', first.secret.reveal())
    expect((await store.read('openai'))?.version).toBe(first.version)
    const again = { to: second.version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', again)).toEqual({ kind: 'promoted' })
  })

  it('but for a human, who is not written over', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    let isFirst = true
    place.fake.onRequest = (line) => {
      if (line !== 'AddSecretVersion openai' || !isFirst) return
      isFirst = false
      place.fake.put('openai', `${canary}-by-hand`)
    }
    const outcome = await store.promote('openai', { to: version, expectCurrent: first.version, fence: 1 })
    expect(place.fake.newest('openai')).toBe(`${canary}-by-hand`)
    expect(outcome).toEqual({ kind: 'conflict', current: (await store.read('openai'))?.version })
  })
})

describe('answers that get lost', () => {
  it.each(['lost', 'broken'] as const)('add no second version to the secret (%s)', async (kind) => {
    await establish(store, 'openai')
    const client = await place.open({}, { ...place.context, system: impatience(place.fake) })
    const { version } = await stageNew(store, 'openai')
    const expectCurrent = (await store.read('openai'))?.version
    place.fake.fault(kind, { on: (line) => line === 'AddSecretVersion openai' })
    expect(await client.promote('openai', { to: version, expectCurrent, fence: 1 })).toEqual({
      kind: 'promoted',
    })
    expect(place.fake.secret('openai')?.versions).toHaveLength(2)
  })

  it.each(['lost', 'broken'] as const)('add no second version to the sibling (%s)', async (kind) => {
    const client = await place.open({}, { ...place.context, system: impatience(place.fake) })
    await establish(store, 'openai')
    for (const call of ['AddSecretVersion openai-keyturn', 'UpdateSecret openai-keyturn']) {
      place.fake.fault(kind, { on: (line) => line === call })
      await stageNew(client, 'openai')
    }
    expect(place.fake.secret('openai-keyturn')?.versions).toHaveLength(3)
  })

  it('leave nothing behind of one who died in between', async () => {
    const dead = await place.open({ maxAttempts: 1 })
    await establish(store, 'openai')
    place.fake.fault('reset', { on: (line) => line === 'UpdateSecret openai-keyturn' })
    await failure(stageNew(dead, 'openai'))
    expect(place.fake.texts('openai-keyturn')).toHaveLength(2)
    const { version } = await stageNew(store, 'openai')
    await store.destroy('openai', version)
    expect(place.fake.texts('openai-keyturn')).toHaveLength(1)
  })

  it('and changes by others do not keep a destroyed value, nor what is reported of the rest', async () => {
    await establish(store, 'openai')
    const { version, secret } = await stageNew(store, 'openai')
    await store.retire('openai', { version, fence: 1 })
    place.fake.put('openai-keyturn', `${canary}-nobodys`)
    let writes = 0
    // The state can be written once; then others are always faster.
    place.fake.onRequest = (line) => {
      const sibling = place.fake.secret('openai-keyturn')
      if (line !== 'UpdateSecret openai-keyturn' || sibling === undefined || (writes += 1) === 1) return
      sibling.etag = `"${writes}"`
    }
    const busy = await place.open({ maxAttempts: 1 })
    const error = await failure(busy.destroy('openai', version))
    expect([error.code, error.retryable]).toEqual(['store_conflict', true])
    expect(writes).toBeGreaterThan(1)
    expect(place.fake.texts('openai-keyturn')).not.toContain(secret.reveal())
    place.fake.onRequest = () => undefined
    expect(await busy.destroy('openai', version)).toBe('destroyed')
    expect(place.fake.texts('openai-keyturn')).not.toContain(`${canary}-nobodys`)
  })

  it('do not hide a promotion that could not be noted', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    let writes = 0
    place.fake.fault(500, { on: (line) => line === 'UpdateSecret openai' && (writes += 1) === 2 })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(place.context.warnings.join()).toContain('could not be noted')
    const other = await place.open()
    expect(await other.describe('openai')).toMatchObject({ current: version, previous: first.version })
    await establish(other, 'openai')
  })
})
