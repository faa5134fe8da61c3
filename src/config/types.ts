import type { AccessPolicy } from '../core/access.ts'
import type { Severity } from '../core/alert-codes.ts'
import type { AlertThresholds } from '../core/alerts.ts'
import type { BlackoutWindow } from '../core/blackout.ts'
import type { UnleasedConsumer } from '../core/overlap.ts'
import type { LogLevel, Occurrences } from '../core/ports.ts'
import type { Policy } from '../core/types.ts'
import type { Network } from './networks.ts'

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
      /** The variable that holds the key. Default: the credential's ref. */
      readonly variable?: string
      /** Read where the environment has no such variable. */
      readonly envFile: string
    }
  | {
      readonly kind: 'file'
      /** The folder that relative refs are in. */
      readonly path: string
      /** The field of a JSON document that holds the key. Default: the file is the key alone. */
      readonly field?: string
    }
  | {
      readonly kind: 'aws-secrets-manager'
      readonly region?: string
      readonly endpoint?: string
      readonly format: 'plain' | 'json'
      readonly field?: string
      readonly pendingLabel?: string
      readonly createIfAbsent: boolean
      readonly requestTimeoutMs: number
      readonly connectionTimeoutMs: number
      readonly maxAttempts: number
    }
  | {
      readonly kind: 'google-secret-manager'
      /** Default: GOOGLE_CLOUD_PROJECT, then what the SDK finds. */
      readonly project?: string
      /** For regional secrets. */
      readonly location?: string
      readonly endpoint?: string
      readonly transport: 'rest' | 'grpc'
      readonly consumers: 'latest' | 'alias'
      readonly alias?: string
      readonly format: 'plain' | 'json'
      readonly field?: string
      readonly createIfAbsent: boolean
      readonly requestTimeoutMs: number
      readonly maxAttempts: number
    }
  | {
      readonly kind: 'azure-key-vault'
      /** The address of the vault. */
      readonly vault: string
      readonly clientId?: string
      readonly tenantId?: string
      readonly caFile?: string
      readonly format: 'plain' | 'json'
      readonly field?: string
      readonly requestTimeoutMs: number
      readonly maxAttempts: number
    }
  | {
      readonly kind: 'vault'
      /** Default: VAULT_ADDR or BAO_ADDR. */
      readonly address?: string
      readonly mount: string
      readonly namespace?: string
      readonly auth: VaultAuthConfig
      readonly caFile?: string
      /** The field of the document that holds the key. */
      readonly field: string
      readonly requestTimeoutMs: number
      readonly maxAttempts: number
    }
  | {
      readonly kind: 'kubernetes'
      /** Default: the pod's service account, then KUBECONFIG. */
      readonly kubeconfig?: string
      readonly context?: string
      readonly namespace?: string
      /** The key of the Secret that holds the API key. */
      readonly key: string
      readonly requestTimeoutMs: number
      readonly maxAttempts: number
    }
  | {
      readonly kind: 'module'
      readonly path: string
      /** Given to the module's `openStore` as they are. */
      readonly options: Readonly<Record<string, unknown>>
    }

/** Where state is kept that is no secret. */
export type LedgerConfig =
  | { readonly kind: 'sqlite' }
  | {
      readonly kind: 'postgres'
      /** Without a password, or where it is read from. */
      readonly url: string | SecretSource
      readonly password?: SecretSource
      readonly schema: string
      readonly migrate: boolean
      readonly connectionsMax: number
      /** Absent: with TLS, unless it is on this machine. */
      readonly tls?:
        | 'off'
        | {
            readonly caFile?: string
            readonly certFile?: string
            readonly keyFile?: string
            readonly serverName?: string
          }
    }

/** How Keyturn proves to Vault who it is. */
export type VaultAuthConfig =
  | { readonly kind: 'token'; readonly token?: SecretSource }
  | {
      readonly kind: 'approle'
      readonly roleId: string
      readonly secretId: SecretSource
      readonly mount?: string
    }
  | { readonly kind: 'kubernetes'; readonly role: string; readonly jwtFile?: string; readonly mount?: string }
  | { readonly kind: 'jwt'; readonly role: string; readonly jwt: SecretSource; readonly mount?: string }

