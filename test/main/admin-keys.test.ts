import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { createLoan } from '../../src/main/admin-keys.ts'
import { openEmbedded, tick } from '../../src/main.ts'

/** The admin key is in a store that cannot be opened: whoever tries it, fails. */
function placed(): { readonly cwd: string; readonly env: Readonly<Record<string, string>> } {
  const cwd = mkdtempSync(join(tmpdir(), 'keyturn-main-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  writeFileSync(join(cwd, 'a-file'), '', { mode: 0o600 })
  const lines = [
    `home: ${join(cwd, 'home')}`,
    'credentials:',
    '  openai:',
    '    store: { kind: env, variable: APP_KEY }',
    '    issuer:',
    '      kind: openai',
    '      baseUrl: http://127.0.0.1:9',
    '      timeout: 100ms',
    '      project: proj_a',
    '      serviceAccount: svc_a',
    `      adminKey: { store: { kind: local, folder: ${join(cwd, 'a-file', 'secrets')} } }`,
  ]
  writeFileSync(join(cwd, 'keyturn.yaml'), lines.join('\n'), { mode: 0o600 })
  const env = { KEYTURN_CONFIG: join(cwd, 'keyturn.yaml'), APP_KEY: ['sk', 'x'.repeat(40)].join('-') }
  return { cwd, env }
}

it('an app that resolves in its own process does not open the store of the admin key', async () => {
  const { cwd, env } = placed()
  await expect(tick({ env, cwd })).rejects.toThrow()
  const embedded = await openEmbedded({ credential: 'openai', env, cwd })
  expect(embedded.handOut()).toMatchObject({ name: 'openai' })
  await embedded.stop()
})

it('and is handed no admin key by its name: there is none', async () => {
  const { cwd, env } = placed()
  const embedded = await openEmbedded({ credential: 'openai-admin', env, cwd })
  expect(embedded.handOut()).toBeUndefined()
  await embedded.stop()
})

it('nothing is lent before there is a service to lend it', async () => {
  const loan = createLoan()
  await expect(loan.secretOf('openai-admin')).rejects.toMatchObject({ code: 'issuer_denied' })
  const lent = new Secret(['sk', 'admin', 'x'.repeat(40)].join('-'))
  loan.open(async () => lent)
  expect((await loan.secretOf('openai-admin')).equals(lent)).toBe(true)
})
