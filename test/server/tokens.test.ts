import { execFileSync, spawn } from 'node:child_process'
import * as crypto from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { System } from '../../src/core/ports.ts'
import type { Caller } from '../../src/server/auth/caller.ts'
import type { TokenChange } from '../../src/server/token-changes.ts'
import { withLock } from '../../src/server/token-lock.ts'
import { checksumOf } from '../../src/server/token-plans.ts'
import type { StoredToken, TokenShelf } from '../../src/server/token-shelf.ts'
import { openTokenStore, type TokenStore } from '../../src/server/tokens.ts'
import { type ShiftedSystem, shiftedSystem, temporaryFolder, until } from './harness.ts'

vi.mock('node:crypto', async (original) => {
  const actual = await original<typeof crypto>()
  return { ...actual, timingSafeEqual: vi.fn(actual.timingSafeEqual) }
})

interface Opened {
  readonly store: TokenStore
  readonly path: string
  readonly system: ShiftedSystem
  readonly logs: string[]
}

async function open(path?: string, system = shiftedSystem()): Promise<Opened> {
  const at = path ?? join(await temporaryFolder(), 'home', 'tokens.json')
  const logs: string[] = []
  const store = await openTokenStore({
    path: at,
    system,
    log: (level, message) => logs.push(`${level} ${message}`),
  })
  onTestFinished(() => store.close())
  return { store, path: at, system, logs }
}

const appRequest = { name: 'web', role: 'app', credentials: ['openai'] } as const

function failureOf(work: Promise<unknown>): Promise<KeyturnError> {
  return work.then(
    () => {
      throw new Error('it did not fail')
    },
    (thrown: KeyturnError) => thrown,
  )
}

