import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../test/free-port.ts'
import type { Bench, Figure } from './lib/figure.ts'
import { oneKeyConfiguration } from './lib/one-key.ts'
import {
  type Child,
  closing,
  cpuMsOf,
  end,
  environment,
  firstSaid,
  type RunningService,
  repository,
  type Scope,
  startChild,
  startConfigured,
  temporaryFolder,
  until,
} from './lib/processes.ts'
import { median, quantile } from './lib/statistics.ts'

const connections = 32
const roundMs = 1_000
const warmUps = 2
const pairs = 8
const hangUps = 40
const withinMs = 30_000
const nginxPath = '/usr/sbin/nginx'
const body = JSON.stringify({ model: 'gpt-6-luna', messages: [{ role: 'user', content: 'Say something.' }] })

/** What `keyturn proxy` adds to a call, and how many it passes on beside nginx, which looks at nothing and knows no token. */
export const proxy: Bench = {
  name: 'proxy',
  seconds: 60,
  run: () =>
    closing(async (scope) => {
      const upstream = startChild(scope, 'upstream.ts')
      const [{ port: upstreamPort }] = (await once(upstream.process, 'message')) as [{ port: number }]
      const folder = await temporaryFolder(scope)
      const service = await startConfigured(scope, {
        home: join(folder, 'home'),
        config: await oneKeyConfiguration(folder, upstreamPort),
      })
      const token = service.operatorToken
      const keyturn = await startProxy(scope, service, upstreamPort)
      await until(
        'the proxy passes requests on',
        async () => (await statusOf(keyturn.port, token)) === 200,
        withinMs,
      )
      const nginx = await startNginx(scope, folder, upstreamPort)
      const load = startChild(scope, 'load.ts')
      const measure = measurer(load, token)
      const direct = { port: upstreamPort, process: upstream.process }
      const alone = await alternate([direct, keyturn], (server) => measure(server, 1))
      const busy = await alternate(nginx === undefined ? [keyturn] : [nginx, keyturn], (server) =>
        measure(server, connections),
      )
      return [
        ...latency(alone),
        ...throughput(busy, nginx !== undefined),
        await hangUp(upstream, keyturn.port, token),
      ]
    }),
}

interface Server {
  readonly port: number
  readonly process: ChildProcess
}

interface Round {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the server for one request. */
  readonly cpuUs: number
}

function measurer(load: Child, token: string) {
  return async ({ port, process }: Server, count: number): Promise<Round> => {
    const cpuMs = cpuMsOf(process)
    const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n`
    const sent = `${head}Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: OpenAI/JS\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const order = { to: { host: '127.0.0.1', port }, request: sent, connections: count, ms: roundMs }
    const { perSecond, p50Ms, p99Ms } = await load.ask(order, roundMs + withinMs)
    const requests = Number(perSecond) * (roundMs / 1_000)
    return {
      perSecond: Number(perSecond),
      p50Ms: Number(p50Ms),
      p99Ms: Number(p99Ms),
      cpuUs: ((cpuMsOf(process) - cpuMs) * 1_000) / requests,
    }
  }
}

/** Rounds in turns, the order changing, so that a machine that slows down is unfair to all alike. */
async function alternate(
  servers: readonly Server[],
  measure: (server: Server) => Promise<Round>,
): Promise<readonly (readonly Round[])[]> {
  const results: Round[][] = []
  for (let pair = -warmUps; pair < pairs; pair += 1) {
    const rounds: Round[] = []
    const order = servers.map((server, index) => ({ server, index }))
    for (const { server, index } of pair % 2 === 0 ? order : order.toReversed())
      rounds[index] = await measure(server)
    if (pair >= 0) results.push(rounds)
  }
  return results
}

function latency(pairsOf: readonly (readonly Round[])[]): readonly Figure[] {
  const added = (of: 'p50Ms' | 'p99Ms'): number =>
    median(pairsOf.map(([direct, keyturn]) => (keyturn?.[of] ?? Number.NaN) - (direct?.[of] ?? Number.NaN)))
  const shown = (of: 'p50Ms' | 'p99Ms', index: number): string =>
    median(pairsOf.map((pair) => pair[index]?.[of] ?? Number.NaN)).toFixed(2)
  const figure = (of: 'p50Ms' | 'p99Ms', what: string, goal: number): Figure => ({
    bench: 'proxy',
    what,
    value: added(of),
    unit: 'ms',
    goal: { is: 'at most', value: goal },
    note: `${shown(of, 1)} ms against ${shown(of, 0)} ms, one connection, median of ${pairsOf.length} pairs`,
  })
  return [
    figure('p50Ms', 'added to a direct call, median', 0.2),
    figure('p99Ms', 'added to a direct call, p99', 3),
  ]
}

