import { accessSync, constants, statSync } from 'node:fs'
import { arch, homedir, hostname, platform, release, userInfo } from 'node:os'
import type { DiagnoseOptions, Diagnosis } from '../cli/io.ts'
import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'
import type { Secret } from '../core/secret.ts'
import { bundleOf, type Surroundings } from '../doctor/bundle/bundle.ts'
import { checks } from '../doctor/checks.ts'
import { comparePlaces, differences } from '../doctor/compare/compare.ts'
import type { DoctorContext, Step } from '../doctor/context.ts'
import { examine } from '../doctor/examine.ts'
import type { Facts } from '../doctor/facts.ts'
import { gather, givenKey } from '../doctor/gather.ts'
import { createFetch } from '../doctor/network/create-fetch.ts'
import { createNetwork } from '../doctor/network/create-network.ts'
import type { ProjectFiles } from '../doctor/project/files.ts'
import { openProjectFiles } from '../doctor/project/real-files.ts'
import { createRecorder } from '../doctor/recorder.ts'
import { reportOf } from '../doctor/report.ts'
import { openIssuer } from '../issuers/index.ts'
import { createSystem } from '../system.ts'
import { keyturnFacts } from './doctor-keyturn.ts'
import { readIfThere } from './read-if-there.ts'
import { runProgram } from './run-program.ts'

/** Looks at a project as it is on this machine. Changes nothing. */
export async function diagnose(asked: DiagnoseOptions): Promise<Diagnosis> {
  const { folder, version, options, log } = asked
  assertFolder(folder)
  const system = createSystem()
  const steps: Step[] = []
  const recorder = createRecorder({
    network: createNetwork(system),
    system,
    openIssuer: ({ proxy, ...address }) =>
      openIssuer({ kind: 'manual', ...address }, { system, log, fetch: createFetch({ proxy }) }),
  })
  const context: DoctorContext = {
    env: asked.env,
    files: asked.key === undefined ? await openProjectFiles({ folder, env: asked.env }) : noFiles(folder),
    network: recorder.network,
    system,
    log,
    options,
    openIssuer: recorder.openIssuer,
    keyturn: async () =>
      asked.key === undefined
        ? keyturnFacts({
            ...asked,
            system,
            isOffline: options.isOffline,
            withPermissions: options.isThorough,
            storeTimeoutMs: options.stepTimeoutMs,
          })
        : undefined,
    onStep(step) {
      if (step.state !== 'running') steps.push(step)
      asked.onStep(step.about === undefined ? step : { ...step, about: redactKeys(step.about) })
    },
  }
  const at = system.now()
  const examined = await examine(context, { gather: gatherer(asked.key), checks })
  const { facts } = examined
  const proven = recorder.proven(facts.models.map(({ value }) => value))
  const run = runProgram(asked.env)
  const comparisons = await comparePlaces(asked.compare, {
    facts,
    hash: system,
    readFile: readIfThere,
    run,
    proven,
  })
  const examination = { ...examined, findings: [...examined.findings, ...differences(comparisons)] }
  const report = reportOf(examination, {
    hash: system,
    version,
    at,
    folder,
    isOffline: options.isOffline,
    steps,
    proven,
    comparisons,
    env: asked.env,
  })
  const { calls } = recorder
  return { report, bundle: () => bundleOf({ report, calls, facts }, surroundings(asked, context.files)) }
}

function assertFolder(folder: string): void {
  const entry = statSync(folder, { throwIfNoEntry: false })
  const fix = 'Name the folder of a project.'
  if (entry === undefined) throw new KeyturnError('usage', `there is no folder ${folder}`, { fix })
  if (!entry.isDirectory())
    throw new KeyturnError('usage', `${folder} is a file, and a folder is needed`, { fix })
  try {
    accessSync(folder, constants.R_OK | constants.X_OK)
  } catch (cause) {
    throw new KeyturnError('usage', `this user may not look into ${folder}`, {
      fix: 'Run it as the user of the project, or give this one the right to (ls -ld).',
      cause,
    })
  }
}

function surroundings({ env, version }: DiagnoseOptions, files: ProjectFiles): Surroundings {
  const { username } = userInfo()
  return {
    env,
    versions: {
      keyturn: version,
      node: process.versions.node,
      openssl: process.versions.openssl,
      system: `${platform()} ${release()} ${arch()}`,
      'openai (npm)': files.installed('npm', 'openai') ?? null,
      'openai (python)': files.installed('python', 'openai') ?? null,
    },
    home: homedir(),
    names: [username, env['USER'] ?? '', env['LOGNAME'] ?? '', hostname()],
  }
}

/** Of a key that is given, what the environment has for a key does not count; where it would send it does. */
function gatherer(given: Secret | undefined): (context: DoctorContext) => Promise<Facts> {
  if (given === undefined) return gather
  const key = { place: { kind: 'variable', name: givenKey } as const, text: given }
  return async (context) => ({ ...(await gather(context)), key, keys: [key] })
}

/** A folder without any file. */
function noFiles(folder: string): ProjectFiles {
  return {
    folder,
    list: () => [],
    read: () => undefined,
    isTracked: () => undefined,
    isIgnored: () => undefined,
    installed: () => undefined,
  }
}
