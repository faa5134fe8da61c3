import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Decrypter } from 'age-encryption'
import { afterEach, describe, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import { type LocalStoreOptions, openStore } from '../../src/stores/index.ts'
import { storeSuite } from '../conformance/store-suite.ts'
import { canary, establish, expectNoSecret, failure, stageNew } from '../conformance/store-suite-support.ts'
import { makeFolder } from './fakes/folder.ts'
import { localHarness } from './fakes/harnesses.ts'
import { testContext } from './fakes/system.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function makeHome(): Promise<string> {
  const { path, remove } = await makeFolder()
  cleanUps.push(remove)
  return path
}

async function open(
  home: string,
  options: LocalStoreOptions = {},
  env: Readonly<Record<string, string>> = {},
): Promise<SecretStore> {
  const store = await openStore({ kind: 'local', ...options }, testContext(home, env))
  cleanUps.push(() => store.close())
  return store
}

storeSuite('local', localHarness, { isWritable: true, skips: {} })

/** Another process, with a deadline of its own: what blocks there would block the whole of this one for ever. */
async function readElsewhere(home: string): Promise<{ code: string | number | null; said: string }> {
  const reader = join(import.meta.dirname, 'fakes', 'local-reader.ts')
  const child = spawn(process.execPath, [reader, home], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { NODE_NO_WARNINGS: '1' },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code: code ?? signal, said }
}

describe('what somebody put in place of a file of the local store', () => {
  const places = ['pointer.json', 'version', 'identity.txt'] as const
  const things = ['pipe', 'endless device', 'folder', 'huge file', '/etc/passwd'] as const
  const replace = async (path: string, thing: (typeof things)[number]): Promise<void> => {
    await rm(path)
    if (thing === 'pipe') execFileSync('mkfifo', ['-m', '600', path])
    else if (thing === 'endless device') await symlink('/dev/zero', path)
    else if (thing === 'folder') await mkdir(path, { mode: 0o700 })
    else if (thing === '/etc/passwd') await symlink('/etc/passwd', path)
    else {
      // Sparse: it takes no room on the disk, and all of the memory where it is read.
      await writeFile(path, '', { mode: 0o600 })
      await truncate(path, 1_900_000_000)
    }
  }
  const cases = places.flatMap((place) => things.map((thing) => ({ place, thing })))

  it.each(cases)('is refused at once and quoted nowhere: a $thing as $place', async ({ place, thing }) => {
    const home = await makeHome()
    const { version } = await establish(await open(home), 'openai')
    const folder = join(home, 'secrets')
    const name = place === 'version' ? `${version}.age` : place
    await replace(join(folder, place === 'identity.txt' ? '' : 'openai', name), thing)
    const { code, said } = await readElsewhere(home)
    expect(code).toBe(0)
    expect(said).toMatch(/^(?:store_malformed|store_too_large|permissions_lax) /)
    expect(said).toContain(name)
    expect(said).not.toContain('root:')
  })
})

