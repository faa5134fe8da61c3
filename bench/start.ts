import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  cpuMsOf,
  end,
  environment,
  firstSaid,
  repository,
  type Scope,
  spawnService,
  temporaryFolder,
} from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const rounds = 11
/** Plain JavaScript: to strip types from a file would take longer than the server itself. */
const bareServer = `const server = require('node:http').createServer((_, response) => response.end('{}'))
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))`
const child = (file: string): string => join(repository, 'bench', 'children', file)
/** Packages of the clouds, and of their SDKs' plumbing. */
const cloudPackage =
  /node_modules\/(@aws-sdk|@smithy|@google-cloud|google-auth-library|gaxios|@azure|@grpc)\//

/**
 * From the start of the process to the first answer with a verified key: on a machine that has never run it (all is
 * made: identity, ledger, tokens, a first key minted and proven), and again on the home that is then there.
 */
export const start: Bench = {
  name: 'start',
  seconds: 20,
  run: () =>
    closing(async (scope) => {
      const home = join(await temporaryFolder(scope), 'home')
      const times = { first: [], again: [], bare: [], empty: [] } as Record<Kind, Started[]>
      // One round that does not count fills the caches of code and of the disk.
      for (let round = 0; round <= rounds; round += 1) {
        await rm(home, { recursive: true, force: true })
        const measured: Record<Kind, Started> = {
          first: await timeToKey(home),
          again: await timeToKey(home),
          bare: await timeToBareAnswer(),
          empty: await timeToEmptyEnd(),
        }
        if (round > 0) for (const kind of kinds) times[kind].push(measured[kind])
      }
      return figures(times, await modulesLoaded(scope))
    }),
}

const kinds = ['first', 'again', 'bare', 'empty'] as const
type Kind = (typeof kinds)[number]

interface Started {
  readonly ms: number
  /** Work done by the processor until then, where the system tells; NaN elsewhere. */
  readonly cpuMs: number
}

async function timeToKey(home: string): Promise<Started> {
  const startAt = performance.now()
  const service = spawnService({ home, nodeFlags: [] })
  try {
    // The greeting comes with the first verified key; the token is there by then.
    const greeting = await firstSaid<{ readonly url: string }>(service)
    const token = (await readFile(join(home, 'app.token'), 'utf8')).trim()
    const status = await statusOf(new URL('/v1/credentials/openai', greeting.url), token)
    if (status !== 200) throw new Error(`the first hand-out was answered ${status}`)
    return { ms: performance.now() - startAt, cpuMs: cpuMsOf(service) }
  } finally {
    await end(service)
  }
}

async function timeToBareAnswer(): Promise<Started> {
  const startAt = performance.now()
  const server = spawn(process.execPath, ['--eval', bareServer], {
    env: environment({}),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const { port } = await firstSaid<{ readonly port: number }>(server)
    await statusOf(new URL(`http://127.0.0.1:${port}/`), '')
    return { ms: performance.now() - startAt, cpuMs: cpuMsOf(server) }
  } finally {
    await end(server)
  }
}

async function timeToEmptyEnd(): Promise<Started> {
  const startAt = performance.now()
  const empty = spawn(process.execPath, ['--eval', '0'], { env: environment({}), stdio: 'ignore' })
  await once(empty, 'exit')
  return { ms: performance.now() - startAt, cpuMs: Number.NaN }
}

function statusOf(url: URL, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    const asking = request(url, { headers, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    asking.on('error', reject)
    asking.end()
  })
}

interface Loaded {
  readonly atMs: number
  readonly url: string
}

/** Which modules a start loads until it is ready, and when. */
async function modulesLoaded(scope: Scope): Promise<readonly Loaded[]> {
  const folder = await temporaryFolder(scope)
  const list = join(folder, 'loaded.json')
  const service = spawnService({
    home: join(folder, 'home'),
    nodeFlags: ['--import', pathToFileURL(child('loaded.ts')).href],
    env: { BENCH_LOADED: list },
  })
  await firstSaid(service)
  await end(service)
  return JSON.parse(await readFile(list, 'utf8')) as Loaded[]
}

function figures(times: Record<Kind, Started[]>, loaded: readonly Loaded[]): readonly Figure[] {
  const bench = 'start'
  const ms = (kind: Kind): number => median(times[kind].map((one) => one.ms))
  const cpu = (kind: Kind): number => median(times[kind].map((one) => one.cpuMs))
  const budget = { is: 'at most', value: 400 } as const
  const goal = { is: 'at most', value: 300 } as const
  const beside = `bare node:http ${ms('bare').toFixed(0)} ms, empty process ${ms('empty').toFixed(0)} ms`
  const clouds = loaded.filter(({ url }) => cloudPackage.test(url)).length
  const none = { is: 'exactly', value: 0 } as const
  return [
    {
      bench,
      what: 'first start to a verified key',
      value: ms('first'),
      unit: 'ms',
      budget,
      goal,
      note: `${cpu('first').toFixed(0)} ms of processor; ${beside}`,
    },
    {
      bench,
      what: 'second start to a verified key',
      value: ms('again'),
      unit: 'ms',
      budget,
      goal,
      note: `${cpu('again').toFixed(0)} ms of processor`,
    },
    {
      bench,
      what: 'first start against bare node:http',
      value: median(times.first.map((one, round) => one.ms / (times.bare[round]?.ms ?? Number.NaN))),
      unit: 'x',
    },
    {
      bench,
      what: 'cloud modules loaded',
      value: clouds,
      unit: '',
      budget: none,
      goal: none,
      note: breakdown(loaded),
    },
  ]
}

/** How many modules come from where, the largest groups first. */
function breakdown(loaded: readonly Loaded[]): string {
  const counts = new Map<string, number>()
  for (const { url } of loaded) {
    const group = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? /\/dist\/([^/]+)/.exec(url)?.[1]
    if (group !== undefined && url.startsWith('file:')) counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  const groups = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 8)
  return `${loaded.length} modules: ${groups.map(([group, count]) => `${group} ${count}`).join(', ')}`
}
