import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { join } from 'node:path'
import { collected, collectOnSignal, type Usage } from './lib/collected.ts'
import type { Bench, Figure } from './lib/figure.ts'
import { oneKeyConfiguration } from './lib/one-key.ts'
import {
  type Child,
  closing,
  cpuMsOf,
  type RunningService,
  type Scope,
  startChild,
  startConfigured,
  temporaryFolder,
  until,
} from './lib/processes.ts'

const streamsCount = 10_000
const reconnecting = 5_000
const withinMs = 60_000

/** Ten thousand open event streams: what they hold, how fast half of them come back, and when the last one is told. */
export const streams: Bench = {
  name: 'streams',
  seconds: 20,
  run: () =>
    closing(async (scope) => {
      if (process.platform !== 'linux') return []
      const openai = await upstream(scope)
      const folder = await temporaryFolder(scope)
      const told = join(folder, 'memory.json')
      const service = await startConfigured(scope, {
        home: join(folder, 'home'),
        config: await oneKeyConfiguration(folder, openai.port),
        nodeFlags: ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(collectOnSignal)}`],
        env: { BENCH_MEMORY: told },
      })
      await until('the key is handed out', () => isHandedOut(service), withinMs)
      const child = startChild(scope, 'listeners.ts')
      // What the first streams load and warm up is not theirs alone.
      await open(child, service, 200)
      const before = await collected(service.child, told)
      await open(child, service, streamsCount - 200)
      const after = await collected(service.child, told)
      await child.ask({ kind: 'drop', count: reconnecting }, withinMs)
      await until('the streams are gone', async () => (await streamsOf(service)) <= reconnecting, withinMs)
      const calls = openai.calls()
      const cpu = cpuMsOf(service.child)
      const back = await open(child, service, reconnecting, 1)
      const backCpuMs = cpuMsOf(service.child) - cpu
      const callsMeanwhile = openai.calls() - calls
      await child.ask({ kind: 'drop', count: streamsCount - reconnecting }, withinMs)
      await until(
        'half of the streams are gone',
        async () => (await streamsOf(service)) <= reconnecting,
        withinMs,
      )
      const lastMs = await tellAll(child, service, openai)
      return figures({ before, after, backMs: back, backCpuMs, callsMeanwhile, lastMs })
    }),
}

function figures(seen: {
  readonly before: Usage
  readonly after: Usage
  readonly backMs: number
  readonly backCpuMs: number
  readonly callsMeanwhile: number
  readonly lastMs: number
}): readonly Figure[] {
  const bench = 'streams'
  const { before, after } = seen
  const added = streamsCount - 200
  const share = streamsCount / added
  const held = ({ rss, heap, used }: Usage): number => rss - (heap - used)
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
  return [
    {
      bench,
      what: '10,000 idle event streams',
      value: ((held(after) - held(before)) * share) / 1e6,
      unit: 'MB',
      goal: { is: 'at most', value: 160 },
      note: 'resident after a collection, less what V8 keeps free',
    },
    {
      bench,
      what: 'the same as the system counts it',
      value: ((after.rss - before.rss) * share) / 1e6,
      unit: 'MB',
      goal: { is: 'at most', value: 160 },
      note: `${mb(before.rss)} MB before, ${mb(after.rss)} MB after`,
    },
    {
      bench,
      what: '5,000 streams come back and are greeted',
      value: seen.backMs,
      unit: 'ms',
      goal: { is: 'at most', value: 1_000 },
      note: '256 connecting at once, replay included, by one client process on the same machine',
    },
    {
      bench,
      what: 'the same, time of the service’s processor',
      value: seen.backCpuMs,
      unit: 'ms',
      note: 'what a machine that does much else still tells',
    },
    {
      bench,
      what: 'calls of OpenAI meanwhile',
      value: seen.callsMeanwhile,
      unit: '',
      budget: { is: 'exactly', value: 0 },
      goal: { is: 'exactly', value: 0 },
    },
    {
      bench,
      what: 'the last of 5,000 streams is told of an event',
      value: seen.lastMs,
      unit: 'ms',
      goal: { is: 'at most', value: 80 },
      note: 'from the instant of the event, which is taken before it is written to disk',
    },
  ]
}

interface Upstream {
  readonly port: number
  calls(): number
  /** Answers as for a key that has no credit left, or as for a good one. */
  exhaust(isExhausted: boolean): void
}

async function upstream(scope: Scope): Promise<Upstream> {
  let count = 0
  let isExhausted = false
  const server = createServer((_request, response) => {
    count += 1
    const body = isExhausted
      ? {
          error: {
            message: 'You exceeded your current quota.',
            type: 'insufficient_quota',
            param: null,
            code: 'insufficient_quota',
          },
        }
      : { object: 'list', data: [] }
    response.writeHead(isExhausted ? 429 : 200, {
      'content-type': 'application/json',
      'x-request-id': `req_${count}`,
      'openai-organization': 'org-bench',
      'openai-version': '2020-10-01',
      'openai-processing-ms': '3',
    })
    response.end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.add(() => void server.close())
  scope.add(() => server.closeAllConnections())
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    calls: () => count,
    exhaust: (is) => void (isExhausted = is),
  }
}

async function open(
  child: Child,
  service: RunningService,
  count: number,
  lastEventId?: number,
): Promise<number> {
  const replay = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`
  const request =
    `GET /v1/credentials/openai/events HTTP/1.1\r\nHost: ${service.url.host}\r\n` +
    `Authorization: Bearer ${service.operatorToken}\r\nAccept: text/event-stream\r\n${replay}\r\n`
  const { hostname: host, port } = service.url
  const { ms } = await child.ask({ kind: 'open', host, port: Number(port), request, count }, withinMs)
  return Number(ms)
}

async function tellAll(child: Child, service: RunningService, openai: Upstream): Promise<number> {
  await child.ask({ kind: 'told', event: 'verdict' }, withinMs)
  const heard = once(child.process, 'message', { signal: AbortSignal.timeout(withinMs) })
  openai.exhaust(true)
  await ask(service, 'POST', '/v1/credentials/openai/verifications')
  const [{ lastAt }] = (await heard) as [{ readonly lastAt: number }]
  const events = await eventAt(service)
  return lastAt - events
}

/** When the verdict that changed was drawn. */
async function eventAt(service: RunningService): Promise<number> {
  const text = await ask(service, 'GET', '/v1/credentials/openai/versions')
  const [, at] = /"checkedAt":"([^"]+)"/.exec(text) ?? []
  return Date.parse(at ?? '')
}

async function isHandedOut(service: RunningService): Promise<boolean> {
  return (await ask(service, 'GET', '/v1/credentials/openai')).includes('apiKey')
}

async function streamsOf(service: RunningService): Promise<number> {
  const text = await ask(service, 'GET', '/metrics')
  return Number(/^keyturn\w*streams\w* (\d+)$/m.exec(text)?.[1] ?? Number.NaN)
}

function ask(service: RunningService, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${service.operatorToken}`, 'content-type': 'application/json' }
    const asking = get(new URL(path, service.url), { headers, method }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    asking.on('error', reject)
  })
}