describe('the files of the local store', () => {
  it('are private, hold no secret in the clear, and open with age and the identity alone', async () => {
    const home = await makeHome()
    const store = await open(home)
    const { version, secret } = await establish(store, 'openai')
    const folder = join(home, 'secrets')
    for (const name of ['', 'openai']) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o700)
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    )
    expect(files.length).toBe(4)
    for (const file of files) {
      const path = join(file.parentPath, file.name)
      expect((await stat(path)).mode & 0o777, path).toBe(0o600)
      expect((await readFile(path)).includes(canary), path).toBe(false)
    }
    const identity =
      /AGE-SECRET-KEY-1\w+/.exec(await readFile(join(folder, 'identity.txt'), 'utf8'))?.[0] ?? ''
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    const bytes = await readFile(join(folder, 'openai', `${version}.age`))
    expect(await decrypter.decrypt(bytes, 'text')).toBe(secret.reveal())
  })

  it('stay inside the folder, whatever the secret is called', async () => {
    const home = await makeHome()
    const store = await open(home)
    const names = ['../../up', '..', '.', 'lock.db', 'identity.txt', 'a/b', 'ünï', '%2E']
    for (const name of names) await establish(store, name)
    expect(await readdir(home)).toEqual(['secrets'])
    const entries = await readdir(join(home, 'secrets'))
    expect(entries).toHaveLength(names.length + 2)
    expect((await failure(store.describe(''))).code).toBe('bad_request')
  })

  it('are refused where others can reach the folder or the identity, with the command that mends it', async () => {
    const home = await makeHome()
    await establish(await open(home), 'openai')
    const folder = join(home, 'secrets')
    await chmod(folder, 0o750)
    const lax = await failure(open(home))
    expect([lax.code, lax.fix]).toEqual(['permissions_lax', `chmod 700 '${folder}'`])
    await chmod(folder, 0o700)
    await chmod(join(folder, 'identity.txt'), 0o644)
    const laxer = await failure(open(home))
    expect([laxer.code, laxer.fix]).toEqual([
      'permissions_lax',
      `chmod 600 '${join(folder, 'identity.txt')}'`,
    ])
    await chmod(join(folder, 'identity.txt'), 0o600)
    expect(await (await open(home)).read('openai')).toBeDefined()
    // Only the superuser can give files away; everybody else cannot come into that state.
    if (process.getuid?.() !== 0) return
    for (const path of [folder, join(folder, 'identity.txt')]) {
      await chown(path, 65_534, 65_534)
      expect(await failure(open(home))).toMatchObject({
        code: 'permissions_lax',
        message: expect.stringContaining(`${path} belongs to another user`),
      })
      await chown(path, 0, 0)
    }
  })

  it.skipIf(process.getuid?.() !== 0)(
    "take an identity that root has mounted for the group of this process, as Kubernetes does a Secret's",
    async () => {
      const home = await makeHome()
      await establish(await open(home), 'openai')
      const identity = join(home, 'secrets', 'identity.txt')
      const mounted = join(home, 'mounted')
      await rename(identity, mounted)
      await symlink(mounted, identity)
      await chmod(mounted, 0o440)
      expect(await (await open(home)).read('openai')).toBeDefined()
      for (const mode of [0o444, 0o460, 0o640]) {
        await chmod(mounted, mode)
        expect(await failure(open(home))).toMatchObject({ code: 'permissions_lax' })
      }
      await chmod(mounted, 0o440)
      await chown(mounted, 0, 65_534)
      expect(await failure(open(home))).toMatchObject({ code: 'permissions_lax' })
    },
  )

  it('are malformed by name where they are damaged, and nothing is written over', async () => {
    const home = await makeHome()
    const store = await open(home)
    const { version, secret } = await establish(store, 'openai')
    const versionFile = join(home, 'secrets', 'openai', `${version}.age`)
    const pointer = join(home, 'secrets', 'openai', 'pointer.json')
    const good = { version: await readFile(versionFile), pointer: await readFile(pointer) }
    for (const bad of [good.version.subarray(0, 150), Buffer.from('garbage'), Buffer.alloc(0)]) {
      await writeFile(versionFile, bad)
      const error = await failure(store.read('openai'))
      expect([error.code, error.message.includes(versionFile)]).toEqual(['store_malformed', true])
    }
    await writeFile(versionFile, good.version)
    const text = good.pointer.toString()
    const bads = [text.slice(0, 40), `{"${canary}"`, '[]', '', text.replace('"format": 1', '"format": 2')]
    for (const bad of bads) {
      await writeFile(pointer, bad)
      const calls = [
        () => store.read('openai'),
        () => store.describe('openai'),
        () => stageNew(store, 'openai'),
      ]
      for (const call of calls) {
        const error = await failure(call())
        expect([error.code, error.message.includes(pointer)]).toEqual(['store_malformed', true])
      }
      expect(await readFile(pointer, 'utf8')).toBe(bad)
    }
    await writeFile(pointer, good.pointer)
    expect((await store.read('openai'))?.secret.equals(secret)).toBe(true)
  })

  it('are malformed, not absent, where a listed version has lost its file', async () => {
    const home = await makeHome()
    const store = await open(home)
    const { version } = await establish(store, 'openai')
    await rm(join(home, 'secrets', 'openai', `${version}.age`))
    expect((await failure(store.read('openai'))).code).toBe('store_malformed')
  })

  it('follow the folder when it is moved, and the identity file when it is kept elsewhere', async () => {
    const home = await makeHome()
    const options = { folder: 'one', identityFile: 'identity.txt' }
    const { secret } = await establish(await open(home, options), 'openai')
    await cp(join(home, 'one'), join(home, 'two'), { recursive: true })
    await chmod(join(home, 'two'), 0o700)
    const moved = await open(home, { ...options, folder: 'two' })
    expect((await moved.read('openai'))?.secret.equals(secret)).toBe(true)
  })
})

