import { assert, KeyturnError } from '../core/errors.ts'
import type { Audit, AuditEntry, Cancel, Log, System } from '../core/ports.ts'
import { createFeed, type Feed } from './feed.ts'
import { bodyOf, chained, genesis, type JournalDetail, journalBody, journalFormat } from './row.ts'
import { batchBytesMax, type OpenBatch, type Sink } from './sink.ts'

/** durable: the reply waits for the row. async: the row is written, and nobody waits. off: reads are no rows. */
export type AuditReads = 'durable' | 'async' | 'off'

export interface JournalOptions {
  /** The id of this journal, in its first row and in its heads. */
  readonly id: string
  /** Where the chain goes on; absent: it begins. */
  readonly from?: { readonly seq: number; readonly hash: string }
  readonly sinks: readonly Sink[]
  readonly reads: AuditReads
  /** How long a reply waits for its row. */
  readonly waitMs: number
  readonly keyturn: string
  readonly system: System
  readonly log: Log
  /** How much may wait in memory for each sink. */
  readonly backlogBytesMax?: number
  /** What is gathered in one turn of the event loop is written together. */
  readonly soon: (callback: () => void) => void
}

/** What the operator is told of it. */
export interface JournalStatus {
  readonly journal: string
  /** The last row of the chain, and the last one that is durable somewhere. */
  readonly seq: number
  readonly durable: number
  /** Rows for whose sake a reply was refused, and reads without a row because nobody waited for it. */
  readonly refused: number
  readonly lost: number
  readonly sinks: readonly SinkStatus[]
}

export interface SinkStatus {
  readonly name: string
  readonly isTaking: boolean
  /** Rows that it has not taken yet. */
  readonly behind: number
  /** Rows that it will never have: they came while it was away and were more than is kept. */
  readonly missed: number
}

export interface Journal extends Audit {
  /** What the journal says of itself: a row like any other. */
  note(action: string, detail: JournalDetail): Promise<{ readonly seq: number; readonly hash: string }>
  /** The last row of the chain. */
  readonly seq: number
  readonly hash: string
  status(): JournalStatus
  /** Told whenever more rows are durable. */
  onDurable(listener: (seq: number) => void): Cancel
  /** Writes what is left, for at most the time a reply waits, and closes the sinks. */
  close(): Promise<void>
}

/** With so many the disk is set to work before the turn is over: it writes while the rest is being answered. */
const earlyRows = 128
/** What nobody waits for is gathered for this long: a write for each turn would cost more than the rows. */
const unawaitedMs = 50
/** Rows are gathered as long as each turn of the event loop brings more, and for at most so many turns. */
const gatherTurnsMax = 32
const backlogBytesDefault = 64 * 1024 * 1024

export function createJournal(options: JournalOptions): Journal {
  return new ChainedJournal(options)
}

class ChainedJournal implements Journal {
  readonly #options: JournalOptions
  readonly #feeds: readonly Feed[]
  readonly #bodies = new WeakMap<AuditEntry, string>()
  readonly #listeners = new Set<(seq: number) => void>()
  #seq: number
  #hash: string
  #durable: number
  #open: OpenBatch | undefined
  /** Oldest first; those that no sink has taken yet. */
  readonly #waiting: OpenBatch[] = []
  #isScheduled = false
  #isLater = false
  #isClosed = false
  /** Rows whose replies were refused because they took too long, until a row says so. */
  #lateFrom: number | undefined
  #lateThrough = 0
  #refused = 0
  #lost = 0
  #lostUntold = 0
  #at = Number.NaN
  #atText = ''

  constructor(options: JournalOptions) {
    const { from, sinks, system, log } = options
    assert(
      sinks.some(({ isConfirming }) => isConfirming),
      'a journal has a place that says what it has',
    )
    this.#options = options
    this.#seq = from?.seq ?? 0
    this.#hash = from?.hash ?? genesis
    this.#durable = this.#seq
    this.#feeds = sinks.map((sink) =>
      createFeed({
        sink,
        system,
        log,
        bytesMax: options.backlogBytesMax ?? backlogBytesDefault,
        durable: () => this.#durable,
        onTaking: (batch) => {
          if (this.#open === batch) this.#open = undefined
        },
        onTaken: (through) => this.#taken(through),
        onMissed: (gap) => void this.note('missing', gap).catch(() => undefined),
      }),
    )
    if (from === undefined)
      void this.note('begun', { journal: options.id, format: journalFormat }).catch(() => undefined)
    void this.note('opened', { journal: options.id, keyturn: options.keyturn }).catch(() => undefined)
  }

  get seq(): number {
    return this.#seq
  }

  get hash(): string {
    return this.#hash
  }

  record(entry: AuditEntry): Promise<void> | undefined {
    const { reads } = this.#options
    const isRead = entry.kind === 'read'
    if (isRead && reads === 'off') return undefined
    const isAwaited = !isRead || reads === 'durable'
    if (this.#isClosed || this.#feeds.every((feed) => feed.isFull || !feed.isConfirming)) {
      if (isAwaited) return this.#refuse()
      this.#lost += 1
      this.#lostUntold += 1
      return undefined
    }
    const batch = this.#add(this.#bodyOf(entry), entry.at ?? this.#options.system.now())
    if (!isAwaited) {
      this.#writeLater()
      return undefined
    }
    batch.awaited += 1
    if (batch.awaited % earlyRows === 0) this.#pump()
    this.#writeSoon()
    return batch.written
  }

