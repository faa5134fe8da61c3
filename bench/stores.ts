import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { pathToFileURL } from 'node:url'
import type { Bench, Figure } from './lib/figure.ts'
import { closing, end, environment, firstSaid, repository, temporaryFolder } from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const rounds = 9
const fromDist = (file: string): string => JSON.stringify(pathToFileURL(join(repository, 'dist', file)).href)

/**
 * A process that opens one store and asks it for a key once, as plain JavaScript, since what strips types would stay in
 * memory. Nobody listens at port 1: the first call of an SDK is paid for, and nothing leaves this machine. With the compile
 * cache, which the command line uses too.
 */
const child = `
const { enableCompileCache, flushCompileCache } = await import('node:module')
enableCompileCache(process.env.BENCH_CACHE)
const config = JSON.parse(process.env.BENCH_STORE)
const { createSystem } = config === null ? {} : await import(${fromDist('system.js')})
const startAt = performance.now()
let openedAt = startAt
if (config !== null) {
  const { openStore } = await import(${fromDist('stores/index.js')})
  const context = { system: createSystem(), log: () => {}, home: process.env.BENCH_HOME, env: process.env }
  const store = await openStore(config, context)
  openedAt = performance.now()
  await store.read(config.kind === 'env' ? 'BENCH_KEY' : 'openai').catch((error) => {
    if (error.code !== 'store_unreachable') throw error
  })
}
const askedAt = performance.now()
flushCompileCache()
for (let round = 0; round < 4; round += 1) gc()
const told = { openedMs: openedAt - startAt, askedMs: askedAt - startAt, rss: process.memoryUsage.rss() }
console.log(JSON.stringify(told))

`

interface Told {
  readonly openedMs: number
  readonly askedMs: number
  readonly rss: number
}

const nobody = 'http://127.0.0.1:1'
const cloud = { maxAttempts: 1, requestTimeoutMs: 2_000 }
const google = { kind: 'google-secret-manager', ...cloud, project: 'none', endpoint: nobody }

const storesIn = (folder: string): readonly { readonly name: string; readonly config: object }[] => [
  { name: 'env', config: { kind: 'env' } },
  { name: 'file', config: { kind: 'file' } },
  { name: 'local', config: { kind: 'local' } },
  { name: 'vault', config: { kind: 'vault', ...cloud, address: nobody } },
  { name: 'kubernetes (a pod)', config: { kind: 'kubernetes', ...cloud, serviceAccountFolder: folder } },
  { name: 'kubernetes (kubeconfig)', config: { kind: 'kubernetes', ...cloud, kubeconfig: 'kubeconfig' } },
  {
    name: 'aws-secrets-manager',
    config: { kind: 'aws-secrets-manager', ...cloud, region: 'none', endpoint: nobody },
  },
  { name: 'google-secret-manager (rest)', config: { ...google, transport: 'rest' } },
  { name: 'google-secret-manager (grpc)', config: { ...google, transport: 'grpc' } },
  { name: 'azure-key-vault', config: { kind: 'azure-key-vault', ...cloud, vault: 'https://127.0.0.1:1' } },
]

/** What each store costs a process that opens it, over a process that does nothing. */
export const storesBench: Bench = {
  name: 'stores',
  seconds: 30,
  run: () =>
    closing(async (scope) => {
      const folder = await temporaryFolder(scope)
      await prepare(folder)
      const stores = storesIn(folder)
      const bare: Told[] = []
      const told = new Map<string, Told[]>(stores.map(({ name }) => [name, []]))
      // One round that does not count fills the caches of code and of the disk.
      for (let round = 0; round <= rounds; round += 1) {
        const nothing = await measure(folder, null)
        if (round > 0) bare.push(nothing)
        for (const { name, config } of stores) {
          const one = await measure(folder, config)
          if (round > 0) told.get(name)?.push(one)
        }
      }
      const rss = median(bare.map((one) => one.rss))
      return stores.flatMap(({ name }) => figures(name, told.get(name) ?? [], rss))
    }),
}

/** What a pod and a user have on their disks. */
async function prepare(folder: string): Promise<void> {
  const one = [{ name: 'a', context: { cluster: 'a', user: 'a' }, cluster: { server: nobody }, user: {} }]
  const kubeconfig = { 'current-context': 'a', contexts: one, clusters: one, users: one }
  await writeFile(join(folder, 'kubeconfig'), JSON.stringify(kubeconfig))
  for (const name of ['namespace', 'token']) await writeFile(join(folder, name), 'none')
  await writeFile(join(folder, 'ca.crt'), rootCertificates[0] ?? '')
}

async function measure(folder: string, config: object | null): Promise<Told> {
  const flags = ['--expose-gc', '--input-type=module', '--eval', child]
  const opened = spawn(process.execPath, flags, {
    env: environment({
      BENCH_STORE: JSON.stringify(config),
      BENCH_CACHE: join(folder, 'cache'),
      BENCH_HOME: folder,
      BENCH_KEY: 'none',
      AWS_ACCESS_KEY_ID: 'none',
      AWS_SECRET_ACCESS_KEY: 'none',
      AZURE_AUTHORITY_HOST: 'https://127.0.0.1:1',
      AZURE_TENANT_ID: 'none',
      AZURE_CLIENT_ID: 'none',
      AZURE_CLIENT_SECRET: 'none',
      VAULT_TOKEN: 'none',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: '1',
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    return await firstSaid<Told>(opened)
  } finally {
    await end(opened)
  }
}

function figures(name: string, told: readonly Told[], bareRss: number): readonly Figure[] {
  const bench = 'stores'
  const opened = median(told.map((one) => one.openedMs))
  const asked = median(told.map((one) => one.askedMs))
  const mb = median(told.map((one) => one.rss - bareRss)) / 1e6
  return [
    { bench, what: `${name}: opened`, value: opened, unit: 'ms', note: `asked once: ${asked.toFixed(0)} ms` },
    {
      bench,
      what: `${name}: memory`,
      value: mb,
      unit: 'MB',
      note: `over ${(bareRss / 1e6).toFixed(0)} MB of Node`,
    },
  ]
}
