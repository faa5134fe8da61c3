import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startSandbox } from '../../src/sandbox/index.ts'
import { ask, open, START, sdk, virtualClock } from './support.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-sandbox-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('a restart keeps identities, keys, expiries and deletions, and mints a new administrator key', async () => {
  const stateFile = join(folder(), 'state', 'sandbox.json')
  const clock = virtualClock()
  const first = await open({ stateFile, now: clock.now })
  const kept = first.createServiceAccountKey({ scopes: ['api.model.read'], expiresInSeconds: 100 })
  const deleted = first.createServiceAccountKey()
  first.deleteKey(deleted.id)
  await ask(first, '/models', { key: kept.value })
  const admin = first.adminKey()
  await first.close()

  clock.advance(1_000)
  const second = await open({ stateFile, now: clock.now })
  expect([second.organization, second.project, second.serviceAccount]).toEqual([
    first.organization,
    first.project,
    first.serviceAccount,
  ])
  expect(second.adminKey()).not.toBe(admin)
  expect((await ask(second, '/organization/projects', { key: admin })).status).toBe(200)
  expect((await ask(second, '/models', { key: kept.value })).status).toBe(200)
  expect((await ask(second, '/models', { key: deleted.value })).status).toBe(401)
  expect(second.keys().find((key) => key.id === kept.id)).toMatchObject({
    expiresAt: START + 100_000,
    scopes: ['api.model.read'],
  })
  clock.advance(99_000)
  expect(second.isAlive(kept.value)).toBe(false)
})

test('the file is private, replaced whole, and holds no key', async () => {
  const path = folder()
  const stateFile = join(path, 'sandbox.json')
  const sandbox = await open({ stateFile })
  const { serviceAccounts } = sdk(sandbox, 'unused').admin.organization.projects
  const { value } = await serviceAccounts.apiKeys.create(sandbox.serviceAccount, {
    project_id: sandbox.project,
  })
  const text = readFileSync(stateFile, 'utf8')
  for (const secret of [value, sandbox.adminKey()]) expect(text).not.toContain(secret.slice(12, 60))
  expect(statSync(stateFile).mode & 0o777).toBe(0o600)
  expect(readdirSync(path)).toEqual(['sandbox.json'])
})

test('what was left of an interrupted write does no harm', async () => {
  const stateFile = join(folder(), 'sandbox.json')
  const first = await open({ stateFile })
  const key = first.createServiceAccountKey()
  await first.close()
  writeFileSync(`${stateFile}.next`, '{"format":1,"org')
  chmodSync(`${stateFile}.next`, 0o644)
  const second = await open({ stateFile })
  expect(second.isAlive(key.value)).toBe(true)
  expect(statSync(stateFile).mode & 0o777).toBe(0o600)
})

test('a key whose mint was answered survives a kill at that very moment', async () => {
  const path = folder()
  const stateFile = join(path, 'sandbox.json')
  const program = join(path, 'program.ts')
  const index = new URL('../../src/sandbox/index.ts', import.meta.url).href
  writeFileSync(
    program,
    `import { startSandbox } from ${JSON.stringify(index)}
const sandbox = await startSandbox({ stateFile: ${JSON.stringify(stateFile)} })
process.send({ url: sandbox.url, admin: sandbox.adminKey(), project: sandbox.project, account: sandbox.serviceAccount })
`,
  )
  const minted: string[] = []
  for (let round = 0; round < 3; round += 1) {
    const child = fork(program)
    const [message] = (await once(child, 'message')) as [Record<string, string>]
    const base = `${message['url']}/v1/organization/projects/${message['project']}`
    const response = await fetch(`${base}/service_accounts/${message['account']}/api_keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${message['admin']}` },
    })
    minted.push(((await response.json()) as { value: string }).value)
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const sandbox = await startSandbox({ stateFile })
  onTestFinished(() => sandbox.close())
  expect(minted.map((value) => sandbox.isAlive(value))).toEqual([true, true, true])
})

test('a file that is not the sandbox’s is refused and left alone', async () => {
  const stateFile = join(folder(), 'sandbox.json')
  for (const content of ['{', '{"format":2}', 'null']) {
    writeFileSync(stateFile, content)
    await expect(startSandbox({ stateFile })).rejects.toThrow(/state file .* Remove it/)
    expect(readFileSync(stateFile, 'utf8')).toBe(content)
  }
})

test('the clock of the sandbox never goes back, so nothing that died comes alive again', async () => {
  const clock = virtualClock()
  const sandbox = await open({ now: clock.now })
  const key = sandbox.createServiceAccountKey({ expiresInSeconds: 10 })
  clock.advance(10_000)
  expect(sandbox.isAlive(key.id)).toBe(false)
  clock.advance(-10_000)
  expect(sandbox.isAlive(key.id)).toBe(false)
})
