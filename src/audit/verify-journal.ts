import type { SignedDocument } from '../core/ports.ts'
import type { AuditFiles } from './files.ts'
import { type Head, headFormat, headType } from './heads.ts'
import { openDocument, verifiedPayload } from './jws.ts'
import { genesis, type Row, readRow } from './row.ts'
import { linesOf } from './segments.ts'

/** What is wrong, at the first row where something is. */
export type Fault = {
  readonly kind: 'changed' | 'removed' | 'reordered' | 'cut_off' | 'foreign'
  /** The number of the row. */
  readonly seq: number
  readonly file?: string
  readonly line?: number
  /** One sentence. */
  readonly why: string
}

export type JournalVerification =
  | {
      readonly kind: 'intact'
      readonly journal: string | undefined
      readonly rows: number
      readonly first: number
      readonly last: number
      /** Rows through this one are sealed by a head that the trusted key signed; 0 where none is. */
      readonly sealed: number
      /** Whether heads of another place were held against it: without them a tail that was cut off does not show. */
      readonly isHeld: boolean
      /** A line at the end that is not finished: of a service that writes now, or that was killed. Nobody was told of it. */
      readonly isUnfinished: boolean
    }
  | { readonly kind: 'broken'; readonly fault: Fault; readonly rows: number }

export interface VerifyOptions {
  readonly files: Pick<AuditFiles, 'read'>
  /** The files of one journal, in any order. */
  readonly paths: readonly string[]
  /** The id of the key that signs heads, which came from somewhere else. Absent: heads are held only against each other. */
  readonly keyId?: string
  /** From the second place. */
  readonly heads?: readonly SignedDocument[]
}

/** Hashes of the last so many rows, against which heads in the journal are held: they come a few rows after what they seal. */
const recentMax = 200_000

/** Needs the files alone, the key's id and the heads: no service, no network, no clock. */
export function verifyJournal(options: VerifyOptions): JournalVerification {
  return new Walk(options).run()
}

class Broken extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.why)
    this.fault = fault
  }
}

class Walk {
  readonly #options: VerifyOptions
  #keyId: string | undefined
  #journal: string | undefined
  #first: Row | undefined
  #last: Row | undefined
  #rows = 0
  #sealed = 0
  #prunedTo: { readonly hash: string; readonly at: number } | undefined
  #isUnfinished = false
  #place: { readonly file: string; readonly line: number } = { file: '', line: 0 }
  readonly #recent = new Map<number, string>()
  /** What heads of the other place say of rows. */
  readonly #expected = new Map<number, string>()
  #expectedLast: Head | undefined

  constructor(options: VerifyOptions) {
    this.#options = options
    this.#keyId = options.keyId
  }

  run(): JournalVerification {
    try {
      for (const head of this.#options.heads ?? []) this.#expect(head)
      const paths = this.#inOrder()
      for (const [index, path] of paths.entries()) this.#file(path, index === paths.length - 1)
      this.#end()
    } catch (thrown) {
      if (!(thrown instanceof Broken)) throw thrown
      return { kind: 'broken', fault: thrown.fault, rows: this.#rows }
    }
    return {
      kind: 'intact',
      journal: this.#journal,
      rows: this.#rows,
      first: this.#first?.seq ?? 0,
      last: this.#last?.seq ?? 0,
      sealed: this.#sealed,
      isHeld: this.#expected.size > 0,
      isUnfinished: this.#isUnfinished,
    }
  }

  /** By the number of their first row, whatever they are called now. */
  #inOrder(): readonly string[] {
    const { files, paths } = this.#options
    const begun = paths.map((path) => {
      for (const line of linesOf(files, path)) {
        const read = readRow(line.text)
        if (read.kind === 'row') return { path, from: read.row.seq }
      }
      return { path, from: Number.POSITIVE_INFINITY }
    })
    return begun.toSorted((a, b) => a.from - b.from || a.path.localeCompare(b.path)).map(({ path }) => path)
  }

  #file(path: string, isLast: boolean): void {
    let number = 0
    for (const line of linesOf(this.#options.files, path)) {
      number += 1
      this.#place = { file: path, line: number }
      const read = readRow(line.text)
      if (read.kind === 'row' && line.isWhole) this.#row(read.row)
      else if (!line.isWhole && isLast && !line.text.includes('\n')) this.#isUnfinished = true
      else
        this.#fault(
          'changed',
          this.#next(),
          `the line is not as it was written: ${read.kind === 'row' ? 'its line break is gone' : read.why}`,
        )
    }
  }

  #row(row: Row): void {
    const { seq, prev, hash } = row
    const expected = this.#next()
    if (this.#last === undefined) this.#begin(row)
    else if (seq > expected) this.#fault('removed', expected, `rows ${expected} to ${seq - 1} are not there`)
    else if (seq < expected) this.#fault('reordered', seq, `row ${seq} stands after row ${expected - 1}`)
    else if (prev !== this.#last.hash)
      this.#fault(
        'changed',
        seq,
        `it does not follow from row ${expected - 1}: one of them was changed, or is of another journal`,
      )
    const sealed = this.#expected.get(seq)
    if (sealed !== undefined && sealed !== hash)
      this.#fault('changed', seq, 'it is not the row that a signed head in the second place seals')
    if (sealed !== undefined) this.#sealed = Math.max(this.#sealed, this.#keyId === undefined ? 0 : seq)
    this.#rows += 1
    this.#last = row
    this.#recent.set(seq, hash)
    if (this.#recent.size > recentMax) this.#recent.delete(seq - recentMax)
    if (row.kind === 'journal') this.#note(row)
  }

  #begin(row: Row): void {
    this.#first = row
    if (row.seq === 1 && (row.prev !== genesis || row.action !== 'begun'))
      this.#fault('changed', 1, 'it is not how a journal begins')
  }

