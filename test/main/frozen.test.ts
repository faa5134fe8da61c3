import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { realPlatform } from '../../src/client/platform.ts'
import { createClient } from '../../src/index.ts'
import { openEmbedded } from '../../src/main.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { createSystem } from '../../src/system.ts'

/** A machine that was stopped and goes on: its clocks are hours ahead, and no timer has rung meanwhile. */
function freezer() {
  const real = createSystem()
  const platform = realPlatform()
  let frozenMs = 0
  return {
    system: { ...real, now: () => real.now() + frozenMs },
    platform: { ...platform, now: () => platform.now() + frozenMs },
    freeze: (ms: number) => void (frozenMs += ms),
  }
}

async function app() {
  // What was revoked hours ago every edge knows.
  const sandbox = await startSandbox({ knobs: { revocationMs: 0, activationMs: 0 } })
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-frozen-'))
  const file = join(folder, 'openai.key')
  const put = (key: { readonly value: string }) => writeFileSync(file, key.value, { mode: 0o600 })
  const first = sandbox.createServiceAccountKey()
  put(first)
  writeFileSync(
    join(folder, 'keyturn.yaml'),
    [
      'credentials:',
      '  openai:',
      '    store: { kind: file }',
      `    ref: ${file}`,
      `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
    ].join('\n'),
    { mode: 0o600 },
  )
  const machine = freezer()
  const env = { KEYTURN_CONFIG: join(folder, 'keyturn.yaml'), KEYTURN_HOME: join(folder, 'home') }
  const client = createClient({
    env,
    platform: machine.platform,
    onError: () => undefined,
    openEmbedded: (options) => openEmbedded({ ...options, cwd: folder, system: machine.system }),
  })
  onTestFinished(async () => {
    client.close()
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { sandbox, client, first, put, freeze: machine.freeze }
}

it('a process that thaws after hours hands out no key that was revoked meanwhile', async () => {
  const { sandbox, client, first, put, freeze } = await app()
  expect(await client.getOpenAIKey()).toBe(first.value)
  const next = sandbox.createServiceAccountKey()
  put(next)
  sandbox.deleteKey(first.id)
  freeze(3 * 3_600_000)
  expect(await client.getOpenAIKey()).toBe(next.value)
})

it('a process that thaws asks once for all its callers, and not again while what it knows is young', async () => {
  const { sandbox, client, first, freeze } = await app()
  await client.getOpenAIKey()
  freeze(3_600_000)
  const asked = () => sandbox.requests().length
  const before = asked()
  const keys = await Promise.all(Array.from({ length: 50 }, () => client.getOpenAIKey()))
  expect(new Set(keys)).toEqual(new Set([first.value]))
  expect(asked()).toBe(before + 1)
  freeze(60_000)
  expect(await client.getOpenAIKey()).toBe(first.value)
  expect(asked()).toBe(before + 1)
})

it('where the issuer cannot be asked after a thaw, the key it has is handed out', async () => {
  const { sandbox, client, first, freeze } = await app()
  await client.getOpenAIKey()
  sandbox.set({ errorStatus: 503 })
  freeze(3_600_000)
  expect(await client.getOpenAIKey()).toBe(first.value)
})
