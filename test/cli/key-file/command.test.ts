import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { run } from '../../../src/cli/main.ts'
import { startFakeService } from '../../client/fake-service.ts'
import { fakeIo } from '../fake-io.ts'

/** `keyturn file --once` on a file that holds this. */
async function onceOver(text: string, args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-file-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, '.env')
  writeFileSync(path, text, { mode: 0o600 })
  const service = await startFakeService()
  onTestFinished(() => service.close())
  const io = fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token } })
  const code = await run(['file', '--out', path, '--once', ...args], io)
  const { apiKey } = service.answer()
  return { code, text: readFileSync(path, 'utf8'), said: io.out() + io.err(), apiKey, path }
}

describe('keyturn file', () => {
  it.each([
    ['a .env', 'DATABASE_URL=postgres://db\nOPENAI_API_KEY=old\n', []],
    ['a .env of one line', 'PORT=3000\n', []],
    ['a .env, as JSON', 'PORT=3000\n', ['--format', 'json']],
    ['settings of somebody else, as JSON', '{"compilerOptions":{}}\n', ['--format', 'json']],
    ['notes', 'the key comes here\n', []],
    ['a program', '#!/bin/sh\necho hello\n', []],
  ])('writes no key over %s, and says what to do', async (_what, before, args) => {
    const { code, text, said, path } = await onceOver(before, args)
    expect([code, text]).toEqual([1, before])
    expect(said).toContain(path)
    expect(said).toContain('--format env')
  })

  it.each([
    ['nothing', '', []],
    ['an older key', 'older-key\n', []],
    ['an older key, as JSON', 'older-key\n', ['--format', 'json']],
    ['an older answer', '{"name":"openai","apiKey":"older-key"}\n', ['--format', 'json']],
  ])('writes one over %s', async (_what, before, args) => {
    const { code, text, apiKey } = await onceOver(before, args)
    expect(code).toBe(0)
    expect(text).toContain(apiKey)
  })

  it.skipIf(process.platform !== 'linux')(
    'asks for no key where none can be written: a lease for a file that is not there would hold up the next rotation',
    async () => {
      const service = await startFakeService()
      onTestFinished(() => service.close())
      const io = fakeIo({ env: { KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token } })
      expect(await run(['file', '--out', '/proc/keyturn-key', '--once'], io)).toBe(1)
      expect(io.err()).toMatch(/^error: .*\/proc\/keyturn-key failed: [^]*^fix: {3}/m)
      expect(service.seen).toEqual([])
    },
  )

  it('promises nobody that a file goes away that stays', async () => {
    const { code, text, said } = await onceOver('', ['--remove-on-exit'])
    expect([code, text]).toEqual([2, ''])
    expect(said).toMatch(/--remove-on-exit .* --once/)
  })
})
