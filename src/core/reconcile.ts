import { isOut } from './credential.ts'
import { installationIn } from './marker.ts'
import type { IssuedKey } from './ports.ts'
import { isTelling, matchesRedacted } from './redacted.ts'
import { isRunning } from './rotation.ts'
import type { Secret } from './secret.ts'
import { toldMeta } from './told-meta.ts'
import type {
  CredentialName,
  CredentialState,
  KeyId,
  VersionId,
  VersionMeta,
  VersionRecord,
} from './types.ts'
import { isUntended } from './untended.ts'

/**
 * What the issuer lists, held against what the ledger knows and what stores and mirrors have. Pure.
 *
 * An orphan is a key that bears a marker of this installation and that nobody can be using: the ledger does not know it,
 * and it was proven absent from every store and mirror in two looks that are at least an hour apart. What could not be
 * read proves nothing. Whoever revokes looks once more immediately before.
 */

/** A key of ours that nobody seems to have: proven absent for the first time at the end of that look. */
export interface Suspect {
  readonly keyId: KeyId
  readonly marker: string
  readonly firstAt: number
}

/** A key that we hold and the issuer does not list. */
export interface Missing {
  readonly credential: CredentialName
  readonly version: VersionId
  readonly keyId: KeyId
  readonly firstAt: number
  /** People were told. */
  readonly isTold: boolean
}

/** What one look leaves for the next one. */
export interface Memory {
  readonly suspects: readonly Suspect[]
  readonly missing: readonly Missing[]
  /** Ids of this installation from before a ledger was lost. */
  readonly installations: readonly string[]
}

export const emptyMemory: Memory = { suspects: [], missing: [], installations: [] }

/** One version that a store or a mirror has and that is not retired there. */
export interface Held {
  readonly version: VersionId
  /** Undefined: its value is not there any more. */
  readonly secret: Secret | undefined
  readonly meta: VersionMeta
}

/** All that one store or mirror has of one credential. */
export interface PlaceReading {
  readonly credential: CredentialName
  readonly held: readonly Held[]
  /** It may have older versions than it can name: of keys made before then it proves nothing. */
  readonly wholeSince: number
}

export interface Look {
  /** A whole listing, made before the ledger and the stores were read: what was minted since is in the ledger. */
  readonly keys: readonly IssuedKey[]
  /** All that the ledger has, also of credentials that are no longer configured. */
  readonly states: readonly CredentialState[]
  /** The credentials whose keys are listed here. */
  readonly here: ReadonlySet<CredentialName>
  /** Every store and mirror of every credential; undefined where one of them could not be read. */
  readonly places: readonly PlaceReading[] | undefined
  readonly memory: Memory
  readonly installation: string
  readonly startedAt: number
  readonly endedAt: number
  /** How far apart the two proofs are at least. */
  readonly apartMs: number
  /** When the ledger was begun. */
  readonly bornAt: number
  /** Until then the ledger is younger than an overlap: nothing is revoked. */
  readonly youngUntil: number
}

/** An old key of ours that lives in a store and walks to no end yet: the ledger was lost, and does not know what it is. */
export interface Untended {
  readonly credential: CredentialName
  readonly keyId: KeyId
  readonly held: Held & { readonly secret: Secret }
}

export interface Findings {
  /** Proven absent twice: to be revoked after one more look, that finds the same. */
  readonly orphans: readonly Suspect[]
  /** Not listed for the second time: people are told, and the key is checked. */
  readonly vanished: readonly Missing[]
  readonly untended: readonly Untended[]
  readonly memory: Memory
  /** When the next look can say more; undefined: not before the usual one. */
  readonly nextAt: number | undefined
  readonly counts: {
    readonly listed: number
    /** Ours, by what the ledger knows or a store holds. */
    readonly held: number
    readonly suspects: number
    /** Of people and of others. */
    readonly unknown: number
  }
}

export const reconcileLimits = {
  suspectsMax: 200,
  missingMax: 200,
  installationsMax: 20,
  /** One look revokes no more than this. */
  orphansMax: 20,
  /** What was made or noted a moment ago may not be listed yet. */
  listLagMs: 5 * 60_000,
  /** A key is missing when two listings this far apart do not show it. */
  missingApartMs: 60_000,
} as const

