import type { KeyPlace, Setting } from '../facts.ts'
import type { Place } from '../finding.ts'
import type { SourceText } from './source-text.ts'

export type ProjectKind = 'node' | 'python' | 'go' | 'ruby' | 'rust' | 'php' | 'java' | 'dotnet'

/** What the project's files say, read once. Documents, ignored files, lock files and what tools wrote are left out. */
export interface ProjectFacts {
  /** By their manifests, or else by their sources. */
  readonly kinds: readonly ProjectKind[]
  /** JavaScript that says of itself that it is made of modules. */
  readonly isModule: boolean
  /** The sources that have to do with OpenAI or with loading a `.env`. */
  readonly sources: readonly SourceText[]
  /** Where clients are built or set up. */
  readonly clients: readonly ClientCall[]
  // What follows leaves out tests, examples, and clients that are meant for others than OpenAI.
  /** Literals that the source uses as its OpenAI key, placeholders among them. Who judges them: the checks of sources. */
  readonly keys: readonly KeyPlace[]
  readonly baseUrls: readonly Setting[]
  readonly models: readonly Setting[]
  /** Every variable that the source reads, by name: each place. */
  readonly reads: readonly Setting[]
  /**
   * The variables that the source reads for its OpenAI key, as they are named there. `OPENAI_API_KEY` is among them only
   * where it is written out; a client that is built without a key reads it by itself (`readsDefaultKey`).
   */
  readonly keyVariables: readonly Setting[]
  /** A client is built somewhere that takes `OPENAI_API_KEY` by itself, or the source reads that name. */
  readonly readsDefaultKey: boolean
  readonly dotenv: DotenvFacts
  readonly libraries: readonly Library[]
}

export interface ClientCall {
  /** As it is written: `OpenAI`, `AsyncOpenAI`, `AzureOpenAI`, `createOpenAI`, `ChatOpenAI`, `openai` for its globals. */
  readonly name: string
  readonly source: SourceText
  /** Of the name, in the source's text. */
  readonly start: number
  readonly end: number
  readonly place: Place
  readonly options: readonly ClientOption[]
}

export interface ClientOption {
  /** In lower case without dashes and underscores: `apikey`, `baseurl`, `dangerouslyallowbrowser`. */
  readonly name: string
  readonly place: Place
  readonly value: OptionValue
}

export type OptionValue =
  /** A text in quotes, as it is written. */
  | { readonly kind: 'literal'; readonly text: string }
  /** An environment variable, whatever stands in where it is unset. */
  | { readonly kind: 'variable'; readonly name: string; readonly hasDefault: boolean }
  /** `None`, `undefined`, `null`: as if it were not given. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'word'; readonly text: 'true' | 'false' }
  /** Whatever else: a parameter, a call. */
  | { readonly kind: 'unknown' }

export interface DotenvFacts {
  /** Who loads a `.env` for the program: a library, a framework, or a flag of the command that starts it. */
  readonly loaders: readonly DotenvLoader[]
}

export interface DotenvLoader {
  /** `dotenv`, `python-dotenv`, `next`, `vite`, `node --env-file`, `bun`, `compose`, `direnv` … */
  readonly name: string
  /** The call, the flag, or the manifest's line that names a framework that does it by itself. */
  readonly place: Place
  /** The file that it names; undefined: the usual `.env` in the folder that the program starts in. */
  readonly path?: string
  /** It wins over what the environment has set already. */
  readonly overrides: boolean
}

/** A dependency that has to do with OpenAI or with `.env`. */
export interface Library {
  readonly ecosystem: 'npm' | 'python' | 'go' | 'ruby' | 'rust'
  readonly name: string
  /** As the manifest asks for it: `^4.20.0`, `==0.28.1`; empty: any. */
  readonly wanted: string
  /** As it is installed. */
  readonly installed?: string
  readonly place: Place
}
