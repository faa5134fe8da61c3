import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { storeKinds } from '../../src/stores/index.ts'

const root = join(import.meta.dirname, '..', '..')

/** The packages that a fresh process has loaded after it opened one store. */
async function packagesLoadedFor(config: string): Promise<readonly string[]> {
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
    const store = await openStore(${config}, testContext('/nowhere'))
    await store.close()
    console.log(JSON.stringify([...loaded]))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
  })
  return JSON.parse(stdout) as readonly string[]
}

it('loads no package for stores that need none', async () => {
  for (const kind of ['memory', 'env', 'file', 'vault'])
    expect(await packagesLoadedFor(`{ kind: '${kind}', address: 'http://127.0.0.1:1' }`), kind).toEqual([])
})

it("loads a store's own package for that store", async () => {
  const loaded = await packagesLoadedFor("{ kind: 'aws-secrets-manager', region: 'eu-central-1' }")
  expect(loaded).toContain('@aws-sdk/client-secrets-manager')
  expect(loaded).not.toContain('age-encryption')
})

it('knows the kinds that there are', () => {
  expect([...storeKinds].sort()).toEqual(['aws-secrets-manager', 'env', 'file', 'local', 'memory', 'vault'])
})
