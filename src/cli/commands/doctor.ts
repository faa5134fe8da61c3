import { resolve } from 'node:path'
import { parseDuration } from '../../config/duration.ts'
import { Secret } from '../../core/secret.ts'
import type { ComparePlace } from '../../doctor/compare/places.ts'
import { argument, type Context, type Options, usage } from '../command.ts'
import { exitOfReport } from '../doctor-exit.ts'
import { assertNewBundle, assertOneForm, show, writeBundle } from '../doctor-outputs.ts'
import { askService } from '../doctor-service.ts'
import { createSteps } from '../doctor-steps.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { explanationOf } from '../explain.ts'
import type { DiagnoseOptions, Diagnosis } from '../io.ts'

/** No key is anywhere near as long; a whole file piped in by mistake is. */
const keyBytesMax = 4_096
const stepTimeout = { defaultMs: 3_000, minMs: 100, maxMs: 60_000 }

export async function run(context: Context): Promise<ExitCode> {
  const { options } = context
  const code = options.text('explain')
  if (code !== undefined) return explain(context, code)
  assertOneForm(context)
  assertNewBundle(context)
  const { report, bundle } = await examined(context)
  writeBundle(context, bundle)
  await show(context, report)
  return exitOfReport(report, { isStrict: options.has('strict') })
}

async function examined(context: Context): Promise<Diagnosis> {
  const { io, out, options } = context
  const asked = await askedOf(context)
  const { diagnose } = await io.loadMain()
  const steps = createSteps({ ...out, isLive: out.isLive && !options.has('ci') })
  try {
    return await diagnose({ ...asked, onStep: steps.show })
  } finally {
    steps.clear()
  }
}

async function askedOf(context: Context): Promise<Omit<DiagnoseOptions, 'onStep'>> {
  const { io, options } = context
  const model = options.text('model')
  const config = options.text('config')
  const folder = resolve(io.cwd, argument(context, 0))
  const configPath = config === undefined ? undefined : resolve(io.cwd, config)
  const stepTimeoutMs = stepTimeoutOf(options)
  const key = await givenKey(context)
  const env = configPath === undefined ? io.env : { ...io.env, KEYTURN_CONFIG: configPath }
  return {
    env: io.env,
    folder,
    version: io.version(),
    ...(configPath === undefined ? {} : { configPath }),
    compare: await placesOf(context),
    askService: () => askService({ ...io, cwd: folder, env }, stepTimeoutMs),
    options: {
      isOffline: options.has('offline'),
      isBillable: options.has('billable'),
      isThorough: options.has('ci'),
      allowedHosts: options.list('allowHost').map((host) => host.toLowerCase()),
      stepTimeoutMs,
      ...(model === undefined ? {} : { model }),
    },
    ...(key === undefined ? {} : { key }),
    // A check that breaks is told in the report; nothing else is worth a line here.
    log: () => undefined,
  }
}

/** Paths start where the command was given, and not in the folder that is looked at. */
async function placesOf({ io, options }: Context): Promise<readonly ComparePlace[]> {
  const named = options.list('compare')
  if (named.length === 0) return []
  const { parsePlace } = await import('../../doctor/compare/places.ts')
  return named.map((name) => {
    const place = parsePlace(name)
    return 'path' in place ? { ...place, path: resolve(io.cwd, place.path) } : place
  })
}

function stepTimeoutOf(options: Options): number {
  const text = options.text('timeout')
  if (text === undefined) return stepTimeout.defaultMs
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= stepTimeout.minMs && ms <= stepTimeout.maxMs) return ms
  throw usage('--timeout takes a duration from 100ms to 60s', 'E.g. --timeout 5s.')
}

/** As it stands there: what clings to it is what is looked for. */
async function givenKey({ io, options }: Context): Promise<Secret | undefined> {
  const file = options.text('keyFile')
  if (file === undefined) return undefined
  const text = file === '-' ? await io.stdin.readAll(keyBytesMax) : io.readFile(resolve(io.cwd, file))
  if (text === undefined && file !== '-') throw usage(`there is no file ${file}`, 'Correct --key-file.')
  if (text === undefined || Buffer.byteLength(text) > keyBytesMax)
    throw usage('this is too long for a key', 'Give the key alone, on one line.')
  if (text.trim() === '')
    throw usage(
      file === '-' ? 'nothing came on standard input' : `there is no key in ${file}`,
      'Give the key alone, on one line.',
    )
  // Every editor and every echo ends a file with one.
  return new Secret(text.replace(/\r?\n$/, ''))
}

function explain({ out }: Context, code: string): ExitCode {
  const explanation = explanationOf(code)
  out.result(explanation, () => explanation.text.split('\n'))
  return exitCodes.done
}
