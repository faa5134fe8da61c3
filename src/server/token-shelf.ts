import type { GrantRule } from '../core/grants.ts'
import type { Cancel } from '../core/ports.ts'

/** A token as it is kept: never itself, only its SHA-256. */
export interface StoredToken {
  readonly id: string
  readonly name: string
  readonly role: 'app' | 'operator'
  /** What may be read. */
  readonly credentials: readonly string[]
  /** Where it may more, or other things, than read: all that it may. Absent in what older versions wrote. */
  readonly grants?: readonly GrantRule[]
  /** Who made it over the API. Absent: somebody at the machine, so that it stands for its own name. */
  readonly person?: string
  /** Lower-case hex of SHA-256 over the token. */
  readonly sha256: string
  readonly createdAt: number
  readonly expiresAt: number | null
  /** Coarse: written back every few minutes at most. */
  readonly lastUsedAt: number | null
}

export interface ShelfContent {
  readonly tokens: readonly StoredToken[]
  /** Changes whenever the tokens do. */
  readonly signature: string
}

/**
 * Where the hashes of the tokens lie: a file, or a database that replicas share. It keeps and it tells; who is let in is
 * decided from memory (`tokens.ts`), so that a shelf that is away locks nobody out.
 */
export interface TokenShelf {
  /** For messages: `the token file /…`. */
  readonly where: string
  read(): Promise<ShelfContent>
  /** The signature of what lies there now, without reading it; asked twice a second. Throws where it cannot be told. */
  signature(): Promise<string>
  /**
   * Reads, lets `work` compute, writes, all of it against every other process. `work` has no effects of its own: it may be
   * called again. Whole or not at all.
   */
  change<Result>(
    work: (tokens: readonly StoredToken[]) => {
      readonly tokens: readonly StoredToken[]
      readonly result: Result
    },
  ): Promise<{ readonly content: ShelfContent; readonly result: Result }>
  /** Where others' changes are heard of before the next look: called then. */
  onHint?(listener: () => void): Cancel
  close(): Promise<void>
}

export const tokensMax = 1_000
