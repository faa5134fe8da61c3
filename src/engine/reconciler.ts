import { backoffMs } from '../core/backoff.ts'
import { eventOf, recordOf, withRecord } from '../core/credential.ts'
import { toKeyturnError } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Cancel, LedgerDocument } from '../core/ports.ts'
import {
  emptyMemory,
  type Findings,
  type Memory,
  type Missing,
  needsPlaces,
  reconcile,
  type Suspect,
  type Untended,
} from '../core/reconcile.ts'
import type { CredentialName, CredentialState, KeyId } from '../core/types.ts'
import { tend } from '../core/untended.ts'
import type { Book } from './book.ts'
import type { Keyring } from './keyring.ts'
import { assertNotInUse, kill, type PerformContext } from './performing.ts'
import { createProofs } from './proofs.ts'
import { readPlaces } from './read-places.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'
import { within } from './within.ts'

/**
 * Looks at all keys of each place where an issuer lists, at the start and daily, one replica at a time: ends orphans,
 * tells of keys that vanished, takes up old keys of ours that nobody minds. What is to be decided is decided in
 * core/reconcile.ts; what has to outlast the process is a document of the ledger.
 */
export interface Reconciler {
  start(): void
  /** Looks where a look is due: `keyturn tick`. Never rejects, and waits no longer than `drainMs`. */
  runDue(): Promise<void>
  /** Keys of ours that nobody seems to have, as the last looks have left it. */
  suspects(): Promise<readonly Suspect[]>
  /** A look under way gets `stopMs` to end. */
  stop(): Promise<void>
}

export interface ReconcileTimes {
  readonly everyMs: number
  /** The two proofs that a key is nowhere are at least this far apart. */
  readonly apartMs: number
  /** The look at the start comes after the first looks at the stores, at some moment within twice this time. */
  readonly startMs: number
  /** A place looked at less than this ago is not looked at again only because a process starts. */
  readonly freshMs: number
  /** After a look that failed, or that could not say what it was to say. */
  readonly retryMs: number
}

export const reconcileTimes: ReconcileTimes = {
  everyMs: 86_400_000,
  apartMs: 3_600_000,
  startMs: 15_000,
  freshMs: 600_000,
  retryMs: 300_000,
}

/** The readers of a store that lags see what was put there a moment before the first look by the second one. */
const lagMarginMs = 60_000
const claimMs = 300_000
/** A key is deleted no later than this after the last look for it began: a process may have slept in between. */
const proofMs = 60_000

/** What the ledger keeps of one place. */
interface Job extends Memory {
  readonly dueAt: number
  /** Looks in a row in which the issuer listed nothing. */
  readonly failures?: number
  readonly lookedAt?: number
  readonly claim?: { readonly owner: string; readonly untilAt: number }
}

interface Place {
  readonly name: string
  /** Those that mint here; the first one's issuer lists and revokes. */
  readonly setups: readonly [CredentialSetup, ...CredentialSetup[]]
}