describe('the identity of the local store', () => {
  it('is the same for two clients that start at once', async () => {
    const home = await makeHome()
    const [one, other] = await Promise.all([open(home), open(home)])
    const { secret } = await establish(one, 'openai')
    expect((await other.read('openai'))?.secret.equals(secret)).toBe(true)
  })

  it('is never made anew where there are secrets that it would not open', async () => {
    const home = await makeHome()
    await establish(await open(home), 'openai')
    await rm(join(home, 'secrets', 'identity.txt'))
    const error = await failure(open(home))
    expect([error.code, error.fix?.includes('backup')]).toEqual(['store_absent', true])
    expect(await readdir(join(home, 'secrets'))).not.toContain('identity.txt')
  })

  it('is malformed where the file holds something else, and a foreign one opens nothing', async () => {
    const home = await makeHome()
    const other = await makeHome()
    await establish(await open(home), 'openai')
    await open(other)
    const path = join(home, 'secrets', 'identity.txt')
    await writeFile(path, `${canary}\n`)
    expect((await failure(open(home))).code).toBe('store_malformed')
    await cp(join(other, 'secrets', 'identity.txt'), path)
    expect((await failure((await open(home)).read('openai'))).code).toBe('store_malformed')
  })

  it('is wrapped by a passphrase in place, and opens with the right one only', async () => {
    const home = await makeHome()
    const { secret } = await establish(await open(home), 'openai')
    await writeFile(join(home, 'passphrase'), 'correct horse\n')
    const wrapped = await open(home, { passphraseFile: 'passphrase' })
    expect((await wrapped.read('openai'))?.secret.equals(secret)).toBe(true)
    const file = await readFile(join(home, 'secrets', 'identity.txt'), 'utf8')
    expect(file).toMatch(/^age-encryption\.org\/v1\n-> scrypt /)
    const wrong = await failure(open(home, { passphraseVariable: 'PASS' }, { PASS: canary }))
    expect([wrong.code, wrong.message.includes('identity.txt')]).toEqual(['store_denied', true])
    expect((await failure(open(home))).code).toBe('config_missing')
    const again = await open(home, { passphraseVariable: 'PASS' }, { PASS: 'correct horse' })
    expect((await again.read('openai'))?.secret.equals(secret)).toBe(true)
  })

  it('asks for one place of the passphrase, and for one that is there', async () => {
    const home = await makeHome()
    const both = await failure(open(home, { passphraseFile: 'p', passphraseVariable: 'P' }))
    expect(both.code).toBe('config_invalid')
    const missing = await failure(open(home, { passphraseVariable: 'P' }))
    expect([missing.code, missing.message.includes('P')]).toEqual(['config_missing', true])
    expect((await failure(open(home, { passphraseFile: 'p' }))).code).toBe('config_missing')
  })
})

