import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoreKind, storeKinds } from '../../src/stores/index.ts'
import { sourceFiles } from '../tidy-source.ts'
import { makeFolder } from './fakes/folder.ts'

const root = join(import.meta.dirname, '..', '..')

interface Manifest {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

const read = (path: string): Manifest => JSON.parse(readFileSync(path, 'utf8')) as Manifest
const installed = (name: string): Manifest => read(join(root, 'node_modules', name, 'package.json'))
const own = read(join(root, 'package.json'))
const peers = Object.keys(own.peerDependencies ?? {})

/** Whose code may load which SDK: the driver's files by how their names begin, and the kind that is configured. */
const drivers: Readonly<Record<string, { readonly files: RegExp; readonly kind: StoreKind }>> = {
  '@aws-sdk/client-secrets-manager': { files: /^stores\/aws-/, kind: 'aws-secrets-manager' },
  '@azure/identity': { files: /^stores\/azure-/, kind: 'azure-key-vault' },
  '@azure/keyvault-secrets': { files: /^stores\/azure-/, kind: 'azure-key-vault' },
  '@google-cloud/secret-manager': { files: /^stores\/google-/, kind: 'google-secret-manager' },
}

describe('the SDKs of the clouds', () => {
  it('are the peers that there are, all of them optional', () => {
    expect([...peers].sort()).toEqual(Object.keys(drivers).sort())
    expect(own.peerDependenciesMeta).toEqual(
      Object.fromEntries(peers.map((name) => [name, { optional: true }])),
    )
    const installed = Object.keys(own.dependencies ?? {})
    expect(
      installed.filter((name) => name in drivers || /^@(?:aws-sdk|azure|google-cloud)\//.test(name)),
    ).toEqual([])
  })

  it.each(peers)('%s is there, in a version that the peer range allows, and can be loaded', async (name) => {
    const range = own.peerDependencies?.[name] ?? ''
    const tested = own.devDependencies?.[name] ?? ''
    expect(isWithin(tested.replace(/^\^/, ''), range), `${tested} within ${range}`).toBe(true)
    expect(isWithin(installed(name).version, tested), `${installed(name).version} within ${tested}`).toBe(
      true,
    )
    const loaded = (await import(name)) as object
    expect(Object.keys(loaded)).toContain(clientOf[name])
  })

  it.each(peers)('%s is imported by its driver alone, and only when that is opened', (name) => {
    const uses = sourceFiles('src').flatMap(({ path, imports }) =>
      imports.filter(({ target }) => target === name).map(({ kind }) => ({ path, kind })),
    )
    expect(uses.filter(({ path }) => drivers[name]?.files.test(path) !== true)).toEqual([])
    expect(uses.filter(({ kind }) => kind === 'static')).toEqual([])
    expect(uses.filter(({ kind }) => kind === 'dynamic')).toHaveLength(1)
  })
})

/** What the driver makes of each. */
const clientOf: Readonly<Record<string, string>> = {
  '@aws-sdk/client-secrets-manager': 'SecretsManagerClient',
  '@azure/identity': 'DefaultAzureCredential',
  '@azure/keyvault-secrets': 'SecretClient',
  '@google-cloud/secret-manager': 'SecretManagerServiceClient',
}

/** Of ranges with a caret, which is all that package.json has for these. */
function isWithin(version: string, range: string): boolean {
  const least = /^\^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(range)
  const found = /^(\d+)\.(\d+)\.(\d+)$/.exec(version)
  if (least === null || found === null) return false
  const [major, ...rest] = [1, 2, 3].map((part) => Number(least[part] ?? 0))
  const [foundMajor, ...foundRest] = [1, 2, 3].map((part) => Number(found[part]))
  if (major !== foundMajor) return false
  const difference = rest.map((part, index) => (foundRest[index] ?? 0) - part).find((each) => each !== 0)
  return (difference ?? 0) >= 0
}

// ------------------------------------------------------------------ what a process loads

/** A package and all that it asks for, whether it is loaded or not. */
function closure(names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>()
  const walk = (name: string, from: string): void => {
    let folder = from
    while (!existsSync(join(folder, 'node_modules', name, 'package.json'))) {
      if (folder === root) return
      folder = join(folder, '..')
    }
    const place = join(folder, 'node_modules', name)
    if (found.has(name) && folder === root) return
    found.add(name)
    for (const dependency of Object.keys(read(join(place, 'package.json')).dependencies ?? {}))
      walk(dependency, place)
  }
  for (const name of names) walk(name, root)
  return found
}

/**
 * A process of its own that runs the whole service on a configuration for a while, in which the store is opened and
 * asked for its key. Nobody listens at port 1, so that nothing leaves this machine.
 */
async function packagesServed(home: string, store: unknown): Promise<readonly string[]> {
  const issuer = { kind: 'manual', baseUrl: 'http://127.0.0.1:1/v1' }
  const config = {
    home,
    listen: '127.0.0.1:0',
    log: { level: 'error' },
    // That file is an age file too.
    lastKnownGood: { enabled: false },
    credentials: { openai: { store, issuer } },
  }
  await writeFile(join(home, 'keyturn.yaml'), JSON.stringify(config))
  const main = pathToFileURL(join(root, 'src', 'main.ts')).href
  const env = {
    OPENAI_API_KEY: 'no-key-of-anybody',
    KEYTURN_CONFIG: join(home, 'keyturn.yaml'),
    AWS_ACCESS_KEY_ID: 'none',
    AWS_SECRET_ACCESS_KEY: 'none',
    AZURE_AUTHORITY_HOST: 'https://127.0.0.1:1',
    AZURE_TENANT_ID: 'none',
    AZURE_CLIENT_ID: 'none',
    AZURE_CLIENT_SECRET: 'none',
    VAULT_TOKEN: 'none',
  }
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = new Set()
    registerHooks({ load(url, context, next) {
      const name = /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]
      if (name !== undefined) loaded.add(name)
      return next(url, context)
    } })
    const { serve } = await import(${JSON.stringify(main)})
    const serving = await serve({ env: ${JSON.stringify(env)}, cwd: ${JSON.stringify(home)} })
    await serving.readyWithin(400)
    await serving.stop()
    console.log(JSON.stringify([...loaded]))
    process.exit(0)
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '', HOME: home, NODE_NO_WARNINGS: '1' },
  })
  return JSON.parse(stdout) as readonly string[]
}