/** Who mints and kills keys. The shapes that src/issuers/index.ts takes, but for the admin key, which is named, not held. */
export type IssuerConfig =
  | {
      readonly kind: 'openai'
      readonly baseUrl: string
      readonly timeoutMs: number
      /** Read at each use; or the name of the admin key that Keyturn looks after (`Config.adminKeys`). */
      readonly adminKey: SecretSource | { readonly credential: string }
      readonly projectId: string
      /** The stable service account that gets every new key: its id, or its name. Neither only with mode `new_service_account`. */
      readonly serviceAccountId?: string
      readonly serviceAccountName?: string
      /** A second one, for spares. */
      readonly standbyServiceAccountId?: string
      readonly standbyServiceAccountName?: string
      readonly mode: 'service_account_key' | 'new_service_account'
      /** Scopes of minted keys; empty: all permissions. */
      readonly scopes: readonly string[]
    }
  | {
      readonly kind: 'manual'
      readonly baseUrl: string
      readonly timeoutMs: number
    }

/** A credential's rotation schedule: a cron expression in a time zone, and how far occurrences are spread. */
export interface ScheduleConfig {
  readonly expression: string
  readonly timeZone: string
  readonly jitterMs: number
}

/** A time in which nothing moves that nobody asks for then: from a cron expression on for so long, or once. */
export type BlackoutConfig = BlackoutWindow

/** The part of the policy that is configured; the rest follows from the store and the issuer. */
export type PolicyConfig = Omit<
  Policy,
  'canMint' | 'isSelfMinting' | 'isManual' | 'storeWritable' | 'mirrors' | 'blackoutAt' | 'overlapBecause'
>

export interface MirrorConfig {
  /** For people, and the same from start to start: the store's name and the secret's, `aws/openai`. */
  readonly id: string
  readonly store: StoreConfig
  readonly ref: string
}

export interface CredentialConfig {
  readonly name: string
  /** The secret's name in the store. */
  readonly ref: string
  readonly store: StoreConfig
  /** Copies in other stores, kept in line with the first. */
  readonly mirrors: readonly MirrorConfig[]
  /** Who takes the key and holds no lease; the overlap is never shorter than they keep it. */
  readonly consumers: readonly UnleasedConsumer[]
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
  readonly blackout: readonly BlackoutConfig[]
  readonly policy: PolicyConfig
}

/**
 * An admin key that is kept in a store and looked after like a credential. Not one of `credentials`: whoever goes through
 * those to hand keys out never meets it.
 */
export interface AdminKeyConfig {
  readonly name: string
  readonly ref: string
  readonly store: StoreConfig
  readonly baseUrl: string
  readonly timeoutMs: number
  readonly organization?: string
  readonly schedule: ScheduleConfig | null
  readonly blackout: readonly BlackoutConfig[]
  readonly policy: PolicyConfig
}

/** Where the token comes from that proves a workload's identity. The same shapes as src/issuers/subject-token.ts takes. */
export type SubjectTokenConfig =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly variable: string }
  | {
      readonly kind: 'azure'
      readonly resource: string
      readonly clientId?: string
      readonly objectId?: string
      readonly resourceId?: string
      readonly endpoint?: string
    }
  | { readonly kind: 'google'; readonly audience: string; readonly endpoint?: string }

/** OpenAI's token exchange: who asks, as whom, and with what. */
export interface IdentityConfig {
  readonly provider: string
  readonly serviceAccount: string
  readonly clientId?: string
  readonly subjectToken: SubjectTokenConfig
  readonly tokenType?: 'jwt' | 'id'
  readonly tokenUrl: string
  readonly timeoutMs: number
}

/** A credential without a stored key: short-lived tokens are exchanged for the identity of this workload. */
export interface FederatedConfig {
  readonly name: string
  readonly identity: IdentityConfig
  readonly refreshBufferMs: number
  /** Where tokens are proven, and what apps get as base URL. */
  readonly baseUrl: string
  readonly expected: CredentialConfig['expected']
  readonly policy: PolicyConfig
}

export interface RateLimitsConfig {
  readonly requestsPerSecond: number
  readonly burst: number
  readonly failuresPerMinute: number
}

/** Where rows of the audit, or heads of it, go. */
export type AuditPlaceConfig =
  | { readonly kind: 'file'; readonly folder: string }
  | { readonly kind: 'syslog'; readonly address: string }
  | {
      readonly kind: 'webhook'
      readonly url: string
      readonly bearer?: SecretSource
      readonly hmac?: SecretSource
    }

export interface AuditConfig {
  readonly reads: 'durable' | 'async' | 'off'
  readonly waitMs: number
  readonly sinks: readonly AuditPlaceConfig[]
  readonly heads: readonly (AuditPlaceConfig | { readonly kind: 'ledger' })[]
  readonly keepMs: number
  readonly keepBytes: number
}

