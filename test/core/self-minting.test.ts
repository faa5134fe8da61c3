import { describe, expect, it } from 'vitest'
import { canMintNow, currentOf, handedOut } from '../../src/core/credential.ts'
import type { KeyturnError } from '../../src/core/errors.ts'
import { nextTurnAt } from '../../src/core/expiry.ts'
import { askForRotation, awaitBrought, revokeVersion } from '../../src/core/operations.ts'
import { observeStore } from '../../src/core/store-look.ts'
import { applyRotation, giveUpHopeless, startRotation } from '../../src/core/turning.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { recordCheck } from '../../src/core/verification.ts'
import { changeContext, dayMs, policyOf, recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'

const policy = policyOf({ isSelfMinting: true, activationGraceMs: 0 })
const at = (now: number) => changeContext(now, policy)
const byAda = { reason: 'due', requestedBy: 'ada' }
const normal = { mode: 'normal', isCompromised: false, ...byAda } as const
const byHand = /make one by hand .*bring it: keyturn bring openai </

function refusalOf(work: () => unknown): KeyturnError {
  try {
    work()
  } catch (thrown) {
    return thrown as KeyturnError
  }
  throw new Error('expected a refusal')
}

/** The current key is refused twice, as far apart as it takes. */
function rejectedTwice(state: CredentialState): ReturnType<typeof recordCheck> {
  const check = { verdict: verdictOf('rejected'), isOurs: false, belonging: undefined }
  const { current = '' } = state
  const once = recordCheck(state, current, check, at(startAt))
  return recordCheck(once.state, current, check, at(startAt + 1_000))
}

/** A rotation whose new key is minted, staged, and being proven. */
function provingAt(now: number): CredentialState {
  const started = startRotation(alone, { ...normal, isAutomatic: false }, at(now - 1_000)).state
  const minting = applyRotation(started, { kind: 'checked' }, at(now - 500)).state
  const version = minting.rotation?.attempts[0]?.version ?? ''
  const added = { version, fingerprint: 'f-new', meta: { keyId: 'key-new' }, origin: 'minted' } as const
  return applyRotation(minting, { kind: 'minted', keyId: 'key-new' }, at(now), added).state
}

const alone = stateOf([recordWith('a', { stage: 'current' })])
const withReserve = stateOf([recordWith('a', { stage: 'current' }), recordWith('b')])

describe('keys that make each other', () => {
  it('are made while one of them works, and not without', () => {
    expect(canMintNow(alone, policy)).toBe(true)
    const { state } = rejectedTwice(alone)
    expect(handedOut(state)).toBeUndefined()
    expect(canMintNow(state, policy)).toBe(false)
    expect(canMintNow(state, policyOf())).toBe(true)
  })

  it('are not made for an empty store: it says what it waits for', () => {
    const { state } = observeStore(stateOf([]), { kind: 'absent' }, at(startAt))
    expect(state.rotation).toBeUndefined()
    expect(state.storeTrouble).toMatchObject({
      code: 'store_absent',
      fix: expect.stringContaining('keyturn bring openai'),
    })
  })

  it('are replaced by the one in reserve, which makes the next', () => {
    const { state } = rejectedTwice(withReserve)
    expect(currentOf(state)?.version).toBe('b')
    expect(state.rotation).toMatchObject({ requestedBy: 'failover', phase: 'checking' })
  })

  it('with the last one dead, nothing is minted, and a person is told what is left to do', () => {
    const { state, events } = rejectedTwice(alone)
    expect(state.rotation).toBeUndefined()
    expect(state.automaticAt).toEqual([])
    expect(state.outage?.fix).toMatch(byHand)
    expect(events.filter((one) => one.kind === 'alert' || one.kind === 'outage')).toHaveLength(2)
    const later = recordCheck(
      state,
      'a',
      { verdict: verdictOf('rejected'), isOurs: false, belonging: undefined },
      at(startAt + dayMs),
    )
    expect(later.state.rotation).toBeUndefined()
    expect(later.events).toEqual([])
  })

  it('are not turned by the clock or a person either then', () => {
    const due = { ...alone, nextRotationAt: startAt + 5_000 }
    expect(nextTurnAt(due, policy)).toBe(startAt + 5_000)
    const { state } = rejectedTwice(due)
    expect(nextTurnAt(state, policy)).toBeUndefined()
    for (const mode of ['normal', 'emergency', 'rehearsal'] as const) {
      const refusal = refusalOf(() => askForRotation(state, { ...normal, mode }, at(startAt + 2_000)))
      expect(refusal.code).toBe('issuer_cannot_mint')
      expect(refusal.fix).toMatch(byHand)
    }
  })

  it('the last one is never revoked, whatever is confirmed', () => {
    const request = { version: 'a', keyId: 'key-a', by: 'ada', reason: 'leaked', isEvenIfLast: true }
    expect(refusalOf(() => revokeVersion(alone, request, at(startAt))).code).toBe('last_working_key')
    expect(revokeVersion(withReserve, request, at(startAt)).state.current).toBe('b')
  })

  it('one that a person brings goes before a rotation that can come to nothing', () => {
    const started = startRotation(alone, { ...normal, isAutomatic: false }, at(startAt - 1_000)).state
    const minting = applyRotation(started, { kind: 'checked' }, at(startAt - 500)).state
    expect(giveUpHopeless(minting, at(startAt))).toBeUndefined()
    const dead = rejectedTwice(minting).state
    expect(dead.outage?.fix).toMatch(byHand)
    const brought = { reason: 'mends it', requestedBy: 'ada' }
    expect(refusalOf(() => awaitBrought(dead, brought, at(startAt + 2_000))).code).toBe(
      'rotation_in_progress',
    )
    const given = giveUpHopeless(dead, at(startAt + 2_000))
    expect(given?.state.rotation).toMatchObject({ phase: 'done', outcome: 'superseded' })
    // A key may have been made all the same: it is looked for once there is something to look with.
    expect(given?.state.openAttempts.map((one) => one.marker)).toEqual(
      minting.rotation?.attempts.map((one) => one.marker),
    )
    const next = awaitBrought(given?.state ?? dead, brought, at(startAt + 3_000)).state
    expect(next.rotation?.phase).toBe('awaiting')
  })

  it('a new one that is made already is waited for: it can end the outage', () => {
    const { state } = rejectedTwice(provingAt(startAt - 1_000))
    expect(state.rotation).toMatchObject({ phase: 'proving', mode: 'emergency' })
    expect(giveUpHopeless(state, at(startAt + 2_000))).toBeUndefined()
  })

  it('a new one that was given up, and that nothing can end any more, makes room too and is ended later', () => {
    const proving = provingAt(startAt - 1_000)
    const proved = {
      kind: 'proved',
      verdict: verdictOf('restricted'),
      isOurs: true,
      lacksDeclared: true,
    } as const
    const discarding = applyRotation(proving, proved, at(startAt - 500)).state
    expect(discarding.rotation?.phase).toBe('discarding')
    const dead = rejectedTwice(discarding).state
    const given = giveUpHopeless(dead, at(startAt + 2_000))?.state
    const [attempt] = discarding.rotation?.attempts ?? []
    expect(given?.rotation).toMatchObject({ phase: 'done', outcome: 'superseded', attempts: [] })
    expect(given?.openAttempts).toMatchObject([{ marker: attempt?.marker, version: attempt?.version }])
    expect(given?.versions.find((one) => one.version === attempt?.version)?.stage).toBe('retired')
  })

  it('a new one that a halt holds up is taken up again when the last one dies', () => {
    const blocked = {
      kind: 'proved',
      verdict: verdictOf('blocked'),
      isOurs: true,
      lacksDeclared: false,
    } as const
    const halted = applyRotation(provingAt(startAt - 1_000), blocked, at(startAt - 500)).state
    expect(halted.rotation?.phase).toBe('halted')
    expect(rejectedTwice(halted).state.rotation).toMatchObject({ phase: 'proving', mode: 'emergency' })
  })

  it('one in the store that can make no others is not taken up, for the first one or in place of another', () => {
    const unfit = {
      verdict: verdictOf('restricted', { summary: 'It lacks a permission.' }),
      isOurs: true,
      belonging: undefined,
      lacksDeclared: true,
    }
    const first = stateOf([recordWith('x', { stage: 'pending', origin: 'found' })], { storeCurrent: 'x' })
    const alarmed = recordCheck(first, 'x', unfit, at(startAt)).state
    expect(alarmed.current).toBeUndefined()
    expect(alarmed.outage?.summary).toBe('It lacks a permission.')
    const planted = stateOf(
      [recordWith('a', { stage: 'current' }), recordWith('x', { stage: 'pending', origin: 'found' })],
      { storeCurrent: 'x' },
    )
    const kept = recordCheck(planted, 'x', unfit, at(startAt)).state
    expect(kept.current).toBe('a')
    expect(kept.storeTrouble?.code).toBe('store_changed')
    // For apps such a key is taken up: it may be all that they need today.
    expect(recordCheck(planted, 'x', unfit, changeContext(startAt)).state.current).toBe('x')
  })
})