describe('the local store among processes', () => {
  it('loses no write of four processes on one folder', async () => {
    const home = await makeHome()
    await open(home)
    const rounds = 12
    const outputs = await Promise.all([1, 2, 3, 4].map(() => runWriter(home, { rounds }).finished))
    const store = await open(home)
    const staged = outputs.flatMap((lines) => versionsOf(lines, 'staged'))
    expect(staged).toHaveLength(4 * rounds)
    await expectAllThere(store, staged)
    const promoted = outputs.flatMap((lines) => versionsOf(lines, 'promoted'))
    expect(promoted).toContain((await store.describe('openai'))?.current)
    // Two that left the same one would both have won the same compare-and-swap.
    const left = outputs.flatMap((lines) => versionsOf(lines, 'left promoted'))
    expect(left).toHaveLength(promoted.length)
    expect(new Set(left).size).toBe(left.length)
  })

  it('loses nothing acknowledged and is never wedged when its writer is killed, again and again', async () => {
    const home = await makeHome()
    await open(home)
    let kills = 0
    let acknowledged = 0
    for (let round = 0; round < 8; round += 1) {
      const writer = runWriter(home, { killAfterLines: 3 + ((round * 5) % 17) })
      const lines = await writer.finished
      kills += 1
      const store = await open(home)
      const staged = versionsOf(lines, 'staged')
      acknowledged += staged.length
      await expectAllThere(store, staged)
      const promoted = versionsOf(lines, 'promoted')
      const described = await store.describe('openai')
      // What was acknowledged last is current, or what the writer was just promoting when it died.
      expect([promoted.at(-1), staged.at(-1), described?.pending]).toContain(described?.current)
      for (const { version, isRetired } of described?.versions ?? []) {
        if (version === described?.current || version === described?.previous) continue
        if (!isRetired) await store.retire('openai', { version, fence: 1 })
        await store.destroy('openai', version)
      }
    }
    expect(kills).toBe(8)
    expect(acknowledged).toBeGreaterThan(8)
    expect((await readdir(join(home, 'secrets', 'openai'))).filter((name) => name.endsWith('.tmp'))).toEqual(
      [],
    )
  })

  it('waits for a writer that is at work and goes on when it is done', async () => {
    const home = await makeHome()
    await open(home)
    const other = new DatabaseSync(join(home, 'secrets', 'lock.db'))
    other.exec('BEGIN EXCLUSIVE')
    const store = await open(home)
    let isDone = false
    const staging = stageNew(store, 'openai').then(() => {
      isDone = true
    })
    expect(await store.read('openai')).toBeUndefined()
    expect(isDone).toBe(false)
    other.exec('ROLLBACK')
    other.close()
    await staging
    expect((await store.describe('openai'))?.pending).toBeDefined()
  })

  it('tells its watchers of a change by another client', async () => {
    const home = await makeHome()
    const [store, other] = [await open(home), await open(home)]
    await establish(other, 'openai')
    let isTold = false
    const cancel = store.watch?.('openai', () => {
      isTold = true
    })
    cleanUps.push(async () => cancel?.())
    // What it looks for changes in is seen a moment after it was asked to watch: a first change may come before that.
    const change = () => establish(other, 'openai').then(() => isTold)
    await expect.poll(change, { interval: 200 }).toBe(true)
  })

  it('says what is denied where the folder cannot be made', async () => {
    const home = await makeHome()
    await writeFile(join(home, 'secrets'), 'a file')
    const error = await failure(open(home))
    expect([error.code, error.message.includes(join(home, 'secrets'))]).toEqual(['store_unreachable', true])
  })

  it('uses a folder through a link', async () => {
    const home = await makeHome()
    await mkdir(join(home, 'real'), { mode: 0o700 })
    await symlink(join(home, 'real'), join(home, 'secrets'))
    const { secret } = await establish(await open(home), 'openai')
    const read = await (await open(home, { folder: 'real' })).read('openai')
    expect(read?.secret.equals(secret)).toBe(true)
    expectNoSecret(read)
  })

  it('keeps at most a hundred versions and lets the oldest retired ones go first', async () => {
    const home = await makeHome()
    const store = await open(home)
    const first = await stageNew(store, 'openai')
    await store.retire('openai', { version: first.version, fence: 1 })
    const live = []
    for (let count = 0; count < 100; count += 1) live.push(await stageNew(store, 'openai'))
    expect((await store.describe('openai'))?.versions).toHaveLength(100)
    expect(await store.read('openai', { version: first.version })).toBeUndefined()
    expect((await failure(stageNew(store, 'openai'))).code).toBe('store_too_large')
    await expectAllThere(store, [live[0]?.version ?? '', live[99]?.version ?? ''], false)
  })
})

async function expectAllThere(
  store: SecretStore,
  versions: readonly string[],
  isNamed = true,
): Promise<void> {
  for (const version of versions) {
    const read = await store.read('openai', { version })
    expect(read, version).toBeDefined()
    if (isNamed) expect(read?.secret.equals(new Secret(`value-of-${version}`))).toBe(true)
  }
}

function versionsOf(lines: readonly string[], step: string): readonly string[] {
  return lines.filter((line) => line.startsWith(`${step} `)).map((line) => line.slice(step.length + 1))
}

/** A process of its own; its complete lines when it has ended, by itself or by SIGKILL after that many of them. */
function runWriter(
  home: string,
  { rounds, killAfterLines }: { readonly rounds?: number; readonly killAfterLines?: number },
): { readonly finished: Promise<readonly string[]> } {
  const script = join(import.meta.dirname, 'fakes', 'local-writer.ts')
  const child = spawn(process.execPath, [script, home, ...(rounds === undefined ? [] : [String(rounds)])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
    if (killAfterLines !== undefined && output.split('\n').length > killAfterLines) child.kill('SIGKILL')
  })
  return { finished: once(child, 'close').then(() => output.split('\n').slice(0, -1)) }
}
