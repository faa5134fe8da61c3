import type { ChildProcess } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { until } from './processes.ts'

/** Text and not a file of ours, since what strips types from a file would stay in memory. */
export const collectOnSignal = `process.on('SIGUSR2', () => {
  for (let round = 0; round < 4; round += 1) gc()
  const { renameSync, writeFileSync } = process.getBuiltinModule('node:fs')
  const path = process.env.BENCH_MEMORY
  const spaces = process.getBuiltinModule('node:v8').getHeapSpaceStatistics()
  const sum = (name) => spaces.reduce((total, space) => total + space[name], 0)
  const usage = { rss: process.memoryUsage.rss(), heap: sum('physical_space_size'), used: sum('space_used_size') }
  writeFileSync(path + '.next', JSON.stringify(usage))
  renameSync(path + '.next', path)
})`

export interface Usage {
  readonly rss: number
  /** What V8 has taken from the system, and what of it is in use. */
  readonly heap: number
  readonly used: number
}

export async function collected(child: ChildProcess, told: string): Promise<Usage> {
  let usage: Usage | undefined
  // The second collection frees what the finalizers of the first let go.
  for (let round = 0; round < 2; round += 1) {
    await rm(told, { force: true })
    child.kill('SIGUSR2')
    const read = async (): Promise<boolean> => {
      const text = await readFile(told, 'utf8').catch(() => undefined)
      if (text !== undefined) usage = JSON.parse(text) as Usage
      return text !== undefined
    }
    await until('the service collects its garbage', read, 10_000)
  }
  if (usage === undefined) throw new Error('the service did not tell its memory')
  return usage
}
