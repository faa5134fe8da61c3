import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openHome } from '../../src/main/home.ts'
import { openTokens } from '../../src/main/tokens.ts'
import { createSystem } from '../../src/system.ts'

async function openIn(path: string): Promise<void> {
  const home = await openHome(path)
  const context = { system: createSystem(), log: () => undefined, withApp: true, shelf: undefined }
  const tokens = await openTokens(home, context)
  await tokens.close()
  home.close()
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-main-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

it('leaves tokens only in files of its own that nobody else can read, whatever was there before', async () => {
  const [home, elsewhere] = [folder(), join(folder(), 'shared.txt')]
  writeFileSync(join(home, 'operator.token'), 'an old one')
  chmodSync(join(home, 'operator.token'), 0o666)
  writeFileSync(elsewhere, 'mine')
  symlinkSync(elsewhere, join(home, 'app.token'))
  await openIn(home)
  for (const [role, prefix] of [
    ['operator', 'kt_op_'],
    ['app', 'kt_app_'],
  ] as const) {
    const path = join(home, `${role}.token`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8').startsWith(prefix)).toBe(true)
  }
  expect(readFileSync(elsewhere, 'utf8')).toBe('mine')
})
