import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { type KeyturnFactsOptions, keyturnFacts } from '../../src/main/doctor-keyturn.ts'
import { createSystem } from '../../src/system.ts'
import { start, summaryOf } from '../cli/samples.ts'

const key = ['sk', 'proj', randomBytes(40).toString('base64url')].join('-')

function project(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-doctor-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  return folder
}

function facts(folder: string, change: Partial<KeyturnFactsOptions> = {}) {
  return keyturnFacts({
    env: {},
    folder,
    isOffline: false,
    withPermissions: false,
    storeTimeoutMs: 20_000,
    askService: async () => undefined,
    system: createSystem(),
    log: () => undefined,
    ...change,
  })
}

const ofEnv = ['credentials:', '  openai:', '    store: { kind: env }', '    ref: APP_KEY', ''].join('\n')

it('a folder without a configuration and a service says nothing, also where a key is set', async () => {
  expect(await facts(project({}))).toBeUndefined()
  expect(await facts(project({}), { env: { OPENAI_API_KEY: key } })).toBeUndefined()
})

it('what is wrong with a configuration, with its line', async () => {
  const seen = await facts(project({ 'keyturn.yaml': ofEnv.replace('store', 'stor') }))
  expect(seen).toMatchObject({
    source: 'keyturn.yaml',
    problems: [{ line: 3, column: 5, fix: "Did you mean 'store'?" }],
    credentials: [],
  })
})

it('a configuration that is named and not there', async () => {
  const seen = await facts(project({}), { env: { KEYTURN_CONFIG: 'other.yaml' } })
  expect(seen).toMatchObject({
    source: 'other.yaml',
    problems: [{ fix: expect.stringContaining('keyturn init') }],
  })
})

it('reads stores of this machine also offline, and asks no other then', async () => {
  const text = `${ofEnv}  far:\n    store: { kind: vault, address: 'http://127.0.0.1:1', auth: { kind: token } }\n    ref: openai\n`
  const seen = await facts(project({ 'keyturn.yaml': text, '.env': `APP_KEY=${key}\n` }), { isOffline: true })
  expect(seen?.problems).toEqual([])
  const stored = seen?.credentials.map((one) => [one.name, one.stored.kind])
  expect(stored).toEqual([
    ['openai', 'found'],
    ['far', 'unread'],
  ])
})

it('tells apart that a store has nothing and that it failed', async () => {
  const folder = project({ 'keyturn.yaml': ofEnv })
  expect((await facts(folder))?.credentials[0]).toMatchObject({ ref: 'APP_KEY', stored: { kind: 'absent' } })
  const text =
    'credentials:\n  openai:\n    store: { kind: file, path: ., field: apiKey }\n    ref: key.txt\n'
  const broken = project({ 'keyturn.yaml': text, 'key.txt': '"not a key' })
  const stored = (await facts(broken))?.credentials[0]?.stored
  expect(stored).toMatchObject({
    kind: 'failed',
    error: { code: 'store_malformed' },
  })
})

it('does not make a local store by looking at it', async () => {
  const folder = project({ 'keyturn.yaml': 'credentials:\n  openai:\n    store: { kind: local }\n' })
  expect((await facts(folder))?.credentials[0]?.stored).toEqual({ kind: 'absent' })
  expect(readdirSync(folder)).toEqual(['keyturn.yaml'])
})

it('gives up on a store that takes a connection and never answers', async () => {
  const sockets = createServer(() => undefined)
  await new Promise<void>((resolve) => void sockets.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void sockets.close())
  const address = sockets.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const text = `credentials:\n  openai:\n    store: { kind: vault, address: 'http://127.0.0.1:${port}', auth: { kind: token } }\n    ref: openai\n`
  const env = { VAULT_TOKEN: 'x'.repeat(20) }
  const folder = project({ 'keyturn.yaml': text })
  const configPath = join(folder, 'keyturn.yaml')
  const seen = await facts(folder, { configPath, env, storeTimeoutMs: 50 })
  expect(seen?.credentials[0]?.stored).toMatchObject({ kind: 'failed', error: { code: 'store_unreachable' } })
})

it('knows how long a schedule leaves a key', async () => {
  const text = [
    'credentials:',
    '  openai:',
    '    store: { kind: local }',
    '    schedule: { cron: "0 3 1 1,4,7,10 *" }',
    '',
  ].join('\n')
  const system = { ...createSystem(), now: () => start }
  const seen = await facts(project({ 'keyturn.yaml': text }), { system })
  expect(seen?.problems).toEqual([])
  expect((seen?.credentials[0]?.rotatesEveryMs ?? 0) / 86_400_000).toBe(92)
})

it('puts beside each credential what the service says, and adds those that only it knows', async () => {
  const folder = project({ 'keyturn.yaml': ofEnv, '.env': `APP_KEY=${key}\n` })
  const credentials = [summaryOf('openai'), summaryOf('reports'), summaryOf('admin', { isInternal: true })]
  const askService = async () => ({ url: 'http://127.0.0.1:1', credentials })
  const seen = await facts(folder, { askService })
  expect(seen?.credentials.map((one) => [one.name, one.stored.kind, one.status?.name])).toEqual([
    ['openai', 'found', 'openai'],
    ['reports', 'unread', 'reports'],
  ])
  const problem = new KeyturnError('service_unreachable', 'nobody')
  const away = await facts(project({}), { askService: async () => ({ url: 'u', credentials: [], problem }) })
  expect(away).toMatchObject({ source: 'the service at u', credentials: [], service: { url: 'u', problem } })
})

describe('a configuration that lies in the folder of a stranger', () => {
  it('opens no store that would be told a token or run code, unless the user names the file', async () => {
    let connections = 0
    const sockets = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => void sockets.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void sockets.close())
    const at = sockets.address()
    const port = typeof at === 'object' && at !== null ? at.port : 0
    const folder = project({
      'keyturn.yaml': [
        'credentials:',
        '  code:',
        '    store: { kind: module, path: ./store.mjs }',
        '    ref: a',
        '  far:',
        `    store: { kind: vault, address: 'http://127.0.0.1:${port}', auth: { kind: token } }`,
        '    ref: b',
        '',
      ].join('\n'),
      'store.mjs':
        "import { writeFileSync } from 'node:fs'\nwriteFileSync(new URL('ran', import.meta.url), '')\n",
    })
    const env = { VAULT_TOKEN: 'a-token' }
    const seen = await facts(folder, { env })
    expect(seen?.problems).toEqual([])
    expect(seen?.credentials.map(({ stored }) => stored.kind)).toEqual(['unread', 'unread'])
    expect([seen?.isNamed, connections, readdirSync(folder).includes('ran')]).toEqual([false, 0, false])
    const named = await facts(folder, { env, configPath: join(folder, 'keyturn.yaml') })
    expect([named?.isNamed, connections > 0]).toEqual([true, true])
  })

  it.each([
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a link to what never ends', (path: string) => symlinkSync('/dev/zero', path)],
    ['a folder', (path: string) => mkdirSync(path)],
    ['longer than any', (path: string) => writeFileSync(path, '#'.repeat(2_000_000))],
  ])('is not waited for where it is %s', async (_name, make) => {
    const folder = project({})
    make(join(folder, 'keyturn.yaml'))
    expect((await facts(folder))?.problems).toMatchObject([
      { message: 'the file is there and cannot be read' },
    ])
  })
})
