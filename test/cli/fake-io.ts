import type { Io, LocalTokens, Main } from '../../src/cli/io.ts'
import type { FileFinding } from '../../src/config/types.ts'

export interface FakeIo extends Io {
  readonly out: () => string
  readonly err: () => string
  readonly files: Map<string, string>
  readonly exits: number[]
  signal(name: 'SIGINT' | 'SIGTERM'): void
  /** Presses a key, where keys are listened to. */
  press(key: string): void
  /** Gives the terminal another size. */
  resize(size: { readonly columns: number; readonly rows: number }): void
  /** Resolves as soon as standard error or output holds the text. */
  seen(text: string): Promise<void>
}

export interface FakeIoOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly files?: Readonly<Record<string, string>>
  readonly isTerminal?: boolean
  /** Default: 120. */
  readonly columns?: number
  /** Default: 40. */
  readonly rows?: number
  readonly stdin?: string
  /** Answers typed at questions, in order. */
  readonly typed?: readonly string[]
  readonly now?: () => number
  readonly main?: Partial<Main>
  readonly fileFindings?: readonly FileFinding[]
  readonly tokens?: LocalTokens
}

/** A process made of strings. Timers are real, so that what waits for a server can. */
export function fakeIo(options: FakeIoOptions = {}): FakeIo {
  const isTerminal = options.isTerminal ?? false
  const files = new Map(Object.entries(options.files ?? {}))
  const typed = [...(options.typed ?? [])]
  const written = { stdout: '', stderr: '' }
  const signalListeners = new Set<(signal: 'SIGINT' | 'SIGTERM') => void>()
  const waiting: { readonly text: string; readonly resolve: () => void }[] = []
  const exits: number[] = []
  const keyListeners = new Set<(key: string) => void>()
  const resizeListeners = new Set<() => void>()
  let size = { columns: options.columns ?? 120, rows: options.rows ?? 40 }
  const stream = (name: 'stdout' | 'stderr') => ({
    write(text: string) {
      written[name] += text
      for (const wait of waiting) if (written[name].includes(wait.text)) wait.resolve()
    },
    isTerminal,
    get columns() {
      return size.columns
    },
    get rows() {
      return size.rows
    },
    onResize(callback: () => void) {
      resizeListeners.add(callback)
      return () => resizeListeners.delete(callback)
    },
  })
  return {
    env: options.env ?? {},
    cwd: '/srv/app',
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    stdin: {
      isTerminal,
      readAll: async (bytesMax) => {
        const text = options.stdin ?? ''
        return Buffer.byteLength(text) > bytesMax ? undefined : text
      },
      ask: async () => typed.shift(),
      onKey: (callback) => {
        keyListeners.add(callback)
        return () => keyListeners.delete(callback)
      },
    },
    now: options.now ?? (() => Date.now()),
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    },
    readFile: (path) => files.get(path),
    ownAddresses: () => ['192.0.2.7'],
    writeNewFile: (path, text) => {
      if (files.has(path)) return false
      files.set(path, text)
      return true
    },
    writePrivateFile: (path, text) => void files.set(path, text),
    assertWritable: () => undefined,
    appendFile: (path, text) => void files.set(path, (files.get(path) ?? '') + text),
    onSignal: (callback) => {
      signalListeners.add(callback)
      return () => signalListeners.delete(callback)
    },
    exit: (code) => exits.push(code),
    version: () => '9.9.9',
    loadMain: async () => {
      const missing = async (): Promise<never> => {
        throw new Error('not expected to be called')
      }
      return { serve: missing, tick: missing, diagnose: missing, ...options.main }
    },
    lookAtFiles: async () => options.fileFindings ?? [],
    harden: async () => undefined,
    openLocalTokens: async () => {
      if (options.tokens === undefined) throw new Error('not expected to be called')
      return options.tokens
    },
    out: () => written.stdout,
    err: () => written.stderr,
    files,
    exits,
    signal: (name) => {
      for (const listener of signalListeners) listener(name)
    },
    press: (key) => {
      for (const listener of keyListeners) listener(key)
    },
    resize: (other) => {
      size = other
      for (const listener of resizeListeners) listener()
    },
    seen: (text) =>
      new Promise((resolve) => {
        if (written.stdout.includes(text) || written.stderr.includes(text)) resolve()
        else waiting.push({ text, resolve })
      }),
  }
}