/** Whether the stores have to be read at all: most looks find nothing that the ledger does not know. */
export function needsPlaces(look: Omit<Look, 'places' | 'endedAt'>): boolean {
  const ids = idsOf(look)
  const known = knowledgeOf(look.states)
  return look.keys.some((key) => isStray(key, ids, known) || mayBeUntended(key, known))
}

export function reconcile(look: Look): Findings {
  const { keys, states, places } = look
  const ids = idsOf(look)
  const known = knowledgeOf(states)
  const strays = keys.filter((key) => isStray(key, ids, known))
  const weighed = strays
    .filter((key) => !isExpired(key, look))
    .map((key) => ({ key, standing: weigh(key, earlierOf(key, look), look) }))
  const suspects = suspectsOf(weighed)
  const orphans = weighed.flatMap(({ standing }) =>
    standing.kind === 'absent' && isProvenTwice(standing.suspect, look) ? [standing.suspect] : [],
  )
  const missing = missingOf(look)
  const vanished = missing.filter((one) => isMissedTwice(one, look))
  const told = missing.map((one) => (vanished.includes(one) ? { ...one, isTold: true } : one))
  const knownCount = keys.filter((key) => known.keyIds.has(key.keyId) || known.markers.has(key.name)).length
  const heldCount = weighed.filter(({ standing }) => standing.kind === 'held').length
  return {
    orphans: orphans.slice(0, reconcileLimits.orphansMax),
    vanished,
    untended: places === undefined ? [] : untendedOf({ ...look, places }, known),
    memory: {
      suspects: suspects.slice(0, reconcileLimits.suspectsMax),
      missing: told.slice(0, reconcileLimits.missingMax),
      installations: [...ids]
        .filter((id) => id !== look.installation)
        .slice(-reconcileLimits.installationsMax),
    },
    nextAt: nextAt(suspects, told, look),
    counts: {
      listed: keys.length,
      held: knownCount + heldCount,
      suspects: suspects.length,
      unknown: keys.length - knownCount - strays.length,
    },
  }
}

/**
 * Those that are nearest to their proof first, and of those that are new, the ones that nobody uses: what does not fit in is
 * forgotten, and whoever may make keys could have all others forgotten by many that bear our name and are used.
 */
function suspectsOf(
  weighed: readonly { readonly key: IssuedKey; readonly standing: Standing }[],
): readonly Suspect[] {
  return weighed
    .flatMap(({ key, standing }) =>
      'suspect' in standing
        ? [{ suspect: standing.suspect, isUsed: typeof key.lastUsedAt === 'number' }]
        : [],
    )
    .toSorted(
      (one, other) =>
        one.suspect.firstAt - other.suspect.firstAt || Number(one.isUsed) - Number(other.isUsed),
    )
    .map(({ suspect }) => suspect)
}

/** Where a key of ours stands that the ledger does not know. Only `absent` is a proof; what was proven before stays so. */
type Standing =
  | { readonly kind: 'absent'; readonly suspect: Suspect }
  | { readonly kind: 'unproven'; readonly suspect: Suspect }
  | { readonly kind: 'unproven' | 'held' }

function weigh(key: IssuedKey, earlier: Suspect | undefined, look: Look): Standing {
  const { places, endedAt } = look
  const unproven: Standing =
    earlier === undefined ? { kind: 'unproven' } : { kind: 'unproven', suspect: earlier }
  if (places === undefined) return unproven
  if (places.some(({ held }) => held.some((one) => isHeldAs(one, key)))) return { kind: 'held' }
  const madeAt = key.createdAt ?? Number.NEGATIVE_INFINITY
  if (!isTelling(key.redacted) || places.some(({ wholeSince }) => madeAt < wholeSince)) return unproven
  const first: Standing = {
    kind: 'absent',
    suspect: { keyId: key.keyId, marker: key.name, firstAt: endedAt },
  }
  if (earlier === undefined) return first
  // Whoever has used it since then has it, wherever from.
  const isUsed = typeof key.lastUsedAt === 'number' && key.lastUsedAt > earlier.firstAt
  return isUsed ? first : { kind: 'absent', suspect: earlier }
}

/** A clock that was set back must neither bring the second proof nearer nor leave it out of reach. */
function earlierOf(key: IssuedKey, { memory, endedAt }: Look): Suspect | undefined {
  const earlier = memory.suspects.find(({ keyId }) => keyId === key.keyId)
  return earlier === undefined || earlier.firstAt <= endedAt ? earlier : { ...earlier, firstAt: endedAt }
}

