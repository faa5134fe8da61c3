import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore } from '../../src/stores/index.ts'
import { makeFolder } from '../stores/fakes/folder.ts'
import { testContext } from '../stores/fakes/system.ts'

/** A store as a user has it: what stands in keyturn.yaml and in the environment, and what others see of the store. */
export interface StorePlace {
  readonly env: Readonly<Record<string, string>>
  /** The store in keyturn.yaml. */
  readonly yaml: string
  readonly ref: string
  /** What opens the store to Keyturn; none of it may show anywhere. */
  readonly secrets: readonly string[]
  /** Somebody puts a key there, as people do it. */
  put?(apiKey: string): Promise<void> | void
  /** What somebody gets who reads this store without Keyturn. */
  read(): Promise<string | undefined> | string | undefined
  /** All that such a reader could ever have got, as far as the store keeps that. */
  history?(): readonly string[]
  /** What else is in the secret, and belongs to others. */
  others?(): unknown
  readonly outages: readonly Outage[]
  end(): Promise<void>
}

export interface Outage {
  /** The code that `keyturn status` is to have. */
  readonly code: string
  /** What its sentences are to name: where the trouble is. */
  readonly says: RegExp
  begin(): Promise<void> | void
  end(): Promise<void> | void
}

export type OpenPlace = () => Promise<StorePlace>

export const always = 1_000_000

export async function localPlace(): Promise<StorePlace> {
  const { path, remove } = await makeFolder()
  const folder = join(path, 'secrets')
  // The user's other programs open the files with the identity that is beside them.
  const store = await openStore({ kind: 'local', folder }, testContext(path))
  return {
    env: {},
    yaml: `{ kind: local, folder: '${folder}' }`,
    ref: 'openai',
    secrets: [],
    read: async () => (await store.read('openai'))?.secret.reveal(),
    outages: [
      {
        code: 'store_absent',
        says: /openai/,
        begin: () => rename(folder, join(path, 'elsewhere')),
        end: () => rename(join(path, 'elsewhere'), folder),
      },
    ],
    async end() {
      await store.close()
      await remove()
    },
  }
}

export async function memoryPlace(): Promise<StorePlace> {
  return {
    env: {},
    yaml: '{ kind: memory }',
    ref: 'openai',
    secrets: [],
    read: () => undefined,
    outages: [],
    end: async () => undefined,
  }
}

export async function envPlace(): Promise<StorePlace> {
  const { path, remove } = await makeFolder()
  const file = join(path, '.env')
  return {
    env: {},
    yaml: `{ kind: env, envFile: '${file}' }`,
    ref: 'OPENAI_API_KEY',
    secrets: [],
    put: (apiKey) => writeFile(file, `OTHER=1\nOPENAI_API_KEY=${apiKey}\n`, { mode: 0o600 }),
    read: async () => /OPENAI_API_KEY=(.*)/.exec(await readFile(file, 'utf8'))?.[1],
    outages: [
      {
        code: 'store_absent',
        says: /openai/,
        begin: () => rename(file, `${file}.away`),
        end: () => rename(`${file}.away`, file),
      },
    ],
    end: remove,
  }
}

export async function filePlace(): Promise<StorePlace> {
  const { path, remove } = await makeFolder()
  const file = join(path, 'api-key')
  return {
    env: {},
    yaml: `{ kind: file, path: '${path}' }`,
    ref: 'api-key',
    secrets: [],
    // As kubelets and editors do it: a new file takes the place of the old one.
    async put(apiKey) {
      await writeFile(`${file}.new`, `${apiKey}\n`, { mode: 0o600 })
      await rename(`${file}.new`, file)
    },
    read: async () => (await readFile(file, 'utf8')).trim(),
    outages: [
      {
        code: 'store_absent',
        says: /openai/,
        begin: () => rename(file, `${file}.away`),
        end: () => rename(`${file}.away`, file),
      },
      {
        code: 'store_malformed',
        says: /api-key/,
        begin: () => writeFile(file, '\n'),
        end: () => undefined,
      },
    ],
    end: remove,
  }
}

/** The store of docs/own-store.md, as somebody types it off the page. */
export async function modulePlace(): Promise<StorePlace> {
  const { startConsulFake } = await import('../stores/fakes/consul-fake.ts')
  const fake = await startConsulFake()
  const root = join(import.meta.dirname, '..', '..')
  await mkdir(join(root, '.vitest'), { recursive: true })
  const folder = await mkdtemp(join(root, '.vitest', 'store-place-'))
  const page = await readFile(join(root, 'docs', 'own-store.md'), 'utf8')
  const [, code = ''] = /^```ts\n(.*?)^```$/ms.exec(page) ?? []
  const module = join(folder, 'consul-store.ts')
  // The service runs from its sources here, and errors of the built package would be strangers to it.
  await writeFile(module, code.replaceAll("'keyturn/store'", "'../../src/store.ts'"), { mode: 0o644 })
  return {
    env: { CONSUL_HTTP_TOKEN: fake.token },
    yaml: `{ kind: module, path: '${module}', options: { address: '${fake.address}' } }`,
    ref: 'team/openai',
    secrets: [fake.token],
    read: () => fake.entries.get('team/openai')?.value.toString(),
    outages: [
      {
        code: 'store_unreachable',
        says: /Consul: 503 for team\/openai/,
        begin: () => fake.fault(503, { times: always }),
        end: () => fake.clear(),
      },
      {
        code: 'store_denied',
        says: /key_prefix "team\/openai"/,
        begin: () => fake.fault(403, { times: always }),
        end: () => fake.clear(),
      },
    ],
    async end() {
      await fake.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
