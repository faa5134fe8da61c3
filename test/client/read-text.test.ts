import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readText } from '../../src/client/read-text.ts'
import { createClient } from '../../src/index.ts'
import { errorOf } from './support.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'keyturn-text-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

describe('the text of a file that an application names', () => {
  it('is read through links, as Kubernetes mounts it', async () => {
    const here = folder()
    writeFileSync(join(here, 'data'), 'a-token\n')
    symlinkSync('data', join(here, 'token'))
    expect(await readText(join(here, 'token'))).toBe('a-token\n')
  })

  it('is refused where it is none, and the file is never waited for', async () => {
    const here = folder()
    const pipe = join(here, 'pipe')
    execFileSync('mkfifo', [pipe])
    const large = join(here, 'large')
    writeFileSync(large, '')
    truncateSync(large, 1_048_577)
    await expect(readText(pipe)).rejects.toThrow('is not a regular file')
    await expect(readText('/dev/zero')).rejects.toThrow('is not a regular file')
    await expect(readText(here)).rejects.toThrow('is not a regular file')
    await expect(readText(large)).rejects.toThrow('is longer than 1048576 bytes')
    await expect(readText(join(here, 'nowhere'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is asked for more often than Node has threads, and other files of the application are read all the same', async () => {
    const here = folder()
    const pipe = join(here, 'pipe')
    execFileSync('mkfifo', [pipe])
    const clients = Array.from({ length: 8 }, () =>
      createClient({ url: 'http://127.0.0.1:9', tokenFile: pipe, env: {}, onError: () => undefined }),
    )
    onTestFinished(() => {
      for (const client of clients) client.close()
    })
    const errors = await Promise.all(clients.map((client) => errorOf(client.getOpenAIKey())))
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['config_invalid']))
    expect(errors[0]?.message).toContain('it names a small regular file')
    writeFileSync(join(here, 'other'), 'read')
    expect(await readText(join(here, 'other'))).toBe('read')
  })
})
