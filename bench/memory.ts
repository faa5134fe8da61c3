import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { collected, collectOnSignal, type Usage } from './lib/collected.ts'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  type RunningService,
  type Scope,
  startService,
  temporaryFolder,
  until,
} from './lib/processes.ts'

const streamsCount = 1_000
const openAtOnce = 50
/** By then all that a start leaves for later is loaded. */
const settleMs = 3_000

/** What the service keeps resident with nothing to do, and for each stream that waits. Linux only. */
export const memory: Bench = {
  name: 'memory',
  seconds: 10,
  run: () =>
    closing(async (scope) => {
      if (process.platform !== 'linux') return []
      const folder = await temporaryFolder(scope)
      const told = join(folder, 'memory.json')
      const service = await startService(scope, {
        home: join(folder, 'home'),
        nodeFlags: ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(collectOnSignal)}`],
        env: { BENCH_MEMORY: told },
      })
      await sleep(settleMs)
      const asIs = residentBytes(service)
      const none = await collected(service.child, told)
      await openStreams(scope, service, streamsCount)
      const one = await collected(service.child, told)
      await openStreams(scope, service, streamsCount)
      const two = await collected(service.child, told)
      return figures(asIs, { none, one, two })
    }),
}

function residentBytes(service: RunningService): number {
  const status = readFileSync(`/proc/${service.child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
}

async function openStreams(scope: Scope, service: RunningService, count: number): Promise<void> {
  const request = Buffer.from(
    `GET /v1/credentials/openai/events HTTP/1.1\r\nHost: ${service.url.host}\r\n` +
      `Authorization: Bearer ${service.appToken}\r\nAccept: text/event-stream\r\n\r\n`,
  )
  for (let opened = 0; opened < count; opened += openAtOnce) {
    const size = Math.min(openAtOnce, count - opened)
    let greeted = 0
    const sockets = Array.from({ length: size }, () => openStream(service, request, () => (greeted += 1)))
    scope.add(() => {
      for (const socket of sockets) socket.destroy()
    })
    await until('event streams are open', () => greeted === size, 10_000)
  }
}

function openStream(service: RunningService, request: Buffer, onHello: () => void): Socket {
  const socket = connect({ host: service.url.hostname, port: Number(service.url.port) })
  let text: string | undefined = ''
  socket.on('data', (chunk) => {
    if (text === undefined) return
    text += chunk.toString('latin1')
    if (!text.includes('event: hello')) return
    text = undefined
    onHello()
  })
  // Where one breaks, the wait for its greeting ends the run.
  socket.on('error', () => socket.destroy())
  socket.write(request)
  return socket
}

function figures(
  asIs: number,
  { none, one, two }: Readonly<Record<'none' | 'one' | 'two', Usage>>,
): readonly Figure[] {
  const bench = 'memory'
  // V8 takes memory in large steps and keeps what it freed; that room serves the next stream as well as any request.
  const held = ({ rss, heap, used }: Usage): number => rss - (heap - used)
  const each = (from: number, to: number): number => (to - from) / streamsCount / 1_024
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
  const bound = { is: 'at most', value: 16 } as const
  return [
    {
      bench,
      what: 'idle event stream, each of 1,000 beside 1,000 others',
      value: each(held(one), held(two)),
      unit: 'KiB',
      budget: bound,
      goal: bound,
      note: 'resident after a collection, less what V8 keeps free',
    },
    {
      bench,
      what: 'idle event stream, each of the first 1,000',
      value: each(held(none), held(one)),
      unit: 'KiB',
      goal: bound,
      note: 'with what the first streams load and warm up',
    },
    {
      bench,
      what: 'the same as the system counts it, each of 2,000',
      value: each(none.rss, two.rss) / 2,
      unit: 'KiB',
      goal: bound,
      note: `${mb(none.rss)} MB before, ${mb(two.rss)} MB after; V8's young generation grew with them`,
    },
    {
      bench,
      what: 'resident with one credential, idle',
      value: asIs / 1e6,
      unit: 'MB',
      goal: { is: 'at most', value: 80 },
      note: `${mb(none.used)} MB of it live objects; the sandbox's OpenAI is in the same process`,
    },
  ]
}
