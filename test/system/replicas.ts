import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'pg'
import { onTestFinished } from 'vitest'
import { createClient } from '../../src/client/create-client.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { type Knobs, type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { freePort } from '../free-port.ts'
import { createDatabase } from '../postgres/database.ts'
import { type DroppingProxy, startDroppingProxy } from '../postgres/dropping-proxy.ts'
import type { PostgresAddress } from '../postgres/server.ts'
import { breath, fastPolicy, type Rig, until, untilReady } from './harness.ts'
import { parseLine } from './lines.ts'
import { type ServiceProcess, spawnService } from './process.ts'

/** Several services with homes of their own, one PostgreSQL, one store, one OpenAI. */
export interface Fleet {
  readonly sandbox: Sandbox
  readonly replicas: readonly Replica[]
  /** What the ledger says now, asked past the replicas. */
  row(): Promise<{ readonly state: CredentialState; readonly owner: string | null }>
}

export interface Replica {
  readonly rig: Rig
  /** Between it and the database. */
  readonly proxy: DroppingProxy
  service: ServiceProcess
  /** The names under which its starts have claimed. */
  owners(): readonly string[]
}

export async function startFleet(
  address: PostgresAddress,
  options: { readonly count: number; readonly knobs?: Partial<Knobs> },
): Promise<Fleet> {
  const sandbox = await startSandbox(options.knobs === undefined ? {} : { knobs: options.knobs })
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-fleet-'))
  const database = await createDatabase(address)
  onTestFinished(async () => {
    await database.drop()
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const replicas: Replica[] = []
  for (let index = 0; index < options.count; index += 1) {
    const proxy = await startDroppingProxy(address.port)
    onTestFinished(() => proxy.close())
    const { user, password } = address
    const url = `postgres://${user}:${password}@127.0.0.1:${proxy.port}/${database.name}`
    replicas.push(await layReplica({ sandbox, folder, index, url, proxy }))
  }
  // The first leaves a token of its operator, which is good at all of them.
  for (const part of [replicas.slice(0, 1), replicas.slice(1)])
    await Promise.all(
      part.map(async (replica) => {
        replica.service = await spawnService(replica.rig)
        await untilReady(replica.rig)
      }),
    )
  const pool = new Pool({ ...address, database: database.name, max: 1, allowExitOnIdle: true })
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  return {
    sandbox,
    replicas,
    async row() {
      const { rows } = await pool.query<{ state: string; claim_owner: string | null }>(
        'SELECT state, claim_owner FROM keyturn.credentials',
      )
      const [only] = rows
      if (only === undefined) throw new Error('the ledger knows no credential')
      return { state: JSON.parse(only.state) as CredentialState, owner: only.claim_owner }
    },
  }
}

async function layReplica(parts: {
  readonly sandbox: Sandbox
  readonly folder: string
  readonly index: number
  readonly url: string
  readonly proxy: DroppingProxy
}): Promise<Replica> {
  const { sandbox, folder, index, url, proxy } = parts
  const home = join(folder, `home-${index}`)
  mkdirSync(home, { mode: 0o700 })
  const port = await freePort()
  writeFileSync(join(home, 'keyturn.yaml'), yamlOf(sandbox, join(folder, 'secrets')), { mode: 0o600 })
  const env = {
    KEYTURN_HOME: home,
    KEYTURN_CONFIG: join(home, 'keyturn.yaml'),
    KEYTURN_LISTEN: `127.0.0.1:${port}`,
    OPENAI_ADMIN_KEY: sandbox.adminKey(),
    LEDGER_URL: url,
    SESSION_KEY: 'of all replicas '.repeat(3),
    PATH: process.env['PATH'] ?? '',
  }
  const logs: string[] = []
  const token = (): string => readFileSync(join(folder, 'home-0', 'operator.token'), 'utf8').trim()
  return {
    rig: {
      sandbox,
      home,
      url: `http://127.0.0.1:${port}`,
      env,
      logs,
      appToken: token,
      operatorToken: token,
    },
    proxy,
    service: notStarted,
    owners: () => logs.map((text) => parseLine(text)?.['claimsAs']).filter((one) => typeof one === 'string'),
  }
}

const notStarted: ServiceProcess = {
  pid: 0,
  onLine: () => () => undefined,
  kill: () => Promise.resolve(),
  isRunning: () => false,
}

function yamlOf(sandbox: Sandbox, secrets: string): string {
  return [
    'log: { level: debug, format: json }',
    'audit: { wait: 30s }',
    'ledger: { kind: postgres, url: { env: LEDGER_URL } }',
    'dashboard: { sessionKey: { env: SESSION_KEY } }',
    'credentials:',
    '  openai:',
    `    store: { kind: local, folder: "${secrets}" }`,
    `    issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 5s }`,
    `    expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
    '    policy:',
    ...Object.entries({ ...fastPolicy, overlap: '3s', phaseDeadline: '10m' }).map(
      ([name, value]) => `      ${name}: ${value}`,
    ),
    '',
  ].join('\n')
}

/** Who works on the credential now. */
export async function holderIn(fleet: Fleet): Promise<Replica | undefined> {
  const { owner } = await fleet.row()
  return owner === null ? undefined : fleet.replicas.find((one) => one.owners().includes(owner))
}

/** An app per replica, which does nothing but use its key, until the test ends. */
export interface Apps {
  /** Calls that OpenAI did not answer with 200, and keys that could not be had. */
  readonly failures: readonly string[]
  readonly calls: number
  /** When each app first had a key, by version; the apps in the order of the replicas. */
  readonly firstSeenAt: readonly ReadonlyMap<string, number>[]
}

/** `callEvery`: of so many looks at the key one is followed by a call, so that calls do not take the time that is measured. */
export function startApps(fleet: Fleet, callEvery = 1): Apps {
  const failures: string[] = []
  let calls = 0
  let isOver = false
  const firstSeenAt = fleet.replicas.map(() => new Map<string, number>())
  const live = async ({ rig }: Replica, index: number): Promise<void> => {
    const client = createClient({ url: rig.url, token: rig.appToken(), env: {}, onError: () => undefined })
    let looks = 0
    while (!isOver) {
      try {
        const { apiKey, version } = await client.getOpenAICredential()
        const seen = firstSeenAt[index]
        if (seen?.has(version) === false) seen.set(version, Date.now())
        looks += 1
        if (looks % callEvery !== 0) {
          await breath()
          continue
        }
        const answer = await fetch(`${fleet.sandbox.baseUrl}/models`, {
          headers: { authorization: `Bearer ${apiKey}` },
        })
        await answer.arrayBuffer()
        calls += 1
        if (answer.status !== 200) failures.push(`app ${index}: ${answer.status} with ${version}`)
      } catch (thrown) {
        failures.push(`app ${index}: ${String(thrown)}`)
      }
      await breath()
    }
    client.close()
  }
  const lives = fleet.replicas.map(live)
  onTestFinished(async () => {
    isOver = true
    await Promise.all(lives)
  })
  return {
    failures,
    firstSeenAt,
    get calls() {
      return calls
    },
  }
}

/** Every app has the version; those of replicas that are gone as well, where they have heard of it before. */
export function untilSeen(
  apps: Apps,
  version: string,
  who: readonly number[],
  withinMs?: number,
): Promise<unknown> {
  return until(
    'every app has the new key',
    () => who.filter((index) => apps.firstSeenAt[index]?.has(version) !== true),
    (missing) => missing.length === 0,
    withinMs,
  )
}
