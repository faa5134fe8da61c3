import type { KeyturnError } from '../core/errors.ts'

/** Rows of the chain, one after another, as they go to every place. */
export interface Batch {
  readonly from: number
  readonly through: number
  /** Lines, each with its line break. */
  readonly text: string
}

/**
 * One place that takes rows.
 *
 * The caller owes: one write at a time, in the order of the chain; after a failure the same rows again. The implementer owes:
 * `write` resolves when the rows would survive the end of this process and of what they were given to, as far as that can be
 * known, and rejects within a bounded time otherwise.
 */
export interface Sink {
  /** For people: the folder, or the address without anything secret. */
  readonly name: string
  /** Whether it says that it has what it was given; only such a one lets a reply leave. */
  readonly isConfirming: boolean
  write(batch: Batch): Promise<void>
  close(): Promise<void>
}

/** Rows that were recorded together, and are written together. */
export interface OpenBatch {
  readonly from: number
  through: number
  text: string
  /** How many wait for it. */
  awaited: number
  readonly written: Promise<void>
  readonly settle: (error?: KeyturnError) => void
}

/** A batch that is this large is closed; so large is also what a place takes at once. */
export const batchBytesMax = 4 * 1024 * 1024
