import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { openStore } from '../../src/stores/index.ts'
import { storeSuite } from '../conformance/store-suite.ts'
import { canary, failure } from '../conformance/store-suite-support.ts'
import { makeFolder } from './fakes/folder.ts'
import { testContext } from './fakes/system.ts'

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
  'env',
  async () => {
    const { path, remove } = await makeFolder()
    const context = testContext(path)
    const another = () => openStore({ kind: 'env' }, context)
    return {
      store: await another(),
      ref: 'OPENAI_API_KEY',
      absentRef: 'NOWHERE',
      another,
      place: (value) => writeFile(join(path, '.env'), `OTHER=1\nOPENAI_API_KEY="${value}"\n`),
      logged: () => context.lines.join('\n'),
      cleanUp: remove,
    }
  },
  { isWritable: false, skips: {} },
)

it('takes the environment before the .env file', async () => {
  const home = await makeHome()
  await writeFile(join(home, '.env'), 'OPENAI_API_KEY=from-file\n')
  const read = async (env: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const store = await openStore({ kind: 'env' }, testContext(home, env))
    return (await store.read('OPENAI_API_KEY'))?.secret.reveal()
  }
  expect(await read({ OPENAI_API_KEY: 'from-environment' })).toBe('from-environment')
  expect(await read({ OPENAI_API_KEY: '' })).toBe('from-file')
  expect(await read({})).toBe('from-file')
})

it('warns once where the environment and the .env file differ, and not because of the file alone', async () => {
  const home = await makeHome()
  const warningsWith = async (content: string | Uint8Array): Promise<readonly string[]> => {
    await writeFile(join(home, '.env'), content)
    const context = testContext(home, { OPENAI_API_KEY: canary })
    const store = await openStore({ kind: 'env' }, context)
    for (let round = 0; round < 2; round += 1)
      expect((await store.read('OPENAI_API_KEY'))?.secret.reveal()).toBe(canary)
    return context.warnings
  }
  expect(await warningsWith(`OPENAI_API_KEY=${canary}-newer\n`)).toEqual([
    expect.stringContaining('the environment counts'),
  ])
  expect(await warningsWith(`OPENAI_API_KEY='${canary}'\n`)).toEqual([])
  expect(await warningsWith(Buffer.from([0xff, 0xfe, 0x41]))).toEqual([])
})

it('takes a blank value for absence', async () => {
  const home = await makeHome()
  const store = await openStore({ kind: 'env' }, testContext(home, { OPENAI_API_KEY: ' \n' }))
  expect(await store.read('OPENAI_API_KEY')).toBeUndefined()
})

it('leaves out white space and warns once, with the name and without the value', async () => {
  const context = testContext(await makeHome(), { OPENAI_API_KEY: ` ${canary}\n` })
  const store = await openStore({ kind: 'env' }, context)
  for (let round = 0; round < 2; round += 1)
    expect((await store.read('OPENAI_API_KEY'))?.secret.reveal()).toBe(canary)
  expect(context.warnings).toEqual([expect.stringContaining('OPENAI_API_KEY')])
  expect(context.lines.join()).not.toContain(canary)
})

it('reads another variable where one is configured, from another file', async () => {
  const home = await makeHome()
  await writeFile(join(home, 'prod.env'), '\uFEFFMY_KEY=mine\n')
  const config = { kind: 'env', variable: 'MY_KEY', envFile: 'prod.env' } as const
  const store = await openStore(config, testContext(home))
  expect((await store.read('openai'))?.secret.reveal()).toBe('mine')
})

it('reads what shells and people write into a .env file', async () => {
  const home = await makeHome()
  const store = await openStore({ kind: 'env' }, testContext(home))
  const ways = [
    `export OPENAI_API_KEY=${canary}`,
    `OPENAI_API_KEY = '${canary}' # of the search team`,
    `  OPENAI_API_KEY="${canary}"\r`,
    `# OPENAI_API_KEY=former\nOPENAI_API_KEY=${canary}`,
  ]
  for (const way of ways) {
    await writeFile(join(home, '.env'), `\uFEFF${way}\nOTHER=1\n`)
    expect((await store.read('OPENAI_API_KEY'))?.secret.reveal(), way).toBe(canary)
  }
})

it('says once which lines set the same variable, and takes the last one', async () => {
  const home = await makeHome()
  const context = testContext(home)
  await writeFile(join(home, '.env'), `A=1\nOPENAI_API_KEY=old\nexport OPENAI_API_KEY=${canary}\n`)
  const store = await openStore({ kind: 'env' }, context)
  for (let round = 0; round < 2; round += 1)
    expect((await store.read('OPENAI_API_KEY'))?.secret.reveal()).toBe(canary)
  expect(context.warnings).toEqual([expect.stringContaining('OPENAI_API_KEY in lines 2, 3')])
  expect(context.lines.join()).not.toContain(canary)
})

it('names a variable that is there and looks like the one that is not, and never an admin key', async () => {
  const home = await makeHome()
  const env = {
    OPENAI_KEY: canary,
    OPENAI_ADMIN_KEY: canary,
    OPENAI_API_KEYS: '',
    AZURE_OPENAI_API_KEY: canary,
  }
  const context = testContext(home, env)
  await writeFile(join(home, '.env'), `openai_api_key=${canary}\nPATH_TO=1\n`)
  const store = await openStore({ kind: 'env' }, context)
  for (let round = 0; round < 2; round += 1) expect(await store.read('OPENAI_API_KEY')).toBeUndefined()
  expect(context.warnings).toEqual([
    expect.stringMatching(/^OPENAI_API_KEY is not set, but openai_api_key and OPENAI_KEY is:/),
  ])
  expect(await store.read('NOWHERE')).toBeUndefined()
  expect(context.warnings).toHaveLength(1)
  expect(context.lines.join()).not.toContain(canary)
})

it('refuses a ref that cannot name a variable', async () => {
  const store = await openStore({ kind: 'env' }, testContext(await makeHome()))
  expect((await failure(store.read('openai-prod'))).code).toBe('config_invalid')
})

it('tells its watchers when the .env file changed', async () => {
  const home = await makeHome()
  await writeFile(join(home, '.env'), 'OPENAI_API_KEY=one\n')
  const store = await openStore({ kind: 'env' }, testContext(home))
  cleanUps.push(() => store.close())
  const changed = new Promise<void>((resolve) => void store.watch?.('OPENAI_API_KEY', resolve))
  await writeFile(join(home, '.env'), 'OPENAI_API_KEY=another\n')
  await changed
  expect((await store.read('OPENAI_API_KEY'))?.secret.reveal()).toBe('another')
})
