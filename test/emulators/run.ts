// npm run test:emulators: the suites of the stores against what others wrote and the package registries hold.
// KEYTURN_EMULATORS=NAME,… runs those alone and insists on them; KEYTURN_EMULATORS_FOLDER says where they are kept.
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { absent } from './absent.ts'
import { type Emulator, NotInstallable } from './emulator.ts'
import { helm } from './helm.ts'
import { ensureInstalled } from './installed.ts'
import { kubernetes } from './kubernetes.ts'
import { moto } from './moto.ts'
import { stopAll } from './processes.ts'
import { type Row, report, runSuite } from './report.ts'
import { vault } from './vault.ts'

const emulators: readonly Emulator[] = [moto, vault, kubernetes, helm]

async function main(): Promise<number> {
  const wanted = (process.env['KEYTURN_EMULATORS'] ?? '').split(',').filter((name) => name !== '')
  const unknown = wanted.filter((name) => !emulators.some((emulator) => emulator.name === name))
  if (unknown.length > 0) {
    const names = emulators.map(({ name }) => name).join(', ')
    process.stderr.write(`KEYTURN_EMULATORS names ${unknown.join(', ')}, which is none of ${names}.\n`)
    return 2
  }
  const folder = process.env['KEYTURN_EMULATORS_FOLDER'] ?? join(homedir(), '.cache', 'keyturn-emulators')
  const rows: Row[] = []
  for (const emulator of emulators) {
    if (wanted.length > 0 && !wanted.includes(emulator.name)) continue
    rows.push(await oneRow(emulator, { folder, isWanted: wanted.length > 0 }))
  }
  if (wanted.length === 0) rows.push(...(await absent()))
  process.stdout.write(report(rows))
  return rows.some(({ isFailure }) => isFailure) ? 1 : 0
}

/** Of this run, those that are gone by now among them. */
const scratches = new Set<string>()

async function oneRow(emulator: Emulator, options: { folder: string; isWanted: boolean }): Promise<Row> {
  const { name, version, optIn } = emulator
  const row = { name, version, isFailure: false }
  if (optIn !== undefined && !options.isWanted)
    return { ...row, outcome: `left out: ${optIn}; KEYTURN_EMULATORS=${name} runs it` }
  const scratch = await mkdtemp(join(tmpdir(), 'keyturn-emulator-'))
  scratches.add(scratch)
  const startedAt = performance.now()
  try {
    process.stderr.write(`${name} ${version}: installing\n`)
    const installed = await ensureInstalled(emulator, options.folder)
    const installedAt = performance.now()
    process.stderr.write(`${name} ${version}: running the suite\n`)
    const running = await emulator.start(installed, scratch)
    try {
      const result = await runSuite(emulator.suite, {
        config: 'vitest.emulators.config.ts',
        env: running.env,
        folder: scratch,
      })
      const seconds = { install: installedAt - startedAt, run: performance.now() - installedAt }
      return { ...row, ...result, seconds }
    } finally {
      await running.stop()
    }
  } catch (error) {
    const reason = (error as Error).message
    if (error instanceof NotInstallable)
      return { ...row, outcome: `cannot be installed here: ${reason}`, isFailure: options.isWanted }
    return { ...row, outcome: reason, isFailure: true }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    stopAll()
    for (const scratch of scratches) rmSync(scratch, { recursive: true, force: true })
    process.exit(1)
  })

process.exitCode = await main()
