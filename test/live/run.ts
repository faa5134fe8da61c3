// KEYTURN_LIVE=aws,gcp,azure,vault,kubernetes npm run test:live: the suite of the stores against real ones (docs/stores.md).
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stopAll } from '../emulators/processes.ts'
import { type Row, report, runSuite } from '../emulators/report.ts'
import { missing, targets } from './targets.ts'

async function main(): Promise<number> {
  const names = (process.env['KEYTURN_LIVE'] ?? '').split(',').filter((name) => name !== '')
  const known = targets.map(({ name }) => name).join(',')
  if (names.length === 0) {
    process.stdout.write(`Nothing to do: KEYTURN_LIVE names no store. KEYTURN_LIVE=${known} names all.\n`)
    return 0
  }
  const chosen = targets.filter(({ name }) => names.includes(name))
  const faults = [
    ...names
      .filter((name) => !chosen.some((target) => target.name === name))
      .map((name) => `${name} is none of ${known}`),
    ...chosen.flatMap((target) => missing(target, process.env)),
  ]
  if (faults.length > 0) {
    process.stderr.write(`Not started:\n${faults.map((fault) => `  ${fault}\n`).join('')}`)
    return 2
  }
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-live-'))
  try {
    const rows: Row[] = []
    for (const { name, suite } of chosen) {
      const startedAt = performance.now()
      const result = await runSuite(suite, { config: 'vitest.live.config.ts', env: {}, folder })
      rows.push({
        name,
        version: 'live',
        ...result,
        seconds: { install: 0, run: performance.now() - startedAt },
      })
    }
    process.stdout.write(report(rows))
    return rows.some(({ isFailure }) => isFailure) ? 1 : 0
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    stopAll()
    process.exit(1)
  })

process.exitCode = await main()
