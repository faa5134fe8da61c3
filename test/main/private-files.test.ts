import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import {
  assertOwnConfiguration,
  assertPrivateFiles,
  believedFiles,
  readOwnConfiguration,
  secretFiles,
} from '../../src/main/private-files.ts'
import { openSafeFile, type SafeFileOptions } from '../../src/main/safe-file.ts'

const uid = process.getuid?.() ?? 0
let folder = ''
const file = (name: string): string => join(folder, name)

beforeEach(() => {
  const made = mkdtempSync(join(tmpdir(), 'keyturn-private-'))
  folder = made
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
})

function refusal(look: () => void): KeyturnError | undefined {
  try {
    look()
    return undefined
  } catch (thrown) {
    if (thrown instanceof KeyturnError) return thrown
    throw thrown
  }
}

const refused = () => refusal(() => assertPrivateFiles(file, uid))

describe('a start', () => {
  it('takes a home with nothing in it, and one with private files of its own', () => {
    expect(refused()).toBeUndefined()
    for (const name of [...Object.keys(secretFiles), ...believedFiles])
      writeFileSync(file(name), '', { mode: 0o600 })
    expect(refused()).toBeUndefined()
  })

  it.each(
    Object.keys(secretFiles).flatMap((name) =>
      [0o640, 0o604, 0o660, 0o644].map((mode) => [name, mode] as const),
    ),
  )('is refused where %s has mode %o, and told what to do besides chmod', (name, mode) => {
    writeFileSync(file(name), '')
    chmodSync(file(name), mode)
    expect(refused()).toMatchObject({
      code: 'permissions_lax',
      fix: expect.stringContaining(`chmod 600 '${file(name)}'; then`),
    })
  })

  it.each(believedFiles)('is refused where others may write %s, and not where they may read it', (name) => {
    writeFileSync(file(name), '')
    chmodSync(file(name), 0o644)
    expect(refused()).toBeUndefined()
    for (const mode of [0o662, 0o620]) {
      chmodSync(file(name), mode)
      expect(refused()?.code).toBe('permissions_lax')
    }
  })

  it.each([...Object.keys(secretFiles), ...believedFiles])(
    'is refused where %s is a link or belongs to another',
    (name) => {
      writeFileSync(file('target'), '', { mode: 0o600 })
      symlinkSync(file('target'), file(name))
      expect(refused()).toMatchObject({
        code: 'permissions_lax',
        message: expect.stringContaining('is a link'),
      })
      rmSync(file(name))
      writeFileSync(file(name), '', { mode: 0o600 })
      const asOther = refusal(() => assertPrivateFiles(file, uid + 1))
      expect(asOther).toMatchObject({
        code: 'permissions_lax',
        message: expect.stringContaining('another user'),
      })
    },
  )

  it('concludes nothing where the system has no such modes', () => {
    writeFileSync(file('operator.token'), '')
    chmodSync(file('operator.token'), 0o644)
    expect(refusal(() => assertPrivateFiles(file, undefined))).toBeUndefined()
  })
})

describe('the configuration', () => {
  const look = (as = uid) => refusal(() => assertOwnConfiguration(file('keyturn.yaml'), as))

  it.each([0o600, 0o644, 0o444])('may have mode %o', (mode) => {
    writeFileSync(file('keyturn.yaml'), '')
    chmodSync(file('keyturn.yaml'), mode)
    expect(look()).toBeUndefined()
  })

  it.each([0o620, 0o602, 0o666])('is refused with mode %o, also behind a link', (mode) => {
    writeFileSync(file('real.yaml'), '')
    chmodSync(file('real.yaml'), mode)
    symlinkSync(file('real.yaml'), file('keyturn.yaml'))
    expect(look()).toMatchObject({ code: 'permissions_lax', fix: expect.stringContaining('chmod go-w') })
  })

  it('is refused where it belongs to neither Keyturn nor the superuser', () => {
    writeFileSync(file('keyturn.yaml'), '', { mode: 0o600 })
    if (uid === 0) {
      expect(look(1_000)).toBeUndefined()
      chownSync(file('keyturn.yaml'), 1_234, 1_234)
    }
    expect(look(uid + 1)).toMatchObject({ code: 'permissions_lax', fix: expect.stringContaining('chown') })
  })

  it('is judged and read by the same file, also when it is read again', async () => {
    writeFileSync(file('policy.yaml'), 'tokens: []', { mode: 0o600 })
    expect(await readOwnConfiguration(file('policy.yaml'), uid)).toBe('tokens: []')
    chmodSync(file('policy.yaml'), 0o666)
    await expect(readOwnConfiguration(file('policy.yaml'), uid)).rejects.toMatchObject({
      code: 'permissions_lax',
    })
    await expect(readOwnConfiguration(file('none'), uid)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('that came from no file is none', () => {
    expect(refusal(() => assertOwnConfiguration('environment', uid))).toBeUndefined()
  })
})

describe('the last-known-good file', () => {
  const unused = {
    encrypt: () => Promise.reject(new Error('nothing is written here')),
    decrypt: () => Promise.reject(new Error('it was read')),
  }

  it.each([0o640, 0o604, 0o644])(
    'is not read with mode %o, nor from another user, nor through a link',
    async (mode) => {
      const read = (as = uid) =>
        openSafeFile({
          path: file('keys.age'),
          encrypter: unused,
          decrypter: unused,
          uid: as,
        } as unknown as SafeFileOptions).read()
      writeFileSync(file('keys.age'), 'x')
      chmodSync(file('keys.age'), mode)
      await expect(read()).rejects.toMatchObject({ code: 'permissions_lax' })
      chmodSync(file('keys.age'), 0o600)
      await expect(read(uid + 1)).rejects.toMatchObject({ code: 'permissions_lax' })
      rmSync(file('keys.age'))
      writeFileSync(file('elsewhere'), 'x', { mode: 0o600 })
      symlinkSync(file('elsewhere'), file('keys.age'))
      await expect(read()).rejects.toMatchObject({ code: 'file_unusable' })
    },
  )
})
