import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startSandbox } from '../src/sandbox/index.ts'
import type { Bench, Figure } from './lib/figure.ts'
import {
  closing,
  cpuMsOf,
  end,
  environment,
  firstSaid,
  repository,
  startService,
  temporaryFolder,
} from './lib/processes.ts'
import { median } from './lib/statistics.ts'

const rounds = 11
const keyturn = pathToFileURL(join(repository, 'dist/index.js')).href
const said = `console.log(JSON.stringify({ port: 0 }))`

/** What a function of a cloud runs before its own first line: plain JavaScript, as it is deployed. */
const programs = {
  bare: said,
  import: `await import('${keyturn}'); ${said}`,
  service: `const { getOpenAIKey } = await import('${keyturn}'); await getOpenAIKey(); ${said}`,
  embedded: `const { getOpenAIKey } = await import('${keyturn}'); await getOpenAIKey(); ${said}`,
} as const
type Program = keyof typeof programs

/** From the start of a process to its first key: what a new instance of a function waits for. */
export const coldStart: Bench = {
  name: 'cold-start',
  seconds: 25,
  run: () =>
    closing(async (scope) => {
      const folder = await temporaryFolder(scope)
      const sandbox = await startSandbox()
      scope.add(() => sandbox.close())
      const service = await startService(scope, { home: join(folder, 'service') })
      await mkdir(join(folder, 'home'), { mode: 0o700 })
      const config = `credentials: { openai: { store: { kind: env }, issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" } } }`
      await writeFile(join(folder, 'keyturn.yaml'), config, { mode: 0o600 })
      const env: Readonly<Record<Program, Readonly<Record<string, string>>>> = {
        bare: {},
        import: {},
        service: { KEYTURN_URL: service.url.origin, KEYTURN_TOKEN: service.appToken },
        embedded: {
          KEYTURN_CONFIG: join(folder, 'keyturn.yaml'),
          KEYTURN_HOME: join(folder, 'home'),
          OPENAI_API_KEY: sandbox.createServiceAccountKey().value,
        },
      }
      const times: Record<Program, Started[]> = { bare: [], import: [], service: [], embedded: [] }
      // One round that does not count fills the caches of the disk.
      for (let round = 0; round <= rounds; round += 1)
        for (const program of Object.keys(programs) as Program[]) {
          const started = await timeOf(program, env[program])
          if (round > 0) times[program].push(started)
        }
      return figures(times)
    }),
}

interface Started {
  readonly ms: number
  readonly cpuMs: number
}

async function timeOf(program: Program, env: Readonly<Record<string, string>>): Promise<Started> {
  // It waits for its end, so that its processor time can be read.
  const source = `${programs[program]}; setInterval(() => {}, 1000)`
  const startAt = performance.now()
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await firstSaid(child)
    return { ms: performance.now() - startAt, cpuMs: cpuMsOf(child) }
  } finally {
    await end(child)
  }
}

function figures(times: Readonly<Record<Program, readonly Started[]>>): readonly Figure[] {
  const against = (program: Program): number =>
    median(times[program].map(({ ms }, round) => ms / (times.bare[round]?.ms ?? Number.NaN)))
  const note = (program: Program): string => {
    const ms = (one: Program): string => median(times[one].map((each) => each.ms)).toFixed(0)
    const cpu = median(times[program].map((each) => each.cpuMs)).toFixed(0)
    return `${ms(program)} ms, ${cpu} ms of processor; bare node ${ms('bare')} ms`
  }
  const figure = (what: string, program: Program): Figure => ({
    bench: 'cold-start',
    what,
    value: against(program),
    unit: 'x',
    note: note(program),
  })
  return [
    figure('import of the client against bare node', 'import'),
    figure('first key from a service against bare node', 'service'),
    figure('first key in the process against bare node', 'embedded'),
  ]
}