const nobody = 'http://127.0.0.1:1'
const cloud = { attempts: 1, requestTimeout: '200ms' }
const kubeconfig = 'kubeconfig.json'

const configured: Readonly<Record<StoreKind, readonly Readonly<Record<string, unknown>>[]>> = {
  local: [{}],
  memory: [{}],
  env: [{}],
  file: [{}],
  'aws-secrets-manager': [{ ...cloud, region: 'eu-central-1', endpoint: nobody }],
  'google-secret-manager': [
    { ...cloud, project: 'none', endpoint: nobody, transport: 'rest' },
    { ...cloud, project: 'none', endpoint: nobody, transport: 'grpc' },
  ],
  'azure-key-vault': [{ ...cloud, vault: 'https://127.0.0.1:1' }],
  vault: [{ ...cloud, address: nobody }],
  kubernetes: [{ ...cloud, kubeconfig }],
  module: [{ path: 'own.mjs' }],
}

describe('a service with one store', () => {
  let home: Awaited<ReturnType<typeof makeFolder>>
  beforeAll(async () => {
    home = await makeFolder()
    await chmod(home.path, 0o700)
    const one = [{ name: 'a', context: { cluster: 'a', user: 'a' }, cluster: { server: nobody }, user: {} }]
    const config = { 'current-context': 'a', contexts: one, clusters: one, users: one }
    await writeFile(join(home.path, kubeconfig), JSON.stringify(config))
    const memory = pathToFileURL(join(root, 'src', 'stores', 'memory.ts')).href
    const code = `import { openMemoryStore } from ${JSON.stringify(memory)}
export const openStore = (options, context) => openMemoryStore({}, context)`
    await writeFile(join(home.path, 'own.mjs'), code, { mode: 0o644 })
    await writeFile(join(home.path, 'package.json'), '{}')
  })
  afterAll(() => home.remove())

  const cases = storeKinds.flatMap((kind) =>
    configured[kind].map((options) => ({
      kind,
      options,
      title: options['transport'] === 'grpc' ? `${kind} over gRPC` : kind,
    })),
  )

  it.each(cases)('loads the SDK of $title and no other', async ({ kind, options }) => {
    const needed = peers.filter((name) => drivers[name]?.kind === kind)
    const allowed = closure([...Object.keys(own.dependencies ?? {}), ...needed])
    const loaded = await packagesServed(home.path, { kind, ...options })
    expect(needed.filter((name) => !loaded.includes(name))).toEqual([])
    expect(loaded.filter((name) => !allowed.has(name))).toEqual([])
    // The age package is a tenth of a second: it is for the store that keeps age files.
    expect(loaded.includes('age-encryption')).toBe(kind === 'local')
  })
})
