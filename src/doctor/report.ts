import { fingerprint as fingerprintOf } from '../core/fingerprint.ts'
import { inspectSecret, type KeyKind } from '../core/key-inspection.ts'
import { redactKeys } from '../core/key-shape.ts'
import type { Hash } from '../core/ports.ts'
import type { Fingerprint } from '../core/types.ts'
import { findingKinds } from './catalogue.ts'
import type { Comparison } from './compare/compare.ts'
import type { Step } from './context.ts'
import type { Examination } from './examine.ts'
import type { Facts, KeyPlace, KeyturnCredential, Setting } from './facts.ts'
import { describePlace, type Finding, type Place, type Severity } from './finding.ts'
import { shownWithout } from './probe/shown.ts'

/** Rises when a field changes its meaning or goes away; new fields do not raise it. */
export const reportSchemaVersion = 1

/** What came of an examination, as plain data without any secret: every output is made of this. */
export interface DoctorReport {
  readonly schemaVersion: typeof reportSchemaVersion
  /** Keyturn's own version. */
  readonly keyturn: string
  readonly at: string
  readonly tookMs: number
  readonly folder: string
  readonly isOffline: boolean
  /** Neither an error nor a warning was found, and every check ran. */
  readonly isHealthy: boolean
  /** The key that the program would use; null: none was found. */
  readonly key: ReportedKey | null
  /** Every key that was found anywhere, that one among them. */
  readonly keys: readonly ReportedKey[]
  readonly baseUrl: ReportedSetting | null
  readonly organization: ReportedSetting | null
  readonly project: ReportedSetting | null
  readonly models: readonly ReportedSetting[]
  readonly proven: Proven
  readonly findings: readonly ReportedFinding[]
  readonly steps: readonly Step[]
  /** Checks that broke: what they would have found is not known. */
  readonly broken: readonly { readonly check: string; readonly code: string }[]
  /** The key here beside those of the places that were asked for. */
  readonly comparisons: readonly Comparison[]
  /** Credentials of a keyturn.yaml; null: there is none that could be read. */
  readonly credentials: readonly ReportedCredential[] | null
}

export interface ReportedKey {
  readonly fingerprint: Fingerprint
  readonly kind: KeyKind
  /** As people read it: `OPENAI_API_KEY`, `.env:3`. */
  readonly at: string
  readonly place: Place
}

export interface ReportedSetting {
  readonly value: string
  readonly at: string
}

/** What OpenAI itself answered. */
export interface Proven {
  readonly organization: string | null
  readonly project: string | null
  readonly models: readonly string[]
}

export interface ReportedFinding {
  readonly code: string
  /** The cause's row in docs/troubleshooting.md. */
  readonly row: string
  readonly severity: Severity
  readonly title: string
  readonly seen: string
  readonly cause: string
  readonly fix: string
  readonly at: string | null
  readonly place: Place | null
  readonly fingerprint: Fingerprint | null
  readonly requestId: string | null
}

export interface ReportedCredential {
  readonly name: string
  readonly store: string
  /** Null: its store gave no key. */
  readonly fingerprint: Fingerprint | null
  /** As the running service tells them; null: none was asked. */
  readonly stage: string | null
  readonly verdict: string | null
  readonly rotatesAt: string | null
}

