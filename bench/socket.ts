import { join } from 'node:path'
import { requestTo } from './hand-out.ts'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  cpuMsOf,
  type RunningService,
  startChild,
  startService,
  temporaryFolder,
} from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const connections = 32
const roundMs = 1_000
const pairs = 9

/** Hand-outs over a Unix socket against the same over loopback TCP, by two services that differ in nothing else. */
export const socket: Bench = {
  name: 'socket',
  seconds: 24,
  run: () =>
    closing(async (scope) => {
      const start = async (listen: (home: string) => string): Promise<RunningService> => {
        const home = await temporaryFolder(scope)
        const env = { KEYTURN_SANDBOX_AUDIT_READS: 'off', KEYTURN_LISTEN: listen(home) }
        return startService(scope, { home, env })
      }
      const tcp = await start(() => '127.0.0.1:0')
      const unix = await start((home) => `unix:${join(home, 'keyturn.sock')}`)
      const load = startChild(scope, 'load.ts')
      const measure = async (service: RunningService): Promise<Round> => {
        const { protocol, pathname, port } = service.url
        const isUnix = protocol === 'unix:'
        const host = isUnix ? 'localhost' : `127.0.0.1:${port}`
        const request = requestTo(host, service.appToken)
        const to = isUnix ? { path: pathname } : { host: '127.0.0.1', port: Number(port) }
        const cpuMsBefore = cpuMsOf(service.child)
        const answered = await load.ask({ to, request, connections, ms: roundMs }, roundMs + 10_000)
        const perSecond = Number(answered['perSecond'])
        const cpuMs = cpuMsOf(service.child) - cpuMsBefore
        return { perSecond, cpuUs: (cpuMs * 1_000) / (perSecond * (roundMs / 1_000)) }
      }
      for (const warm of [tcp, unix]) await measure(warm)
      const rounds: Rounds[] = []
      for (let pair = 0; pair < pairs; pair += 1) {
        // Whoever goes first in one pair goes second in the next: a machine that slows down is unfair to both alike.
        if (pair % 2 === 0) rounds.push({ tcp: await measure(tcp), unix: await measure(unix) })
        else rounds.push({ unix: await measure(unix), tcp: await measure(tcp) })
      }
      return figures(rounds)
    }),
}

interface Round {
  readonly perSecond: number
  /** Processor time of the service for one request. */
  readonly cpuUs: number
}

type Rounds = Readonly<Record<'tcp' | 'unix', Round>>

function figures(rounds: readonly Rounds[]): readonly Figure[] {
  const bench = 'socket'
  const of = (what: 'tcp' | 'unix', figure: keyof Round): number =>
    median(rounds.map((round) => round[what][figure]))
  return [
    {
      bench,
      what: 'requests/s over a Unix socket against loopback TCP',
      value: median(rounds.map(({ tcp, unix }) => unix.perSecond / tcp.perSecond)),
      unit: 'x',
      budget: { is: 'at least', value: 1 },
      goal: { is: 'at least', value: 1.15 },
      note: `${of('unix', 'perSecond').toFixed(0)}/s against ${of('tcp', 'perSecond').toFixed(0)}/s, ${connections} connections, median of ${pairs} pairs`,
    },
    {
      bench,
      what: 'requests per second of processor against loopback TCP',
      value: median(rounds.map(({ tcp, unix }) => tcp.cpuUs / unix.cpuUs)),
      unit: 'x',
      note: `${of('unix', 'cpuUs').toFixed(1)} us against ${of('tcp', 'cpuUs').toFixed(1)} us each; holds on a busy machine too`,
    },
  ]
}