export function createReconciler(options: {
  readonly setups: ReadonlyMap<CredentialName, CredentialSetup>
  readonly book: Book
  readonly keyring: Keyring
  readonly deps: EngineDeps
  readonly wake: (name: CredentialName) => void
  readonly times?: Partial<ReconcileTimes> | undefined
}): Reconciler {
  const { book, deps, keyring, wake } = options
  const { ledger, log, system } = deps
  const times = { ...reconcileTimes, ...options.times }
  const all = [...options.setups.values()]
  const places = placesOf(all)
  const proofs = createProofs(deps.system)
  let cancel: Cancel = () => undefined
  let isStarted = false
  let isStopped = false
  let running: Promise<void> | undefined

  // ------------------------------------------------------------------ when

  function runDue(isStart = false): Promise<void> {
    running ??= run(isStart).finally(() => (running = undefined))
    return running
  }

  async function run(isStart: boolean): Promise<void> {
    let nextAt = Number.POSITIVE_INFINITY
    for (const place of places) {
      if (isStopped) return
      nextAt = Math.min(nextAt, await runPlace(place, isStart))
    }
    if (isStarted) arm(nextAt - system.now())
  }

  function arm(delayMs: number): void {
    if (isStopped || places.length === 0) return
    const boundedMs = Math.min(Math.max(1_000, delayMs), times.everyMs)
    cancel = system.after(boundedMs, () => void runDue(), { background: true })
  }

  /** When it is to be looked at next. Never rejects. */
  async function runPlace(place: Place, isStart: boolean): Promise<number> {
    const retryAt = (): number => system.now() + times.retryMs
    try {
      const claimed = await claim(place, isStart)
      if ('nextAt' in claimed) return claimed.nextAt
      return await lookAt(place, claimed.document)
    } catch (thrown) {
      const error = toKeyturnError(thrown, `reconciling ${place.name}`)
      const level = error.code === 'internal' ? 'error' : 'warn'
      log(level, 'keys could not be reconciled; it will be tried again', { place: place.name, error })
      return retryAt()
    }
  }

  async function claim(
    place: Place,
    isStart: boolean,
  ): Promise<{ readonly nextAt: number } | { readonly document: LedgerDocument }> {
    const now = system.now()
    const read = await ledger.document(keyOf(place))
    const job = jobOf(read)
    // A clock that was set back brings the next look into reach.
    const dueAt = Math.min(job.dueAt, now + 2 * times.everyMs)
    const isStale = isStart && !(job.lookedAt !== undefined && Math.abs(now - job.lookedAt) < times.freshMs)
    if (dueAt > now && !isStale) return { nextAt: dueAt }
    const isTaken = job.claim !== undefined && job.claim.owner !== deps.owner
    const takenUntil = Math.min(job.claim?.untilAt ?? 0, now + claimMs)
    if (isTaken && takenUntil > now) return { nextAt: takenUntil }
    const claimed: Job = { ...job, claim: { owner: deps.owner, untilAt: now + claimMs } }
    const revision = read?.revision ?? 0
    const isOurs = await ledger.putDocument({ key: keyOf(place), value: claimed, revision })
    if (!isOurs) return { nextAt: now + times.retryMs }
    return { document: { value: claimed, revision: revision + 1 } }
  }

  // ------------------------------------------------------------------ a look

  async function lookAt(place: Place, document: LedgerDocument): Promise<number> {
    const before = jobOf(document)
    const findings = await look(place, before)
    const job = findings === undefined ? failed(before) : await follow(place, findings)
    const isKept = await ledger.putDocument({ key: keyOf(place), value: job, revision: document.revision })
    // Our claim had run out and another replica looked meanwhile: what it found counts.
    return isKept ? job.dueAt : system.now() + times.retryMs
  }

  function failed({ claim: _over, ...before }: Job): Job {
    const failures = (before.failures ?? 0) + 1
    const waits = { retryBaseMs: times.retryMs, retryMaxMs: times.apartMs }
    return { ...before, failures, dueAt: system.now() + backoffMs(waits, failures - 1) }
  }

  /** What people are to be told is told before it is noted as told: rather twice than never. */
  async function follow(place: Place, findings: Findings): Promise<Job> {
    const ended = await endOrphans(place, findings)
    for (const one of findings.vanished) await byItself(place, one, tellVanished)
    for (const one of findings.untended) await byItself(place, one, tendTo)
    log('info', 'the keys at the issuer were reconciled', { place: place.name, ...findings.counts })
    const now = system.now()
    const usualAt = now + Math.round(times.everyMs * (0.9 + 0.2 * system.fraction()))
    const soonest = Math.max(findings.nextAt ?? usualAt, now + times.retryMs)
    const { suspects, missing, installations } = without(findings.memory, ended)
    deps.telemetry?.suspects(place.name, suspects.length)
    return { suspects, missing, installations, lookedAt: now, dueAt: Math.min(usualAt, soonest) }
  }

  /** Undefined: the issuer did not list its keys. */
  async function look(place: Place, memory: Memory): Promise<Findings | undefined> {
    const [{ issuer }] = place.setups
    const startedAt = system.now()
    const listing = await issuer.list?.()
    if (listing?.kind !== 'listed') {
      log('warn', 'the issuer did not list its keys, so they cannot be reconciled; trying again', {
        place: place.name,
      })
      return undefined
    }
    const states = new Map((await ledger.readAll()).map((state) => [state.name, state]))
    // What this process knows counts too, should the ledger have been lost a moment ago.
    const remembered = all.map(({ name }) => book.state(name))
    const bornAt = await begunAt()
    const base = {
      keys: listing.keys,
      states: [...states.values(), ...remembered.filter((one) => isNews(one, states.get(one.name)))],
      here: new Set(place.setups.map(({ name }) => name)),
      memory,
      installation: deps.installation,
      startedAt,
      apartMs: apartMs(),
      bornAt,
      youngUntil: bornAt + Math.max(...place.setups.map(({ policy }) => policy.overlapMs)),
    }
    const read = needsPlaces(base) ? await readPlaces(all, deps) : []
    return reconcile({ ...base, places: read, endedAt: system.now() })
  }

  /** Where the ledger was just begun, that is now: an overlap goes by before anything is revoked on its word. */
  async function begunAt(): Promise<number> {
    return Number(await ledger.once('born', String(system.now())))
  }

  function apartMs(): number {
    const lags = all.flatMap(({ store, mirrors }) =>
      [store, ...mirrors.map((mirror) => mirror.store)].map((one) => one.capabilities.propagationMs),
    )
    return Math.max(times.apartMs, Math.max(0, ...lags) + lagMarginMs)
  }

  // --------------------------------------------------------------- what follows

  /** Those that are over. Each is looked for once more, in all stores, immediately before it is deleted. */
  async function endOrphans(place: Place, findings: Findings): Promise<readonly Suspect[]> {
    if (findings.orphans.length === 0 || isStopped) return []
    const provenAt = system.now()
    const again = await look(place, findings.memory)
    const ended: Suspect[] = []
    for (const orphan of again?.orphans ?? []) {
      if (isStopped || system.now() - provenAt > proofMs) break
      if (await byItself(place, orphan, (one) => endOrphan(one, place))) ended.push(orphan)
    }
    return ended
  }

  /** What cannot be done for one key must not keep it from the others, nor the look from being remembered. */
  async function byItself<One extends { readonly keyId: KeyId }, Result>(
    place: Place,
    one: One,
    work: (one: One) => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await work(one)
    } catch (thrown) {
      const error = toKeyturnError(thrown, `reconciling the key ${one.keyId}`)
      const level = error.code === 'internal' ? 'error' : 'warn'
      log(level, 'what a look at the keys found could not be followed; it will be tried again', {
        place: place.name,
        keyId: one.keyId,
        error,
      })
      return undefined
    }
  }

  async function endOrphan(orphan: Suspect, place: Place): Promise<boolean> {
    const { keyId, marker, firstAt } = orphan
    const [home] = place.setups
    log('warn', 'a key of ours that no store, no mirror and no ledger has is being revoked', {
      place: place.name,
      keyId,
      marker,
      absentSince: new Date(firstAt).toISOString(),
    })
    for (const setup of all) assertNotInUse(keyId, contextOf(setup))
    if (!(await kill(keyId, contextOf(home)))) return false
    const summary = `A key that Keyturn had made and nobody had any more (${keyId}) was revoked.`
    await book.change(home.name, (state, { now }) => ({
      state: { ...state },
      events: [eventOf(state, 'alert', now, { code: 'orphan_revoked', keyId, marker, summary, fix: '' })],
    }))
    return true
  }

  function contextOf(setup: CredentialSetup): PerformContext {
    const others = (): readonly CredentialState[] =>
      all.filter(({ name }) => name !== setup.name).map(({ name }) => book.state(name))
    return { setup, keyring, deps, state: () => book.state(setup.name), others, proofs }
  }

  /** A hint, never evidence: the key itself is asked. */
  async function tellVanished({ credential, version, keyId }: Missing): Promise<void> {
    await book.change(credential, (state, { now }) => {
      const record = recordOf(state, version)
      if (record === undefined || record.stage === 'retired') return undefined
      const summary = `OpenAI no longer lists the ${record.stage} key of ${credential} (${keyId}).`
      const fix =
        'Somebody may have deleted it, or it belongs to another project than the one configured: it is being checked now.'
      const data = { code: 'key_vanished', version, keyId, summary, fix }
      const isChecked = record.stage === 'current' || record.stage === 'standby'
      return {
        state: isChecked ? withRecord(state, version, { nextCheckAt: now }) : { ...state },
        events: [eventOf(state, 'alert', now, data)],
      }
    })
    wake(credential)
  }

  async function tendTo({ credential, keyId, held }: Untended): Promise<void> {
    const { version, secret, meta } = held
    const key = { version, fingerprint: fingerprint(secret, system), keyId, meta }
    const before = book.state(credential)
    const after = await book.change(credential, (state, context) => tend(state, key, context))
    if (after === before) return
    log('info', 'an old key of ours was found in a store and is minded again', { credential, version, keyId })
    wake(credential)
  }

  return {
    start() {
      isStarted = true
      if (places.length === 0) return
      const delayMs = times.startMs * (0.5 + 1.5 * system.fraction())
      cancel = system.after(delayMs, () => void runDue(true), { background: true })
    },
    runDue: async () => {
      await within(system, engineLimits.drainMs, runDue())
    },
    async suspects() {
      const jobs = await Promise.all(places.map(async (place) => jobOf(await ledger.document(keyOf(place)))))
      return jobs.flatMap(({ suspects }) => suspects)
    },
    async stop() {
      isStopped = true
      cancel()
      if (running !== undefined) await within(system, engineLimits.stopMs, running)
    },
  }
}

