import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { createBeat } from '../../src/main/embedded-beat.ts'
import { openHome } from '../../src/main/home.ts'
import { lateBeat } from '../../src/main/late-beat.ts'
import { serve, tick } from '../../src/main.ts'
import { VirtualTime } from '../engine/virtual-time.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-main-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The first store can be opened, the second one cannot: its folder is a file. */
function brokenConfig(home: string): Readonly<Record<string, string>> {
  writeFileSync(join(home, 'a-file'), '', { mode: 0o600 })
  const lines = [
    `home: ${join(home, 'home')}`,
    'listen: 127.0.0.1:0',
    'credentials:',
    '  good:',
    '    store: { kind: env }',
    '    ref: GOOD_KEY',
    '  bad:',
    `    store: { kind: local, folder: ${join(home, 'a-file', 'secrets')} }`,
  ]
  writeFileSync(join(home, 'keyturn.yaml'), lines.join('\n'), { mode: 0o600 })
  return { KEYTURN_CONFIG: join(home, 'keyturn.yaml'), GOOD_KEY: ['sk', 'x'.repeat(40)].join('-') }
}

it.skipIf(process.getuid?.() !== 0)(
  'a home that is a volume for a group, as a pod has it, is refused with a folder that will do',
  async () => {
    const volume = folder()
    chownSync(volume, 65_534, 0)
    chmodSync(volume, 0o2777)
    await expect(openHome(volume)).rejects.toMatchObject({
      code: 'permissions_lax',
      fix: expect.stringContaining(`KEYTURN_HOME=${join(volume, 'home')}`),
    })
    const home = await openHome(join(volume, 'home'))
    expect(statSync(home.path).mode & 0o777).toBe(0o700)
    home.close()
  },
)

it('a store that cannot be opened leaves nothing open: the home and its ledger are free again', async () => {
  const cwd = folder()
  const env = brokenConfig(cwd)
  for (const run of [() => tick({ env, cwd }), () => serve({ env, cwd })]) {
    await expect(run()).rejects.toMatchObject({
      code: expect.stringMatching(/^store_|^permissions_lax|^file_unusable/),
    })
    const home = await openHome(join(cwd, 'home'))
    const ledger = openSqliteLedger({ path: home.file('ledger.db') })
    await ledger.close()
    home.close()
  }
})

it('an address that is taken is found before anybody is asked about a key', async () => {
  let asked = 0
  const upstream = createServer((_request, response) => {
    asked += 1
    response.writeHead(503).end()
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void upstream.close())
  const { port } = upstream.address() as AddressInfo
  const cwd = folder()
  const env = {
    KEYTURN_HOME: join(cwd, 'home'),
    KEYTURN_LISTEN: `127.0.0.1:${port}`,
    OPENAI_API_KEY: ['sk', 'x'.repeat(40)].join('-'),
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
  }
  await expect(serve({ env, cwd })).rejects.toMatchObject({
    code: 'address_in_use',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
  expect(asked).toBe(0)
  // Nothing was begun: without a ledger no key can have been looked at, and none minted.
  expect(existsSync(join(cwd, 'home', 'ledger.db'))).toBe(false)
})

it('a home is one process’s at a time, and closing it twice is closing it once', async () => {
  const path = join(folder(), 'home')
  const home = await openHome(path)
  await expect(openHome(path)).rejects.toMatchObject({ code: 'home_in_use' })
  home.close()
  home.close()
  const again = await openHome(path)
  again.close()
})

describe('a home is of a sandbox or of real keys, and never of both', () => {
  const alone = { KEYTURN_LISTEN: '127.0.0.1:0' }
  const key = ['sk', 'x'.repeat(40)].join('-')

  it('a sandbox does not take up an installation, whose keys it would turn into its own', async () => {
    const cwd = folder()
    const text = 'credentials: { openai: { store: { kind: local } } }'
    writeFileSync(join(cwd, 'keyturn.yaml'), text, { mode: 0o600 })
    await tick({ env: { ...alone, KEYTURN_CONFIG: join(cwd, 'keyturn.yaml') }, cwd })
    const started = serve({ sandbox: true, env: alone, cwd })
    await expect(started).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('no sandbox'),
      fix: expect.stringContaining(`KEYTURN_HOME='${join(cwd, '.keyturn-sandbox')}'`),
    })
    expect(readdirSync(join(cwd, '.keyturn')).filter((name) => name.startsWith('sandbox'))).toEqual([])
    // The folder is free again.
    await tick({ env: { ...alone, KEYTURN_CONFIG: join(cwd, 'keyturn.yaml') }, cwd })
  })

  it('a sandbox’s folder is not taken for a real key, and still is the sandbox’s', async () => {
    const cwd = folder()
    await (await serve({ sandbox: true, env: alone, cwd })).stop()
    const env = { ...alone, OPENAI_API_KEY: key }
    for (const run of [() => tick({ env, cwd }), () => serve({ env, cwd })])
      await expect(run()).rejects.toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining(join(cwd, '.keyturn')),
        fix: expect.stringContaining('KEYTURN_HOME'),
      })
    await (await serve({ sandbox: true, env: alone, cwd })).stop()
  })
})

