import type {
  CheckSummary,
  CredentialSummary,
  StandbySummary,
  Trouble,
  VersionSummary,
} from '../api/types.ts'
import { isAuthentic, type VerdictKind } from '../core/types.ts'
import { type Column, facts, fold, layOut } from './layout.ts'
import type { Output } from './output.ts'
import { renderProgress, renderRetirement } from './progress.ts'
import { type Paint, short, span, when } from './text.ts'

/** How credentials and their versions are shown. */
export interface View {
  readonly now: number
  readonly out: Pick<Output, 'paint' | 'columns'>
}

/** Whether anything waits for a person: nothing can be handed out, or a walk has halted. */
export function needsHuman(summary: CredentialSummary): boolean {
  const { current, rotation, retirements } = summary
  const halted = [rotation, ...retirements].some((walk) => walk !== null && walk.halt !== null)
  const isDead = current === null || current.withdrawnAt !== null || current.check?.verdict === 'rejected'
  return halted || isDead
}

export function renderList(all: readonly CredentialSummary[], view: View): string[] {
  if (all.length === 0) return ['No credential is configured.']
  return [...renderTable(all, view), ...all.flatMap((summary) => renderTroubles(summary, view.out))]
}

/** One line for each, below a header. */
export function renderTable(all: readonly CredentialSummary[], { now, out }: View): string[] {
  const rows = all.map((summary) => [
    `${summary.name}${summary.isInternal ? ' (internal)' : ''}`,
    verdictText(summary.current?.check ?? null, out.paint),
    summary.current?.fingerprint ?? '-',
    when(summary.current?.verifiedAt ?? null, now),
    when(summary.rotatesAt, now),
    stateOf(summary),
  ])
  return layOut({ columns: listColumns, rows }, out.columns)
}

const listColumns: readonly Column[] = [
  { title: 'CREDENTIAL', least: 16 },
  { title: 'VERDICT' },
  { title: 'KEY', leaves: 2 },
  { title: 'VERIFIED', leaves: 1 },
  { title: 'ROTATES', leaves: 3 },
  { title: 'STATE', least: 12 },
]

function stateOf({ rotation, retirements, troubles }: CredentialSummary): string {
  if (rotation !== null && rotation.endedAt === null) return rotation.isPaused ? 'paused' : rotation.phase
  const retirement = retirements.find((one) => one.endedAt === null)
  if (retirement !== undefined) return `old key ${retirement.phase.replaceAll('_', ' ')}`
  return troubles.length === 0 ? 'ok' : (troubles[0]?.code ?? 'trouble')
}

export function renderDetail(summary: CredentialSummary, view: View): string[] {
  const { now, out } = view
  const { current } = summary
  const rows: (readonly [string, string])[] = [
    ['verdict', verdictText(current?.check ?? null, out.paint)],
    ['key', current === null ? 'none' : `${current.fingerprint} (version ${short(current.version)})`],
    ['verified', when(current?.verifiedAt ?? null, now)],
    ['belongs to', [current?.organization, current?.project].filter(Boolean).join(' / ') || '-'],
    ['expires', when(current?.expiresAt ?? null, now)],
    ['rotates', when(summary.rotatesAt, now)],
    ...(summary.blackoutUntil === null
      ? []
      : [['blackout', `until ${summary.blackoutUntil}: nothing moves that nobody asks for`] as const]),
    ...(summary.standby === null ? [] : [['standby', standbyText(summary.standby, now)] as const]),
    ['store', summary.store],
    ...summary.mirrors.map(
      ({ id, isInLine }) => ['mirror', `${id}${isInLine ? '' : ' (not in line)'}`] as const,
    ),
    ['issuer', summary.issuer],
    ['generation', String(summary.generation)],
  ]
  const lines = [
    out.paint('bold', `${summary.name}${summary.isInternal ? ' (internal: handed out to nobody)' : ''}`),
    ...facts(rows, out.columns),
  ]
  lines.push(...renderWalks(summary, view).flatMap((line) => fold(line, out.columns)))
  lines.push('', ...renderVersions(summary.versions, view))
  const troubles = renderTroubles(summary, out)
  if (troubles.length > 0) lines.push('', ...troubles)
  return lines
}

