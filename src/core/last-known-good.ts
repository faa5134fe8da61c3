import { handedOut, isOut, recordOf } from './credential.ts'
import { isRecord } from './json.ts'
import { Secret } from './secret.ts'
import {
  type CredentialName,
  type CredentialState,
  credentialNamePattern,
  type Fingerprint,
  type Stage,
  type VerdictKind,
  type VersionId,
  type VersionRecord,
  versionIdPattern,
} from './types.ts'

/**
 * The last-known-good file: what is handed out, written down so that a restart with ledger, store and issuer away can go
 * on from it. Pure: what an entry holds, when it may be used, when it has to go, and the text of the file.
 */
export interface Remembered {
  readonly name: CredentialName
  readonly version: VersionId
  readonly fingerprint: Fingerprint
  readonly stage: Stage
  readonly secret: Secret
  readonly generation: number
  readonly organization?: string
  readonly project?: string
  readonly baseUrl: string
  readonly verdict: VerdictKind
  readonly verifiedAt: number
  /** As the issuer told it, unless it accepted the key after that instant. */
  readonly expiresAt?: number
  readonly rotatesAt?: number
  readonly staleAfterMs: number
  /** The last event that was told: apps order events by it, so numbers go on from there. */
  readonly lastEventId: number
  /** Stands for the part of the configuration that says which key this is: store, secret, issuer, expectation. */
  readonly binding: string
}

export interface LastKnownGoodDocument {
  /** The id of the installation: a file of another one is of no use here, whoever put it there. */
  readonly installation: string
  readonly writtenAt: number
  readonly entries: readonly Remembered[]
}

/** What the configuration says of a credential now. */
export interface Expected {
  readonly baseUrl: string
  readonly organization?: string | undefined
  readonly project?: string | undefined
  readonly binding: string
}

// ------------------------------------------------------------------ using

/** From when on it is of no use any more: its own expiry, or the bound on its age, whichever is first. */
export function usableUntil({ verifiedAt, expiresAt }: Remembered, maxAgeMs: number): number {
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, verifiedAt + maxAgeMs)
}

/** Why an entry may not be used, for the log; undefined where it may. */
export function refusalOf(
  entry: Remembered,
  { now, maxAgeMs, expected }: { now: number; maxAgeMs: number; expected: Expected | undefined },
): string | undefined {
  if (expected === undefined) return 'the credential is not configured any more'
  if (entry.baseUrl !== expected.baseUrl) return 'the configured baseUrl is another one'
  if (entry.organization !== expected.organization || entry.project !== expected.project)
    return 'the configured organization or project is another one'
  if (entry.binding !== expected.binding)
    return 'its store, secret, issuer or expectation was configured anew'
  if (entry.expiresAt !== undefined && entry.expiresAt <= now) return 'the key has expired'
  if (usableUntil(entry, maxAgeMs) <= now) return 'it is older than lastKnownGood.maxAge allows'
  return undefined
}

/**
 * Whether a key has expired as far as anybody knows. Where the issuer accepted it after that instant, it was told wrongly
 * (of a key that was found only the store says it, and whoever writes there), and is not believed.
 */
export function isExpired({ meta, verifiedAt }: VersionRecord, now: number): boolean {
  const { expiresAt } = meta
  return expiresAt !== undefined && expiresAt <= now && (verifiedAt === undefined || verifiedAt < expiresAt)
}

// ---------------------------------------------------------------- keeping

/**
 * What the file has to hold for a credential in this state; undefined: nothing. `before` is what it holds, `made` is the entry
 * of what the state hands out, where its secret is at hand.
 */
export function entryFor(
  state: CredentialState,
  before: Remembered | undefined,
  made: (record: VersionRecord) => Remembered | undefined,
): Remembered | undefined {
  const record = handedOut(state)
  const fresh = record === undefined ? undefined : made(record)
  if (fresh !== undefined) return fresh
  return before === undefined || isRuledOut(before, state) ? undefined : before
}

/** The ledger knows better: withdrawn, in the wrong hands, retired, or nothing at all is left to hand out. */
export function isRuledOut({ version, fingerprint }: Remembered, state: CredentialState): boolean {
  const isIt = (one: { readonly version?: VersionId; readonly fingerprint: Fingerprint }): boolean =>
    one.version === version || one.fingerprint === fingerprint
  if (state.outage !== undefined) return true
  return state.versions.some((one) => isIt(one) && isOut(one)) || (state.outcasts ?? []).some(isIt)
}

/**
 * A ledger that was lost, or is new, knows of no key; what is remembered goes on until a store that answers has another
 * one, or none, or the issuer says what it thinks of it.
 */
export function isUncontradicted(entry: Remembered, state: CredentialState): boolean {
  const { current, storeCurrent, storeReadAt, storeTrouble } = state
  if (current !== undefined || isRuledOut(entry, state) || storeTrouble?.code === 'store_absent') return false
  const stored = recordOf(state, storeCurrent)
  if (stored !== undefined) return stored.fingerprint === entry.fingerprint
  return storeReadAt === undefined || storeTrouble !== undefined
}

// ----------------------------------------------------------------- writing

const format = 'keyturn-last-known-good'
const formatVersion = 1
/** Some 700 bytes for each of 10,000 credentials, and as much again. */
export const documentBytesMax = 16 * 1_048_576

/** The text of the file before it is encrypted: it holds the secrets. */
export function documentText({ installation, writtenAt, entries }: LastKnownGoodDocument): string {
  const written = entries.map((one) => ({ ...one, secret: one.secret.reveal() }))
  return JSON.stringify({ format, formatVersion, installation, writtenAt, entries: written })
}

export type ReadDocument =
  | { readonly kind: 'document'; readonly document: LastKnownGoodDocument }
  | { readonly kind: 'newer' }
  | { readonly kind: 'malformed' }

/** Reads what `documentText` wrote. It is all or nothing: a file of which a part cannot be read is not relied on. */
export function readDocument(text: string): ReadDocument {
  const value = parse(text)
  if (!isRecord(value) || value['format'] !== format) return { kind: 'malformed' }
  if (typeof value['formatVersion'] === 'number' && value['formatVersion'] > formatVersion)
    return { kind: 'newer' }
  const { installation, writtenAt, entries } = value
  if (typeof installation !== 'string' || !isInstant(writtenAt) || !Array.isArray(entries))
    return { kind: 'malformed' }
  const read = entries.map(entryOf)
  const sound = read.filter((one) => one !== undefined)
  if (sound.length !== read.length || new Set(sound.map((one) => one.name)).size !== sound.length)
    return { kind: 'malformed' }
  return { kind: 'document', document: { installation, writtenAt, entries: sound } }
}

function entryOf(value: unknown): Remembered | undefined {
  if (!isRecord(value)) return undefined
  const { name, version, fingerprint, stage, secret, generation, organization, project } = value
  const { baseUrl, verdict, verifiedAt, expiresAt, rotatesAt, staleAfterMs, lastEventId, binding } = value
  const texts = [name, version, fingerprint, stage, secret, baseUrl, verdict, binding]
  const isSound =
    texts.every((one) => typeof one === 'string' && one !== '') &&
    [organization, project].every((one) => one === undefined || typeof one === 'string') &&
    [generation, verifiedAt, staleAfterMs, lastEventId].every(isInstant) &&
    [expiresAt, rotatesAt].every((one) => one === undefined || isInstant(one))
  if (!isSound || !credentialNamePattern.test(String(name)) || !versionIdPattern.test(String(version)))
    return undefined
  return { ...value, secret: new Secret(String(secret)) } as unknown as Remembered
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
