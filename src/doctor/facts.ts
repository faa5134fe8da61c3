import type { CredentialSummary } from '../api/types.ts'
import type { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding, ProbeExpectation } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { DialectName } from './dotenv/dialects.ts'
import type { DotenvFault } from './dotenv/faults.ts'
import type { Place } from './finding.ts'
import type { DotenvLoader, ProjectFacts } from './project/project-facts.ts'

/** A text that was found where a key is meant to be, exactly as it stands there, and where that is. */
export interface KeyPlace {
  readonly place: Place
  readonly text: Secret
}

/** A value that is no secret, and where it comes from. */
export interface Setting {
  readonly value: string
  readonly place: Place
}

/** All that was read before anything is judged. Checks take it as it is and read nothing twice. */
export interface Facts {
  /** What the program would use as its key; undefined where it finds none. */
  readonly key: KeyPlace | undefined
  /**
   * Everything that is meant as an OpenAI key anywhere: environment, files, stores. The one above is among them, but for
   * what a faulty line of a dotenv file adds to it.
   */
  readonly keys: readonly KeyPlace[]
  /** `OPENAI_BASE_URL`, as the client library would take it. */
  readonly baseUrl: Setting | undefined
  readonly organization: Setting | undefined
  readonly project: Setting | undefined
  /** Models that the source names, or that were asked for. */
  readonly models: readonly Setting[]
  /** Every dotenv file, those that nobody loads among them; examples and templates are left out. */
  readonly dotenv: readonly DotenvFile[]
  /** What the project's sources and manifests say; undefined where they were not looked at. */
  readonly scan: ProjectFacts | undefined
  readonly keyturn: KeyturnFacts | undefined
}

/** A file of variables, as whoever loads it reads it. */
export interface DotenvFile {
  readonly path: string
  /** Who loads it. Empty: nobody, as far as can be seen. */
  readonly loaders: readonly DotenvLoader[]
  /** Whose rules it was read by. */
  readonly dialect: DialectName
  /** In the order of the file; of a name that is set twice, the last one counts. */
  readonly variables: readonly DotenvVariable[]
  readonly faults: readonly DotenvFault[]
}

export interface DotenvVariable {
  readonly name: string
  /** As the program gets it; any of them may be a secret. */
  readonly text: Secret
  /** What it would get if the line were right; `text` itself, unless the line has a fault. */
  readonly meant: Secret
  /** Of the name; 1 for the first. */
  readonly line: number
  /** Of the first character of the value. */
  readonly column: number
  /** Its text says where the value is (`op://…`, `encrypted:…`); what runs the program puts it in. */
  readonly isReference: boolean
}

/** What a keyturn.yaml, its stores and a running service say. */
export interface KeyturnFacts {
  /** The configuration's path as findings show it, or what stands for it. */
  readonly source: string
  /** The user named the configuration, and it was not merely found in the folder. */
  readonly isNamed: boolean
  /** What is wrong with the configuration, where it could not be read; no credential is known then. */
  readonly problems: readonly KeyturnProblem[]
  /** What it says that is allowed and hardly meant. */
  readonly warnings: readonly KeyturnProblem[]
  /** Of the configuration, then those that only the service knows. */
  readonly credentials: readonly KeyturnCredential[]
  /** Only where one is named, or is meant to run and was found. */
  readonly service?: { readonly url: string; readonly problem?: KeyturnError }
}

export interface KeyturnProblem {
  readonly message: string
  readonly fix: string
  readonly line?: number
  readonly column?: number
}

export interface KeyturnCredential {
  readonly name: string
  readonly store: string
  /** What the store calls it. Undefined where only the service knows. */
  readonly ref?: string
  /** Empty where only the service knows the credential. */
  readonly baseUrl: string
  readonly expectation: ProbeExpectation
  /** Keyturn makes its keys, the first one too. */
  readonly canMint: boolean
  /** Between two scheduled rotations, in milliseconds; undefined: turned only when somebody asks. */
  readonly rotatesEveryMs?: number
  /** What the store gave for the current key. */
  readonly stored:
    | {
        readonly kind: 'found'
        readonly secret: Secret
        readonly createdAt?: number
        readonly expiresAt?: number
      }
    | { readonly kind: 'absent' }
    | { readonly kind: 'failed'; readonly error: KeyturnError }
    /** It was not asked: offline, or only the service may. */
    | { readonly kind: 'unread' }
  /** What the store says that Keyturn may do there; empty where it was not asked. */
  readonly permissions: readonly PermissionFinding[]
  /** As the running service tells it. */
  readonly status?: CredentialSummary
}
