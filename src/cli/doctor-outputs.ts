import { posix, relative, resolve } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'
import type { DoctorReport } from '../doctor/report.ts'
import { createSystem } from '../system.ts'
import { type Context, usage } from './command.ts'
import { healthyLine, renderReport } from './doctor-text.ts'
import { explanations } from './explain.ts'
import { faultOf } from './fault.ts'
import type { Diagnosis } from './io.ts'
import { plainPaint } from './text.ts'

/** The report in the form that was asked for, and what GitHub shows of a run where it runs there. */
export async function show(context: Context, report: DoctorReport): Promise<void> {
  const { out, options } = context
  if (options.has('sarif')) await showSarif(context, report)
  else out.result(report, () => renderReport(report, out))
  if (isOnGitHub(context)) await annotate(context, report)
}

/** Two documents on one standard output are none. */
export function assertOneForm({ out, options }: Context): void {
  if (out.isJson && options.has('sarif'))
    throw usage('--json and --sarif both want standard output', 'Give one of them.')
}

/** Nobody waits for a whole examination to hear of it. Error: `conflict`. */
export function assertNewBundle(context: Context): void {
  const path = bundlePath(context)
  if (path !== undefined && context.io.readFile(path) !== undefined) throw bundleThere(path)
}

/** A file for support, for this user alone until it is sent. Error: `conflict` where there is one already. */
export function writeBundle(context: Context, bundle: Diagnosis['bundle']): void {
  const { io, out } = context
  const path = bundlePath(context)
  if (path === undefined) return
  if (!io.writeNewFile(path, `${JSON.stringify(bundle(), null, 2)}\n`, 0o600)) throw bundleThere(path)
  out.note(
    `${path} is for support: without keys, tokens, addresses of people and your home. Read it before you send it.`,
  )
}

function bundlePath({ io, options }: Context): string | undefined {
  const file = options.text('bundle')
  return file === undefined ? undefined : resolve(io.cwd, file)
}

function bundleThere(path: string): KeyturnError {
  return new KeyturnError('conflict', `there is a file ${path} already`, {
    fix: 'Choose another name for --bundle.',
  })
}

async function showSarif({ io, out }: Context, report: DoctorReport): Promise<void> {
  const { sarifOf } = await import('../doctor/sarif.ts')
  const sections = explanations()
  out.document(
    sarifOf(inRepository(report, io), { hash: createSystem(), explain: (code) => sections.get(code) }),
  )
}

/** Whoever shows files beside a change knows them from the top of the repository, and not from the folder that was looked at. */
function inRepository(report: DoctorReport, { env, cwd }: Context['io']): DoctorReport {
  const top = env['GITHUB_WORKSPACE']?.trim() ?? ''
  const prefix = relative(top === '' ? cwd : top, report.folder).replaceAll('\\', '/')
  if (prefix === '' || prefix.startsWith('..')) return report
  const findings = report.findings.map((finding) => {
    const { place } = finding
    if (place?.kind !== 'file' || posix.isAbsolute(place.path)) return finding
    return { ...finding, place: { ...place, path: posix.join(prefix, place.path) } }
  })
  return { ...report, findings }
}

function isOnGitHub({ io, options }: Context): boolean {
  return options.has('ci') || io.env['GITHUB_ACTIONS'] === 'true'
}

/** On standard error, which a runner reads as well: standard output may be a document. */
async function annotate({ io, out }: Context, report: DoctorReport): Promise<void> {
  const { annotationsOf, jobSummaryOf } = await import('../doctor/github.ts')
  for (const line of annotationsOf(inRepository(report, io))) out.runnerCommand(line)
  const file = io.env['GITHUB_STEP_SUMMARY']?.trim()
  if (file === undefined || file === '') return
  try {
    io.appendFile(file, redactKeys(jobSummaryOf(report, healthyLine(report, { paint: plainPaint }))))
  } catch (thrown) {
    // What was found is told all the same.
    out.warn(faultOf(thrown, 'the summary of the run could not be written').message)
  }
}