/** What is going on: the rotation that runs, the old keys that are being retired, or how the last rotation ended. */
function renderWalks({ rotation, retirements }: CredentialSummary, { now, out }: View): string[] {
  const { paint } = out
  const isRunning = rotation !== null && rotation.endedAt === null
  const walks = isRunning ? ['', ...renderProgress(rotation, { now, paint })] : []
  const shown = isRunning ? rotation.retirement?.id : undefined
  for (const retirement of retirements) {
    if (retirement.endedAt !== null || retirement.id === shown) continue
    walks.push('', ...renderRetirement(retirement, { now, paint }))
  }
  if (rotation === null || isRunning) return walks
  const isSpare = rotation.mode === 'standby'
  const outcome = rotation.outcome === 'standby' ? 'ready' : (rotation.outcome ?? rotation.phase)
  const what = `last ${isSpare ? 'spare' : 'rotation'} ${short(rotation.id)}`
  return [`  ${what}: ${outcome.replaceAll('_', ' ')} ${when(rotation.endedAt, now)}`, ...walks]
}

function standbyText({ ready, addedAt, reason, nextTryAt }: StandbySummary, now: number): string {
  if (ready > 0 && addedAt !== null) return `ready, ${span(now - Date.parse(addedAt))} old`
  return `none: ${reason ?? 'nobody knows why'}${nextTryAt === null ? '' : `; begun ${when(nextTryAt, now)}`}`
}

export function renderTroubles(
  { name, troubles }: CredentialSummary,
  { paint, columns }: View['out'],
): string[] {
  // One cause may be the trouble of two things: it is told once.
  const isFirst = (trouble: Trouble, index: number): boolean =>
    troubles.findIndex(({ summary, fix }) => summary === trouble.summary && fix === trouble.fix) === index
  return troubles
    .filter(isFirst)
    .flatMap((trouble) => [
      ...fold(`${name}: ${trouble.summary}`, columns).map((line) => paint('red', line)),
      ...(trouble.fix === '' ? [] : fold(`  fix: ${trouble.fix}`, columns)),
    ])
}

export function renderVersions(versions: readonly VersionSummary[], { now, out }: View): string[] {
  if (versions.length === 0) return ['There is no key yet.']
  const rows = versions.map((version) => [
    short(version.version),
    `${version.stage}${version.isCompromised ? ' (compromised)' : version.withdrawnAt === null ? '' : ' (withdrawn)'}`,
    version.fingerprint,
    verdictText(checkOf(version), out.paint),
    when(checkOf(version)?.checkedAt ?? null, now),
    version.origin,
    when(version.addedAt, now),
    when(version.stage === 'retired' ? null : version.expiresAt, now),
  ])
  return layOut({ columns: versionColumns, rows }, out.columns)
}

const versionColumns: readonly Column[] = [
  { title: 'VERSION' },
  { title: 'STAGE' },
  { title: 'FINGERPRINT' },
  { title: 'VERDICT' },
  { title: 'CHECKED', leaves: 3 },
  { title: 'ORIGIN', leaves: 1 },
  { title: 'ADDED', leaves: 2 },
  { title: 'EXPIRES', leaves: 4 },
]

/** Of what is retired, most is dead, and its last check was before that: neither it nor an expiry is told as of now. */
function checkOf({ stage, check }: VersionSummary): CheckSummary | null {
  const isPast = stage === 'retired' && check !== null && isAuthentic(check.verdict as VerdictKind)
  return isPast ? null : check
}

export function verdictText(check: CheckSummary | null, paint: Paint): string {
  if (check === null) return '-'
  if (check.verdict === 'valid') return paint('green', check.verdict)
  return paint(isAuthentic(check.verdict as VerdictKind) ? 'yellow' : 'red', check.verdict)
}
