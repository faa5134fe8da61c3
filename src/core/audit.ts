import type { CredentialName, VersionId } from './types.ts'

/** Who did it. `engine`: nobody asked; the name says what moved it (`schedule`, `failover`, `start` …). */
export interface AuditCaller {
  readonly id: string
  readonly name: string
  readonly kind: 'token' | 'jwt' | 'certificate' | 'socket' | 'nobody' | 'engine'
}

/** One row of the journal before it is chained. Never a secret, a token, a header, or text that an app sent. */
export interface AuditEntry {
  /** Epoch milliseconds. Absent: when it is recorded. */
  readonly at?: number
  /** read: a secret leaves. act: something is changed. refusal: somebody did not get what was asked for. */
  readonly kind: 'read' | 'act' | 'refusal'
  /** The id of the operation of the API (`getCredential`), or what the engine does (`mint`, `promoted`). */
  readonly action: string
  /** `done`, `asked` (an act that begins now), or the code of the error. */
  readonly outcome: string
  readonly caller: AuditCaller
  readonly credential?: CredentialName
  readonly version?: VersionId
  readonly fingerprint?: string
  readonly generation?: number
  readonly requestId?: string
  /** The address it was asked from. */
  readonly source?: string
  /** A stable word, a status or a sentence of ours. */
  readonly reason?: string
  /** How often the same happened within the time of one row. Absent: once. */
  readonly count?: number
}

/**
 * Where every read of a secret, every act and every refusal is written down.
 *
 * The caller owes: it waits for the promise before the reply leaves or the act begins, and lets neither happen where it
 * rejects. The implementer owes: `record` takes the row in the order of the calls and never throws; the promise resolves when
 * the row would survive the end of the process and of the machine, and rejects with `audit_unavailable` within a bounded time
 * where that cannot be had. Undefined: there is nothing to wait for. An entry that is recorded again as the same object is a
 * row of its own each time, and is made into text only once.
 */
export interface Audit {
  record(entry: AuditEntry): Promise<void> | undefined
}

/** Which rows somebody asks for; what is absent lets all through. */
export interface AuditFilter {
  readonly kind?: string
  readonly action?: string
  readonly outcome?: string
  readonly credential?: string
  /** The id or the name. */
  readonly caller?: string
  /** ISO 8601: from the one on and before the other. */
  readonly since?: string
  readonly until?: string
}
