import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './processes.ts'
import { deviationMark } from './suites/mark.ts'

export interface Row {
  readonly name: string
  readonly version: string
  readonly outcome: string
  /** One line each. */
  readonly deviations?: readonly string[]
  readonly seconds?: { readonly install: number; readonly run: number }
  readonly isFailure: boolean
}

interface VitestResult {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

const repository = join(import.meta.dirname, '..', '..')
const suiteMs = 900_000

/** Runs one file of suites in a process of its own, which shows the tests as they end. */
export async function runSuite(
  file: string,
  options: {
    readonly config: string
    readonly env: Readonly<Record<string, string>>
    readonly folder: string
  },
): Promise<Pick<Row, 'outcome' | 'deviations' | 'isFailure'>> {
  const outputFile = join(options.folder, `${file}.json`)
  const vitest = join(repository, 'node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${outputFile}`]
  const { isGood } = await run(
    [process.execPath, vitest, 'run', '--config', options.config, ...reporters, file],
    { cwd: repository, timeoutMs: suiteMs, env: options.env, isShown: true },
  )
  const tests = await resultsIn(outputFile)
  const deviations = tests.filter(({ title }) => title.startsWith(deviationMark))
  const passed = tests.filter(({ status }) => status === 'passed').length - deviations.length
  return {
    outcome: isGood ? `${passed} tests passed` : `FAILED: ${passed} of ${tests.length} tests passed`,
    deviations: deviations.map(({ title }) => title),
    isFailure: !isGood || passed === 0,
  }
}

async function resultsIn(file: string) {
  const text = await readFile(file, 'utf8').catch(() => '{ "testResults": [] }')
  return (JSON.parse(text) as VitestResult).testResults.flatMap(({ assertionResults }) => assertionResults)
}

export function report(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ name, version, outcome, deviations = [], seconds }) => {
    const time =
      seconds === undefined
        ? ''
        : `; installed in ${inSeconds(seconds.install)}, run in ${inSeconds(seconds.run)}`
    const [first = '', ...more] = outcome.split('\n')
    return [`${name} ${version}: ${first}${time}`, ...[...more, ...deviations].map((line) => `    ${line}`)]
  })
  return `\n${lines.join('\n')}\n`
}

const inSeconds = (ms: number): string => `${Math.round(ms / 1_000)} s`
