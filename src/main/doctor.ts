import type { DiagnoseOptions, Diagnosis } from '../cli/io.ts'
import { checks } from '../doctor/checks.ts'
import type { DoctorContext, Step } from '../doctor/context.ts'
import { examine } from '../doctor/examine.ts'
import { gather } from '../doctor/gather.ts'
import type { Network } from '../doctor/network.ts'
import type { ProjectFiles } from '../doctor/project/files.ts'
import { createRecorder } from '../doctor/recorder.ts'
import { reportOf } from '../doctor/report.ts'
import { httpFetch } from '../issuers/http-fetch.ts'
import { openIssuer } from '../issuers/index.ts'
import { createSystem } from '../system.ts'

/** Looks at a project as it is on this machine. Changes nothing. */
export async function diagnose(asked: DiagnoseOptions): Promise<Diagnosis> {
  const { folder, version, options, log } = asked
  const system = createSystem()
  const steps: Step[] = []
  const recorder = createRecorder({
    network: unplugged,
    system,
    openIssuer: (address) => openIssuer({ kind: 'manual', ...address }, { system, log, fetch: httpFetch }),
  })
  const context: DoctorContext = {
    env: asked.env,
    files: noFiles(folder),
    network: recorder.network,
    system,
    log,
    options,
    openIssuer: recorder.openIssuer,
    keyturn: async () => undefined,
    onStep(step) {
      if (step.state !== 'running') steps.push(step)
      asked.onStep(step)
    },
  }
  const at = system.now()
  const examination = await examine(context, { gather, checks })
  const proven = recorder.proven(examination.facts.models.map(({ value }) => value))
  const report = reportOf(examination, {
    hash: system,
    version,
    at,
    folder,
    isOffline: options.isOffline,
    steps,
    proven,
  })
  return { report, calls: recorder.calls }
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

const unplugged: Network = {
  resolve: async () => ({ kind: 'failed', failure: 'aborted', tookMs: 0 }),
  connect: async () => ({ kind: 'failed', failure: 'aborted', tookMs: 0 }),
  tls: async () => ({ kind: 'failed', failure: 'aborted', tookMs: 0 }),
  request: async () => ({ kind: 'failed', failure: 'aborted', tookMs: 0 }),
}
