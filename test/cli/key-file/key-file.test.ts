import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { contentsOf } from '../../../src/cli/key-file/contents.ts'
import { type Disk, realDisk } from '../../../src/cli/key-file/disk.ts'
import { openKeyFile } from '../../../src/cli/key-file/key-file.ts'
import { lookAtPlace } from '../../../src/cli/key-file/place.ts'
import type { OpenAICredential } from '../../../src/client/types.ts'

function folderForTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-file-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function fileIn(folder: string, disk: Disk = realDisk, options: { now?: number; pid?: number } = {}) {
  let drawn = 0
  return openKeyFile({
    path: join(folder, 'key'),
    mode: 0o600,
    disk,
    pid: options.pid ?? 11,
    uid: process.getuid?.(),
    isAlive: (pid) => pid === 22,
    now: () => options.now ?? lstatSync(folder).mtimeMs,
    draw: () => `d${(drawn += 1)}`,
  })
}

/** The disk up to its n-th call, which fails with this; `isDead`: and so does every later one, as after kill -9. */
function failingAt(
  count: number,
  code: string,
  isDead: boolean,
): { disk: Disk; readonly calls: () => number } {
  let calls = 0
  const wrapped = Object.fromEntries(
    Object.entries(realDisk).map(([name, call]: [string, (...args: never[]) => unknown]) => [
      name,
      (...args: never[]) => {
        calls += 1
        if (calls === count || (isDead && calls > count)) throw Object.assign(new Error(code), { code })
        return call(...args)
      },
    ]),
  )
  return { disk: wrapped as unknown as Disk, calls: () => calls }
}

const set = (text: string) => () => text

