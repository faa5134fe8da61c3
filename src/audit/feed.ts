import { errnoOf } from '../core/errno.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { SinkStatus } from './journal.ts'
import type { JournalDetail } from './row.ts'
import { batchBytesMax, type OpenBatch, type Sink } from './sink.ts'

/** Brings the rows of the chain to one sink, in their order, one write at a time, again until it has them. */
export interface Feed {
  readonly isConfirming: boolean
  readonly isFull: boolean
  /** Why it takes nothing now, for people. */
  readonly trouble: string | undefined
  add(batch: OpenBatch): void
  /** Writes what there is, unless it is writing or resting. */
  pump(): void
  status(seq: number): SinkStatus
  close(withinMs: number): Promise<void>
}

export interface FeedOptions {
  readonly sink: Sink
  readonly system: System
  readonly log: Log
  readonly bytesMax: number
  /** The last row that some sink has. */
  readonly durable: () => number
  /** The batch takes no more rows from here on. */
  readonly onTaking: (batch: OpenBatch) => void
  readonly onTaken: (through: number) => void
  readonly onMissed: (gap: JournalDetail) => void
}

const retryBaseMs = 100
const retryMaxMs = 10_000

export function createFeed(options: FeedOptions): Feed {
  const { sink, system, log } = options
  /** Each with its bytes, once it takes no more rows; only the last one may still. */
  let queue: { readonly batch: OpenBatch; bytes: number }[] = []
  let bytes = 0
  let missed = 0
  let missedFrom: number | undefined
  let missedThrough = 0
  let retries = 0
  let trouble: string | undefined
  let isWriting = false
  let cancelRest: Cancel | undefined
  let onIdle: (() => void) | undefined

  /** Takes the first so many out of the line. */
  function remove(count: number): void {
    for (const one of queue.slice(0, count)) bytes -= one.bytes
    queue = queue.slice(count)
  }

  const isFull = (): boolean => bytes + (queue.at(-1)?.batch.text.length ?? 0) >= options.bytesMax

  /** Another place has these rows: what this one misses is told, and what it keeps begins after them. */
  function makeRoom(): void {
    const durable = options.durable()
    const count = queue.findIndex(({ batch }) => batch.through > durable)
    const gone = queue.slice(0, count === -1 ? queue.length : count)
    const [first] = gone
    const last = gone.at(-1)
    if (first === undefined || last === undefined || isWriting) return
    missedFrom ??= first.batch.from
    missedThrough = last.batch.through
    missed += last.batch.through - first.batch.from + 1
    remove(gone.length)
  }

  function pump(): void {
    if (isWriting || cancelRest !== undefined) return
    const batches = firstOf(queue.map((one) => one.batch))
    const [first] = batches
    const last = batches.at(-1)
    if (first === undefined || last === undefined) {
      onIdle?.()
      return
    }
    isWriting = true
    for (const batch of batches) options.onTaking(batch)
    const text = batches.map((batch) => batch.text).join('')
    const batch = { from: first.from, through: last.through, text }
    // A sink that throws before it has begun is one that failed.
    Promise.resolve()
      .then(() => sink.write(batch))
      .then(
        () => took(batches, batch.through),
        (thrown: unknown) => failed(thrown),
      )
  }

  function took(batches: readonly OpenBatch[], through: number): void {
    isWriting = false
    remove(batches.length)
    if (trouble !== undefined)
      log('info', 'a place of the audit journal takes rows again', { sink: sink.name, behind: queue.length })
    trouble = undefined
    retries = 0
    if (sink.isConfirming) options.onTaken(through)
    if (missedFrom !== undefined) {
      const gap = { sink: sink.name, from: missedFrom, through: missedThrough }
      missedFrom = undefined
      options.onMissed(gap)
    }
    pump()
  }

  function failed(thrown: unknown): void {
    isWriting = false
    if (trouble === undefined)
      log('error', 'a place of the audit journal takes no rows; trying again', {
        sink: sink.name,
        error: thrown,
      })
    trouble = `${sink.name}: ${reasonOf(thrown)}`
    const waitMs = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(retries, 10))
    retries += 1
    if (onIdle !== undefined) return onIdle()
    cancelRest = system.after(
      waitMs,
      () => {
        cancelRest = undefined
        pump()
      },
      { background: true },
    )
  }

  return {
    isConfirming: sink.isConfirming,
    get isFull() {
      return isFull()
    },
    get trouble() {
      return trouble
    },
    add(batch) {
      if (isFull()) makeRoom()
      const last = queue.at(-1)
      if (last !== undefined) {
        last.bytes = last.batch.text.length
        bytes += last.bytes
      }
      queue.push({ batch, bytes: 0 })
    },
    pump,
    status: (seq) => ({
      name: sink.name,
      isTaking: trouble === undefined,
      behind: queue[0] === undefined ? 0 : seq - queue[0].batch.from + 1,
      missed,
    }),
    async close(withinMs) {
      if (isWriting || queue.length > 0)
        await new Promise<void>((resolve) => {
          const cancel = system.after(withinMs, resolve, { background: true })
          onIdle = () => {
            cancel()
            resolve()
          }
          cancelRest?.()
          cancelRest = undefined
          pump()
        })
      cancelRest?.()
      await sink.close()
    },
  }
}

/** As many as go into one write; always one. */
function firstOf(queue: readonly OpenBatch[]): readonly OpenBatch[] {
  let bytes = 0
  const end = queue.findIndex((batch, index) => {
    bytes += batch.text.length
    return index > 0 && bytes > batchBytesMax
  })
  return end === -1 ? queue : queue.slice(0, end)
}

/** The code alone: messages of others quote paths and addresses with what is in them. */
function reasonOf(thrown: unknown): string {
  const code = errnoOf(thrown)
  if (code === 'ENOSPC') return 'the disk is full'
  if (code === 'EDQUOT') return 'the quota of the disk is used up'
  if (code === 'EIO') return 'the disk fails'
  return code ?? 'it failed'
}
