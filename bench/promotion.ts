import { get } from 'node:http'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  type RunningService,
  type Scope,
  startChild,
  startService,
  temporaryFolder,
  until,
} from './lib/processes.ts'
import { median, quantile } from './lib/statistics.ts'

const rotations = 30
const rotationMsMax = 20_000

/**
 * From the moment that the service decides the promotion, which is before it is written to disk and told to anybody,
 * until getOpenAIKey() in another process returns the new key. The app looks once a millisecond.
 */
export const promotion: Bench = {
  name: 'promotion',
  seconds: 45,
  run: () =>
    closing(async (scope) => {
      const service = await startService(scope, { home: await temporaryFolder(scope) })
      const promotedAt = new Map<number, number>()
      await follow(scope, service, (event) => {
        if (event.kind === 'promoted') promotedAt.set(event.generation, event.at)
      })
      const seenAt = new Map<number, number>()
      const env = { KEYTURN_URL: service.url.origin, KEYTURN_TOKEN: service.appToken }
      const app = startChild(scope, 'follower.ts', { env })
      app.process.on('message', ({ generation, at }: { generation: number; at: number }) =>
        seenAt.set(generation, at),
      )
      await until('the app has its first key', () => seenAt.size === 1, rotationMsMax)
      for (let rotation = 1; rotation <= rotations; rotation += 1) {
        await until('a rotation begins', () => rotate(service), rotationMsMax)
        await until('the app has the next key', () => seenAt.size > rotation, rotationMsMax)
      }
      const delays = [...promotedAt].flatMap(([generation, at]) => {
        const seen = seenAt.get(generation)
        return seen === undefined ? [] : [seen - at]
      })
      return figures(delays)
    }),
}

interface Told {
  readonly kind: string
  readonly generation: number
  readonly at: number
}

function follow(scope: Scope, service: RunningService, onEvent: (told: Told) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${service.appToken}` }
    const asking = get(
      new URL('/v1/credentials/openai/events', service.url),
      { headers, agent: false },
      (response) => {
        let rest = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          const frames = (rest + chunk).split('\n\n')
          rest = frames.pop() ?? ''
          for (const frame of frames) {
            const data = /^data: (.*)$/m.exec(frame)?.[1]
            if (data === undefined) continue
            const { kind, generation, at } = JSON.parse(data) as Record<'kind' | 'at', string> & {
              generation: number
            }
            onEvent({ kind, generation, at: Date.parse(at) })
          }
        })
        resolve()
      },
    )
    asking.on('error', reject)
    scope.add(() => void asking.destroy())
  })
}

/** False while the one before still runs. */
async function rotate(service: RunningService): Promise<boolean> {
  const response = await fetch(new URL('/v1/credentials/openai/rotations', service.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${service.operatorToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ mode: 'normal', reason: 'bench' }),
  })
  await response.body?.cancel()
  if (response.status === 409) return false
  if (response.status >= 300) throw new Error(`a rotation was refused with ${response.status}`)
  return true
}

function figures(delays: readonly number[]): readonly Figure[] {
  const bench = 'promotion'
  const bound = { is: 'at most', value: 50 } as const
  return [
    {
      bench,
      what: 'promotion to the new key in the app, median',
      value: median(delays),
      unit: 'ms',
      budget: bound,
      goal: bound,
      note: `${delays.length} rotations, the commit to disk included`,
    },
    {
      bench,
      what: 'promotion to the new key in the app, p99',
      value: quantile(delays, 0.99),
      unit: 'ms',
      goal: bound,
      note: delays.length < 100 ? 'of so few the slowest' : '',
    },
  ]
}