function isProvenTwice({ firstAt }: Suspect, { startedAt, apartMs, youngUntil }: Look): boolean {
  return startedAt >= firstAt + apartMs && startedAt >= youngUntil
}

/** By its value, or by what stands beside a value that is not there. */
function isHeldAs({ secret, meta }: Held, key: IssuedKey): boolean {
  const isNamed = meta.keyId === key.keyId || (meta.marker !== undefined && meta.marker === key.name)
  return isNamed || (secret !== undefined && matchesRedacted(secret, key.redacted))
}

function isExpired({ expiresAt }: IssuedKey, { endedAt }: Pick<Look, 'endedAt'>): boolean {
  return expiresAt !== undefined && expiresAt <= endedAt
}

// ------------------------------------------------------------------- knowing

interface Knowledge {
  readonly keyIds: ReadonlySet<KeyId>
  /** Of which somebody sees to it that they end, unlike those of which only a store says whose they are. */
  readonly mindedKeyIds: ReadonlySet<KeyId>
  /** Markers of those that nobody may mind. */
  readonly untendedMarkers: ReadonlySet<string>
  readonly markers: ReadonlySet<string>
}

function knowledgeOf(states: readonly CredentialState[]): Knowledge {
  const records = states.flatMap((state) => state.versions)
  const attempts = states.flatMap(({ rotation }) => (isRunning(rotation) ? rotation.attempts : []))
  const untended = states.flatMap((state) => state.versions.filter((one) => isUntended(one, state)))
  const minded = [
    ...records.filter((one) => !untended.includes(one)).map(({ meta }) => meta.keyId),
    ...attempts.map(({ keyId }) => keyId),
    ...states.flatMap(({ retirements }) => retirements.map(({ keyId }) => keyId)),
  ].filter((one) => one !== undefined)
  const claimed = untended.map(({ meta }) => meta.keyId).filter((one) => one !== undefined)
  const markers = [
    ...records.map(({ meta }) => meta.marker),
    ...attempts.map(({ marker }) => marker),
    ...states.flatMap(({ openAttempts }) => openAttempts.map(({ marker }) => marker)),
  ]
  return {
    keyIds: new Set([...minded, ...claimed]),
    mindedKeyIds: new Set(minded),
    markers: new Set(markers.filter((one) => one !== undefined)),
    untendedMarkers: new Set(untended.map(({ meta }) => meta.marker).filter((one) => one !== undefined)),
  }
}

type Whose = Pick<Look, 'installation' | 'memory' | 'states' | 'keys' | 'bornAt'>

/**
 * The id of today and those from before: that a version was minted the issuer itself has said, so the marker beside it
 * is an id of ours also where the ledger that knew the id was lost. But for those under which others work.
 */
function idsOf(look: Whose): ReadonlySet<string> {
  const { installation, memory, states } = look
  const elsewhere = elsewhereOf(look)
  const minted = states.flatMap(({ versions }) =>
    versions.filter(({ origin }) => origin === 'minted').map(({ meta }) => installationIn(meta.marker ?? '')),
  )
  const before = [...memory.installations, ...minted]
  return new Set([
    installation,
    ...before.filter((id) => id !== undefined).filter((id) => !elsewhere.has(id)),
  ])
}

/**
 * Ids under which another Keyturn works: whoever puts one of its keys into a store of ours, or what looks like one in a
 * list, must not make all of its keys ours. Before our ledger was begun is when an id of ours from before was last worked
 * under, so a key that we do not have and that was made or used since, or may have been, is somebody else's. What a store
 * says is no evidence here, nor a value that only looks like one in a list.
 */
function elsewhereOf({ installation, keys, states, bornAt }: Omit<Whose, 'memory'>): ReadonlySet<string> {
  const made = states.flatMap(({ versions, rotation }) => [
    ...versions.filter(({ origin }) => origin !== 'found').map(({ meta }) => meta.keyId),
    ...(rotation?.attempts ?? []).map(({ keyId }) => keyId),
  ])
  const own = new Set(made)
  const isLeft = ({ createdAt, lastUsedAt }: IssuedKey): boolean =>
    createdAt !== undefined && createdAt < bornAt && lastUsedAt !== undefined && (lastUsedAt ?? 0) < bornAt
  const others = keys.filter((key) => !own.has(key.keyId) && !isLeft(key))
  const ids = others.map(({ name }) => installationIn(name)).filter((id) => id !== undefined)
  return new Set(ids.filter((id) => id !== installation))
}