/** Everything is plain from here on: a text that looks like a key after all is taken out. */
export function reportOf(
  examination: Examination,
  about: {
    readonly hash: Hash
    readonly version: string
    readonly at: number
    readonly folder: string
    readonly isOffline: boolean
    readonly steps: readonly Step[]
    readonly proven: Proven
    readonly comparisons: readonly Comparison[]
    /** Of this process: a .env of a stranger may put any of it into what is shown. */
    readonly env?: Readonly<Record<string, string | undefined>>
  },
): DoctorReport {
  const { facts, findings, broken, tookMs } = examination
  const { hash } = about
  const key = facts.key === undefined ? null : reportedKey(facts.key, hash)
  const worst = findings.some(({ severity }) => severity !== 'note')
  const isBlind = broken.length > 0 || about.comparisons.some(({ problem }) => problem !== null)
  const hidden = secretsOf(about.env ?? {})
  return withoutKeys<DoctorReport>(hidden, {
    schemaVersion: reportSchemaVersion,
    keyturn: about.version,
    at: new Date(about.at).toISOString(),
    tookMs: Math.round(tookMs),
    folder: about.folder,
    isOffline: about.isOffline,
    isHealthy: !worst && !isBlind,
    key,
    keys: facts.keys.map((one) => reportedKey(one, hash)),
    baseUrl: reportedSetting(facts.baseUrl),
    organization: reportedSetting(facts.organization),
    project: reportedSetting(facts.project),
    models: facts.models.map(settingOf),
    proven: provenWithout(facts.keys, about.proven),
    findings: findings.map(reportedFinding),
    steps: about.steps,
    broken,
    comparisons: about.comparisons,
    credentials:
      facts.keyturn === undefined || facts.keyturn.problems.length > 0
        ? null
        : facts.keyturn.credentials.map((one) => reportedCredential(one, hash)),
  })
}

/** A server that was shown the key may say a piece of it in place of an id: such an id is none. */
function provenWithout(keys: Facts['keys'], proven: Proven): Proven {
  const shown = shownWithout(keys.map(({ text }) => text))
  const id = (value: string | null) => (value === null || shown(value) !== value ? null : value)
  return { ...proven, organization: id(proven.organization), project: id(proven.project) }
}

/** Shorter ones are words. */
const secretCharsMin = 8

/** Values that are secret by the names of their variables. A path is none. */
function secretsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(env).flatMap(([name, value = '']) =>
    /KEY|TOKEN|SECRET|PASS|CREDENTIAL/i.test(name) && value.length >= secretCharsMin && !/^[./]/.test(value)
      ? [value]
      : [],
  )
}

/** Names of files, models and steps too: somebody may have put a key into one. */
function withoutKeys<Value>(hidden: readonly string[], value: Value): Value {
  const plain = (inner: unknown): unknown => {
    if (typeof inner === 'string')
      return hidden.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), redactKeys(inner))
    if (Array.isArray(inner)) return inner.map(plain)
    if (typeof inner !== 'object' || inner === null) return inner
    return Object.fromEntries(Object.entries(inner).map(([name, one]) => [name, plain(one)]))
  }
  // Only texts inside of it change.
  return plain(value) as Value
}

function reportedKey({ text, place }: KeyPlace, hash: Hash): ReportedKey {
  return {
    fingerprint: fingerprintOf(text, hash),
    kind: inspectSecret(text).kind,
    at: describePlace(place),
    place,
  }
}

function reportedSetting(setting: Setting | undefined): ReportedSetting | null {
  return setting === undefined ? null : settingOf(setting)
}

function settingOf({ value, place }: Setting): ReportedSetting {
  return { value: withoutCredentials(value), at: describePlace(place) }
}

/** An address may carry a user and a password before its host, and a key in its query. */
export function withoutCredentials(value: string): string {
  if (!URL.canParse(value)) return value
  const url = new URL(value)
  if (url.username === '' && url.password === '' && url.search === '' && url.hash === '') return value
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  return url.href
}

function reportedFinding(finding: Finding): ReportedFinding {
  const { row, title } = findingKinds[finding.code]
  const { place } = finding
  return {
    code: finding.code,
    row,
    severity: finding.severity,
    title,
    seen: finding.seen,
    cause: finding.cause,
    fix: finding.fix,
    at: place === undefined ? null : describePlace(place),
    place: place ?? null,
    fingerprint: finding.fingerprint ?? null,
    requestId: finding.requestId ?? null,
  }
}

function reportedCredential(
  { name, store, stored, status }: KeyturnCredential,
  hash: Hash,
): ReportedCredential {
  return {
    name,
    store,
    fingerprint: stored.kind === 'found' ? fingerprintOf(stored.secret, hash) : null,
    stage: status?.current?.stage ?? null,
    verdict: status?.current?.check?.verdict ?? null,
    rotatesAt: status?.rotatesAt ?? null,
  }
}
