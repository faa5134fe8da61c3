import type { LogLevel } from '../core/ports.ts'
import type { Policy } from '../core/types.ts'

/** Where a secret that Keyturn itself needs is read from. Never the secret: configuration files end up in repositories. */
export type SecretSource = { readonly env: string } | { readonly file: string }

/** Which secret store, and how to reach it. Paths are absolute. The same shapes as src/stores/index.ts takes. */
export type StoreConfig =
  | {
      readonly kind: 'local'
      readonly folder: string
      /** The age identity that opens the files. Default: `identity.txt` in the folder, made on first use. */
      readonly identityFile?: string
      readonly passphraseFile?: string
      /** The name of the variable, not what is in it. */
      readonly passphraseVariable?: string
    }
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'env'
      /** A .env file to look in where the variable is not set. */
      readonly envFile?: string
    }
  | {
      readonly kind: 'file'
      /** The folder that relative refs are in. */
      readonly path?: string
    }
  | {
      readonly kind: 'aws-secrets-manager'
      readonly region?: string
      readonly endpoint?: string
    }

/** Who mints and kills keys. The same shapes as src/issuers/index.ts takes. */
export type IssuerConfig =
  | {
      readonly kind: 'openai'
      readonly baseUrl: string
      readonly adminKey: SecretSource
      readonly project: string
      /** The stable service account that gets every new key; absent only with mode `new_service_account`. */
      readonly serviceAccount?: string
      readonly mode: 'service_account_key' | 'new_service_account'
      /** Scopes of minted keys; empty: all permissions. */
      readonly scopes: readonly string[]
    }
  | {
      readonly kind: 'manual'
      readonly baseUrl: string
    }

/** A credential's rotation schedule: a cron expression in a time zone, and how far occurrences are spread. */
export interface ScheduleConfig {
  readonly expression: string
  readonly timeZone: string
  readonly jitterMs: number
}

/** The part of the policy that is configured; the rest follows from the store and the issuer. */
export type PolicyConfig = Omit<Policy, 'canMint' | 'isManual' | 'storeWritable'>

export interface CredentialConfig {
  readonly name: string
  /** The secret's name in the store. */
  readonly ref: string
  readonly store: StoreConfig
  readonly issuer: IssuerConfig
  /** Whom the key must belong to and what apps need of it; proven by verification. */
  readonly expected: {
    readonly organization?: string
    readonly project?: string
    readonly scopes: readonly string[]
    readonly models: readonly string[]
  }
  /** null: turned only when somebody asks. */
  readonly schedule: ScheduleConfig | null
  readonly policy: PolicyConfig
}

export type ListenConfig =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface Config {
  /** Where it came from, for messages: a path, or `environment`. */
  readonly source: string
  /** Absolute. */
  readonly home: string
  readonly listen: ListenConfig
  /** Values of the Host header that are answered; without ports. */
  readonly allowedHosts: readonly string[]
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' }
  readonly credentials: readonly CredentialConfig[]
}

/** One thing that is wrong in a configuration, where it stands, and what to do. */
export interface ConfigProblem {
  /** 1-based; absent where the problem is not at a place of the file. */
  readonly line?: number
  readonly column?: number
  /** The key it is about, e.g. `credentials.openai.store`; empty for the whole file. */
  readonly path: string
  readonly message: string
  readonly fix: string
}

/** All that reading a configuration asks of the outside. */
export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute; relative paths of the environment start here, those of a file at the file's folder. */
  readonly cwd: string
  /** The text of a file, undefined where there is none. May throw where it is there and cannot be read. */
  readonly readFile: (path: string) => string | undefined
  /** Reads this file, and no other, whatever the environment says. */
  readonly configPath?: string
  /** Throws where the expression or the zone is wrong; the error's message says how. Without it neither is looked at. */
  readonly assertValidCron?: (expression: string, timeZone: string) => void
}
