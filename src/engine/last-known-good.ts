import { type KeyturnError, toKeyturnError } from '../core/errors.ts'
import {
  documentText,
  type Expected,
  type Remembered,
  readDocument,
  refusalOf,
  usableUntil,
} from '../core/last-known-good.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import { within } from './within.ts'

/**
 * Where the text is kept, encrypted. The implementer owes: what `write` resolved with is on the disk and found whole after
 * a crash at any instant, and so is what was there before until then; `remove` likewise; each call ends or rejects with a
 * KeyturnError whose fix says what to mend. The caller owes: one call at a time.
 */
export interface SafeFile {
  /** For people. */
  readonly path: string
  /** Undefined where there is none. Rejects where it is there and must not or cannot be used. */
  read(): Promise<string | undefined>
  write(text: string): Promise<void>
  remove(): Promise<void>
}

export interface LastKnownGoodOptions {
  readonly file: SafeFile
  /** Of this installation; undefined where nobody knows it, and then no file is believed. */
  readonly installation: string | undefined
  readonly maxAgeMs: number
  /** What is configured, by name. */
  readonly expected: ReadonlyMap<CredentialName, Expected>
  readonly system: System
  readonly log: Log
}

export interface FileTrouble {
  readonly since: number
  readonly summary: string
  readonly fix: string
}

/** What is handed out, in memory and on the disk. Nothing here ever rejects. */
export interface LastKnownGood {
  readonly maxAgeMs: number
  /** As it is kept, however old. */
  kept(name: CredentialName): Remembered | undefined
  /** What may be handed out. */
  usable(name: CredentialName): Remembered | undefined
  /** Names of all entries. */
  names(): readonly CredentialName[]
  expected(name: CredentialName): Expected | undefined
  /**
   * The entry as it shall be; undefined takes it away. `urgent`: resolves when it is on the disk, or could not be put there
   * in time; `soon` and `lazy` are written together with others, and resolve at once.
   */
  put(name: CredentialName, entry: Remembered | undefined, how: 'urgent' | 'soon' | 'lazy'): Promise<void>
  /** The ledger is there and says which installation this is: what belongs to another one goes, and the file is put right. */
  bind(installation: string): void
  /** Why the file does not hold what it should. */
  trouble(): FileTrouble | undefined
  /** Writes what is not written yet, and no more afterwards. */
  stop(): Promise<void>
}

export const lastKnownGoodLimits = {
  /** A change that takes a key out of use waits this long for the disk: withdrawing it from apps cannot wait for ever. */
  writeWaitMs: 2_000,
  /** New entries are written this soon, many at once; where a write takes long, for lack of a better disk or for thousands of them, rarer. */
  soonMs: 50,
  soonPerWriteMs: 10,
  /** When a key last proved itself is written this seldom: it only tells the age. */
  lazyMs: 900_000,
  /** A file that could not be written is tried again, with jitter, doubling up to the second. */
  retryMs: 1_000,
  retryMaxMs: 60_000,
} as const

/** Reads the file and keeps it from then on. What is wrong with it is logged, and then there is none. */
export async function openLastKnownGood(options: LastKnownGoodOptions): Promise<LastKnownGood> {
  const entries = new Map<CredentialName, Remembered>()
  const isSound = await readInto(entries, options)
  return keep(entries, options, isSound)
}

/** Whether the file holds what was taken from it and nothing else. */
async function readInto(
  entries: Map<CredentialName, Remembered>,
  { file, installation, maxAgeMs, expected, system, log }: LastKnownGoodOptions,
): Promise<boolean> {
  const about = { file: file.path }
  try {
    const text = await file.read()
    if (text === undefined) return true
    const read = readDocument(text)
    if (read.kind !== 'document') {
      const what = read.kind === 'newer' ? 'was written by a newer Keyturn' : 'is damaged'
      log('error', `the last-known-good file ${what}; going on without it`, about)
      return false
    }
    const { document } = read
    if (document.installation !== installation) {
      log('error', 'the last-known-good file is of another installation; it is not used', about)
      return false
    }
    const now = system.now()
    for (const entry of document.entries) {
      const reason = refusalOf(entry, { now, maxAgeMs, expected: expected.get(entry.name) })
      if (reason === undefined) entries.set(entry.name, entry)
      else log('warn', `a last-known-good key is not used: ${reason}`, { ...about, credential: entry.name })
    }
    return entries.size === document.entries.length
  } catch (thrown) {
    const error = toKeyturnError(thrown, 'reading the last-known-good file')
    log('error', 'the last-known-good file cannot be used; going on without it', {
      ...about,
      error,
      fix: error.fix ?? '',
    })
    return false
  }
}

