import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import type { Cancel, System } from '../../src/core/ports.ts'
import { openStore } from '../../src/stores/index.ts'
import { pollMs, watchPath } from '../../src/stores/watch-path.ts'
import { storeSuite } from '../conformance/store-suite.ts'
import { canary, failure } from '../conformance/store-suite-support.ts'
import { makeFolder } from './fakes/folder.ts'
import { testContext, testSystem } from './fakes/system.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function makeHome(): Promise<string> {
  const { path, remove } = await makeFolder()
  cleanUps.push(remove)
  return path
}

storeSuite(
  'file',
  async () => {
    const { path, remove } = await makeFolder()
    const context = testContext(path)
    const another = () => openStore({ kind: 'file' }, context)
    return {
      store: await another(),
      ref: 'api-key',
      absentRef: 'nowhere',
      another,
      place: (value) => writeFile(join(path, 'api-key'), value),
      logged: () => context.lines.join('\n'),
      cleanUp: remove,
    }
  },
  { isWritable: false, skips: {} },
)

/** As the kubelet lays a secret out: the file is a link through `..data`, which is swapped as a whole. */
async function mountLikeKubernetes(home: string, value: string, turn: number): Promise<void> {
  const data = `..turn_${turn}`
  await mkdir(join(home, data))
  await writeFile(join(home, data, 'api-key'), value)
  await symlink(data, join(home, '..data_tmp'))
  await rename(join(home, '..data_tmp'), join(home, '..data'))
  if (turn === 0) await symlink('..data/api-key', join(home, 'api-key'))
  else await rm(join(home, `..turn_${turn - 1}`), { recursive: true })
}

it('follows a swap of links and tells its watchers', async () => {
  const home = await makeHome()
  await mountLikeKubernetes(home, 'one', 0)
  const store = await openStore({ kind: 'file', path: home }, testContext('/nowhere'))
  cleanUps.push(() => store.close())
  expect((await store.read('api-key'))?.secret.reveal()).toBe('one')
  let isTold = false
  store.watch?.('api-key', () => {
    isTold = true
  })
  let turn = 0
  // What it looks for changes in is seen a moment after it was asked to watch: a first change may come before that.
  const swap = async (): Promise<boolean> => {
    await mountLikeKubernetes(home, `value-${(turn += 1)}`, turn)
    return isTold
  }
  await expect.poll(swap, { interval: 200 }).toBe(true)
  expect((await store.read('api-key'))?.secret.reveal()).toBe(`value-${turn}`)
})

it('sees by polling what no event tells', async () => {
  const [home, elsewhere] = [await makeHome(), await makeHome()]
  await writeFile(join(elsewhere, 'key'), 'one')
  await symlink(join(elsewhere, 'key'), join(home, 'key'))
  const polls: (() => void)[] = []
  const system: System = {
    ...testSystem,
    after(delayMs, callback): Cancel {
      if (delayMs === pollMs) polls.push(callback)
      return () => undefined
    },
  }
  let changes = 0
  const changed = new Promise<void>((resolve) => {
    const cancel = watchPath(
      join(home, 'key'),
      () => {
        changes += 1
        resolve()
      },
      system,
    )
    cleanUps.push(async () => cancel())
  })
  polls.shift()?.()
  await expect.poll(() => polls.length).toBe(1)
  expect(changes).toBe(0)
  await writeFile(join(elsewhere, 'key'), 'another')
  polls.shift()?.()
  await changed
})

it('reads one field of a JSON document and quotes nothing of one that is malformed', async () => {
  const home = await makeHome()
  const path = join(home, 'secret.json')
  const store = await openStore({ kind: 'file', field: 'api_key' }, testContext(home))
  await writeFile(path, JSON.stringify({ other: 1, api_key: `${canary}-é` }))
  expect((await store.read('secret.json'))?.secret.reveal()).toBe(`${canary}-é`)
  const bads = [
    `{"api_key": "${canary}`,
    `"${canary}"`,
    `{"other":"${canary}"}`,
    '{"api_key": 7}',
    '{"api_key":" "}',
    '[]',
  ]
  for (const bad of bads) {
    await writeFile(path, bad)
    const error = await failure(store.read('secret.json'))
    expect([error.code, error.message.includes(path)]).toEqual(['store_malformed', true])
  }
})

it('tolerates a byte order mark', async () => {
  const home = await makeHome()
  await writeFile(join(home, 'key'), `\uFEFF${canary}\n`)
  const store = await openStore({ kind: 'file' }, testContext(home))
  expect((await store.read('key'))?.secret.reveal()).toBe(canary)
})

it('keeps absent, blank, binary, too large, no file and denied apart', async () => {
  const home = await makeHome()
  const store = await openStore({ kind: 'file' }, testContext(home))
  const codeOf = async (content: string | Uint8Array): Promise<string> => {
    await writeFile(join(home, 'key'), content)
    return (await failure(store.read('key'))).code
  }
  expect(await store.read('key')).toBeUndefined()
  expect(await codeOf('\n')).toBe('store_malformed')
  expect(await codeOf(Buffer.from([0xff, 0xfe, 0x00]))).toBe('store_malformed')
  expect(await codeOf('x'.repeat(65_537))).toBe('store_too_large')
  await mkdir(join(home, 'folder'))
  expect((await failure(store.read('folder'))).code).toBe('store_malformed')
  // Root may read everything, so the refusal shows only without it.
  if (process.getuid?.() === 0) return
  await chmod(join(home, 'key'), 0)
  expect((await failure(store.read('key'))).code).toBe('store_denied')
})