function throughput(rounds: readonly (readonly Round[])[], hasNginx: boolean): readonly Figure[] {
  const bench = 'proxy'
  const of = (index: number, field: keyof Round): number =>
    median(rounds.map((round) => round[index]?.[field] ?? Number.NaN))
  if (!hasNginx) {
    const note = 'nginx is not installed here, so there is nothing to compare with'
    return [{ bench, what: 'requests/s', value: of(0, 'perSecond'), unit: '/s', note }]
  }
  const ratio = (field: 'perSecond' | 'cpuUs'): number =>
    median(
      rounds.map(([nginx, keyturn]) => {
        const [one, other] = [nginx?.[field] ?? Number.NaN, keyturn?.[field] ?? Number.NaN]
        return field === 'cpuUs' ? one / other : other / one
      }),
    )
  return [
    {
      bench,
      what: 'requests/s against nginx proxy_pass',
      value: ratio('perSecond'),
      unit: 'x',
      budget: { is: 'at least', value: 0.25 },
      goal: { is: 'at least', value: 0.28 },
      note: `${of(1, 'perSecond').toFixed(0)}/s against ${of(0, 'perSecond').toFixed(0)}/s, ${connections} connections, median of ${rounds.length} pairs`,
    },
    {
      bench,
      what: 'requests per second of processor against nginx',
      value: ratio('cpuUs'),
      unit: 'x',
      note: `${of(1, 'cpuUs').toFixed(1)} us against ${of(0, 'cpuUs').toFixed(1)} us each; holds on a busy machine too`,
    },
  ]
}

/** From the moment that a caller ends its connection until the upstream sees its own end. */
async function hangUp(upstream: Child, port: number, token: string): Promise<Figure> {
  const times: number[] = []
  for (let count = 0; count < hangUps; count += 1) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.write(
      `POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`,
    )
    await once(socket, 'data')
    const closed = once(upstream.process, 'message', { signal: AbortSignal.timeout(withinMs) })
    const at = performance.timeOrigin + performance.now()
    socket.destroy()
    const [{ closedAt }] = (await closed) as [{ closedAt: number }]
    times.push(closedAt - at)
  }
  return {
    bench: 'proxy',
    what: 'a caller hangs up until the upstream is let go of',
    value: Math.max(...times),
    unit: 'ms',
    goal: { is: 'at most', value: 50 },
    note: `the slowest of ${hangUps}; median ${quantile(times, 0.5).toFixed(2)} ms`,
  }
}

async function startProxy(scope: Scope, service: RunningService, upstreamPort: number): Promise<Server> {
  const upstream = `http://127.0.0.1:${upstreamPort}/v1`
  const bin = join(repository, 'bin', 'keyturn.js')
  const child = spawn(
    process.execPath,
    [bin, 'proxy', '--listen', '127.0.0.1:0', '--upstream', upstream, '--json'],
    {
      env: environment({ KEYTURN_URL: service.url.href }),
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  scope.add(() => end(child))
  const { url } = await firstSaid<{ readonly url: string }>(child)
  return { port: Number(new URL(url).port), process: child }
}

/** One worker, connections kept on both sides, nothing written to disk: as quick as it can be set up. */
async function startNginx(scope: Scope, folder: string, upstreamPort: number): Promise<Server | undefined> {
  if (!existsSync(nginxPath)) return undefined
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  await writeFile(
    config,
    `worker_processes 1; master_process off; daemon off;
pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'nginx.log')};
events { worker_connections 4096; }
http {
  access_log off; ${paths.join(' ')}
  upstream openai { server 127.0.0.1:${upstreamPort}; keepalive 256; }
  server {
    listen 127.0.0.1:${port}; keepalive_requests 100000000;
    location / {
      proxy_pass http://openai; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer none";
    }
  }
}
`,
  )
  const child = spawn(nginxPath, ['-c', config, '-e', join(folder, 'nginx.log')], { stdio: 'ignore' })
  scope.add(() => end(child))
  await until('nginx answers', async () => (await statusOf(port, 'none')) === 200, withinMs)
  return { port, process: child }
}

function statusOf(port: number, token: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` }
    request({ port, host: '127.0.0.1', path: '/v1/models', headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', () => resolve(undefined))
      .end()
  })
}
