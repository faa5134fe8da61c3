import { assert } from './errors.ts'
import { isTerminal } from './retirement.ts'
import { pendingOf } from './rotation.ts'
import type { CredentialState } from './types.ts'

/**
 * What must hold of every state that is committed. Checked before each commit, in production too: a state that breaks
 * one of these is a bug, and not writing it is safer than any repair.
 */
export function assertState(state: CredentialState): void {
  const ids = state.versions.map((one) => one.version)
  assert(new Set(ids).size === ids.length, `${state.name}: every version stands once`)
  const current = state.versions.filter((one) => one.stage === 'current')
  assert(current.length <= 1, `${state.name}: at most one version is current`)
  if (state.current !== undefined) {
    assert(current[0]?.version === state.current, `${state.name}: what is handed out has stage current`)
    assert(current[0]?.verifiedAt !== undefined, `${state.name}: what is handed out was verified`)
  }
  const isProven = state.versions.every((one) => one.stage !== 'standby' || one.verifiedAt !== undefined)
  assert(isProven, `${state.name}: what is kept in reserve was verified`)
  assertRetirements(state)
  assertRotation(state)
}

function assertRetirements(state: CredentialState): void {
  for (const one of state.retirements) {
    if (one.phase === 'kept') continue
    assert(one.version !== state.current, `${state.name}: what is handed out is not on its way to be revoked`)
    const record = state.versions.find((version) => version.version === one.version)
    if (isTerminal(one) && record !== undefined) {
      assert(record.stage === 'retired', `${state.name}: a version is retired before anything is deleted`)
    }
  }
}

function assertRotation(state: CredentialState): void {
  const { rotation } = state
  if (rotation === undefined) return
  const markers = rotation.attempts.map((one) => one.marker)
  assert(new Set(markers).size === markers.length, `${state.name}: every attempt has a marker of its own`)
  if (rotation.phase === 'minting') {
    assert(
      rotation.attempts.at(-1)?.outcome === 'open',
      `${state.name}: the intent is written before anything is minted`,
    )
  }
  const pending = pendingOf(rotation)
  if (rotation.phase === 'promoting' && pending !== undefined) {
    const record = state.versions.find((one) => one.version === pending.version)
    assert(record?.verifiedAt !== undefined, `${state.name}: only a verified version is promoted`)
  }
}

/** What must hold from one committed state to the next. */
export function assertSuccession(before: CredentialState, after: CredentialState): void {
  assert(after.generation >= before.generation, `${after.name}: the generation never falls`)
  assert(after.fence >= before.fence, `${after.name}: the fence never falls`)
  if (after.current !== before.current)
    assert(after.generation > before.generation, `${after.name}: apps can tell a new key by its generation`)
  for (const one of before.versions) {
    const later = after.versions.find((version) => version.version === one.version)
    if (one.stage === 'retired' && later !== undefined)
      assert(later.stage === 'retired', `${after.name}: retired is terminal`)
    if (one.compromised && later !== undefined)
      assert(later.compromised === true, `${after.name}: compromised is for ever`)
  }
}
