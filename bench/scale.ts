import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench, Figure } from './lib/figure.ts'
import { closing, startChild, temporaryFolder } from './lib/processes.ts'

const counts = [100, 1_000, 10_000] as const
const minutes = 5
const verifyEveryMs = 300_000
const withinMs = 600_000

interface Told {
  readonly firstStartMs: number
  readonly restartMs: number
  readonly rssTotalBytes: number
  readonly liveBytes: number
  readonly cpuMsPerMinute: number
  readonly probesPerMinute: number
  readonly readsPerMinute: number
  readonly writesPerMinute: number
  readonly perMinute: readonly number[]
  readonly nightPerMinute: readonly number[]
  readonly ledgerBytes: number
  readonly scrapeMs: number
  readonly scrapeBlockMs: number
  readonly scrapePieceMs: number
  readonly scrapeLines: number
}

/** What 100, 1,000 and 10,000 credentials cost a replica that has nothing to do but to look after them, in virtual time. */
export const scale: Bench = {
  name: 'scale',
  seconds: 60,
  run: () =>
    closing(async (scope) => {
      const folder = await temporaryFolder(scope, true)
      const all: Told[] = []
      for (const count of counts) {
        const home = join(folder, String(count))
        await mkdir(home)
        const child = startChild(scope, 'fleet.ts', { nodeFlags: ['--expose-gc'] })
        const order = { folder: home, count, minutes, verifyEveryMs }
        all.push((await child.ask(order, withinMs)) as unknown as Told)
        child.process.disconnect()
      }
      return [...all.flatMap((told, index) => figuresOf(told, counts[index] ?? 0)), ...growth(all)]
    }),
}

function figuresOf(told: Told, count: number): readonly Figure[] {
  const bench = 'scale'
  const many = count.toLocaleString('en')
  const mean = told.perMinute.reduce((sum, one) => sum + one, 0) / told.perMinute.length
  const night = Math.max(...told.nightPerMinute)
  const even = { is: 'at most', value: 2 } as const
  return [
    { bench, what: `${many}: processor, each minute`, value: told.cpuMsPerMinute, unit: 'ms' },
    {
      bench,
      what: `${many}: live memory, each credential`,
      value: told.liveBytes / count / 1_024,
      unit: 'KiB',
      note: `${(told.rssTotalBytes / 1e6).toFixed(0)} MB resident, what V8 keeps free among it`,
    },
    {
      bench,
      what: `${many}: verifications, busiest minute to the mean`,
      value: Math.max(...told.perMinute) / mean,
      unit: '',
      budget: even,
      goal: even,
      note: `${mean.toFixed(0)} a minute`,
    },
    {
      bench,
      what: `${many}: the same from a start after a night on`,
      value: night / mean,
      unit: '',
      budget: even,
      goal: even,
      note: `${night} in the busiest minute`,
    },
    {
      bench,
      what: `${many}: writes of the ledger, each minute`,
      value: told.writesPerMinute,
      unit: '',
      note: `${told.readsPerMinute.toFixed(0)} looks at stores`,
    },
    {
      bench,
      what: `${many}: processor of an answer of /metrics`,
      value: told.scrapeMs,
      unit: 'ms',
      goal: { is: 'at most', value: 300 },
      note: `${told.scrapeLines.toLocaleString('en')} lines`,
    },
    {
      bench,
      what: `${many}: the longest piece of it, of a processor`,
      value: told.scrapePieceMs,
      unit: 'ms',
      budget: { is: 'at most', value: 50 },
      goal: { is: 'at most', value: 50 },
    },
    {
      bench,
      what: `${many}: the longest that it holds others up`,
      value: told.scrapeBlockMs,
      unit: 'ms',
      goal: { is: 'at most', value: 50 },
    },
    { bench, what: `${many}: ledger`, value: told.ledgerBytes / count / 1_024, unit: 'KiB each' },
    { bench, what: `${many}: start with all of them known`, value: told.restartMs, unit: 'ms' },
    { bench, what: `${many}: first start until all are proven`, value: told.firstStartMs, unit: 'ms' },
  ]
}

/** Ten times as many should cost ten times as much, or less. */
function growth(all: readonly Told[]): readonly Figure[] {
  const bench = 'scale'
  const [small, , large] = all
  if (small === undefined || large === undefined) return []
  const times = (counts[2] ?? 1) / counts[0]
  const linear = { is: 'at most', value: 1 } as const
  const of = (what: string, value: (told: Told) => number): Figure => ({
    bench,
    what: `${what} of 10,000 against 100 times that of 100`,
    value: value(large) / value(small) / times,
    unit: '',
    goal: linear,
  })
  return [
    of('processor', (told) => told.cpuMsPerMinute),
    of('live memory', (told) => told.liveBytes),
    of('ledger', (told) => told.ledgerBytes),
    of('writes', (told) => told.writesPerMinute),
  ]
}
