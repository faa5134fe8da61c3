import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as age from 'age-encryption'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { SafeFile } from '../../src/engine/last-known-good.ts'
import { type Disk, openSafeFile } from '../../src/main/safe-file.ts'

let encrypter: age.Encrypter
let decrypter: age.Decrypter

beforeAll(async () => {
  const identity = await age.generateX25519Identity()
  encrypter = new age.Encrypter()
  encrypter.addRecipient(await age.identityToRecipient(identity))
  decrypter = new age.Decrypter()
  decrypter.addIdentity(identity)
})

const realDisk: Disk = { open, rename, rm, mkdir }

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'keyturn-safe-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

function fileIn(home: string, disk: Disk = realDisk, uid = process.getuid?.()): SafeFile {
  return openSafeFile({ path: join(home, 'keys.age'), encrypter, decrypter, uid, disk })
}

/** Every call to the disk by its number; from the one that is named on, none is made any more: the process is dead. */
function dyingDisk(at: number, error = 'DEAD'): { readonly disk: Disk; calls: () => number } {
  let count = 0
  const step = (): void => {
    count += 1
    const isHit = error === 'DEAD' ? count >= at : count === at
    if (isHit) throw Object.assign(new Error(error), { code: error })
  }
  const handle = (real: FileHandle): FileHandle =>
    new Proxy(real, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return async (...given: unknown[]) => {
          // What was opened is closed by the kernel, whoever dies.
          if (name === 'close') return await target.close()
          if (name === 'writeFile' && count + 1 === at) await target.write('torn')
          step()
          return Reflect.apply(member, target, given) as unknown
        }
      },
    })
  const disk: Disk = {
    async open(...given) {
      step()
      return handle(await open(...given))
    },
    async rename(...given) {
      step()
      await rename(...given)
    },
    async rm(...given) {
      step()
      await rm(...given)
    },
    async mkdir(...given) {
      step()
      return await mkdir(...given)
    },
  }
  return { disk, calls: () => count }
}

it('gives back what was written, in a file that only its owner can read and that age opens', async () => {
  const home = folder()
  const file = fileIn(home)
  expect(await file.read()).toBeUndefined()
  await file.write('first')
  await file.write('second')
  expect(await file.read()).toBe('second')
  expect(readdirSync(home)).toEqual(['keys.age'])
  const path = join(home, 'keys.age')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path, 'latin1')).not.toContain('second')
  expect(await decrypter.decrypt(readFileSync(path), 'text')).toBe('second')
  await file.remove()
  expect(readdirSync(home)).toEqual([])
})

it('killed at any call to the disk: whole afterwards, the old text or the new one, and the next write goes through', async () => {
  const whole = dyingDisk(Number.POSITIVE_INFINITY)
  await fileIn(folder(), whole.disk).write('text')
  expect(whole.calls()).toBeGreaterThanOrEqual(7)
  const seen = new Set<string | undefined>()
  for (let at = 1; at <= whole.calls(); at++) {
    const home = folder()
    await fileIn(home).write('old')
    await expect(fileIn(home, dyingDisk(at).disk).write('new')).rejects.toBeInstanceOf(KeyturnError)
    const found = await fileIn(home).read()
    expect(['old', 'new'], `killed at call ${at}`).toContain(found)
    seen.add(found)
    await fileIn(home).write('next')
    expect(await fileIn(home).read()).toBe('next')
    expect(readdirSync(home)).toEqual(['keys.age'])
  }
  expect(seen).toEqual(new Set(['old', 'new']))
})

it.each(['ENOSPC', 'EIO', 'EROFS'])(
  '%s at any call: told, nothing half written, nothing left behind',
  async (code) => {
    const whole = dyingDisk(Number.POSITIVE_INFINITY)
    await fileIn(folder(), whole.disk).write('text')
    for (let at = 1; at <= whole.calls(); at++) {
      const home = folder()
      await fileIn(home).write('old')
      const error = await fileIn(home, dyingDisk(at, code).disk)
        .write('new')
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'file_unusable', retryable: true })
      expect(String(error)).toContain(code)
      if (code === 'ENOSPC') expect(error).toMatchObject({ fix: 'Free some disk space.' })
      expect(['old', 'new']).toContain(await fileIn(home).read())
      expect(readdirSync(home)).toEqual(['keys.age'])
    }
  },
)

it('refuses what is cut off, changed, or for another identity', async () => {
  const home = folder()
  const path = join(home, 'keys.age')
  await fileIn(home).write('text that is long enough to be cut')
  const bytes = readFileSync(path)
  for (const length of [0, 1, 20, bytes.length - 30, bytes.length - 1]) {
    writeFileSync(path, bytes)
    truncateSync(path, length)
    await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'file_unusable' })
  }
  const changed = Buffer.from(bytes)
  changed[changed.length - 5] = (changed[changed.length - 5] ?? 0) ^ 1
  writeFileSync(path, changed)
  await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'file_unusable' })
  const other = new age.Encrypter()
  other.addRecipient(await age.identityToRecipient(await age.generateX25519Identity()))
  writeFileSync(path, await other.encrypt('planted'))
  await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'file_unusable' })
})

it('refuses what others can read, what belongs to somebody else, a link and a folder', async () => {
  const home = folder()
  const path = join(home, 'keys.age')
  await fileIn(home).write('text')
  await expect(fileIn(home, realDisk, (process.getuid?.() ?? 0) + 1).read()).rejects.toMatchObject({
    code: 'permissions_lax',
  })
  chmodSync(path, 0o640)
  await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'permissions_lax' })
  // Written anew, it is private again.
  await fileIn(home).write('next')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  rmSync(path)
  const elsewhere = folder()
  await fileIn(elsewhere).write('of somebody')
  symlinkSync(join(elsewhere, 'keys.age'), path)
  await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'file_unusable' })
  rmSync(path)
  await mkdir(path)
  await expect(fileIn(home).read()).rejects.toMatchObject({ code: 'file_unusable' })
  expect(existsSync(path)).toBe(true)
})