describe('a file with a key', () => {
  it('is replaced whole, is for its owner alone, and is not written where nothing changes', () => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'key'), 'old')
    chmodSync(join(folder, 'key'), 0o644)
    const file = fileIn(folder)
    expect(file.change(set('new'))).toBe(true)
    expect(readFileSync(file.path, 'utf8')).toBe('new')
    expect(lstatSync(file.path).mode & 0o777).toBe(0o600)
    expect(file.change(set('new'))).toBe(false)
    chmodSync(file.path, 0o644)
    expect(file.change(set('new'))).toBe(true)
  })

  it('is kept also where somebody has put something beside it that looks left over and cannot be removed', () => {
    const folder = folderForTest()
    mkdirSync(join(folder, '.key.keyturn-33-a.tmp'))
    writeFileSync(join(folder, '.key.keyturn-33-b.tmp'), '')
    writeFileSync(join(folder, '.key.keyturn-33-c.tmp'), '')
    const remove = (path: string): void => {
      // Another user's, in a folder with a sticky bit.
      if (path.endsWith('-b.tmp')) throw Object.assign(new Error('not yours'), { code: 'EPERM' })
      realDisk.remove(path)
    }
    const file = fileIn(folder, { ...realDisk, remove })
    expect(file.cleanUp()).toBe(1)
    expect(readdirSync(folder).toSorted()).toEqual(['.key.keyturn-33-a.tmp', '.key.keyturn-33-b.tmp'])
    expect(file.change(set('new'))).toBe(true)
  })

  it.each([
    ['another alphabet', Buffer.from('# caf\u00e9\nA=1\n', 'latin1')],
    ['two bytes for a letter, as some shells of Windows write it', Buffer.from('\uFEFFA=1\r\n', 'utf16le')],
  ])('stays as it is where it is a .env in %s: what is no UTF-8 would be lost', (_what, bytes) => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'key'), bytes)
    const credential = {
      apiKey: 'new',
      organization: null,
      project: null,
      baseUrl: 'https://api.openai.com/v1',
    }
    const next = (format: 'env' | 'raw') => (before: string | undefined) =>
      contentsOf(credential as OpenAICredential, before, { format, variable: 'KEY' })
    const file = fileIn(folder)
    expect(() => file.change(next('env'))).toThrow(
      expect.objectContaining({ code: 'file_unusable', fix: expect.stringContaining('UTF-8') }),
    )
    expect(readFileSync(file.path)).toEqual(bytes)
    expect(readdirSync(folder)).toEqual(['key'])
    expect(file.change(next('raw'))).toBe(true)
  })

  it('takes for its own sign of what is still to be done none of another user, who can neither hold it up nor make it forget', () => {
    const folder = folderForTest()
    // In a folder with a sticky bit anybody can put it there, and nobody else can take it away.
    const theirs = join(folder, '.key.keyturn-pending')
    writeFileSync(theirs, '')
    const disk: Disk = {
      ...realDisk,
      lstat: (path) => {
        const found = realDisk.lstat(path)
        return found !== undefined && path === theirs ? Object.assign(found, { uid: found.uid + 1 }) : found
      },
      remove(path) {
        if (path === theirs) throw Object.assign(new Error('not yours'), { code: 'EPERM' })
        realDisk.remove(path)
      },
    }
    const file = fileIn(folder, disk)
    expect(file.isPending()).toBe(false)
    file.change(set('new'))
    const next = fileIn(folder, disk)
    expect(next.isPending()).toBe(true)
    next.settle()
    expect([next.isPending(), readdirSync(folder).toSorted()]).toEqual([
      false,
      ['.key.keyturn-pending', 'key'],
    ])
  })

  it('shares the sign with another writer who puts it there at the same moment', () => {
    const folder = folderForTest()
    const sign = join(folder, '.key.keyturn-pending')
    let isOther = true
    const disk: Disk = {
      ...realDisk,
      create(path, mode) {
        if (path === sign && isOther) writeFileSync(sign, '')
        isOther = false
        return realDisk.create(path, mode)
      },
    }
    const file = fileIn(folder, disk)
    expect(file.change(set('new'))).toBe(true)
    expect([file.isPending(), readdirSync(folder).toSorted()]).toEqual([
      true,
      ['.key.keyturn-pending', 'key'],
    ])
  })

  it('remembers over a crash that what follows a change is still to be done', () => {
    const folder = folderForTest()
    fileIn(folder).change(set('new'))
    const next = fileIn(folder)
    expect(next.isPending()).toBe(true)
    next.settle()
    expect(fileIn(folder).isPending()).toBe(false)
  })

  it('is read anew where somebody else wrote in between: neither change is lost', () => {
    const folder = folderForTest()
    const path = join(folder, 'key')
    writeFileSync(path, 'a')
    let isOther = true
    fileIn(folder).change((before) => {
      if (isOther) writeFileSync(path, 'ab')
      isOther = false
      return before?.endsWith('!') === true ? before : `${before}!`
    })
    expect(readFileSync(path, 'utf8')).toBe('ab!')
  })

  it('is given up where somebody else never stops', () => {
    const folder = folderForTest()
    let count = 0
    const change = () =>
      fileIn(folder).change(() => {
        writeFileSync(join(folder, 'key'), 'x'.repeat((count += 1)))
        return 'mine'
      })
    expect(change).toThrow(/somebody else/)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('is old or new after a kill at any call, and the next start leaves nothing beside it', () => {
    for (let count = 1; ; count += 1) {
      const folder = folderForTest()
      writeFileSync(join(folder, 'key'), 'old', { mode: 0o600 })
      const { disk, calls } = failingAt(count, 'KILLED', true)
      let isKilled = false
      try {
        fileIn(folder, disk).change(set('new'))
      } catch {
        isKilled = true
      }
      expect(['old', 'new']).toContain(readFileSync(join(folder, 'key'), 'utf8'))
      const next = fileIn(folder, realDisk, { pid: 33 })
      next.cleanUp()
      expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
      next.change(set('new'))
      expect(readFileSync(join(folder, 'key'), 'utf8')).toBe('new')
      if (!isKilled) {
        expect(calls()).toBeGreaterThan(8)
        return
      }
    }
  })

  it.each(['ENOSPC', 'EROFS', 'EIO'])(
    'keeps the old text and leaves nothing behind where the disk says %s',
    (code) => {
      for (let count = 1; count <= 12; count += 1) {
        const folder = folderForTest()
        writeFileSync(join(folder, 'key'), 'old', { mode: 0o600 })
        try {
          fileIn(folder, failingAt(count, code, false).disk).change(set('new'))
        } catch (error) {
          expect(error).toMatchObject({ code })
        }
        const text = readFileSync(join(folder, 'key'), 'utf8')
        expect(['old', 'new']).toContain(text)
        fileIn(folder).cleanUp()
        expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
      }
    },
  )

  it('leaves alone what a writer that lives is at, until it is too old to be', () => {
    const folder = folderForTest()
    const names = [
      '.key.keyturn-22-a.tmp',
      '.key.keyturn-44-a.tmp',
      '.key.keyturn-x.tmp',
      '.other.keyturn-44-a.tmp',
    ]
    for (const name of names) writeFileSync(join(folder, name), 'secret')
    expect(fileIn(folder).cleanUp()).toBe(1)
    expect(readdirSync(folder).sort()).toEqual(
      names.filter((name) => name !== '.key.keyturn-44-a.tmp').sort(),
    )
    expect(fileIn(folder, realDisk, { now: Number.MAX_SAFE_INTEGER }).cleanUp()).toBe(1)
  })

  it('is removed where nothing is to be left of it', () => {
    const folder = folderForTest()
    const file = fileIn(folder)
    file.change(set('new'))
    expect(file.change(() => undefined)).toBe(true)
    expect(file.change(() => undefined)).toBe(false)
    file.settle()
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('a place for it', () => {
  const uid = process.getuid?.()
  const look = (path: string, own: { uid?: number; isSharedFolder?: boolean; disk?: Disk } = {}) =>
    lookAtPlace(path, own.disk ?? realDisk, {
      uid: own.uid ?? uid,
      isSharedFolder: own.isSharedFolder ?? false,
      mode: 0o600,
    })

  it('is a folder of one’s own; one of /tmp, where others may write but not replace, will do', () => {
    expect(look(join(folderForTest(), 'key'))).toEqual([])
  })

  it('is not where there is no folder, or a file in its place', () => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'file'), '')
    for (const parent of ['absent', 'file'])
      expect(() => look(join(folder, parent, 'key'))).toThrow(/there is no folder/)
  })

  it('is not a folder in which everybody may write, unless that is known', () => {
    const folder = folderForTest()
    chmodSync(folder, 0o777)
    expect(() => look(join(folder, 'key'))).toThrow(/everybody may write/)
    expect(look(join(folder, 'key'), { isSharedFolder: true })).toEqual([])
  })

  it('is not a link, a folder or a file with two names', () => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'a'), '', { mode: 0o600 })
    linkSync(join(folder, 'a'), join(folder, 'b'))
    symlinkSync('a', join(folder, 'link'))
    mkdirSync(join(folder, 'folder'))
    expect(() => look(join(folder, 'a'))).toThrow(/another name/)
    expect(() => look(join(folder, 'link'))).toThrow(/is a link/)
    expect(() => look(join(folder, 'folder'))).toThrow(/is not a file/)
  })

  it('is not a file or a folder of another user, nor behind a link of theirs', () => {
    const folder = folderForTest()
    mkdirSync(join(folder, 'real'))
    symlinkSync('real', join(folder, 'link'))
    const owned = (suffix: string): Disk => {
      const strange = <Stats extends { uid: number } | undefined>(path: string, stats: Stats): Stats => {
        if (stats !== undefined && path.endsWith(suffix)) stats.uid = 4_711
        return stats
      }
      return {
        ...realDisk,
        lstat: (path) => strange(path, realDisk.lstat(path)),
        stat: (path) => strange(path, realDisk.stat(path)),
      }
    }
    writeFileSync(join(folder, 'real', 'key'), '', { mode: 0o600 })
    const through = join(folder, 'link', 'key')
    expect(look(through)).toEqual([])
    expect(() => look(through, { disk: owned('link') })).toThrow(/a link that another user has set/)
    expect(() => look(through, { disk: owned('real') })).toThrow(/the folder .* belongs to another user/)
    expect(() => look(through, { disk: owned('key') })).toThrow(/key belongs to another user/)
  })

  it('that others can read until now is told', () => {
    const folder = folderForTest()
    writeFileSync(join(folder, 'key'), '')
    // Whatever the umask leaves of a mode that a file is made with.
    chmodSync(join(folder, 'key'), 0o644)
    expect(look(join(folder, 'key'))).toEqual([expect.stringContaining('others can read')])
  })
})