describe('the token store', () => {
  it('makes tokens that say what they are for and cannot be guessed', async () => {
    const { store } = await open()
    const app = await store.create(appRequest)
    const operator = await store.create({ name: 'ops', role: 'operator' })
    expect(app.token).toMatch(/^kt_app_[A-Za-z0-9_-]{49}$/)
    expect(operator.token).toMatch(/^kt_op_[A-Za-z0-9_-]{49}$/)
    expect(app).toMatchObject({
      name: 'web',
      role: 'app',
      credentials: ['openai'],
      expiresAt: null,
      lastUsedAt: null,
    })
    expect(store.list().map(({ id }) => id)).toEqual([app.id, operator.id])
  })

  it('keeps only the hash, in a file that nobody else may read', async () => {
    const { store, path } = await open()
    const { token } = await store.create(appRequest)
    const text = await readFile(path, 'utf8')
    expect(text).not.toContain(token.slice(7))
    expect(text).toContain(crypto.createHash('sha256').update(token).digest('hex'))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(path, '..'))).toEqual(['tokens.json', 'tokens.json.lock.db'])
  })

  it('knows its tokens again after a restart', async () => {
    const first = await open()
    const { token, id } = await first.store.create(appRequest)
    await first.store.close()
    const { store } = await open(first.path)
    expect(store.authenticate(`Bearer ${token}`)).toMatchObject({ id, name: 'web', kind: 'token' })
  })

  it('lets an app see what it was given, and an operator everything', async () => {
    const { store } = await open()
    const app = store.authenticate(`Bearer ${(await store.create(appRequest)).token}`)
    expect([app?.sees('openai'), app?.sees('openai-prod'), app?.sees('*')]).toEqual([true, false, false])
    const all = await store.create({ ...appRequest, credentials: ['*'] })
    expect(store.authenticate(`Bearer ${all.token}`)?.sees('openai-prod')).toBe(true)
    const operator = await store.create({ name: 'ops', role: 'operator' })
    expect(store.authenticate(`Bearer ${operator.token}`)?.sees('openai-prod')).toBe(true)
  })

  it('compares in constant time, once per minute and token', async () => {
    const { store, system } = await open()
    const { token } = await store.create(appRequest)
    const compared = vi.mocked(crypto.timingSafeEqual)
    compared.mockClear()
    for (let count = 0; count < 5; count += 1) store.authenticate(`Bearer ${token}`)
    expect(compared).toHaveBeenCalledTimes(1)
    system.shiftMs += 60_000
    store.authenticate(`Bearer ${token}`)
    expect(compared).toHaveBeenCalledTimes(2)
  })

  it('refuses a digest that differs only behind what finds the candidate', async () => {
    const first = await open()
    const { token } = await first.store.create(appRequest)
    await first.store.close()
    const text = await readFile(first.path, 'utf8')
    const sha256 = crypto.createHash('sha256').update(token).digest('hex')
    const last = sha256.endsWith('0') ? '1' : '0'
    await writeFile(first.path, text.replace(sha256, sha256.slice(0, -1) + last))
    const { store } = await open(first.path)
    vi.mocked(crypto.timingSafeEqual).mockClear()
    expect(store.authenticate(`Bearer ${token}`)).toBeUndefined()
    expect(crypto.timingSafeEqual).toHaveBeenCalledTimes(1)
  })

  it('forgets a revoked token at once and tells who listens', async () => {
    const { store } = await open()
    const { token, id } = await store.create(appRequest)
    const caller = store.authenticate(`Bearer ${token}`)
    if (caller === undefined) throw new Error('not let in')
    let told = 0
    store.onChange(() => {
      told += 1
    })
    expect(await store.revoke(id)).toBe(true)
    expect([store.authenticate(`Bearer ${token}`), store.isLive(caller), told]).toEqual([undefined, false, 1])
    expect(await store.revoke(id)).toBe(false)
  })

  it('loses no change when many are made at once, in two processes', async () => {
    const { store, path } = await open()
    const other = await open(path)
    const made = await Promise.all(
      [store, other.store, store, other.store, store].map((each) => each.create(appRequest)),
    )
    await Promise.all([store.revoke(made[0]?.id ?? ''), other.store.revoke(made[1]?.id ?? '')])
    const { store: third } = await open(path)
    expect(
      third
        .list()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(
      made
        .slice(2)
        .map(({ id }) => id)
        .sort(),
    )
  })

  it('tells of what others changed, whether it is seen by looking or by changing something oneself, and not of its own', async () => {
    const { store, path } = await open()
    const told: TokenChange[] = []
    store.onOthers?.((changes) => told.push(...changes))
    const own = await store.create(appRequest)
    const others = await open(path)
    const made = await others.store.create({ name: 'ci', credentials: ['openai'] })
    await until(() => told.length > 0)
    expect(told.splice(0)).toEqual([{ id: made.id, name: 'ci', what: 'made' }])
    await others.store.revoke(made.id)
    await others.store.rotate({ name: 'web' })
    await store.create({ name: 'mine', credentials: ['openai'] })
    await until(() => told.length >= 3)
    expect(told.map(({ name, what }) => `${name} ${what}`).sort()).toEqual([
      'ci removed',
      'web changed',
      'web made',
    ])
    expect(told.find(({ what }) => what === 'changed')?.id).toBe(own.id)
  })

  it('does not take what it read before a change for what is there after it', async () => {
    const tokens: StoredToken[] = []
    let signature = 'one'
    let isRead: () => void = () => undefined
    const reading = new Promise<void>((resolve) => (isRead = resolve))
    let answer: () => void = () => undefined
    const answered = new Promise<void>((resolve) => (answer = resolve))
    let isSlow = false
    const shelf: TokenShelf = {
      where: 'the shelf',
      async read() {
        const content = { tokens: [...tokens], signature }
        if (isSlow) {
          isRead()
          await answered
        }
        return content
      },
      signature: async () => signature,
      async change(work) {
        const { tokens: next, result } = work([...tokens])
        tokens.splice(0, tokens.length, ...next)
        signature = `${signature}+`
        return { content: { tokens: [...tokens], signature }, result }
      },
      close: async () => undefined,
    }
    const store = await openTokenStore({ path: shelf, system: shiftedSystem(), log: () => undefined })
    onTestFinished(() => store.close())
    const { id, token } = await store.create(appRequest)
    isSlow = true
    signature = 'another'
    await reading
    const revoking = store.revoke(id)
    await new Promise((resolve) => setImmediate(resolve))
    let isGood = false
    store.onChange(() => (isGood ||= store.list().some((one) => one.id === id) && tokens.length === 0))
    isSlow = false
    answer()
    await revoking
    await new Promise((resolve) => setImmediate(resolve))
    expect(store.authenticate(`Bearer ${token}`)).toBeUndefined()
    expect(isGood).toBe(false)
  })

  it('takes over what another process changed', async () => {
    const { store, path } = await open()
    const { token, id } = await store.create(appRequest)
    expect(store.authenticate(`Bearer ${token}`)).toBeDefined()
    const other = await open(path)
    await other.store.revoke(id)
    await until(() => store.authenticate(`Bearer ${token}`) === undefined)
  })

  it('notes when a token was last used, to the minute, and writes it down at the end', async () => {
    const { store, path, system } = await open()
    const { token } = await store.create(appRequest)
    const before = system.now()
    store.authenticate(`Bearer ${token}`)
    const usedAt = Date.parse(store.list()[0]?.lastUsedAt ?? '')
    expect(usedAt % 60_000).toBe(0)
    expect(before - usedAt).toBeLessThan(60_000)
    expect(usedAt).toBeLessThanOrEqual(system.now())
    await store.close()
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ tokens: [{ lastUsedAt: usedAt }] })
  })

  it.each(['schedule', 'Failover', 'engine', 'nobody'])(
    'makes none of the name %s, under which a person would pass for Keyturn itself in signed reports',
    async (name) => {
      const { store } = await open()
      const failure = await failureOf(store.create({ name, role: 'operator' }))
      expect(failure).toMatchObject({ code: 'bad_request' })
      expect(store.list()).toEqual([])
    },
  )

  it('refuses an app token that may read nothing', async () => {
    const { store } = await open()
    for (const credentials of [undefined, []]) {
      const failure = await failureOf(
        store.create({ name: 'web', role: 'app', ...(credentials === undefined ? {} : { credentials }) }),
      )
      expect([failure.code, failure.fix]).toEqual(['bad_request', expect.stringContaining('credentials')])
    }
  })

  it.each([
    ['no JSON', '{"version": 1, "tokens": ['],
    ['no list', '{"version": 1}'],
    ['another version', '{"version": 2, "tokens": []}'],
    ['an entry that is no token', '{"version": 1, "tokens": [{"id": "x"}]}'],
    ['nothing', ''],
  ])('refuses to start on a file with %s, by name and with a fix', async (_what, text) => {
    const path = join(await temporaryFolder(), 'tokens.json')
    await writeFile(path, text, { mode: 0o600 })
    const failure = await failureOf(open(path))
    expect(failure.code).toBe('config_invalid')
    expect(failure.message).toContain(path)
    expect(failure.fix).toBeTruthy()
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  it('refuses a file that others may read', async () => {
    const { store, path } = await open()
    await store.create(appRequest)
    await store.close()
    await chmod(path, 0o640)
    const failure = await failureOf(open(path))
    expect([failure.code, failure.fix]).toEqual(['permissions_lax', `chmod 600 ${path}`])
  })

  it.each([
    ['a pipe', (path: string) => void execFileSync('mkfifo', ['-m', '600', path])],
    ['an endless device', (path: string) => symlink('/dev/zero', path)],
    ['a folder', (path: string) => mkdir(path, { mode: 0o700 })],
  ])('refuses %s in its place at once', async (_what, put) => {
    const path = join(await temporaryFolder(), 'tokens.json')
    await put(path)
    const failure = await failureOf(open(path))
    expect([failure.code, failure.message]).toEqual(['config_invalid', expect.stringContaining(path)])
  })

  it.each([
    ['malformed', (path: string) => writeFile(path, 'oops')],
    ['gone', (path: string) => unlink(path)],
  ])('keeps what it knows when the file is %s while it runs, and says so once', async (_what, spoil) => {
    const { store, path, logs } = await open()
    const { token } = await store.create(appRequest)
    await spoil(path)
    await until(() => logs.length > 0)
    expect(store.authenticate(`Bearer ${token}`)).toBeDefined()
    expect(logs).toEqual([expect.stringContaining('token file')])
  })

  it('waits while another process changes the file, and no longer than that process lives', async () => {
    const path = join(await temporaryFolder(), 'tokens.json')
    const script = `
      const { DatabaseSync } = require('node:sqlite')
      const database = new DatabaseSync(process.argv[1])
      database.exec('BEGIN EXCLUSIVE')
      process.stdout.write('locked')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', script, `${path}.lock.db`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout, 'data')
    const real = shiftedSystem()
    let waits = 0
    const system: System = {
      ...real,
      after(delayMs, callback) {
        waits += 1
        if (waits === 3) child.kill('SIGKILL')
        return real.after(delayMs, callback)
      },
    }
    expect(await withLock(path, system, async () => 'done')).toBe('done')
    expect(waits).toBeGreaterThanOrEqual(3)
  })
})

describe('what a token may', () => {
  const callerOf = (store: TokenStore, { token }: { readonly token: string }): Caller => {
    const caller = store.authenticate(`Bearer ${token}`)
    if (caller === undefined) throw new Error('the token is not good')
    return caller
  }

  it('is what it was made with, on the credentials that its patterns fit, after a restart too', async () => {
    const { store, path } = await open()
    const made = await store.create({
      name: 'auditor',
      credentials: ['team-*'],
      grants: ['audit', 'metrics'],
    })
    await store.close()
    const again = await open(path)
    for (const caller of [callerOf(store, made), callerOf(again.store, made)]) {
      expect([caller.may('audit', 'team-a'), caller.may('audit', 'openai')]).toEqual([true, false])
      expect([caller.may('read', 'team-a'), caller.may('operate', 'team-a')]).toEqual([false, false])
      expect([caller.may('metrics'), caller.may('dashboard')]).toEqual([true, false])
    }
  })

  it('is nothing in the eyes of a version that knows no grants, unless it may read', async () => {
    const { store, path } = await open()
    await store.create({ name: 'a', credentials: ['*'], grants: ['operate'] })
    await store.create({ name: 'b', credentials: ['openai'], grants: ['read', 'operate'] })
    const { tokens } = JSON.parse(await readFile(path, 'utf8')) as { tokens: { credentials: string[] }[] }
    expect(tokens.map(({ credentials }) => credentials)).toEqual([[], ['openai']])
  })

  it('is never more than its maker may', async () => {
    const { store } = await open()
    const maker = callerOf(
      store,
      await store.create({ name: 'maker', credentials: ['*'], grants: ['operate', 'audit'] }),
    )
    await store.create({ name: 'fine', credentials: ['openai'], grants: ['operate'] }, maker)
    for (const request of [
      { name: 'reader', credentials: ['openai'] },
      { name: 'root', role: 'operator' },
      { name: 'gauge', grants: ['metrics'] },
    ] as const)
      expect((await failureOf(store.create(request, maker))).code).toBe('forbidden')
    await store.create({ name: 'web', credentials: ['openai'] })
    expect((await failureOf(store.rotate({ name: 'web' }, maker))).code).toBe('forbidden')
    const narrow = callerOf(
      store,
      await store.create({ name: 'narrow', credentials: ['a-*'], grants: ['operate'] }),
    )
    const wide = { name: 'wide', credentials: ['a-*'], grants: ['operate'] } as const
    expect((await failureOf(store.create(wide, narrow))).code).toBe('forbidden')
  })

  it('is put down to whoever made it over the API, however many hands it went through', async () => {
    const { store } = await open()
    const ann = callerOf(store, await store.create({ name: 'ann', role: 'operator' }))
    const ben = callerOf(store, await store.create({ name: 'ben', role: 'operator' }))
    expect([ann.person, ben.person]).toEqual(['ann', 'ben'])
    const second = callerOf(store, await store.create({ name: 'second', role: 'operator' }, ann))
    const third = callerOf(store, await store.create({ name: 'third', role: 'operator' }, second))
    const again = callerOf(store, await store.create({ name: 'third', role: 'operator' }, third))
    expect([second.person, third.person, again.person]).toEqual(['ann', 'ann', 'ann'])
    // Who turns somebody else's token can speak for them; who turns their own is who they were.
    expect(callerOf(store, await store.rotate({ name: 'ben' }, ann)).person).toBe('ann')
    expect(callerOf(store, await store.rotate({ name: 'second' }, second)).person).toBe('ann')
    expect(callerOf(store, await store.rotate({ name: 'ann' })).person).toBe('ann')
  })
})

describe('turning a token', () => {
  it('keeps both good for the overlap, then the new one alone, with the same grants', async () => {
    // Of its last second none may go by while files are written.
    const { store, system } = await open(undefined, shiftedSystem({ isStill: true }))
    const old = await store.create({ ...appRequest, expiresInSeconds: 7_200 })
    system.shiftMs += 3_600_000
    const next = await store.rotate({ name: 'web', overlapSeconds: 60 })
    const good = (): readonly boolean[] =>
      [old, next].map(({ token }) => store.authenticate(`Bearer ${token}`) !== undefined)
    expect(good()).toEqual([true, true])
    expect(next.grants).toEqual(old.grants)
    system.shiftMs += 60_000
    expect(good()).toEqual([false, true])
    // It lives as long as the first was made for, not until the first would have ended.
    system.shiftMs += 7_200_000 - 60_000 - 1_000
    expect(good()).toEqual([false, true])
    system.shiftMs += 1_000
    expect(good()).toEqual([false, false])
  })

  it('never makes the old one live longer, and ends it at once without an overlap', async () => {
    const { store } = await open()
    const old = await store.create({ ...appRequest, expiresInSeconds: 60 })
    await store.rotate({ name: 'web', overlapSeconds: 3_600 })
    expect(store.list()[0]?.expiresAt).toBe(old.expiresAt)
    const forever = await store.create({ name: 'batch', credentials: ['openai'] })
    const caller = store.authenticate(`Bearer ${forever.token}`)
    await store.rotate({ name: 'batch', overlapSeconds: 0 })
    expect(store.authenticate(`Bearer ${forever.token}`)).toBeUndefined()
    expect(caller !== undefined && store.isLive(caller)).toBe(false)
  })

  it('refuses a third, and a name that has none', async () => {
    const { store } = await open()
    await store.create(appRequest)
    await store.rotate({ name: 'web' })
    expect((await failureOf(store.rotate({ name: 'web' }))).code).toBe('conflict')
    expect((await failureOf(store.rotate({ name: 'nobody' }))).code).toBe('not_found')
  })

  it('is done once where two ask at the same time', async () => {
    const { store, path } = await open()
    await store.create(appRequest)
    const other = await open(path)
    const results = await Promise.allSettled([store, other.store].map((one) => one.rotate({ name: 'web' })))
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})

it('ends a token with six characters that check the rest, so that scanners can tell it from chance', async () => {
  const { store } = await open()
  const { token } = await store.create(appRequest)
  expect(checksumOf(token.slice(0, -6))).toBe(token.slice(-6))
  // CRC-32 of "123456789" is 0xCBF43926, which is 3421780262.
  expect(checksumOf('123456789')).toBe('3jZRME')
})