it('a beat that is stopped rings no more, not even when it is stopped while it rings', async () => {
  const time = new VirtualTime()
  const beat = createBeat(time)
  let rung = 0
  beat.start(() => {
    rung++
    if (rung === 2) beat.stop()
  })
  await time.advance(10_000)
  expect(rung).toBe(2)
  expect(time.waiting.all).toBe(0)
})

it('a beat that begins late and is stopped before it began never begins', async () => {
  const time = new VirtualTime()
  let started = 0
  const beat = lateBeat({ start: () => void started++, stop: () => undefined }, time)
  beat.start(() => undefined)
  beat.stop()
  await time.advance(10_000)
  expect(started).toBe(0)
})

/** A store of one's own that is only read, which no configuration can tell. */
function moduleConfig(cwd: string, lines: readonly string[]): Readonly<Record<string, string>> {
  const capabilities =
    "{ kind: 'mine', writable: false, staging: 'none', cas: 'none', destroy: 'none', propagationMs: 0 }"
  const methods = ['read', 'describe', 'stage', 'promote', 'retire', 'destroy', 'annotate', 'check', 'close']
  const source = `export const openStore = () => ({ capabilities: ${capabilities}, ${methods.map((name) => `${name}: async () => undefined`).join(', ')} })\n`
  writeFileSync(join(cwd, 'mine.mjs'), source, { mode: 0o600 })
  writeFileSync(join(cwd, 'package.json'), '{}', { mode: 0o600 })
  const text = [`home: ${join(cwd, 'home')}`, ...lines].join('\n')
  writeFileSync(join(cwd, 'keyturn.yaml'), text, { mode: 0o600 })
  return {
    KEYTURN_CONFIG: join(cwd, 'keyturn.yaml'),
    KEYTURN_LISTEN: '127.0.0.1:0',
    OPENAI_ADMIN_KEY: ['sk', 'admin', 'x'.repeat(40)].join('-'),
  }
}

it('plans no turn for a store of one’s own that says it is only read', async () => {
  const cwd = folder()
  const env = moduleConfig(cwd, [
    'credentials:',
    '  openai:',
    '    store: { kind: module, path: mine.mjs }',
    "    issuer: { kind: openai, project: proj_a, serviceAccount: svc_acct_a, baseUrl: 'http://127.0.0.1:9/v1' }",
  ])
  const serving = await serve({ env, cwd })
  await serving.stop()
  const ledger = openSqliteLedger({ path: join(cwd, 'home', 'ledger.db') })
  onTestFinished(() => ledger.close())
  const state = await ledger.read('openai')
  expect(state).toMatchObject({ name: 'openai' })
  expect(state?.nextRotationAt).toBeUndefined()
})

it('refuses a mirror that turns out to be only read, by its name', async () => {
  const cwd = folder()
  const env = moduleConfig(cwd, [
    'credentials:',
    '  openai:',
    '    store: { kind: local }',
    '    mirrors: [{ store: { kind: module, path: mine.mjs } }]',
  ])
  await expect(serve({ env, cwd })).rejects.toMatchObject({
    code: 'config_invalid',
    message: 'The mirror module/openai of openai is a store that is only read.',
  })
})
