import { KeyturnError } from '../core/errors.ts'
import type { Log, System } from '../core/ports.ts'
import { createFileSink, type FileSink, type Keep } from './file-sink.ts'
import { type AuditFiles, fileIn } from './files.ts'
import { type AuditReads, createJournal, type Journal } from './journal.ts'
import { createLateSink } from './late-sink.ts'
import type { Sink } from './sink.ts'

export interface OpenJournalOptions {
  /** The id of the journal, and the name of its folder in each of the folders. */
  readonly id: string
  readonly folders: readonly string[]
  readonly others: readonly Sink[]
  readonly reads: AuditReads
  readonly waitMs: number
  readonly keep: { readonly ms: number; readonly bytes: number }
  readonly keyturn: string
  readonly files: AuditFiles
  readonly system: System
  readonly log: Log
  readonly soon: (callback: () => void) => void
  readonly segmentBytesMax?: number
}

export interface OpenedJournal {
  readonly journal: Journal
  /** Where its rows can be read. */
  readonly folders: readonly string[]
  /** Removes what is older, or more, than is kept; the row that says so comes first, and is sealed. */
  readonly prune: (seal: () => Promise<void>) => Promise<void>
}

const segmentBytesDefault = 64 * 1024 * 1024

/**
 * Opens the folders, goes on with the chain where the one that has most of it ended, and brings to the others what they lack.
 * `file_unusable` where none can be opened.
 */
export async function openJournal(options: OpenJournalOptions): Promise<OpenedJournal> {
  const { files, log, id } = options
  const folders = options.folders.map((folder) => fileIn(folder, id))
  const open = (folder: string): FileSink =>
    createFileSink({
      folder,
      files,
      log,
      segmentBytesMax: options.segmentBytesMax ?? segmentBytesDefault,
    })
  const opened: FileSink[] = []
  const sinks: Sink[] = []
  let trouble: unknown
  for (const folder of folders)
    try {
      const sink = open(folder)
      opened.push(sink)
      sinks.push(sink)
    } catch (thrown) {
      trouble = thrown
      log('error', 'a folder of the audit journal cannot be opened', { folder, error: thrown })
      const openLate = async (before: number): Promise<FileSink> => {
        const sink = open(folder)
        await bring(opened[0], sink, before)
        return sink
      }
      sinks.push(createLateSink(folder, openLate, log))
    }
  if (opened.length === 0 && folders.length > 0 && !options.others.some((one) => one.isConfirming))
    throw unusable(folders[0] ?? '', trouble)
  const furthest = opened.toSorted((a, b) => b.found.seq - a.found.seq)[0]
  if (furthest !== undefined) await level(opened, furthest, log)
  const found = furthest?.found
  const journal = createJournal({
    id,
    ...(found === undefined || found.seq === 0 ? {} : { from: found }),
    sinks: [...sinks, ...options.others],
    reads: options.reads,
    waitMs: options.waitMs,
    keyturn: options.keyturn,
    system: options.system,
    log,
    soon: options.soon,
  })
  for (const { found: each } of opened)
    if (each.torn !== undefined) void journal.note('torn', each.torn).catch(() => undefined)
  return { journal, folders, prune: (seal) => prune(opened, { journal, seal }, options) }
}

/** A folder that was away when Keyturn ended gets what the others have. */
async function level(sinks: readonly FileSink[], furthest: FileSink, log: Log): Promise<void> {
  for (const sink of sinks) {
    if (sink === furthest || sink.found.seq === furthest.found.seq) continue
    try {
      await bring(furthest, sink, Number.POSITIVE_INFINITY)
    } catch (thrown) {
      log('error', 'a folder of the audit journal lacks rows that another has', {
        folder: sink.folder,
        error: thrown,
      })
    }
  }
}

async function bring(from: FileSink | undefined, to: FileSink, before: number): Promise<void> {
  for (const batch of from?.between(to.found.seq, before) ?? []) await to.write(batch)
}

async function prune(
  sinks: readonly FileSink[],
  { journal, seal }: { readonly journal: Journal; readonly seal: () => Promise<void> },
  options: OpenJournalOptions,
): Promise<void> {
  const { system, log } = options
  const keep: Keep = { since: system.now() - options.keep.ms, bytesMax: options.keep.bytes }
  for (const sink of sinks)
    try {
      const prunable = sink.prunable(keep)
      if (prunable === undefined) continue
      await journal.note('pruned', prunable.detail)
      await seal()
      sink.remove(prunable)
      log('info', 'old files of the audit journal were removed', {
        folder: sink.folder,
        files: prunable.paths.length,
        through: prunable.detail.through,
      })
    } catch (thrown) {
      log('warn', 'old files of the audit journal could not be removed', {
        folder: sink.folder,
        error: thrown,
      })
    }
}

function unusable(folder: string, cause: unknown): KeyturnError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given'
  return new KeyturnError('file_unusable', `The audit journal ${folder} cannot be opened (${code}).`, {
    fix: 'Give the user that runs Keyturn write access to it, or name another folder under audit.sinks.',
    cause,
  })
}