/** Credentials whose issuers list the same keys are looked at together. */
function placesOf(setups: readonly CredentialSetup[]): readonly Place[] {
  const places = new Map<string, [CredentialSetup, ...CredentialSetup[]]>()
  for (const setup of setups) {
    const { issuer, policy } = setup
    const { place } = issuer
    if (!policy.canMint || place === undefined || issuer.list === undefined) continue
    if (issuer.revoke === undefined) continue
    const known = places.get(place)
    if (known === undefined) places.set(place, [setup])
    else known.push(setup)
  }
  return [...places].map(([name, found]) => ({ name, setups: found }))
}

const keyOf = ({ name }: Place): string => `reconcile ${name}`

/** Nobody else writes it; a field that a later version of Keyturn left out is as if nothing had been seen. */
function jobOf(document: LedgerDocument | undefined): Job {
  return { ...emptyMemory, dueAt: 0, ...(document?.value as Partial<Job> | undefined) }
}

function isNews(state: CredentialState, stored: CredentialState | undefined): boolean {
  return stored === undefined || state.revision > stored.revision
}

function without(memory: Memory, ended: readonly Suspect[]): Memory {
  const over = new Set(ended.map(({ keyId }) => keyId))
  return { ...memory, suspects: memory.suspects.filter(({ keyId }) => !over.has(keyId)) }
}
