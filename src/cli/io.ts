import type {
  CredentialSummary,
  TokenAnswer,
  TokenRequest,
  TokenRotationRequest,
  TokenSummary,
} from '../api/types.ts'
import type { Config, FileFinding } from '../config/types.ts'
import type { KeyturnError } from '../core/errors.ts'
import type { Cancel, Log } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { SupportBundle } from '../doctor/bundle/bundle.ts'
import type { ComparePlace } from '../doctor/compare/places.ts'
import type { DoctorOptions, Step } from '../doctor/context.ts'
import type { DoctorReport } from '../doctor/report.ts'

/** One end of the terminal. */
export interface Stream {
  write(text: string): void
  readonly isTerminal: boolean
  /** Width in characters; 80 where nobody knows. */
  readonly columns: number
  /** Height in lines; 24 where nobody knows. */
  readonly rows: number
  /** Calls back when the terminal has another size. */
  onResize(callback: () => void): Cancel
}

/** Where secrets and confirmations come from: never from arguments, which every process of the machine can read. */
export interface Input {
  readonly isTerminal: boolean
  /** All of it, up to the limit in bytes; undefined beyond. */
  readAll(bytesMax: number): Promise<string | undefined>
  /** One line typed by a person; hidden where asked for. Only on a terminal. Undefined when it ended (Ctrl-C, Ctrl-D). */
  ask(question: string, options?: { readonly isHidden?: boolean }): Promise<string | undefined>
  /** Calls back for every key that is pressed, unseen and without waiting for a line. Only on a terminal; Ctrl-C is one of them then. */
  onKey(callback: (key: string) => void): Cancel
}

export interface ServeOptions {
  readonly config?: Config
  readonly sandbox?: boolean
  /** It may close its process to debuggers and core dumps. */
  readonly isOwnProcess?: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly log: Log
}

export interface Served {
  readonly url: string
  readonly home: string
  readonly sandboxUrl?: string
  /** Resolves when the first credential can be handed out, or with false after the time given. */
  readyWithin(ms: number): Promise<boolean>
  stop(): Promise<void>
}

export interface DiagnoseOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The project's folder, absolute. */
  readonly folder: string
  readonly version: string
  readonly options: DoctorOptions
  /** A key that is in no place yet: it is looked at, and nothing of the project. */
  readonly key?: Secret
  /** A keyturn.yaml, absolute; default: the one that serve would read. */
  readonly configPath?: string
  /** Where else the key is looked for, to hold it beside the one here. */
  readonly compare: readonly ComparePlace[]
  readonly askService: () => Promise<ServiceSighting | undefined>
  readonly onStep: (step: Step) => void
  readonly log: Log
}

/** What came of asking a running service for its credentials. */
export interface ServiceSighting {
  readonly url: string
  readonly credentials: readonly CredentialSummary[]
  readonly problem?: KeyturnError
}

export interface Diagnosis {
  readonly report: DoctorReport
  /** What goes to support, without any secret or personal datum. */
  readonly bundle: () => SupportBundle
}

/** What the command line needs of the composition root, loaded only by the commands that run the service. */
export interface Main {
  readonly serve: (options: ServeOptions) => Promise<Served>
  readonly tick: (options: ServeOptions) => Promise<{ readonly credentials: readonly CredentialSummary[] }>
  /** Looks at a project as it is on this machine, and changes nothing. */
  readonly diagnose: (options: DiagnoseOptions) => Promise<Diagnosis>
}

export interface LocalTokens {
  create(request: TokenRequest): Promise<TokenAnswer>
  rotate(request: TokenRotationRequest): Promise<TokenAnswer>
  list(): readonly TokenSummary[]
  revoke(id: string): Promise<boolean>
  close(): Promise<void>
}

/** All that a command touches outside of itself; the real one is in real-io.ts. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdout: Stream
  readonly stderr: Stream
  readonly stdin: Input
  readonly now: () => number
  readonly after: (delayMs: number, callback: () => void) => Cancel
  /** The text of a file, undefined where there is none. Throws where it cannot be read. */
  readonly readFile: (path: string) => string | undefined
  /** Writes a file that must not be there yet; false where it is. */
  readonly writeNewFile: (path: string, text: string, mode: number) => boolean
  /** Writes a file for this user alone (0600), whole, over one that is there. */
  readonly writePrivateFile: (path: string, text: string) => void
  /** Throws where `writePrivateFile` would fail for the folder, for the user's rights, or since something is there that is no file. */
  readonly assertWritable: (path: string) => void
  /** Adds to the end of a file that somebody else may have begun. */
  readonly appendFile: (path: string, text: string) => void
  /** Of this machine's network interfaces, as text. */
  readonly ownAddresses: () => readonly string[]
  /** Calls back for SIGINT and SIGTERM, which then no longer end the process. */
  readonly onSignal: (callback: (signal: 'SIGINT' | 'SIGTERM') => void) => Cancel
  /** Ends the process at once. */
  readonly exit: (code: number) => void
  readonly version: () => string
  readonly loadMain: () => Promise<Main>
  /** What a start would find wrong with the files that a configuration names; `written` is the file as it stands. */
  readonly lookAtFiles: (config: Config, written: unknown) => Promise<readonly FileFinding[]>
  /** Closes this process to debuggers and core dumps. `config_invalid` where a debugger listens already. */
  readonly harden: (log: Log) => Promise<void>
  /** The tokens in a home folder, without a service: for the first token, and when none runs. */
  readonly openLocalTokens: (home: string) => Promise<LocalTokens>
}
