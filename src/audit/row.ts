import { hash as digest } from 'node:crypto'
import { redactKeys } from '../core/key-shape.ts'
import type { AuditEntry, SignedDocument } from '../core/ports.ts'

/**
 * One line of the journal. Its hash is SHA-256 over the very bytes of the line up to `,"hash":`, and among those bytes is the
 * hash of the row before it: nothing has to be brought into a canonical form, and `sha256sum` can check it.
 *
 *     {"seq":2,"at":"2026-11-25T21:00:00.000Z","kind":"read",…,"prev":"<64 hex>","hash":"<64 hex>"}
 */
export interface Row extends Omit<AuditEntry, 'at' | 'kind'> {
  /** From 1, without gaps. */
  readonly seq: number
  readonly at: string
  /** journal: what the journal says of itself. */
  readonly kind: AuditEntry['kind'] | 'journal'
  readonly detail?: JournalDetail
  readonly prev: string
  readonly hash: string
}

/** What a row of the kind `journal` says. */
export interface JournalDetail {
  /** begun: the id of the journal. */
  readonly journal?: string
  readonly format?: string
  /** opened: the Keyturn that writes from here on. */
  readonly keyturn?: string
  /** torn: the unfinished line that was cut off, and where it was put; nobody was told that it was written. */
  readonly file?: string
  readonly bytes?: number
  readonly sha256?: string
  /** late, missing, pruned: rows by their numbers. */
  readonly from?: number
  readonly through?: number
  /** pruned: the hash of the row `through`, which the first row that is left has for `prev`. */
  readonly hash?: string
  /** missing, pruned: the place that it concerns. */
  readonly sink?: string
  /** lost, repeated: how many. */
  readonly count?: number
  /** head: seals all rows through the one that it names. */
  readonly head?: SignedDocument
}

export const journalFormat = 'keyturn-audit/1'
/** What the first row of a journal has for the hash of the row before it. */
export const genesis = '0'.repeat(64)
const hashCharsMax = 64
const textCharsMax = 200
const tailPattern = /^,"hash":"([0-9a-f]{64})"\}$/
const tailChars = `,"hash":"${genesis}"}`.length

/** All of a row that does not depend on when and after what it is written. */
export function bodyOf(entry: AuditEntry): string {
  const { kind, action, outcome, caller, credential, version, fingerprint, generation } = entry
  const { requestId, source, reason, count } = entry
  return inner({
    kind,
    action: cleaned(action),
    outcome: cleaned(outcome),
    caller: { id: cleaned(caller.id), name: cleaned(caller.name), kind: caller.kind },
    credential: optional(credential),
    version: optional(version),
    fingerprint: optional(fingerprint),
    generation,
    requestId: optional(requestId),
    source: optional(source),
    reason: optional(reason),
    count,
  })
}

export function journalBody(action: string, detail: JournalDetail): string {
  return inner({ kind: 'journal', action, outcome: 'done', detail })
}

/** The line, without its line break, and its hash. */
export function chained(row: {
  readonly seq: number
  readonly at: string
  readonly body: string
  readonly prev: string
}): { readonly line: string; readonly hash: string } {
  const covered = `{"seq":${row.seq},"at":"${row.at}",${row.body},"prev":"${row.prev}"`
  const hash = sha256(covered)
  return { line: `${covered},"hash":"${hash}"}`, hash }
}

export type ReadRow =
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'malformed'; readonly why: string }

/** Reads a line and believes it only as far as its own hash goes. */
export function readRow(line: string): ReadRow {
  const covered = line.slice(0, -tailChars)
  const hash = tailPattern.exec(line.slice(-tailChars))?.[1]
  if (hash === undefined) return { kind: 'malformed', why: 'it does not end in its hash' }
  if (sha256(covered) !== hash) return { kind: 'malformed', why: 'its hash does not fit: it was changed' }
  const row = parsed(line)
  if (row === undefined) return { kind: 'malformed', why: 'it is not a row of a journal' }
  return { kind: 'row', row }
}

function parsed(line: string): Row | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null) return undefined
    const { seq, at, kind, prev } = value as Partial<Row>
    const isRow =
      Number.isSafeInteger(seq) &&
      typeof at === 'string' &&
      typeof kind === 'string' &&
      typeof prev === 'string' &&
      prev.length === hashCharsMax
    return isRow ? (value as Row) : undefined
  } catch {
    return undefined
  }
}

export function sha256(text: string | Uint8Array): string {
  return digest('sha256', text, 'hex')
}

function inner(value: object): string {
  return JSON.stringify(value).slice(1, -1)
}

function optional(text: string | undefined): string | undefined {
  return text === undefined ? undefined : cleaned(text)
}

/** Controls, line separators and the marks that turn the reading direction round: no name can forge or hide a line. */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/** Names are free text of operators, and people paste keys anywhere. */
function cleaned(text: string): string {
  const short = redactKeys(text.slice(0, 10 * textCharsMax)).replace(controls, '\u{FFFD}')
  return short.length <= textCharsMax ? short : `${short.slice(0, textCharsMax)}…`
}
