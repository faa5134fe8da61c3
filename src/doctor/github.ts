import type { DoctorReport, ReportedFinding } from './report.ts'

/** What GitHub shows of a run beside the lines of a change: one workflow command for each finding. */
export function annotationsOf({ findings, broken }: DoctorReport): string[] {
  return [
    ...findings.map(annotationOf),
    ...broken.map(
      ({ check, code }) =>
        `::error title=keyturn doctor::${data(`The check ${check} broke (${code}); what it would have found is not known.`)}`,
    ),
  ]
}

const commands = { error: 'error', warning: 'warning', note: 'notice' } as const

function annotationOf({ severity, code, title, place, at, seen, cause, fix }: ReportedFinding): string {
  const where =
    place?.kind === 'file'
      ? [
          `file=${property(place.path)}`,
          ...(place.line === undefined ? [] : [`line=${place.line}`]),
          ...(place.line === undefined || place.column === undefined ? [] : [`col=${place.column}`]),
        ]
      : []
  const properties = [...where, `title=${property(`${code}: ${title}`)}`].join(',')
  const subject = place?.kind === 'file' || at === null ? '' : `${at}: `
  return `::${commands[severity]} ${properties}::${data(`${subject}${seen}\n${cause}\nFix: ${fix}`)}`
}

/** As the runner's own toolkit writes them: a percent sign first, or it would be read as an escape. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}

/** The summary of a run, as Markdown. */
export function jobSummaryOf(report: DoctorReport, healthy: string): string {
  const { findings, broken } = report
  if (findings.length === 0 && broken.length === 0) return `### keyturn doctor\n\n${markdown(healthy)}\n`
  const rows = findings.map(
    ({ severity, code, title, at, seen, fix }) =>
      `| ${severity} | \`${code}\` ${markdown(title)} | ${markdown(at ?? '')} | ${markdown(seen)} | ${markdown(fix)} |`,
  )
  return [
    '### keyturn doctor',
    '',
    '| | finding | where | seen | fix |',
    '|---|---|---|---|---|',
    ...rows,
    ...broken.map(
      ({ check, code }) => `| error | the check ${markdown(check)} broke | | ${code} | report it |`,
    ),
    '',
  ].join('\n')
}

/** In a cell of a table nothing may begin markup, another cell or another row. */
function markdown(text: string): string {
  return text
    .replaceAll(/[\\`*_{}[\]<>|#~$@]/g, (mark) => `&#${mark.charCodeAt(0)};`)
    .replaceAll(/\r\n?|\n/g, '<br>')
}
