import { fork } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { linesOf, linesOfFailures } from './failures.ts'
import type { History } from './history.ts'
import { plant } from './mutate.ts'
import { mutations } from './mutations.ts'

/**
 * Plays histories, one for each seed, on all cores:
 *
 *     npm run sim -- --seeds 1000 [--from 1] [--workers 2]
 *     SEED=123 npm run sim            plays one again, with its whole story
 *     npm run sim -- --mutation NAME  the same with a defect planted, up to the first seed that catches it
 *     npm run sim -- --quarters 4     as many whole quarters at full cadence; one to two million events each
 *     SEED=4 npm run sim -- --quarters 1      plays that one again
 *     npm run sim -- --mutations      each defect with its own seed; --search looks for the first seed anew
 */

interface Share {
  readonly from: number
  readonly seeds: number
  readonly step: number
  readonly mutation?: string | undefined
  readonly isQuarter?: boolean
}

const share = process.env['KEYTURN_SIM_SHARE']
if (share === undefined) await main()
else await work(JSON.parse(share) as Share)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      from: { type: 'string' },
      workers: { type: 'string' },
      mutation: { type: 'string' },
      mutations: { type: 'boolean' },
      search: { type: 'boolean' },
      quarters: { type: 'string' },
    },
  })
  const isQuarter = values.quarters !== undefined
  const seed = process.env['SEED']
  if (seed !== undefined) return replay(Number(seed), isQuarter)
  const searchMax = Number(values.seeds ?? 2_000)
  if (values.mutation !== undefined) return catchOne(values.mutation, 1, searchMax)
  if (values.mutations === true) return catchAll(values.search === true, searchMax)
  const seeds = Number(values.quarters ?? values.seeds ?? 200)
  const from = Number(values.from ?? 1)
  const workers = Math.min(seeds, Number(values.workers ?? cpus().length))
  const startedAt = performance.now()
  const failed: History[] = []
  const seen = new Map<string, number>()
  let played = 0
  const end = (history: History): void => {
    played += 1
    for (const [name, count] of Object.entries(history.seen)) seen.set(name, (seen.get(name) ?? 0) + count)
    if (history.violations.length > 0) failed.push(history)
  }
  await Promise.all(
    Array.from({ length: workers }, (_, index) =>
      inWorker(
        { from: from + index, seeds: Math.ceil((seeds - index) / workers), step: workers, isQuarter },
        end,
      ),
    ),
  )
  for (const line of linesOfFailures(failed, (one) => again(one, isQuarter))) say(line)
  const seconds = (performance.now() - startedAt) / 1000
  const sums = [...seen].map(([name, count]) => `${count} ${name}`).join(', ')
  say(
    `${played} histories (seeds ${from} to ${from + seeds - 1}) in ${seconds.toFixed(1)} s with ${workers} workers:`,
  )
  say(`${(played / seconds).toFixed(1)} a second; ${sums}`)
  say(
    failed.length === 0
      ? 'all is well'
      : `${failed.length} failed: ${failed
          .map((one) => one.seed)
          .toSorted((a, b) => a - b)
          .join(' ')}`,
  )
  process.exitCode = failed.length === 0 ? 0 : 1
}

/** Every defect, two at a time: with the seed that is known to catch it, and where that does not, with the first that does. */
async function catchAll(isSearch: boolean, seeds: number): Promise<void> {
  const waiting = [...mutations]
  const take = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      if (isSearch || !(await isCaught(next.name, next.seed, 1))) await catchOne(next.name, 1, seeds)
  }
  await Promise.all(Array.from({ length: cpus().length }, take))
}

async function catchOne(mutation: string, from: number, seeds: number): Promise<void> {
  if (await isCaught(mutation, from, seeds)) return
  say(`NOT CAUGHT in ${seeds} seeds from ${from}: ${mutation}`)
  process.exitCode = 1
}

async function isCaught(mutation: string, from: number, seeds: number): Promise<boolean> {
  let caught: History | undefined
  await inWorker({ from, seeds, step: 1, mutation }, (history) => {
    if (history.violations.length > 0) caught ??= history
  })
  if (caught === undefined) return false
  say(`${String(caught.seed).padStart(5)}  ${mutation}: ${caught.violations[0]?.rule ?? ''}`)
  return true
}

async function replay(seed: number, isQuarter: boolean): Promise<void> {
  const { playHistory } = await import('./history.ts')
  const { quarterOptionsOf } = isQuarter ? await import('./quarter.ts') : {}
  const history = await playHistory(quarterOptionsOf?.(seed) ?? seed, true)
  const told = history.violations.length > 0 ? linesOf({ ...history, story: [] }, again(seed, isQuarter)) : []
  for (const line of told) say(line)
  say(`seed ${seed}: ${history.events} events, ${Math.round(history.virtualMs / 60_000)} virtual minutes`)
  say(`story ${history.fingerprint}`)
  process.exitCode = history.violations.length === 0 ? 0 : 1
}

function inWorker(own: Share, onEnd: (history: History) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, KEYTURN_SIM_SHARE: JSON.stringify(own) }
    const worker = fork(fileURLToPath(import.meta.url), { env })
    worker.on('message', (message) => onEnd(message as History))
    worker.on('error', reject)
    worker.on('exit', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`a worker ended with ${code}`))
    })
  })
}

async function work({ from, seeds, step, mutation, isQuarter }: Share): Promise<void> {
  // Errors are part of every history, and where each was made is asked of those only that are played again.
  Error.stackTraceLimit = 0
  if (mutation !== undefined) plant(mutation)
  const { playHistory } = await import('./history.ts')
  const { quarterOptionsOf } = isQuarter === true ? await import('./quarter.ts') : {}
  for (let played = 0; played < seeds; played++) {
    const seed = from + played * step
    const history = await playHistory(quarterOptionsOf?.(seed) ?? seed)
    await told(history)
    if (mutation !== undefined && history.violations.length > 0) break
  }
  process.disconnect()
}

/** Waits until the other side has it, so that no process ends before it was heard. */
function told(history: History): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) throw new Error('a worker is started by another process')
    process.send(history, undefined, undefined, (error) => (error === null ? resolve() : reject(error)))
  })
}

function again(seed: number, isQuarter: boolean): string {
  return `SEED=${seed} npm run sim${isQuarter ? ' -- --quarters 1' : ''}`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
