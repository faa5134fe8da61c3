import { handedOut, isLive, recordOf } from '../core/credential.ts'
import { nextTurnAt } from '../core/expiry.ts'
import { outageOf } from '../core/outage.ts'
import type { Cancel, Clock, Log } from '../core/ports.ts'
import type { CredentialName, CredentialState } from '../core/types.ts'
import type { Keyring } from './keyring.ts'
import type { HandOut, NoHandOut } from './service.ts'
import type { CredentialSetup } from './setup.ts'

/** What is handed out, ready in memory: replaced only when a state or a secret changed, so that nobody waits for anything. */
export interface Resolver {
  handOut(name: CredentialName): HandOut | NoHandOut | undefined
  onHandOut(listener: (name: CredentialName) => void): Cancel
  refresh(state: CredentialState): void
}

export function createResolver(
  setups: ReadonlyMap<CredentialName, CredentialSetup>,
  keyring: Keyring,
  { log, system }: { readonly log: Log; readonly system: Clock },
): Resolver {
  const handOuts = new Map<CredentialName, HandOut | NoHandOut>()
  const listeners = new Set<(name: CredentialName) => void>()

  return {
    handOut: (name) => handOuts.get(name),
    onHandOut(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh(state) {
      const setup = setups.get(state.name)
      // What nobody is handed is not kept ready either.
      if (setup === undefined || setup.isInternal === true) return
      const before = handOuts.get(state.name)
      const next = available(state, setup, keyring) ?? unavailable(state, setup)
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
    },
  }
}

function available(state: CredentialState, setup: CredentialSetup, keyring: Keyring): HandOut | undefined {
  const record = handedOut(state)
  const secret = record === undefined ? undefined : keyring.peek(state.name, record.version)
  if (record?.verifiedAt === undefined || secret === undefined) return undefined
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
