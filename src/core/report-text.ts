import type { Plain, Report, ReportedAttempt, ReportedKey, ReportedStep } from './report.ts'

/**
 * A report for people, line by line. It is the very data of the signed document and nothing else; evidence is told field by
 * field, so that a document of another version of Keyturn is told as well.
 */
export function reportLines(report: Report): readonly string[] {
  const { rotation } = report
  return [
    `Report on a ${report.subject} of ${report.credential}`,
    '',
    ...facts([
      ['issued', `${report.issuedAt} by installation ${report.installation}, Keyturn ${report.keyturn}`],
      ['state', report.isFinal ? 'final' : 'not final: see what goes on below'],
      ['in short', report.summary],
    ]),
    ...list('What goes on', report.open),
    ...list('Remarks', report.remarks),
    ...(rotation === null ? [] : rotationLines(rotation)),
    ...report.retirements.flatMap(retirementLines),
  ].map(harmless)
}

function rotationLines(rotation: NonNullable<Report['rotation']>): readonly string[] {
  return [
    '',
    `Rotation ${rotation.id}`,
    ...facts([
      ['mode', `${rotation.mode}${rotation.isCompromised ? ', the old key compromised' : ''}`],
      ['asked for by', rotation.requestedBy],
      ['because', rotation.reason],
      ['began', rotation.startedAt],
      ['ended', rotation.endedAt === null ? 'not yet' : `${rotation.endedAt}${took(rotation.tookSeconds)}`],
      ['outcome', rotation.outcome ?? rotation.phase],
      ['old key', rotation.from === null ? 'none: the first one' : keyText(rotation.from)],
      ['new key', rotation.to === null ? 'none' : keyText(rotation.to)],
      ...(rotation.rules === null ? [] : [['policy', inline(rotation.rules)] as const]),
      ...(rotation.halt === null ? [] : [['halted', inline(rotation.halt)] as const]),
    ]),
    ...(rotation.failure === null ? [] : facts([['failed', inline(rotation.failure)]])),
    ...list('What it needs, and whether it is allowed', rotation.permissions.map(inline), '  '),
    ...list('What remains of it', rotation.residue, '  '),
    ...list('Attempts to make a key', rotation.attempts.map(attemptText), '  '),
    ...stepLines(rotation.steps),
  ]
}

function retirementLines(retirement: Report['retirements'][number]): readonly string[] {
  const ended =
    retirement.endedAt === null ? 'not yet' : `${retirement.endedAt}${took(retirement.tookSeconds)}`
  return [
    '',
    `Retirement ${retirement.id}`,
    ...facts([
      ['old key', keyText(retirement.key)],
      ['proven dead', retirement.isProvenDead ? 'yes' : 'no'],
      ...(retirement.requestedBy === null ? [] : [['asked for by', retirement.requestedBy] as const]),
      ...(retirement.reason === null ? [] : [['because', retirement.reason] as const]),
      ['began', retirement.startedAt],
      ['overlap until', retirement.overlapUntil],
      ['ended', ended],
      ...(retirement.heldBy === null ? [] : [['held', retirement.heldBy] as const]),
      ...(retirement.rules === null ? [] : [['policy', inline(retirement.rules)] as const]),
      ...(retirement.halt === null ? [] : [['halted', inline(retirement.halt)] as const]),
    ]),
    ...stepLines(retirement.steps),
  ]
}

function stepLines(steps: readonly ReportedStep[]): readonly string[] {
  return steps.flatMap(({ at, phase, note, lastedSeconds, evidence }) => [
    '',
    `  ${at}  ${words(phase)}${lastedSeconds === null ? '' : ` (${lastedSeconds} s)`}`,
    `    ${note}`,
    ...(evidence === null ? [] : evidenceLines(evidence)),
  ])
}

function evidenceLines({ kind: _kind, ...fields }: Plain): readonly string[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    const label = `      ${words(name)}: `
    if (!Array.isArray(value)) return [label + valueText(value)]
    if (value.length === 0) return [`${label}none`]
    const isFlat = value.every((one) => typeof one !== 'object')
    return isFlat
      ? [label + value.join(', ')]
      : [label.trimEnd(), ...value.map((one) => `        ${valueText(one)}`)]
  })
}

function valueText(value: unknown): string {
  if (value === null) return 'none'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(valueText).join(' ')
  if (typeof value === 'object') return inline(value as Plain)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function inline(data: Plain): string {
  return Object.entries(data)
    .map(([name, value]) => `${words(name)} ${valueText(value)}`)
    .join(', ')
}

function keyText({
  version,
  fingerprint,
  keyId,
  origin,
  serviceAccount,
  createdAt,
  expiresAt,
}: ReportedKey): string {
  return [
    fingerprint ?? 'fingerprint not kept',
    keyId,
    `version ${version}`,
    origin,
    serviceAccount === null ? null : `of ${serviceAccount}`,
    createdAt === null ? null : `made ${createdAt}`,
    expiresAt === null ? null : `expires ${expiresAt}`,
  ]
    .filter((part) => part !== null)
    .join(', ')
}

function attemptText({ number, startedAt, marker, keyId, fate }: ReportedAttempt): string {
  return `${number}. ${startedAt}  ${words(fate)}, ${keyId ?? 'no key id'}, named ${marker}`
}

function took(seconds: number | null): string {
  return seconds === null ? '' : `, after ${seconds} s`
}

function facts(rows: readonly (readonly [label: string, value: string])[]): readonly string[] {
  return rows.map(([label, value]) => `  ${label.padEnd(14)} ${value}`)
}

function list(title: string, items: readonly string[], indent = ''): readonly string[] {
  return items.length === 0 ? [] : ['', `${indent}${title}`, ...items.map((one) => `${indent}  - ${one}`)]
}

/** `overlapUntil` and `proving_current` as people write them. */
function words(name: string): string {
  return name.replaceAll('_', ' ').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** Reasons and names come from people: none of them makes a line of its own, or tells a terminal what to do. */
function harmless(line: string): string {
  return line.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
}
