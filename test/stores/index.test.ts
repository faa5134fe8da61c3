import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { openStore, storeKinds } from '../../src/stores/index.ts'
import { failure } from '../conformance/store-suite-support.ts'
import { makeFolder } from './fakes/folder.ts'
import { testContext } from './fakes/system.ts'

const root = join(import.meta.dirname, '..', '..')

/** The packages that a fresh process has loaded after it opened one store. */
async function packagesLoadedFor(
  config: string,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const index = pathToFileURL(join(root, 'src', 'stores', 'index.ts')).href
  const system = pathToFileURL(join(root, 'test', 'stores', 'fakes', 'system.ts')).href
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = new Set()
    registerHooks({ load(url, context, next) {
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]
      if (name !== undefined) loaded.add(name)
      return next(url, context)
    } })
    const { openStore } = await import(${JSON.stringify(index)})
    const { testContext } = await import(${JSON.stringify(system)})
    const store = await openStore(${config}, testContext('/nowhere', ${JSON.stringify(env)}))
    await store.close()
    console.log(JSON.stringify([...loaded]))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
  })
  return JSON.parse(stdout) as readonly string[]
}

it('says of every store that can be written and keeps what it is given, where one cannot be', async () => {
  const store = await openStore({ kind: 'env' }, testContext('.', { OPENAI_API_KEY: 'a-key' }))
  const retiring = store.retire('OPENAI_API_KEY', { version: 'any', fence: 1 })
  const { fix = '' } = await failure(retiring)
  const named = storeKinds.filter((kind) => fix.includes(kind))
  expect(named).toEqual(storeKinds.filter((kind) => !['memory', 'env', 'file', 'module'].includes(kind)))
})

it('loads no package for stores that need none', async () => {
  for (const kind of ['memory', 'env', 'file', 'vault'])
    expect(await packagesLoadedFor(`{ kind: '${kind}', address: 'http://127.0.0.1:1' }`), kind).toEqual([])
})

it('loads what reads YAML only for a kubeconfig', async () => {
  const folder = await makeFolder()
  const file = (name: string): string => join(folder.path, name)
  await writeFile(file('namespace'), 'apps')
  const pod = `{ kind: 'kubernetes', serviceAccountFolder: ${JSON.stringify(folder.path)} }`
  expect(await packagesLoadedFor(pod, { KUBERNETES_SERVICE_HOST: '127.0.0.1' })).toEqual([])
  const one = [
    { name: 'a', context: { cluster: 'a', user: 'a' }, cluster: { server: 'http://127.0.0.1:1' }, user: {} },
  ]
  await writeFile(
    file('config'),
    JSON.stringify({ 'current-context': 'a', contexts: one, clusters: one, users: one }),
  )
  expect(
    await packagesLoadedFor(`{ kind: 'kubernetes', kubeconfig: ${JSON.stringify(file('config'))} }`),
  ).toEqual(['yaml'])
  await folder.remove()
})

it("loads a store's own package for that store", async () => {
  const loaded = await packagesLoadedFor("{ kind: 'aws-secrets-manager', region: 'eu-central-1' }")
  expect(loaded).toContain('@aws-sdk/client-secrets-manager')
  expect(loaded).not.toContain('age-encryption')
})

it('knows the kinds that there are', () => {
  expect([...storeKinds].sort()).toEqual([
    'aws-secrets-manager',
    'azure-key-vault',
    'env',
    'file',
    'google-secret-manager',
    'kubernetes',
    'local',
    'memory',
    'module',
    'vault',
  ])
})
