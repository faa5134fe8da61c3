// The file in which the sandbox survives a restart. It is replaced whole: written beside, fsynced, renamed, and the
// directory fsynced, so that a kill at any point leaves either the old state or the new one.

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { limits } from './defaults.ts'
import type { WorldData } from './records.ts'

/** The state of an earlier run, or nothing when there is no file. A file of another format is refused. */
export function readState(file: string): WorldData | undefined {
  const size = statSync(file, { throwIfNoEntry: false })?.size
  if (size === undefined) return undefined
  if (size > limits.stateFileBytesMax)
    throw unreadable(`The sandbox state file ${file} is larger than ${limits.stateFileBytesMax} bytes.`)
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw unreadable(`The sandbox state file ${file} is not readable JSON.`, cause)
  }
  if (!isWorld(parsed))
    throw unreadable(`The sandbox state file ${file} is not one that this version can read.`)
  return parsed
}

/** With a code of its own, so that a command line may show the message: it holds no secret. */
function unreadable(message: string, cause?: unknown): Error {
  const advice = 'Remove it to start with a fresh sandbox.'
  return Object.assign(new Error(`${message} ${advice}`, { cause }), { code: 'SANDBOX_STATE' })
}

/** Returns once the state is on disk. */
export function writeState(file: string, data: WorldData): void {
  const target = resolve(file)
  const folder = dirname(target)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const temporary = `${target}.next`
  const bytes = Buffer.from(JSON.stringify(data))
  withFile(temporary, 'w', (descriptor) => {
    fchmodSync(descriptor, 0o600)
    for (let written = 0; written < bytes.length; )
      written += writeSync(descriptor, bytes, written, bytes.length - written)
    fsyncSync(descriptor)
  })
  renameSync(temporary, target)
  withFile(folder, 'r', fsyncSync)
}

function withFile(path: string, flags: 'w' | 'r', use: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags, 0o600)
  try {
    use(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function isWorld(value: unknown): value is WorldData {
  if (typeof value !== 'object' || value === null) return false
  const lists = ['organizations', 'projects', 'serviceAccounts', 'users', 'keys', 'audit']
  const entries = new Map<string, unknown>(Object.entries(value))
  return entries.get('format') === 1 && lists.every((name) => Array.isArray(entries.get(name)))
}