export type ListenConfig =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Where what is handed out is kept for a restart with everything away. Paths are absolute. */
export interface LastKnownGoodConfig {
  readonly path: string
  /** The age identity that opens it. */
  readonly identityFile: string
  readonly passphraseFile?: string
  readonly passphraseVariable?: string
  readonly maxAgeMs: number
}

export interface TlsConfig {
  /** Absolute paths. */
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
  readonly clientCertificates: 'optional' | 'required'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export interface AccessConfig {
  /** What keyturn.yaml itself says. */
  readonly rules: AccessPolicy
  /** Absolute: a file with further rules. */
  readonly file?: string
}

export interface SocketConfig {
  readonly mode: number
  readonly group?: string | number
}

export interface AlertsConfig {
  readonly channels: readonly AlertChannelConfig[]
  /** Without a slash at its end. */
  readonly linkBase?: string
  readonly thresholds: AlertThresholds
  readonly clearMs: number
  readonly groupMs: number
  readonly remindMs: number
  readonly perMinute: number
}

export interface AlertChannelConfig {
  readonly name: string
  readonly severities: readonly Severity[]
  /** Patterns of names. */
  readonly credentials: readonly string[]
  readonly quiet: readonly BlackoutConfig[]
  readonly timeoutMs: number
  readonly receiver: AlertReceiverConfig
}

/** The same shapes as src/alerts/index.ts takes, with where secrets are read from. */
export type AlertReceiverConfig =
  | { readonly kind: 'webhook'; readonly url: string; readonly secret: SecretSource }
  | { readonly kind: 'slack' | 'teams'; readonly url: SecretSource }
  | { readonly kind: 'pagerduty'; readonly routingKey: SecretSource; readonly url: string }
  | {
      readonly kind: 'email'
      readonly host: string
      readonly port: number
      readonly tls: 'implicit' | 'starttls' | 'none'
      readonly user?: string
      readonly password?: SecretSource
      readonly from: string
      readonly to: readonly string[]
    }
  | { readonly kind: 'sentry'; readonly dsn: SecretSource }
  | { readonly kind: 'datadog'; readonly apiKey: SecretSource; readonly url: string }
  | { readonly kind: 'log' }

/** How people sign in to the dashboard. */
export interface DashboardConfig {
  readonly sessionKey?: SecretSource
  readonly oidc?: {
    readonly issuer: string
    readonly clientId: string
    readonly clientSecret: SecretSource
    readonly address: string
    readonly scopes: readonly string[]
  }
}

/** Which clouds may say that a secret is to be rotated. */
export interface HooksConfig {
  readonly googlePubSub: boolean
  readonly azureEventGrid: boolean
}

export interface Config {
  /** Where it came from, for messages: a path, or `environment`. */
  readonly source: string
  /** Absolute. */
  readonly home: string
  readonly listen: ListenConfig
  /** Values of the Host header that are answered besides this machine's and the address listened on; without ports. */
  readonly allowedHosts: readonly string[]
  readonly tls?: TlsConfig
  readonly socket?: SocketConfig
  readonly access?: AccessConfig
  /** Who may pass requests on for others. Absent: nobody. */
  readonly trustedProxies?: readonly (Network | 'unix')[]
  /** How often one caller may ask. Absent: as often as it likes. */
  readonly rateLimits?: RateLimitsConfig
  /** How often the issuer is asked for the keys of one organisation. Absent: the default. */
  readonly verification?: { readonly perOrganizationPerMinute: number }
  /** Absent: what is the default without a file. */
  readonly audit?: AuditConfig
  /** Absent: SQLite in the home folder. */
  readonly ledger?: LedgerConfig
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' }
  readonly credentials: readonly CredentialConfig[]
  /** Absent: none is kept in a store. */
  readonly adminKeys?: readonly AdminKeyConfig[]
  /** Credentials of workload identities. Absent: none. */
  readonly federated?: readonly FederatedConfig[]
  /** Absent: none is kept. */
  readonly lastKnownGood?: LastKnownGoodConfig
  /** Absent: nobody is told of anything. */
  readonly alerts?: AlertsConfig
  /** Absent: with tokens, in sessions of this process alone. */
  readonly dashboard?: DashboardConfig
  /** Absent: none. */
  readonly hooks?: HooksConfig
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

/** Something about a file that a configuration names. */
export interface FileFinding {
  /** Of the key that names it. */
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly fix: string
  /** The service does not start with it. Else it starts, and does without what the file is for. */
  readonly isFatal: boolean
}

/** Notes a problem at the place of a path. */
export type Report = (path: readonly (string | number)[], message: string, fix: string) => void

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
  /** Without it nobody looks whether blackouts leave time to turn a key. */
  readonly occurrences?: Occurrences
}
