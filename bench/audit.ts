import { requestTo, type Server, startBare } from './hand-out.ts'
import { type Bench, type Figure } from './lib/figure.ts'
import { closing, cpuMsOf, startChild, startService, temporaryFolder } from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const connections = 256
const roundMs = 1_000
const rounds = 9

/** Hand-outs whose rows are on the disk before the reply leaves, against node:http answering the same bytes to everybody. */
export const audit: Bench = {
  name: 'audit',
  seconds: 34,
  run: () =>
    closing(async (scope) => {
      const start = async (reads: string) =>
        startService(scope, {
          home: await temporaryFolder(scope),
          env: { KEYTURN_SANDBOX_AUDIT_READS: reads },
        })
      const durable = await start('durable')
      const off = await start('off')
      const bare = await startBare(scope, off)
      const load = startChild(scope, 'load.ts')
      const measure = async (server: Server, token: string): Promise<Round> => {
        const { port } = server
        const cpuMsBefore = cpuMsOf(server.process)
        const request = requestTo(`127.0.0.1:${port}`, token)
        const order = { to: { host: '127.0.0.1', port }, request, connections, ms: roundMs }
        const { perSecond } = await load.ask(order, roundMs + 10_000)
        const cpuMs = cpuMsOf(server.process) - cpuMsBefore
        return {
          perSecond: Number(perSecond),
          cpuUs: (cpuMs * 1_000) / (Number(perSecond) * (roundMs / 1_000)),
        }
      }
      const ask = {
        bare: () => measure(bare, off.appToken),
        durable: () => measure({ port: Number(durable.url.port), process: durable.child }, durable.appToken),
        off: () => measure({ port: Number(off.url.port), process: off.child }, off.appToken),
      }
      for (const warm of [ask.bare, ask.durable, ask.off]) await warm()
      const results: Results[] = []
      for (let round = 0; round < rounds; round += 1) {
        const off = await ask.off()
        const durable = await ask.durable()
        results.push({ off, durable, bare: await ask.bare() })
      }
      return figures(results)
    }),
}

interface Round {
  readonly perSecond: number
  /** Processor time of the server for one request, its writing threads included. */
  readonly cpuUs: number
}

type Results = Readonly<Record<'bare' | 'durable' | 'off', Round>>

function figures(results: readonly Results[]): readonly Figure[] {
  const bench = 'audit'
  const of = (what: 'bare' | 'durable' | 'off'): string =>
    median(results.map((round) => round[what].perSecond)).toFixed(0)
  const cpuUs = (what: 'bare' | 'durable'): string =>
    median(results.map((round) => round[what].cpuUs)).toFixed(1)
  const note = (what: 'durable' | 'off'): string =>
    `${of(what)}/s against ${of('bare')}/s, ${connections} connections, median of ${rounds} rounds`
  return [
    {
      bench,
      what: 'requests/s, each row on the disk before its reply, against bare node:http',
      value: median(results.map((round) => round.durable.perSecond / round.bare.perSecond)),
      unit: 'x',
      budget: { is: 'at least', value: 0.5 },
      goal: { is: 'at least', value: 0.8 },
      note: note('durable'),
    },
    {
      bench,
      what: 'requests per second of processor against bare node:http',
      value: median(results.map((round) => round.bare.cpuUs / round.durable.cpuUs)),
      unit: 'x',
      note: `${cpuUs('durable')} us against ${cpuUs('bare')} us each; holds on a busy machine too`,
    },
    {
      bench,
      what: 'the same without rows of reads',
      value: median(results.map((round) => round.off.perSecond / round.bare.perSecond)),
      unit: 'x',
      note: note('off'),
    },
  ]
}