function keep(
  entries: Map<CredentialName, Remembered>,
  options: LastKnownGoodOptions,
  isSound: boolean,
): LastKnownGood {
  const { file, maxAgeMs, system, log } = options
  let { installation } = options
  /** What is on the disk, as far as is known: by it, what could not be taken away is told. */
  let onDisk = new Map([...entries].map(([name, one]) => [name, one.fingerprint]))
  let current: Promise<void> = Promise.resolve()
  let queued: Promise<void> | undefined
  let timer: { readonly at: number; readonly cancel: Cancel } | undefined
  let trouble: FileTrouble | undefined
  let failures = 0
  /** How long the last write took. */
  let writeMs = 0
  let isStopped = false
  /** What was found and not taken must not stay: keys that are withdrawn from now on are among it. */
  let isDirty = !isSound

  /** Group commit: whoever asks while a write is under way shares the next one. Never rejects. */
  function save(): Promise<void> {
    queued ??= current.then(() => {
      queued = undefined
      current = writeOnce()
      return current
    })
    return queued
  }

  async function writeOnce(): Promise<void> {
    if (!isDirty) return
    isDirty = false
    const all = [...entries.values()]
    try {
      if (installation === undefined) return
      const writtenAt = system.now()
      await file.write(documentText({ installation, writtenAt, entries: all }))
      writeMs = Math.max(0, system.now() - writtenAt)
      onDisk = new Map(all.map((one) => [one.name, one.fingerprint]))
      if (trouble !== undefined) log('info', 'the last-known-good file is written again', { file: file.path })
      trouble = undefined
      failures = 0
    } catch (thrown) {
      isDirty = true
      await failed(toKeyturnError(thrown, 'writing the last-known-good file'), all)
    }
  }

  async function failed(error: KeyturnError, wanted: readonly Remembered[]): Promise<void> {
    const stale = [...onDisk].filter(
      ([name, fingerprint]) => !wanted.some((one) => one.name === name && one.fingerprint === fingerprint),
    )
    // A disk that takes nothing still lets go of a file: no file at all is better than one with a withdrawn key.
    const isGone = stale.length > 0 && (await removed())
    const left = isGone ? [] : stale.map(([name]) => name)
    const summary =
      left.length === 0
        ? 'The last-known-good file cannot be written: a restart with everything away would find an old one or none.'
        : `The last-known-good file cannot be written and still holds keys that are not handed out any more (${left.slice(0, 5).join(', ')}).`
    const fix =
      left.length === 0
        ? (error.fix ?? 'Look at the disk.')
        : `Remove it by hand before a restart: ${file.path}`
    trouble = { since: trouble?.since ?? system.now(), summary, fix }
    log('error', 'the last-known-good file cannot be written; trying again', {
      file: file.path,
      error,
      ...(left.length === 0 ? {} : { stillHolds: left }),
    })
    const waitMs = Math.min(
      lastKnownGoodLimits.retryMaxMs,
      lastKnownGoodLimits.retryMs * 2 ** Math.min(failures, 10),
    )
    failures += 1
    saveIn(waitMs * (0.5 + system.fraction() / 2))
  }

  async function removed(): Promise<boolean> {
    try {
      await file.remove()
      onDisk = new Map()
      return true
    } catch (thrown) {
      log('error', 'the last-known-good file cannot be removed either', { file: file.path, error: thrown })
      return false
    }
  }

  function saveIn(delayMs: number): void {
    const at = system.now() + delayMs
    if (isStopped || (timer !== undefined && timer.at <= at)) return
    timer?.cancel()
    const cancel = system.after(
      delayMs,
      () => {
        timer = undefined
        void save()
      },
      { background: true },
    )
    timer = { at, cancel }
  }

  return {
    maxAgeMs,
    kept: (name) => entries.get(name),
    usable(name) {
      const found = entries.get(name)
      return found !== undefined && usableUntil(found, maxAgeMs) > system.now() ? found : undefined
    },
    names: () => [...entries.keys()],
    expected: (name) => options.expected.get(name),
    async put(name, entry, how) {
      if (isStopped || (entry === undefined && !entries.has(name))) return
      if (entry === undefined) entries.delete(name)
      else entries.set(name, entry)
      isDirty = true
      if (how === 'urgent') {
        await within(system, lastKnownGoodLimits.writeWaitMs, save())
        return
      }
      const { soonMs, soonPerWriteMs, lazyMs } = lastKnownGoodLimits
      saveIn(how === 'soon' ? Math.max(soonMs, soonPerWriteMs * writeMs) : lazyMs)
    },
    bind(id) {
      if (id === installation) return void save()
      if (entries.size > 0)
        log('error', 'the ledger is of another installation than the last-known-good file; it is not used', {
          file: file.path,
        })
      isDirty ||= entries.size > 0
      entries.clear()
      installation = id
      void save()
    },
    trouble: () => trouble,
    async stop() {
      if (isStopped) return
      timer?.cancel()
      await within(system, lastKnownGoodLimits.writeWaitMs, save())
      isStopped = true
      timer?.cancel()
    },
  }
}
