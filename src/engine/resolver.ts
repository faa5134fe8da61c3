import { handedOut, isLive, recordOf } from '../core/credential.ts'
import { expiryTrouble, nextTurnAt } from '../core/expiry.ts'
import { isExpired, type Remembered } from '../core/last-known-good.ts'
import { outageOf } from '../core/outage.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { CredentialName, CredentialState, VersionRecord } from '../core/types.ts'
import type { Keyring } from './keyring.ts'
import type { Safekeeping } from './safekeeping.ts'
import type { HandOut, NoHandOut } from './service.ts'
import type { CredentialSetup } from './setup.ts'

/** What is handed out, ready in memory: replaced only when a state or a secret changed, so that nobody waits for anything. */
export interface Resolver {
  handOut(name: CredentialName): HandOut | NoHandOut | undefined
  onHandOut(listener: (name: CredentialName) => void): Cancel
  refresh(state: CredentialState): void
  stop(): void
}

/** Timers of the platform are 32 bits wide. */
const timerMsMax = 24 * 86_400_000

export function createResolver(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  keyring: Keyring,
  { system, log }: { readonly system: Pick<System, 'now' | 'after'>; readonly log: Log },
  safekeeping: Pick<Safekeeping, 'isUnheardOf' | 'fallback'>,
): Resolver {
  const handOuts = new Map<CredentialName, HandOut | NoHandOut>()
  const listeners = new Set<(name: CredentialName) => void>()
  /** What ends by the clock alone is looked at when it does. */
  const alarms = new Map<CredentialName, { readonly at: number; readonly cancel: Cancel }>()
  const latest = new Map<CredentialName, CredentialState>()
  let isStopped = false

  function refresh(state: CredentialState): void {
    const setup = setups.get(state.name)
    // What nobody is handed is not kept ready either.
    if (setup === undefined || setup.isInternal === true) return
    latest.set(state.name, state)
    const next = resolve(state, setup)
    const before = handOuts.get(state.name)
    if (next.kind === 'unavailable' && isStillGood(before, state, system.now())) return
    if (before !== undefined && isSame(before, next)) return
    handOuts.set(state.name, next)
    for (const listener of listeners) {
      try {
        listener(state.name)
      } catch (thrown) {
        log('error', 'a listener to hand-outs failed', { credential: state.name, error: thrown })
      }
    }
  }

  function resolve(state: CredentialState, setup: CredentialSetup): HandOut | NoHandOut {
    const now = system.now()
    const record = handedOut(state)
    const remembered = safekeeping.fallback(state)
    alarmAt(state.name, remembered?.until ?? record?.meta.expiresAt, now)
    if (record !== undefined && isExpired(record, now)) return expired(state, setup, now)
    const found = record === undefined ? undefined : available(state, record, setup, keyring)
    if (found === undefined || record === undefined)
      return remembered === undefined ? unavailable(state, setup) : handOutOf(remembered.entry)
    return safekeeping.isUnheardOf(state, record) ? { ...found, isLastKnownGood: true } : found
  }

  function alarmAt(name: CredentialName, at: number | undefined, now: number): void {
    const known = alarms.get(name)
    if (known !== undefined && known.at === at && at > now) return
    known?.cancel()
    alarms.delete(name)
    if (at === undefined || at <= now || isStopped) return
    const ring = (): void => {
      alarms.delete(name)
      const state = latest.get(name)
      if (state !== undefined) refresh(state)
    }
    const cancel = system.after(Math.min(timerMsMax, at - now), ring, { background: true })
    alarms.set(name, { at, cancel })
  }

  return {
    handOut: (name) => handOuts.get(name),
    onHandOut(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh,
    stop() {
      isStopped = true
      for (const { cancel } of alarms.values()) cancel()
      alarms.clear()
    },
  }
}

function available(
  state: CredentialState,
  record: VersionRecord,
  setup: CredentialSetup,
  keyring: Keyring,
): HandOut | undefined {
  const secret = keyring.peek(state.name, record.version)
  if (record.verifiedAt === undefined || secret === undefined) return undefined
  return {
    kind: 'available',
    name: state.name,
    version: record.version,
    fingerprint: record.fingerprint,
    stage: record.stage,
    secret,
    organization: setup.expected.organization,
    project: setup.expected.project,
    baseUrl: setup.issuer.baseUrl,
    verdict: record.verdict?.kind ?? 'unknown',
    verifiedAt: record.verifiedAt,
    rotatesAt: nextTurnAt(state, setup.policy),
    staleAfterMs: setup.policy.staleAfterMs,
    generation: state.generation,
  }
}

/**
 * Another replica has turned the key, and its value is still on its way here from the store: the one before lives on for
 * the overlap, and is better than none.
 */
function isStillGood(before: HandOut | NoHandOut | undefined, state: CredentialState, now: number): boolean {
  if (before?.kind !== 'available' || handedOut(state) === undefined) return false
  const record = recordOf(state, before.version)
  return record !== undefined && isLive(record, now)
}

/** What is remembered, as apps get it. Nobody was asked about it, so nothing is known of it now. */
export function handOutOf(entry: Remembered): HandOut {
  const { expiresAt: _expiresAt, lastEventId: _lastEventId, binding: _binding, ...rest } = entry
  const { organization, project, rotatesAt } = entry
  return {
    kind: 'available',
    ...rest,
    organization,
    project,
    rotatesAt,
    verdict: 'unknown',
    isLastKnownGood: true,
  }
}

function expired(state: CredentialState, setup: CredentialSetup, now: number): NoHandOut {
  const { name, generation } = state
  const { summary, fix } = expiryTrouble(state, setup.policy, now) ?? {
    summary: `The key of ${name} has expired.`,
    fix: `See what holds its rotation up: keyturn status ${name}`,
  }
  const since = handedOut(state)?.meta.expiresAt ?? now
  const told = `${summary} OpenAI has not accepted it since, so it is not handed out.`
  return { kind: 'unavailable', name, since, summary: told, fix, generation }
}

function unavailable(state: CredentialState, setup: CredentialSetup): NoHandOut {
  const record = handedOut(state)
  const { since, summary, fix } = whyNot(state, setup, record !== undefined)
  return { kind: 'unavailable', name: state.name, since, summary, fix, generation: state.generation }
}

function whyNot(
  state: CredentialState,
  setup: CredentialSetup,
  isLoading: boolean,
): { since: number; summary: string; fix: string } {
  const since = state.storeTrouble?.since ?? state.storeReadAt ?? 0
  if (isLoading) {
    return {
      since,
      summary: `The verified key of ${state.name} is being read from the ${setup.store.capabilities.kind} store.`,
      fix: 'Try again in a moment; if it persists, check that the store can be reached (keyturn status).',
    }
  }
  const outage = outageOf(state)
  if (outage !== undefined) return outage
  const { storeTrouble, rotation } = state
  // That the store is empty is only the consequence where the first key could not be made.
  if (storeTrouble !== undefined && storeTrouble.code !== 'store_absent') return storeTrouble
  if (rotation?.halt !== undefined && rotation.phase === 'halted')
    return { since: rotation.halt.at, summary: rotation.halt.summary, fix: rotation.halt.fix }
  if (storeTrouble !== undefined) return storeTrouble
  return {
    since,
    summary: `No key of ${state.name} has been verified yet.`,
    fix: 'Try again in a moment; keyturn status shows what it waits for.',
  }
}

/** Whether apps would see no difference. */
export function isSame(before: HandOut | NoHandOut, next: HandOut | NoHandOut): boolean {
  const names = Object.keys(next) as (keyof typeof next)[]
  return names.length === Object.keys(before).length && names.every((name) => before[name] === next[name])
}
