import type { Comparison } from '../doctor/compare/compare.ts'
import type { Severity } from '../doctor/finding.ts'
import type { DoctorReport, ReportedFinding } from '../doctor/report.ts'
import type { Output } from './output.ts'
import { type Colour, wrap } from './text.ts'

/** Lines of sentences are no longer than this, however wide the terminal is. */
const columnsMax = 100

const colours: Readonly<Record<Severity, Colour>> = { error: 'red', warning: 'yellow', note: 'cyan' }

/** What a person reads: one line where all is well, else every finding with its cause and its fix. */
export function renderReport(
  report: DoctorReport,
  out: Pick<Output, 'paint' | 'columns' | 'table'>,
): string[] {
  const beside = report.comparisons.flatMap((one) => [...renderComparison(one, out), ''])
  if (report.comparisons.some(({ there }) => there !== null))
    beside.splice(
      -1,
      0,
      '  A fingerprint is the beginning of a hash: equal for equal keys, and no way back to the key.',
    )
  if (report.findings.length === 0 && report.broken.length === 0) return [...beside, healthyLine(report, out)]
  return [
    ...beside,
    ...report.findings.flatMap((finding) => [...renderFinding(finding, out), '']),
    ...report.broken.map(
      ({ check, code }) =>
        `${out.paint('red', 'error')} the check ${check} broke (${code}): what it would have found is not known; please report it`,
    ),
    summaryLine(report),
  ]
}

export function healthyLine(report: DoctorReport, { paint }: Pick<Output, 'paint'>): string {
  return [paint('green', 'healthy'), ...about(report), seconds(report.tookMs)].join(', ')
}

/** `key 3fa9… (project) of OPENAI_API_KEY`, whom it belongs to, and what was proven. */
function about(report: DoctorReport): string[] {
  const { key, proven, isOffline } = report
  const organization = proven.organization ?? report.organization?.value ?? null
  const project = proven.project ?? report.project?.value ?? null
  return [
    ...(key === null
      ? ['no key is needed here']
      : [`key ${key.fingerprint} (${kindWords(key.kind)}) from ${key.at}`]),
    ...(organization === null ? [] : [`organization ${organization}`]),
    ...(project === null ? [] : [`project ${project}`]),
    ...(proven.models.length === 0 ? [] : [`${proven.models.join(' and ')} proven`]),
    ...(isOffline ? ['OpenAI was not asked'] : []),
  ]
}

function kindWords(kind: string): string {
  return `${kind.replaceAll('_', ' ')} key`.replace('unknown shape key', 'of no known shape')
}

function renderFinding(
  finding: ReportedFinding,
  { paint, columns }: Pick<Output, 'paint' | 'columns'>,
): string[] {
  const { severity, code, title, at, seen, cause, fix, requestId } = finding
  const width = Math.min(columns, columnsMax)
  const row = (name: string, text: string): string[] =>
    wrap(text, { columns: width, first: `  ${paint('dim', name.padEnd(6))}`, indent: 8 })
  return [
    `${paint(colours[severity], severity)} ${paint('bold', code)}: ${title}`,
    ...(at === null ? [] : row('where', at)),
    ...row('seen', requestId === null ? seen : `${seen} (request ${requestId})`),
    ...row('cause', cause),
    // Never broken into lines: it is to be copied.
    ...fix
      .split('\n')
      .map((line, index) => `  ${paint('green', (index === 0 ? 'fix' : '').padEnd(6))}${line}`),
  ]
}

function summaryLine(report: DoctorReport): string {
  const { findings, tookMs } = report
  const counts = (['error', 'warning', 'note'] as const)
    .map((severity) => [severity, findings.filter((one) => one.severity === severity).length] as const)
    .filter(([, count]) => count > 0)
    .map(([severity, count]) => `${count} ${severity}${count === 1 ? '' : 's'}`)
  const [first] = findings
  const more = first === undefined ? [] : [`more about one: keyturn doctor --explain ${first.code}`]
  return [...counts, ...(report.key === null ? [] : about(report)), seconds(tookMs), ...more].join(', ')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

// ------------------------------------------------------------------ beside

const fields = ['fingerprint', 'kind', 'stage', 'organization', 'project', 'baseUrl'] as const

/** Both sides of a comparison, row by row. */
function renderComparison(
  { place, here, there, problem, isSame }: Comparison,
  { paint, table }: Pick<Output, 'paint' | 'table'>,
): string[] {
  if (there === null)
    return [
      `${paint('red', 'error')} ${place}: ${problem?.message ?? ''}`,
      ...(problem === null || problem.fix === null ? [] : [`  ${paint('green', 'fix')}   ${problem.fix}`]),
    ]
  const rows = fields.map((field) => {
    const [mine, other] = [here[field], there[field]]
    // What one side does not tell is no difference.
    const isKnown = field === 'fingerprint' || (mine !== null && other !== null)
    const mark = !isKnown ? '' : mine === other ? 'same' : paint('yellow', 'differs')
    return [`  ${labels[field]}`, mine ?? '-', other ?? '-', mark]
  })
  const verdict = isSame === true ? paint('green', 'the same key') : paint('yellow', 'not the same key')
  return [`${place}: ${verdict}`, ...table([['', 'here', place, ''], ...rows])]
}

const labels: Readonly<Record<(typeof fields)[number], string>> = {
  fingerprint: 'fingerprint',
  kind: 'kind',
  stage: 'stage',
  organization: 'organization',
  project: 'project',
  baseUrl: 'base URL',
}
