import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realIo } from '../../src/cli/real-io.ts'
import { errnoOf } from '../../src/core/errno.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyturn-io-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function outcomeOf(act: () => void): unknown {
  try {
    act()
  } catch (error) {
    return errnoOf(error)
  }
  return 'done'
}

describe('a file for this user alone', () => {
  it('takes the place of one that others may read, and leaves nothing beside it', () => {
    const path = join(folder, 'app.token')
    writeFileSync(path, 'before')
    chmodSync(path, 0o644)
    realIo().writePrivateFile(path, 'after')
    expect(readFileSync(path, 'utf8')).toBe('after')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['app.token'])
  })

  it('is not written through a link that somebody has put where it is made', () => {
    const path = join(folder, 'app.token')
    const theirs = join(folder, 'theirs')
    writeFileSync(theirs, '')
    symlinkSync(theirs, `${path}.${process.pid}.tmp`)
    realIo().writePrivateFile(path, 'after')
    expect([readFileSync(theirs, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['', 'after'])
  })

  it('does not take the place of a device or a pipe, nor of what the shell writes to', () => {
    const pipe = join(folder, 'pipe')
    const link = join(folder, 'link')
    execFileSync('mkfifo', [pipe])
    symlinkSync('/dev/null', link)
    const refused = ['/dev/null', '/dev/stdout', '/proc/self/fd/1', pipe, link].map((path) =>
      outcomeOf(() => realIo().assertWritable(path)),
    )
    expect(refused).toEqual(refused.map(() => 'file_unusable'))
  })

  it('leaves nothing beside it where it cannot be put in its place', () => {
    const path = join(folder, 'app.token')
    mkdirSync(path)
    expect(() => realIo().writePrivateFile(path, 'after')).toThrow()
    expect(readdirSync(folder)).toEqual(['app.token'])
  })

  it('is refused before anything is done where a folder has its name', () => {
    expect(() => realIo().assertWritable(folder)).toThrow(expect.objectContaining({ code: 'EISDIR' }))
    expect(() => realIo().assertWritable(join(folder, 'new', 'app.token'))).not.toThrow()
    writeFileSync(join(folder, 'file'), '')
    expect(() => realIo().assertWritable(join(folder, 'file', 'app.token'))).toThrow()
  })
})