  async note(
    action: string,
    detail: JournalDetail,
  ): Promise<{ readonly seq: number; readonly hash: string }> {
    if (this.#isClosed) throw this.#unavailable()
    const batch = this.#add(journalBody(action, detail), this.#options.system.now())
    const row = { seq: this.#seq, hash: this.#hash }
    this.#writeSoon()
    await batch.written
    return row
  }

  status(): JournalStatus {
    return {
      journal: this.#options.id,
      seq: this.#seq,
      durable: this.#durable,
      refused: this.#refused,
      lost: this.#lost,
      sinks: this.#feeds.map((feed) => feed.status(this.#seq)),
    }
  }

  onDurable(listener: (seq: number) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const last = this.#waiting.at(-1)
    this.#pump()
    await last?.written.catch(() => undefined)
    await Promise.all(this.#feeds.map((feed) => feed.close(this.#options.waitMs)))
  }

  /** A hand-out records the same object each time: its text is made once. */
  #bodyOf(entry: AuditEntry): string {
    const known = this.#bodies.get(entry)
    if (known !== undefined) return known
    const body = bodyOf(entry)
    this.#bodies.set(entry, body)
    return body
  }

  #add(body: string, at: number): OpenBatch {
    if (at !== this.#at) {
      this.#at = at
      this.#atText = new Date(at).toISOString()
    }
    const { line, hash } = chained({ seq: this.#seq + 1, at: this.#atText, body, prev: this.#hash })
    this.#seq += 1
    this.#hash = hash
    const batch = this.#open ?? this.#begin()
    batch.through = this.#seq
    batch.text += `${line}\n`
    if (batch.text.length > batchBytesMax) this.#open = undefined
    return batch
  }

  #writeLater(): void {
    if (this.#isLater || this.#isScheduled) return
    this.#isLater = true
    this.#options.system.after(
      unawaitedMs,
      () => {
        this.#isLater = false
        this.#pump()
      },
      { background: true },
    )
  }

  #writeSoon(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#gather(gatherTurnsMax)
  }

  /**
   * One write costs as much for one row as for a hundred, so that it waits for a turn that brings no more: a lone request
   * waits for one empty turn of the event loop, many at once go to the disk together.
   */
  #gather(turnsLeft: number): void {
    const seq = this.#seq
    this.#options.soon(() => {
      if (this.#seq !== seq && turnsLeft > 0) return this.#gather(turnsLeft - 1)
      this.#isScheduled = false
      this.#pump()
    })
  }

  #begin(): OpenBatch {
    const { system, waitMs } = this.#options
    let settle: OpenBatch['settle'] = () => undefined
    const written = new Promise<void>((resolve, reject) => {
      const cancel = system.after(waitMs, () => this.#late(batch), { background: true })
      settle = (error) => {
        cancel()
        if (error === undefined) resolve()
        else reject(error)
      }
    })
    // Not every row is waited for.
    written.catch(() => undefined)
    const batch = { from: this.#seq, through: this.#seq, text: '', awaited: 0, written, settle }
    this.#open = batch
    this.#waiting.push(batch)
    for (const feed of this.#feeds) feed.add(batch)
    return batch
  }

  #pump(): void {
    for (const feed of this.#feeds) feed.pump()
  }

  #taken(through: number): void {
    if (through <= this.#durable) return
    this.#durable = through
    while (this.#waiting[0] !== undefined && this.#waiting[0].through <= through) {
      this.#waiting.shift()?.settle()
    }
    if (this.#lateFrom !== undefined && through >= this.#lateThrough) {
      const detail = { from: this.#lateFrom, through: this.#lateThrough }
      this.#lateFrom = undefined
      void this.note('late', detail).catch(() => undefined)
    }
    if (this.#lostUntold > 0) {
      const count = this.#lostUntold
      this.#lostUntold = 0
      void this.note('lost', { count }).catch(() => undefined)
    }
    for (const listener of this.#listeners) listener(through)
  }

  /** The rows stay in line, since a place may have them already; that their replies never left is a row of its own later. */
  #late(batch: OpenBatch): void {
    if (this.#open === batch) this.#open = undefined
    const index = this.#waiting.indexOf(batch)
    if (index !== -1) this.#waiting.splice(index, 1)
    if (batch.awaited > 0) {
      this.#refused += batch.awaited
      this.#lateThrough = batch.through
      this.#lateFrom ??= batch.from
    }
    batch.settle(this.#unavailable())
  }

  #refuse(): Promise<void> {
    this.#refused += 1
    return Promise.reject(this.#unavailable())
  }

  #unavailable(): KeyturnError {
    if (this.#isClosed)
      return new KeyturnError('audit_unavailable', 'The audit journal is closed: Keyturn is stopping.', {
        fix: 'Ask another replica, or again in a moment.',
        retryable: true,
      })
    const troubles = this.#feeds.map(({ trouble }) => trouble).filter((one) => one !== undefined)
    const why = troubles.length === 0 ? `not within ${this.#options.waitMs} ms` : troubles.join('; ')
    return new KeyturnError('audit_unavailable', `No place of the audit journal took the row: ${why}.`, {
      fix: 'Make room on its disk or bring the place back; `keyturn audit status` shows each. Nothing is handed out without its row (audit.reads).',
      retryable: true,
    })
  }
}
