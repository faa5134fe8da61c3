import type { CredentialSummary, Readiness, Trouble } from '../api/types.ts'
import type { KeyturnError } from '../core/errors.ts'
import { type Remembered, usableUntil } from '../core/last-known-good.ts'
import type { CredentialName } from '../core/types.ts'
import type { LastKnownGood } from './last-known-good.ts'
import { lastKnownGoodOf, lastKnownGoodTrouble } from './last-known-good-summary.ts'
import { handOutOf } from './resolver.ts'
import type { HandOut, NoHandOut } from './service.ts'

/** A credential as the configuration alone tells of it. */
export interface ConfiguredCredential {
  readonly name: CredentialName
  readonly isInternal: boolean
  readonly store: string
  readonly issuer: string
}

export interface RememberedAnswersOptions {
  readonly credentials: readonly ConfiguredCredential[]
  readonly lastKnownGood: LastKnownGood
  readonly now: () => number
  readonly version: string
  /** Why nobody better can be asked. */
  readonly reason: () => KeyturnError
}

/** What a service answers while it has nothing but the last-known-good file. */
export interface RememberedAnswers {
  handOut(name: CredentialName): HandOut | NoHandOut | undefined
  handOuts(): ReadonlyMap<CredentialName, HandOut | NoHandOut>
  summary(credential: ConfiguredCredential): CredentialSummary
  readiness(): Readiness
  /** When the first of the hand-outs ends by the clock alone. */
  endsAt(): number
  /** Looks at the file and the clock again. Answers whose hand-out is another than before. */
  refresh(): readonly CredentialName[]
}

export function createRememberedAnswers(options: RememberedAnswersOptions): RememberedAnswers {
  const { credentials, lastKnownGood, now, version, reason } = options
  const startedAt = now()
  const since = new Date(startedAt).toISOString()
  /** The same objects as long as nothing changes: bodies are made once for each. */
  const handOuts = new Map<CredentialName, HandOut | NoHandOut>()

  /** Clients may not go on with it for longer than this service would. */
  const given = (entry: Remembered): HandOut => {
    const leftMs = usableUntil(entry, lastKnownGood.maxAgeMs) - now()
    return { ...handOutOf(entry), staleAfterMs: Math.max(1_000, Math.min(entry.staleAfterMs, leftMs)) }
  }
  const none = (name: CredentialName): NoHandOut => {
    const { message, fix = '' } = reason()
    const generation = lastKnownGood.kept(name)?.generation ?? 0
    const summary = `${message} The last-known-good file has no key of ${name} that may still be used.`
    return { kind: 'unavailable', name, since: startedAt, summary, fix, generation }
  }
  const troubles = ({ name, isInternal }: ConfiguredCredential): readonly Trouble[] => {
    const { code, message, fix = '' } = reason()
    const own = { code, summary: message, fix, since }
    const handOut = handOuts.get(name)
    if (isInternal || handOut === undefined) return [own]
    if (handOut.kind === 'unavailable')
      return [{ code: 'no_verified_key', summary: handOut.summary, fix: handOut.fix, since }]
    return [own, lastKnownGoodTrouble(handOut, now())]
  }
  return {
    handOut: (name) => handOuts.get(name),
    handOuts: () => new Map(handOuts),
    summary(credential) {
      const { name, isInternal, store, issuer } = credential
      const handOut = handOuts.get(name)
      const entry = handOut?.kind === 'available' ? lastKnownGood.kept(name) : undefined
      const current = entry === undefined ? null : versionOf(entry)
      return {
        name,
        isInternal,
        generation: handOut?.generation ?? 0,
        current,
        versions: current === null ? [] : [current],
        rotation: null,
        retirements: [],
        rotatesAt: null,
        blackoutUntil: null,
        troubles: troubles(credential),
        store,
        standby: null,
        mirrors: [],
        issuer,
        ...lastKnownGoodOf(handOut),
      }
    },
    readiness() {
      const all = credentials.map((credential) => {
        const { name, isInternal } = credential
        const handOut = handOuts.get(name)
        return {
          name,
          isInternal,
          ready: handOut?.kind === 'available',
          verdict: null,
          trouble: troubles(credential)[0]?.summary ?? null,
          ...lastKnownGoodOf(handOut),
        }
      })
      return {
        ready: all.every((one) => one.ready || one.isInternal),
        // What others have is not known without the ledger. With every replica like this one, some keys are better than no answer.
        isInService: all.some((one) => one.ready),
        version,
        isSandbox: false,
        credentials: all,
      }
    },
    endsAt: () =>
      credentials.reduce((soonest, { name }) => {
        const entry = lastKnownGood.usable(name)
        return entry === undefined ? soonest : Math.min(soonest, usableUntil(entry, lastKnownGood.maxAgeMs))
      }, Number.POSITIVE_INFINITY),
    refresh() {
      const changed: CredentialName[] = []
      for (const { name, isInternal } of credentials) {
        if (isInternal) continue
        const before = handOuts.get(name)
        const entry = lastKnownGood.usable(name)
        if (before !== undefined && (before.kind === 'available') === (entry !== undefined)) continue
        handOuts.set(name, entry === undefined ? none(name) : given(entry))
        if (before !== undefined) changed.push(name)
      }
      return changed
    },
  }
}

function versionOf(entry: Remembered): CredentialSummary['versions'][number] {
  const { version, stage, fingerprint, organization, project, verifiedAt, expiresAt } = entry
  const at = new Date(verifiedAt).toISOString()
  return {
    version,
    stage,
    origin: 'found',
    fingerprint,
    keyId: null,
    organization: organization ?? null,
    project: project ?? null,
    serviceAccount: null,
    addedAt: at,
    createdAt: null,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    promotedAt: null,
    verifiedAt: at,
    withdrawnAt: null,
    isCompromised: false,
    check: null,
  }
}
