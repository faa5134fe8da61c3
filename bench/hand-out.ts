import type { ChildProcess } from 'node:child_process'
import { get, type IncomingMessage } from 'node:http'
import type { Bench, Figure } from './lib/figure.ts'
import {
  type Child,
  closing,
  cpuMsOf,
  type RunningService,
  type Scope,
  startChild,
  startService,
  temporaryFolder,
} from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const connections = 32
const roundMs = 1_000
const warmUpRounds = 2
const pairs = 14
const path = '/v1/credentials/openai'

/**
 * Requests per second with authentication on, against node:http answering the same bytes to everybody. Without rows of reads,
 * whose price is a figure of its own.
 */
export const handOut: Bench = {
  name: 'hand-out',
  seconds: 34,
  run: () =>
    closing(async (scope) => {
      const service = await startService(scope, {
        home: await temporaryFolder(scope),
        env: { KEYTURN_SANDBOX_AUDIT_READS: 'off' },
      })
      const bare = await startBare(scope, service)
      const load = startChild(scope, 'load.ts')
      const rounds = await alternate(load, {
        keyturn: { port: Number(service.url.port), process: service.child },
        bare,
        token: service.appToken,
      })
      return figures(rounds)
    }),
}

interface Round {
  readonly perSecond: number
  readonly p99Ms: number
  /** Processor time of the server for one request. */
  readonly cpuUs: number
}

export interface Server {
  readonly port: number
  readonly process: ChildProcess
}

async function alternate(
  load: Child,
  to: { readonly keyturn: Server; readonly bare: Server; readonly token: string },
): Promise<readonly { readonly keyturn: Round; readonly bare: Round }[]> {
  const measure = async ({ port, process }: Server): Promise<Round> => {
    const cpuMsBefore = cpuMsOf(process)
    const order = {
      to: { host: '127.0.0.1', port },
      request: requestTo(`127.0.0.1:${port}`, to.token),
      connections,
      ms: roundMs,
    }
    const { perSecond, p99Ms } = await load.ask(order, roundMs + 10_000)
    const cpuMs = cpuMsOf(process) - cpuMsBefore
    const requests = Number(perSecond) * (roundMs / 1_000)
    return { perSecond: Number(perSecond), p99Ms: Number(p99Ms), cpuUs: (cpuMs * 1_000) / requests }
  }
  for (let round = 0; round < warmUpRounds; round += 1) {
    await measure(to.bare)
    await measure(to.keyturn)
  }
  const results: { keyturn: Round; bare: Round }[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    // Whoever goes first in one pair goes second in the next: a machine that slows down is unfair to both alike.
    if (pair % 2 === 0) results.push({ bare: await measure(to.bare), keyturn: await measure(to.keyturn) })
    else results.push({ keyturn: await measure(to.keyturn), bare: await measure(to.bare) })
  }
  return results
}

/** What an app asks, as bytes made once. */
export function requestTo(host: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nAccept: application/json\r\n\r\n`
}

export async function startBare(scope: Scope, service: RunningService): Promise<Server> {
  const answer = JSON.stringify(await answerOf(service))
  const child = startChild(scope, 'bare-server.ts', { env: { BENCH_ANSWER: answer } })
  return await new Promise((resolve, reject) => {
    child.process.once('message', ({ port }: { port: number }) => resolve({ port, process: child.process }))
    child.process.once('exit', () => reject(new Error('the bare server ended')))
  })
}

/** Headers that node:http adds by itself are left to it. */
const automatic = ['date', 'connection', 'keep-alive']

function answerOf(service: RunningService): Promise<{ headers: readonly string[]; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${service.appToken}` }
    get(new URL(path, service.url), { headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ headers: ownHeaders(response), body }))
    }).on('error', reject)
  })
}

function ownHeaders({ rawHeaders }: IncomingMessage): readonly string[] {
  return rawHeaders.filter((_, index) => {
    const name = rawHeaders[index - (index % 2)] ?? ''
    return !automatic.includes(name.toLowerCase())
  })
}

function figures(rounds: readonly { readonly keyturn: Round; readonly bare: Round }[]): readonly Figure[] {
  const bench = 'hand-out'
  const keyturn = median(rounds.map((round) => round.keyturn.perSecond))
  const bare = median(rounds.map((round) => round.bare.perSecond))
  const p99 = (of: 'keyturn' | 'bare'): string => median(rounds.map((round) => round[of].p99Ms)).toFixed(2)
  const cpuUs = (of: 'keyturn' | 'bare'): string => median(rounds.map((round) => round[of].cpuUs)).toFixed(1)
  return [
    {
      bench,
      what: 'requests/s against bare node:http',
      value: median(rounds.map((round) => round.keyturn.perSecond / round.bare.perSecond)),
      unit: 'x',
      budget: { is: 'at least', value: 0.85 },
      goal: { is: 'at least', value: 0.9 },
      note: `${keyturn.toFixed(0)}/s against ${bare.toFixed(0)}/s, ${connections} connections, median of ${rounds.length} pairs`,
    },
    {
      bench,
      what: 'requests per second of processor against bare node:http',
      value: median(rounds.map((round) => round.bare.cpuUs / round.keyturn.cpuUs)),
      unit: 'x',
      note: `${cpuUs('keyturn')} us against ${cpuUs('bare')} us each; holds on a busy machine too`,
    },
    {
      bench,
      what: 'p99 against bare node:http',
      value: median(rounds.map((round) => round.keyturn.p99Ms / round.bare.p99Ms)),
      unit: 'x',
      goal: { is: 'at most', value: 1.3 },
      note: `${p99('keyturn')} ms against ${p99('bare')} ms`,
    },
  ]
}