  #note({ seq, action, detail }: Row): void {
    const id = action === 'begun' || action === 'opened' ? detail?.journal : undefined
    if (id !== undefined) {
      if (this.#journal !== undefined && id !== this.#journal)
        this.#fault('foreign', seq, `it is of the journal ${id}`)
      this.#journal = id
    }
    if (action === 'pruned' && detail?.through !== undefined && detail.through + 1 === this.#first?.seq)
      this.#prunedTo = { hash: detail.hash ?? '', at: seq }
    if (action === 'head' && detail?.head !== undefined) this.#inside(detail.head, seq)
  }

  /** Nobody without the key can chain anew what lies before such a row. */
  #inside(document: SignedDocument, at: number): void {
    const head = this.#open(document, at)
    const known = this.#recent.get(head.seq)
    if (known === undefined && head.seq < (this.#first?.seq ?? 0)) return
    if (known !== head.hash)
      this.#fault('changed', head.seq, `it is not the row that the signed head in row ${at} seals`)
    if (this.#options.keyId !== undefined) this.#sealed = Math.max(this.#sealed, head.seq)
  }

  #expect(document: SignedDocument): void {
    const head = this.#open(document, 0)
    const known = this.#expected.get(head.seq)
    if (known !== undefined && known !== head.hash)
      this.#fault('changed', head.seq, 'two signed heads seal different rows under this number')
    this.#expected.set(head.seq, head.hash)
    if (head.seq > (this.#expectedLast?.seq ?? 0)) this.#expectedLast = head
  }

  #open(document: SignedDocument, at: number): Head {
    const opened = openDocument(JSON.stringify(document), headType)
    if (opened.kind === 'malformed') this.#fault('changed', at, `a head is no signed document: ${opened.why}`)
    const { header } = opened
    this.#keyId ??= header.kid
    if (header.kid !== this.#keyId)
      this.#fault('foreign', at, `a head is signed with the key ${header.kid}, not with ${this.#keyId}`)
    const payload = verifiedPayload(opened.document, header.jwk)
    if (payload === undefined) this.#fault('changed', at, 'the signature of a head does not fit')
    const head = headOf(payload)
    if (head === undefined) this.#fault('changed', at, 'what was signed is no head of a journal')
    if (this.#journal !== undefined && head.journal !== this.#journal)
      this.#fault('foreign', at, `a head is of the journal ${head.journal}`)
    this.#journal ??= head.journal
    return head
  }

  #end(): void {
    const last = this.#last?.seq ?? 0
    const head = this.#expectedLast
    if (head !== undefined && head.seq > last)
      this.#fault(
        'cut_off',
        last + 1,
        `rows ${last + 1} to ${head.seq} are not there, and a signed head of ${head.at} seals them`,
      )
    const first = this.#first
    if (first === undefined || first.seq === 1) return
    if (this.#prunedTo?.hash !== first.prev)
      this.#fault(
        'removed',
        1,
        `rows 1 to ${first.seq - 1} are not there, and no row says that they were removed for their age`,
      )
    // Whoever can write the file can add such a row behind the last head, and remove what they like before it.
    const { at } = this.#prunedTo
    if (this.#options.keyId !== undefined && at > this.#sealed)
      this.#fault(
        'removed',
        1,
        `rows 1 to ${first.seq - 1} are not there, and row ${at}, which says that they were removed for their age, is sealed by no head`,
      )
  }

  #next(): number {
    return (this.#last?.seq ?? 0) + 1
  }

  #fault(kind: Fault['kind'], seq: number, why: string): never {
    const { file, line } = this.#place
    throw new Broken({ kind, seq, ...(line === 0 ? {} : { file, line }), why })
  }
}

/** Heads as a place keeps them, one per line; a line that was not finished when somebody stopped is left out. */
export function readHeads(text: string): readonly SignedDocument[] {
  return text.split('\n').flatMap((line) => {
    const opened = openDocument(line, headType)
    return opened.kind === 'document' ? [opened.document] : []
  })
}

/** Whose each is, as it says itself; whether that is so is looked at when the journal is verified. */
export function headsByJournal(
  heads: readonly SignedDocument[],
): ReadonlyMap<string, readonly SignedDocument[]> {
  const found = new Map<string, SignedDocument[]>()
  for (const head of heads) {
    const journal = headOf(Buffer.from(head.payload, 'base64url').toString('utf8'))?.journal
    if (journal !== undefined) found.set(journal, [...(found.get(journal) ?? []), head])
  }
  return found
}

/** What the journal calls itself: in its first row, at every start, and in its heads. */
export function journalIdOf(files: Pick<AuditFiles, 'read'>, paths: readonly string[]): string | undefined {
  for (const path of paths)
    for (const line of linesOf(files, path)) {
      const read = readRow(line.text)
      const detail = read.kind === 'row' ? read.row.detail : undefined
      if (detail?.journal !== undefined) return detail.journal
    }
  return undefined
}

function headOf(payload: string): Head | undefined {
  try {
    const head = JSON.parse(payload) as Partial<Head> | null
    const isHead =
      head?.format === headFormat &&
      typeof head.journal === 'string' &&
      Number.isSafeInteger(head.seq) &&
      typeof head.hash === 'string'
    return isHead ? (head as Head) : undefined
  } catch {
    return undefined
  }
}
