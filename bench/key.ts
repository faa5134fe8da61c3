import type { Bench, Figure } from './lib/figure.ts'
import { closing, startChild, startService, temporaryFolder } from './lib/processes.ts'
import { median } from './lib/statistics.ts'

/** What getOpenAIKey() costs an app that has its key, and what many callers cost the service. */
export const key: Bench = {
  name: 'key',
  seconds: 8,
  run: () =>
    closing(async (scope) => {
      const service = await startService(scope, { home: await temporaryFolder(scope) })
      const env = { KEYTURN_URL: service.url.origin, KEYTURN_TOKEN: service.appToken }
      const app = startChild(scope, 'caller.ts', { env })
      const measured = (await app.ask('measure', 120_000)) as unknown as Measured
      return figures(measured)
    }),
}

interface Pair {
  readonly constantNs: number
  readonly keyNs: number
}

interface Measured {
  readonly warm: readonly Pair[]
  readonly turns: readonly Pair[]
  readonly coldCalls: number
  readonly expiredCalls: number
}

function figures({ warm, turns, coldCalls, expiredCalls }: Measured): readonly Figure[] {
  const bench = 'key'
  const keyNs = median(warm.map((pair) => pair.keyNs)).toFixed(0)
  const constantNs = median(warm.map((pair) => pair.constantNs)).toFixed(0)
  const one = { is: 'exactly', value: 1 } as const
  return [
    {
      bench,
      what: 'await getOpenAIKey() against an awaited constant',
      value: median(warm.map((pair) => pair.keyNs / pair.constantNs)),
      unit: 'x',
      budget: { is: 'at most', value: 1.5 },
      goal: { is: 'at most', value: 1.2 },
      note: `${keyNs} ns against ${constantNs} ns`,
    },
    {
      bench,
      what: 'what it adds where each turn of the event loop makes one call',
      value: Math.round(median(turns.map((pair) => pair.keyNs - pair.constantNs))),
      unit: 'ns',
      note: 'the first call of a turn looks at the clocks',
    },
    {
      bench,
      what: 'calls to the service by 10,000 cold callers at once',
      value: coldCalls,
      unit: '',
      budget: one,
      goal: one,
    },
    {
      bench,
      what: 'calls to the service by 10,000 callers of an expired key',
      value: expiredCalls,
      unit: '',
      budget: one,
      goal: one,
    },
  ]
}
