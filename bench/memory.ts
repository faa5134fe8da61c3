import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  type RunningService,
  repository,
  type Scope,
  startService,
  temporaryFolder,
  until,
} from './lib/processes.ts'

const streamsCount = 1_000
const openAtOnce = 50
/** By then all that a start leaves for later is loaded. */
const settleMs = 3_000
/** Linux gives freed pages back within this. */
const collectMs = 500

/** Resident memory of the service as the system counts it: with nothing to do, and for each stream that waits. Linux only. */
export const memory: Bench = {
  name: 'memory',
  seconds: 12,
  run: () =>
    closing(async (scope) => {
      if (process.platform !== 'linux') return []
      const home = await temporaryFolder(scope)
      const collect = pathToFileURL(join(repository, 'bench', 'children', 'collect.ts')).href
      const nodeFlags = ['--expose-gc', '--import', collect]
      const service = await startService(scope, { home, nodeFlags })
      await sleep(settleMs)
      const asIs = residentKiB(service)
      // Some streams first, so that what is made once is not counted per stream.
      await openStreams(scope, service, openAtOnce)
      const before = await collected(service)
      await openStreams(scope, service, streamsCount)
      const after = await collected(service)
      return figures({ asIs, before, after })
    }),
}

async function collected(service: RunningService): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    service.child.kill('SIGUSR2')
    await sleep(collectMs)
  }
  return residentKiB(service)
}

function residentKiB(service: RunningService): number {
  const status = readFileSync(`/proc/${service.child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
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

function figures(kib: { asIs: number; before: number; after: number }): readonly Figure[] {
  const bench = 'memory'
  const mb = (value: number): number => (value * 1_024) / 1e6
  return [
    {
      bench,
      what: 'idle event stream, each',
      value: (kib.after - kib.before) / streamsCount,
      unit: 'KiB',
      budget: { is: 'at most', value: 16 },
      goal: { is: 'at most', value: 16 },
      note: `${streamsCount} streams, ${mb(kib.before).toFixed(0)} MB before and ${mb(kib.after).toFixed(0)} MB after, collected`,
    },
    {
      bench,
      what: 'resident with one credential, idle',
      value: mb(kib.asIs),
      unit: 'MB',
      goal: { is: 'at most', value: 80 },
      note: `the sandbox's OpenAI in the same process; ${mb(kib.before).toFixed(0)} MB with ${openAtOnce} streams, collected`,
    },
  ]
}