function isStray(key: IssuedKey, ids: ReadonlySet<string>, { keyIds, markers }: Knowledge): boolean {
  const id = installationIn(key.name)
  return id !== undefined && ids.has(id) && !keyIds.has(key.keyId) && !markers.has(key.name)
}

// ------------------------------------------------------------------- untended

function mayBeUntended(key: IssuedKey, { mindedKeyIds, untendedMarkers }: Knowledge): boolean {
  return (
    untendedMarkers.has(key.name) && installationIn(key.name) !== undefined && !mindedKeyIds.has(key.keyId)
  )
}

/**
 * Keys that a store or a mirror has with our marker beside them, and of which the issuer lists exactly one that fits, under
 * that very name: the same proof as that of a rebuilt ledger, which nobody who can only write to the store can bring about.
 * Those of another installation that works are left to it.
 */
function untendedOf(
  look: Look & { readonly places: readonly PlaceReading[] },
  { mindedKeyIds }: Knowledge,
): readonly Untended[] {
  const { keys, places, here } = look
  const elsewhere = elsewhereOf(look)
  const found = new Map<KeyId, Untended>()
  for (const { credential, held } of places.filter((one) => here.has(one.credential)))
    for (const one of held) {
      const { secret, meta } = one
      const id = installationIn(meta.marker ?? '')
      if (secret === undefined || id === undefined || elsewhere.has(id)) continue
      const fitting = keys.filter(({ redacted }) => matchesRedacted(secret, redacted))
      const [own] = fitting
      if (own === undefined || fitting.length > 1 || own.name !== meta.marker) continue
      if (mindedKeyIds.has(own.keyId) || found.has(own.keyId)) continue
      found.set(own.keyId, {
        credential,
        keyId: own.keyId,
        held: { ...one, secret, meta: toldMeta(meta, own) },
      })
    }
  return [...found.values()]
}

// -------------------------------------------------------------------- missing

function missingOf(look: Look): readonly Missing[] {
  const { keys, states, here, memory, endedAt } = look
  const listed = new Set(keys.map(({ keyId }) => keyId))
  return states
    .filter(({ name }) => here.has(name))
    .flatMap(({ name, versions }) =>
      versions.flatMap((record): readonly Missing[] => {
        const { keyId } = record.meta
        if (keyId === undefined || listed.has(keyId) || !isExpected(record, endedAt)) return []
        const earlier = memory.missing.find((one) => one.credential === name && one.keyId === keyId)
        if (earlier !== undefined) return [{ ...earlier, firstAt: Math.min(earlier.firstAt, endedAt) }]
        return [{ credential: name, version: record.version, keyId, firstAt: endedAt, isTold: false }]
      }),
    )
}

function isMissedTwice({ firstAt, isTold }: Missing, { startedAt }: Look): boolean {
  return !isTold && startedAt >= firstAt + reconcileLimits.missingApartMs
}

/** Whether the issuer has to list it. Of a key that was found, its id is the word of whoever put it there. */
function isExpected(record: VersionRecord, now: number): boolean {
  const { origin, meta, addedAt } = record
  const isOver = isOut(record) || (meta.expiresAt !== undefined && meta.expiresAt <= now)
  const isNew = now < Math.max(addedAt, meta.createdAt ?? 0) + reconcileLimits.listLagMs
  return origin === 'minted' && !isOver && !isNew
}

// ----------------------------------------------------------------------- time

function nextAt(
  suspects: readonly Suspect[],
  missing: readonly Missing[],
  { apartMs, youngUntil, places, endedAt }: Pick<Look, 'apartMs' | 'youngUntil' | 'places' | 'endedAt'>,
): number | undefined {
  const times = [
    ...(places === undefined ? [endedAt + apartMs] : []),
    ...suspects.map(({ firstAt }) => Math.max(firstAt + apartMs, youngUntil)),
    ...missing.filter(({ isTold }) => !isTold).map(({ firstAt }) => firstAt + reconcileLimits.missingApartMs),
  ]
  return times.length === 0 ? undefined : Math.min(...times)
}
