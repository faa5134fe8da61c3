// What the sandbox knows. Instants are epoch milliseconds; the wire has seconds. A record whose `createdAt` lies
// in the future does not exist yet: that is how a write that lands late is kept, also across a restart.

export interface OrganizationRecord {
  readonly id: string
  readonly name: string
  readonly createdAt: number
}

export interface ProjectRecord {
  readonly id: string
  readonly organization: string
  name: string
  readonly isDefault: boolean
  readonly createdAt: number
  archivedAt: number | null
  externalKeyId: string | null
}

export type AccountRole = 'owner' | 'member' | 'none'

export interface ServiceAccountRecord {
  readonly id: string
  readonly project: string
  name: string
  role: AccountRole
  readonly createdAt: number
  deletedAt: number | null
}

export interface UserRecord {
  readonly id: string
  readonly organization: string
  readonly name: string
  readonly email: string
  readonly role: string
  readonly createdAt: number
}

/** What a key may do and until when. Edges learn of a newer policy late, so the older ones are kept. */
export interface KeyPolicy {
  readonly at: number
  /** Empty means every permission. */
  readonly scopes: readonly string[]
  readonly expiresAt: number | null
}

/** `exchanged`: a short-lived token of a workload identity; it is in no list of keys. */
export type KeyKind = 'service_account' | 'user' | 'admin' | 'exchanged'

export interface KeyRecord {
  readonly id: string
  readonly kind: KeyKind
  readonly name: string
  readonly organization: string
  readonly project: string | null
  readonly serviceAccount: string | null
  readonly user: string | null
  readonly ownerAccess: 'active' | 'inactive'
  /** SHA-256 of the value. The value itself is never kept. */
  readonly hash: string
  readonly redacted: string
  readonly createdAt: number
  /** Made by set-up, so every edge has known it from the beginning. */
  readonly settled: boolean
  deletedAt: number | null
  /** Oldest first, never empty. */
  policies: KeyPolicy[]
  /** Instants of use, oldest first, thinned out when there are many. */
  uses: number[]
}

export interface IdentityProviderRecord {
  readonly id: string
  readonly organization: string
  readonly issuer: string
  readonly audience: string
  /** PEM. */
  readonly publicKeys: readonly string[]
  mappings: readonly { readonly subject: string; readonly serviceAccount: string }[]
  readonly createdAt: number
}

export interface AuditRecord {
  readonly id: string
  readonly at: number
  readonly type: string
  readonly organization: string
  readonly project: string | null
  readonly actorKey: string | null
  readonly resource: string
  readonly details: Readonly<Record<string, unknown>>
}

export interface WorldData {
  readonly format: 1
  /** The sandbox's clock at the last write: it goes on from here and never back. */
  savedAt: number
  readonly home: {
    readonly organization: string
    readonly project: string
    readonly serviceAccount: string
    readonly defaultProject: string
  }
  readonly other: { readonly organization: string; readonly project: string; readonly serviceAccount: string }
  readonly organizations: OrganizationRecord[]
  readonly projects: ProjectRecord[]
  readonly serviceAccounts: ServiceAccountRecord[]
  readonly users: UserRecord[]
  readonly keys: KeyRecord[]
  /** Absent in files of before there were any. */
  identityProviders?: IdentityProviderRecord[]
  readonly audit: AuditRecord[]
}
