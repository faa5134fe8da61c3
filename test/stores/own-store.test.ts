import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SecretStore } from '../../src/core/ports.ts'
import { openStore } from '../../src/stores/index.ts'
import { raceSuite } from '../conformance/race-suite.ts'
import { storeSuite } from '../conformance/store-suite.ts'
import { establish, failure, type StoreHarness, stageNew } from '../conformance/store-suite-support.ts'
import { type ConsulFake, startConsulFake } from './fakes/consul-fake.ts'
import { testContext } from './fakes/system.ts'

const root = join(import.meta.dirname, '..', '..')
const linesMax = 60
let folder = ''
let module = ''

/** The code of docs/own-store.md, which finds `keyturn/store` in the sources beside this test. */
async function codeOfPage(): Promise<string> {
  const page = await readFile(join(root, 'docs', 'own-store.md'), 'utf8')
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)
  expect(blocks).toHaveLength(1)
  return blocks[0] ?? ''
}

beforeAll(async () => {
  // Inside the repository, so that the test runner loads it into the same world as the sources.
  const parent = join(root, '.vitest')
  await mkdir(parent, { recursive: true })
  folder = await mkdtemp(join(parent, 'own-store-'))
  module = join(folder, 'consul-store.ts')
  const code = await codeOfPage()
  await writeFile(module, code.replaceAll("'keyturn/store'", "'../../src/store.ts'"), { mode: 0o644 })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface ConsulHarness extends StoreHarness {
  readonly fake: ConsulFake
}

async function consulHarness(): Promise<ConsulHarness> {
  const fake = await startConsulFake()
  const context = testContext('.', { CONSUL_HTTP_TOKEN: fake.token })
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openStore(
      { kind: 'module', path: module, options: { address: fake.address } },
      context,
    )
    opened.push(store)
    return store
  }
  return {
    fake,
    store: await another(),
    ref: 'team/openai',
    absentRef: 'nowhere',
    another,
    logged: () => context.lines.join('\n'),
    async cleanUp() {
      for (const store of opened) await store.close()
      await fake.close()
    },
  }
}

storeSuite('own (of docs/own-store.md)', consulHarness, { isWritable: true, skips: {} })
raceSuite('own (of docs/own-store.md)', consulHarness)

it(`the code of the page has at most ${linesMax} lines, and types that hold`, async () => {
  expect((await codeOfPage()).trimEnd().split('\n').length).toBeLessThanOrEqual(linesMax)
  const config = join(folder, 'tsconfig.json')
  await writeFile(config, JSON.stringify({ extends: '../../tsconfig.json', include: ['consul-store.ts'] }))
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = await promisify(execFile)(process.execPath, [compiler, '-p', config], { cwd: root })
  expect(stdout).toBe('')
})

it('the store of the page goes on when answers are lost, and tells a refusal from a lost race', async () => {
  const harness = await consulHarness()
  const { store, ref, fake } = harness
  const first = await establish(store, ref)
  const second = await stageNew(store, ref)
  for (const kind of ['broken', 503] as const) fake.fault(kind, { on: (line) => line.includes('/txn') })
  const request = { to: second.version, expectCurrent: first.version, fence: 1 }
  // What was lost may have been what made it current.
  expect(['promoted', 'already']).toContain((await store.promote(ref, request)).kind)
  expect((await store.read(ref))?.secret.equals(second.secret)).toBe(true)
  fake.denied.add(ref)
  const denied = await failure(
    store.promote(ref, { to: first.version, expectCurrent: second.version, fence: 1 }),
  )
  expect(denied.code).toBe('store_denied')
  expect(denied.fix).toContain('key_prefix "team/openai"')
  fake.fault(404, { times: 9 })
  expect((await failure(store.read('nowhere'))).code).toBe('store_unreachable')
  await harness.cleanUp()
})

async function refusalOf(text: string, options: { readonly mode?: number; readonly name?: string } = {}) {
  const path = join(folder, options.name ?? 'refused.mjs')
  await writeFile(path, text)
  await chmod(path, options.mode ?? 0o644)
  return failure(openStore({ kind: 'module', path }, testContext('.')))
}

it('says what is wrong with a module, and what to do', async () => {
  const missing = await failure(
    openStore({ kind: 'module', path: join(folder, 'none.ts') }, testContext('.')),
  )
  expect(missing).toMatchObject({ code: 'config_missing' })
  expect(await refusalOf('export const other = 1', { name: 'a.mjs' })).toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('exports no function openStore'),
  })
  expect(await refusalOf('export const openStore = () => ({ read() {} })', { name: 'b.mjs' })).toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/lacks describe, .*capabilities/),
  })
  expect(await refusalOf("import 'a-package-that-is-not-there'", { name: 'c.mjs' })).toMatchObject({
    code: 'config_invalid',
    fix: expect.stringContaining('npm install keyturn'),
  })
})

it('runs nothing that others may change', async () => {
  const marked = 'globalThis.keyturnRanIt = true; export const openStore = () => undefined'
  for (const mode of [0o664, 0o646, 0o666])
    expect(await refusalOf(marked, { mode, name: `lax-${mode}.mjs` })).toMatchObject({
      code: 'permissions_lax',
      fix: expect.stringContaining('chmod go-w'),
    })
  const lax = await mkdtemp(join(folder, 'lax-'))
  await writeFile(join(lax, 'store.mjs'), marked, { mode: 0o644 })
  await chmod(lax, 0o777)
  // Also where a link in a good place leads there.
  await symlink(join(lax, 'store.mjs'), join(folder, 'linked.mjs'))
  for (const path of [join(lax, 'store.mjs'), join(folder, 'linked.mjs')])
    expect((await failure(openStore({ kind: 'module', path }, testContext('.')))).code).toBe(
      'permissions_lax',
    )
  expect('keyturnRanIt' in globalThis).toBe(false)
})

it('runs no module that would bring another copy of keyturn', async () => {
  const home = await mkdtemp(join(folder, 'other-'))
  const copy = join(home, 'node_modules', 'keyturn')
  await mkdir(copy, { recursive: true })
  // A package of its own: inside this one, `keyturn` is this one.
  await writeFile(join(home, 'package.json'), '{}')
  await writeFile(join(copy, 'package.json'), '{ "name": "keyturn", "exports": { "./store": "./store.js" } }')
  await writeFile(join(copy, 'store.js'), '')
  await writeFile(join(home, 'store.mjs'), 'export const openStore = () => undefined', { mode: 0o644 })
  const refused = await failure(
    openStore({ kind: 'module', path: join(home, 'store.mjs') }, testContext('.')),
  )
  expect(refused).toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('another copy of keyturn'),
  })
})
