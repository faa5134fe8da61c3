import { KeyturnError } from './core/errors.ts'
import { redactKeys } from './core/key-shape.ts'
import type { Clock, Log, LogLevel } from './core/ports.ts'
import { Secret } from './core/secret.ts'

export interface LogOptions {
  /** Lines below this level are dropped. */
  readonly level: LogLevel
  /** `json`: one object per line, for machines. `text`: `time LEVEL message name=value …`, for people. */
  readonly format: 'json' | 'text'
  /** Gets each line without its line break. */
  readonly write: (line: string) => void
  readonly clock: Clock
  /** A further replacement, e.g. of secrets known by value; runs after the built-in one. */
  readonly redact?: (text: string) => string
  /** Which trace the line belongs to, where there is one: ids, put behind the fields. */
  readonly trace?: (() => object | undefined) | undefined
}

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** What one line may grow to. Beyond each limit stands a mark, so that nobody mistakes a part for the whole. */
const limits = { text: 2_000, scanned: 16_000, depth: 5, entries: 50, causes: 5 } as const

/** Values under these names are secrets whatever they look like. */
const secretNames = /^(?:authorization|cookie|set-cookie|api-?_?key|password|passphrase|secret|token)$/i

const ownNames = new Set(['time', 'level', 'message'])

type Plain = string | number | boolean | null | Plain[] | { [name: string]: Plain }

/**
 * A structured log that never throws and never shows a secret: a Secret prints as `[secret]`, an error as its code,
 * message, fix and the names of its causes (foreign messages quote bodies, so they stay out), and any text that looks
 * like a key is replaced. Control characters are escaped, so that no value can forge a line.
 */
export function createLog(options: LogOptions): Log {
  const clean = cleaner(options.redact)
  return (level, message, fields = {}) => {
    if (rank[level] < rank[options.level]) return
    const time = instant(options.clock.now())
    const plain = { ...plainObject(fields, clean, 0), ...options.trace?.() }
    options.write(
      options.format === 'json'
        ? jsonLine({ time, level, message: clean(message) }, plain)
        : textLine(`${time} ${level.toUpperCase().padEnd(5)} ${clean(message)}`, plain),
    )
  }
}

function jsonLine(own: { [name: string]: Plain }, fields: { [name: string]: Plain }): string {
  const line = { ...own }
  for (const [name, value] of Object.entries(fields)) line[ownNames.has(name) ? `${name}_` : name] = value
  return escapeControls(JSON.stringify(line))
}

function textLine(start: string, fields: { [name: string]: Plain }): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${textValue(value)}`)
  return escapeControls([start, ...parts].join(' '))
}

function textValue(value: Plain): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}

/** C0 and C1 controls, line separators and the marks that turn the reading direction round. */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

function escapeControls(line: string): string {
  return line.replace(controls, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

type Clean = (text: string) => string

function cleaner(redact: Clean | undefined): Clean {
  return (text) => {
    // Replaced before it is cut, so that no cut hides the shape of a key.
    const scanned = redactKeys(text.slice(0, limits.scanned))
    const redacted = redact === undefined ? scanned : redact(scanned)
    const isWhole = text.length <= limits.scanned && redacted.length <= limits.text
    return isWhole ? redacted : `${redacted.slice(0, limits.text)}…[cut]`
  }
}

function plainObject(value: object, clean: Clean, depth: number): { [name: string]: Plain } {
  const plain: { [name: string]: Plain } = {}
  const names = Object.keys(value)
  for (const name of names.slice(0, limits.entries)) {
    const field = readField(value, name)
    if (field === undefined) continue
    const isSecret = secretNames.test(name) && typeof field === 'string'
    plain[clean(name)] = isSecret ? '[redacted]' : plainValue(field, clean, depth + 1)
  }
  if (names.length > limits.entries) plain['…'] = `${names.length - limits.entries} more`
  return plain
}

function plainValue(value: unknown, clean: Clean, depth: number): Plain {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return clean(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  return typeof value === 'object' ? plainThing(value, clean, depth) : `[${typeof value}]`
}

function plainThing(value: object, clean: Clean, depth: number): Plain {
  if (value instanceof Secret) return '[secret]'
  if (value instanceof Error) return plainError(value, clean)
  if (value instanceof Date) return instant(value.getTime())
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth >= limits.depth) return '[deeper]'
  if (Array.isArray(value)) {
    const items = value.slice(0, limits.entries).map((item: unknown) => plainValue(item, clean, depth + 1))
    return value.length > limits.entries ? [...items, `… ${value.length - limits.entries} more`] : items
  }
  return plainObject(value, clean, depth)
}

function plainError(error: Error, clean: Clean): Plain {
  const plain: { [name: string]: Plain } = { error: clean(error.name) }
  const code = readField(error, 'code')
  if (typeof code === 'string') plain['code'] = clean(code)
  if (error instanceof KeyturnError) {
    plain['message'] = clean(error.message)
    if (error.fix !== undefined) plain['fix'] = clean(error.fix)
  } else {
    const at = firstFrame(error)
    if (at !== undefined) plain['at'] = clean(at)
  }
  const causes = causeNames(error, clean)
  if (causes.length > 0) plain['causes'] = causes
  return plain
}

/** Where a foreign error was thrown: its message may quote what it choked on, its place cannot. */
function firstFrame(error: Error): string | undefined {
  return error.stack
    ?.split('\n')
    .find((line) => /^\s+at .+:\d+:\d+\)?$/.test(line))
    ?.trim()
}

function causeNames(error: Error, clean: Clean): string[] {
  const names: string[] = []
  let cause = error.cause
  while (cause instanceof Error && names.length < limits.causes) {
    const code = readField(cause, 'code')
    names.push(clean(typeof code === 'string' ? `${cause.name} ${code}` : cause.name))
    cause = cause.cause
  }
  return names
}

/** A getter may throw, and a log must not. */
function readField(value: object, name: string): unknown {
  try {
    return Reflect.get(value, name)
  } catch {
    return '[unreadable]'
  }
}

function instant(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? '[no time]' : date.toISOString()
}
