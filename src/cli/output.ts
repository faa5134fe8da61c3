import { Writable } from 'node:stream'
import type { KeyturnError } from '../core/errors.ts'
import type { Stream } from './io.ts'
import {
  colourPaint,
  cut,
  type Paint,
  plainPaint,
  safeLine,
  table,
  withoutColours,
  withoutRunnerCommands,
} from './text.ts'

/** Everything that a command says. Results go to standard output, all else to standard error, so that results can be piped. */
export interface Output {
  readonly isJson: boolean
  /** Whether a person looks at standard error, where progress is drawn. */
  readonly isLive: boolean
  readonly paint: Paint
  /** How wide a result may be; without end where it goes to no terminal. */
  readonly columns: number
  /** The same for what is said beside the result. */
  readonly noteColumns: number
  /** A result: with --json as one document, else as the lines. */
  result(value: unknown, lines: () => readonly string[]): void
  /** A result that is a JSON document, with --json or without. */
  document(value: unknown): void
  /** One line of a result that has no end. */
  line(text: string): void
  /** A value exactly as it is, for `get`; with a line break only on a terminal. */
  raw(value: string): void
  /** Said beside the result. */
  note(text: string): void
  /** A command to the runner of a pipeline, as `::error::…`; what else is said is none. */
  runnerCommand(text: string): void
  /** Said beside the result, as it is not to be missed. */
  warn(text: string): void
  /** One line with the cause, one with the fix. */
  error(error: KeyturnError): void
  /** Draws lines over those that were drawn last; only where `isLive`. */
  redraw(lines: readonly string[]): void
  /** Takes the whole terminal until it is closed, and gives it back as it was; only where `isLive`. */
  screen(): Screen
  table(rows: readonly (readonly string[])[]): string[]
}

export interface Screen {
  /** In place of all that stands there; cut to its size. */
  draw(lines: readonly string[]): void
  close(): void
}

export interface OutputOptions {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isJson: boolean
}

export function createOutput(options: OutputOptions): Output {
  const { stdout, stderr, isJson } = options
  const hasColour = (stream: Stream): boolean => isColourful(stream, options.env)
  const paint = hasColour(stdout) || hasColour(stderr) ? colourPaint : plainPaint
  const write = (stream: Stream, text: string): void => {
    const isPainted = hasColour(stream)
    stream.write(`${safeLine(isPainted ? text : withoutColours(text), { hasColour: isPainted })}\n`)
  }
  const line = (stream: Stream, text: string): void => write(stream, withoutRunnerCommands(text))
  let drawn = 0
  return {
    isJson,
    isLive: stderr.isTerminal && options.env['TERM'] !== 'dumb',
    paint,
    columns: columnsOf(stdout),
    noteColumns: columnsOf(stderr),
    table,
    result(value, lines) {
      if (isJson) stdout.write(`${jsonText(value)}\n`)
      else for (const text of lines()) line(stdout, text)
    },
    document: (value) => stdout.write(`${jsonText(value)}\n`),
    line: (text) => line(stdout, text),
    raw(value) {
      stdout.write(stdout.isTerminal ? `${safeLine(value, { hasColour: false })}\n` : value)
    },
    note: (text) => line(stderr, text),
    runnerCommand: (text) => write(stderr, text),
    warn: (text) => line(stderr, `${paint('yellow', 'warning:')} ${text}`),
    error(error) {
      if (isJson) {
        const { code, message, fix } = error
        stderr.write(`${JSON.stringify({ error: { code, message, fix: fix ?? null } })}\n`)
        return
      }
      for (const [index, text] of error.message.split('\n').entries()) {
        line(stderr, index === 0 ? `${paint('red', 'error:')} ${text}` : `       ${text}`)
      }
      if (error.fix !== undefined) line(stderr, `${paint('green', 'fix:')}   ${error.fix}`)
    },
    redraw(lines) {
      // To the first column before going up: a Ctrl-C leaves the cursor behind its echo.
      const back = drawn > 0 ? `\r\u001b[${drawn}A\u001b[0J` : ''
      const text = lines
        .map((one) => `${cut(safeLine(one, { hasColour: hasColour(stderr) }), stderr.columns - 1)}\n`)
        .join('')
      stderr.write(back + text)
      drawn = lines.length
    },
    screen: () => screenOn(stderr, hasColour(stderr)),
  }
}

/** The other screen of the terminal, without a cursor. Lines are written over, not cleared first, so that nothing flickers. */
function screenOn(stream: Stream, isPainted: boolean): Screen {
  stream.write('\u001b[?1049h\u001b[?25l')
  return {
    draw(lines) {
      const shown = lines
        .slice(0, stream.rows)
        .map((one) => `${cut(safeLine(one, { hasColour: isPainted }), stream.columns)}\u001b[K`)
      stream.write(`\u001b[H${shown.join('\r\n')}\u001b[J`)
    },
    close: () => stream.write('\u001b[?25h\u001b[?1049l'),
  }
}

/** On a terminal, or where FORCE_COLOR asks for it; NO_COLOR goes before both (no-color.org), and FORCE_COLOR=0 says the same. */
function isColourful({ isTerminal }: Stream, env: OutputOptions['env']): boolean {
  const force = env['FORCE_COLOR'] ?? ''
  if ((env['NO_COLOR'] ?? '') !== '' || force === '0' || force === 'false') return false
  return force !== '' || (isTerminal && env['TERM'] !== 'dumb')
}

function columnsOf({ isTerminal, columns }: Stream): number {
  return isTerminal ? columns : Number.POSITIVE_INFINITY
}

/** JSON escapes C0 itself; the rest of what a terminal obeys is escaped here. */
function jsonText(value: unknown): string {
  // The last of them begins a command to a runner of pipelines, wherever in a line it is.
  return JSON.stringify(value, null, 2).replace(
    /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]|(?<=##\w{0,20})\[/gu,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * The process's own standard output and error. A reader that went away (`| head`) is no failure: what follows is dropped.
 */
export function terminalStreams(): { readonly stdout: Stream; readonly stderr: Stream } {
  return { stdout: streamOf(process.stdout), stderr: streamOf(process.stderr) }
}

const columnsMin = 20
const columnsUnknown = 80
const rowsUnknown = 24

function streamOf(stream: NodeJS.WriteStream): Stream {
  let isGone = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    isGone = true
    if (error.code !== 'EPIPE') process.exitCode = 1
  })
  return {
    write(text) {
      if (!isGone) stream.write(text)
    },
    get isTerminal() {
      return stream.isTTY
    },
    get columns() {
      // Pseudo-terminals of CI systems say 0, and what is no terminal says nothing.
      return stream.columns >= columnsMin ? stream.columns : columnsUnknown
    },
    get rows() {
      return stream.rows > 0 ? stream.rows : rowsUnknown
    },
    onResize(callback) {
      stream.on('resize', callback)
      return () => stream.off('resize', callback)
    },
  }
}

/** What readline writes to while a person types an answer: standard error, or nothing for one that must not be seen. */
export function promptStream(question: string, options: { readonly isHidden: boolean }): Writable {
  process.stderr.write(question)
  if (!options.isHidden) return process.stderr
  return new Writable({
    write(_chunk, _encoding, done) {
      done()
    },
    final(done) {
      process.stderr.write('\n')
      done()
    },
  })
}
