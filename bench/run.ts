// npm run bench [-- NAME…] [--json]: ratios measured in one run, each with its goal and what came of it.
import { cpus } from 'node:os'
import { audit } from './audit.ts'
import { coldStart } from './cold-start.ts'
import { handOut } from './hand-out.ts'
import { key } from './key.ts'
import { buildIfNeeded } from './lib/build.ts'
import { type Bench, type Figure, table, verdict } from './lib/figure.ts'
import { memory } from './memory.ts'
import { promotion } from './promotion.ts'
import { proxy } from './proxy.ts'
import { scale } from './scale.ts'
import { socket } from './socket.ts'
import { start } from './start.ts'
import { storesBench } from './stores.ts'
import { streams } from './streams.ts'

const benches: readonly Bench[] = [
  handOut,
  socket,
  audit,
  key,
  start,
  coldStart,
  promotion,
  memory,
  storesBench,
  streams,
  proxy,
  scale,
]

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('--'))
  const unknown = names.filter((name) => !benches.some((bench) => bench.name === name))
  if (unknown.length > 0 || args.some((arg) => arg.startsWith('--') && arg !== '--json')) {
    process.stderr.write(`usage: npm run bench -- [${benches.map(({ name }) => name).join(' ')}] [--json]\n`)
    return 2
  }
  buildIfNeeded()
  const figures: Figure[] = []
  for (const bench of benches) {
    if (names.length > 0 && !names.includes(bench.name)) continue
    process.stderr.write(`${bench.name} (about ${bench.seconds} s)\n`)
    figures.push(...(await bench.run()))
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`
  const at = new Date().toISOString()
  const judged = figures.map((figure) => ({
    ...figure,
    ofBudget: verdict(figure.value, figure.budget),
    ofGoal: verdict(figure.value, figure.goal),
  }))
  process.stdout.write(
    args.includes('--json')
      ? `${JSON.stringify({ at, machine, figures: judged }, undefined, 2)}\n`
      : `${table(figures)}\n\n${at}, ${machine}\n`,
  )
  return judged.some(({ ofBudget }) => ofBudget === 'missed') ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
