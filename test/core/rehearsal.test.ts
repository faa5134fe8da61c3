import { describe, expect, it } from 'vitest'
import { nextTurnAt } from '../../src/core/expiry.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import type { PermissionFinding } from '../../src/core/types.ts'
import { dayMs, policyOf, recordWith, startAt, stateOf, verdictOf, walkRotation } from './fixtures.ts'
import {
  checked,
  deadline,
  discarded,
  emergency,
  lost,
  minted,
  nothing,
  policy,
  proved,
  toExtending,
  walk,
} from './rotation-ways.ts'

const rehearsal = { mode: 'rehearsal' } as const
const permission: PermissionFinding = {
  permission: 'api.management.write',
  resource: 'keys of proj_a',
  state: 'missing',
  fix: 'Give it.',
}
const denied: RotationEvent = {
  kind: 'check_failed',
  reason: 'permission_missing',
  summary: 'Not allowed.',
  fix: 'Give it.',
  permissions: [permission],
}

describe('what stands in the way of a rehearsal', () => {
  it('ends it and is told with its fix, so that nobody has to end it by hand and the next rotation is free to come', () => {
    const { at } = walk([denied], rehearsal)
    expect(at).toMatchObject({
      phase: 'done',
      outcome: 'rehearsal_failed',
      permissions: [permission],
      failure: { from: 'checking', reason: 'permission_missing', summary: 'Not allowed.' },
    })
    expect(at.failure?.fix).toBe('Give it. Then run: keyturn rotate openai --rehearse')
    expect(at.halt).toBeUndefined()
    expect(at.attempts).toEqual([])
    expect(at.residue).toBeUndefined()
  })

  const staged: readonly (readonly [string, readonly RotationEvent[], string])[] = [
    ['a declared scope that is missing', [proved('restricted', { lacksDeclared: true })], 'scope_missing'],
    ['a key of somebody else', [proved('valid', { isOurs: false })], 'foreign_key'],
    ['an account that is shut out', [proved('blocked')], 'proving_blocked'],
    ['an issuer that cannot be asked', [deadline], 'deadline_passed'],
  ]
  it.each(staged)(
    '%s: its key is taken back first, and what is left of it is told',
    (_what, events, reason) => {
      const standing = walk([checked, minted, ...events], rehearsal)
      expect(standing.at.phase).toBe('discarding')
      const { at } = walkRotation(standing, [{ kind: 'discarded', residue: ['A line.'] }], policy)
      expect(at).toMatchObject({ phase: 'done', outcome: 'rehearsal_failed', residue: ['A line.'] })
      expect(at.failure?.reason).toBe(reason)
      expect(at.attempts.map((one) => one.outcome)).toEqual(['gone'])
    },
  )

  it('an expiry that cannot be lengthened as far as a rotation needs it', () => {
    const standing = walk([...toExtending, { kind: 'extend_refused' }], rehearsal)
    expect(standing.at.phase).toBe('discarding')
    const { at } = walkRotation(standing, [discarded], policy)
    expect(at.failure?.reason).toBe('expiry_not_extended')
  })

  it('a refusal to mint', () => {
    const refused: RotationEvent = { kind: 'mint_refused', verdict: verdictOf('restricted') }
    const { at } = walk([checked, refused], rehearsal)
    expect(at).toMatchObject({ phase: 'done', outcome: 'rehearsal_failed' })
    expect(at.failure?.reason).toBe('minting_refused')
  })

  it('a refusal to mint for a missing scope: it is the admin key that lacks it, and the list of permissions says so', () => {
    const verdict = { ...verdictOf('restricted'), cause: 'scope_missing', missingScopes: ['api.some.write'] }
    const granted = { ...permission, permission: 'api.management.read', state: 'granted' } as const
    const { at } = walk(
      [
        { kind: 'checked', permissions: [granted] },
        { kind: 'mint_refused', verdict },
      ],
      rehearsal,
    )
    expect(at.failure?.summary).toContain('The admin key is genuine, but lacks')
    expect(at.failure?.fix).toMatch(/^Give the admin key api\.some\.write .*rotate openai --rehearse$/)
    expect(at.permissions).toMatchObject([granted, { permission: 'api.some.write', state: 'missing' }])
  })

  it('a mint that nobody can tell of: looked for until the deadline, and told that it may still turn up', () => {
    const looking = walk([checked, lost, deadline], rehearsal)
    expect(looking.at).toMatchObject({ phase: 'done', outcome: 'rehearsal_failed' })
    expect(looking.at.residue?.join()).toContain(looking.at.attempts[0]?.marker)
    // A deadline while minting first looks for the key.
    const minting = walk([checked, deadline], rehearsal)
    expect(minting.at.phase).toBe('reconciling')
    expect(walkRotation(minting, [nothing], policy).at).toMatchObject({ outcome: 'rehearsal_failed' })
  })

  it('but a key that cannot be ended halts it: that is for a person to see to', () => {
    const stuck = walk([...toExtending, { kind: 'extended' }, deadline], rehearsal)
    expect(stuck.at).toMatchObject({ phase: 'halted', halt: { from: 'discarding' } })
  })
})

describe('a rehearsal', () => {
  it('lengthens the life of its key like a rotation, since organisations limit it', () => {
    expect(walk(toExtending, rehearsal).at.phase).toBe('extending')
    const unmanaged = policyOf({ ...policy, expiryManaged: false })
    const { at } = walkRotation(walk([], rehearsal), toExtending, unmanaged)
    expect(at.phase).toBe('discarding')
  })

  it('with a manual issuer ends when the store was asked: the key itself comes from a person', () => {
    const manual = policyOf({ isManual: true, canMint: false })
    const { at } = walkRotation(walk([], rehearsal), [{ kind: 'checked', permissions: [] }], manual)
    expect(at).toMatchObject({ phase: 'done', outcome: 'rehearsed', permissions: [], attempts: [] })
  })

  it('goes through where its key could only be let expire, and says that deleting is not allowed', () => {
    const ended = (how: 'deleted' | 'expiring') =>
      walk([...toExtending, { kind: 'extended' }, { kind: 'discarded', how }], rehearsal).at
    expect(ended('expiring')).toMatchObject({
      outcome: 'rehearsed',
      permissions: [{ permission: 'api.management.write', resource: 'deleting a key', state: 'missing' }],
    })
    expect(ended('deleted').permissions).toBeUndefined()
  })

  it('that an emergency takes over forgets why it failed', () => {
    const { at } = walk([checked, minted, proved('blocked'), emergency], rehearsal)
    expect(at).toMatchObject({ mode: 'emergency', discard: { next: 'mint' } })
    expect(at.failure).toBeUndefined()
  })

  it('keeps no list of permissions or leftovers of an ordinary rotation', () => {
    const { at } = walk([{ ...denied }])
    expect(at.phase).toBe('halted')
    expect(at.permissions).toBeUndefined()
  })

  it('that failed does not put off the rotation that an expiry calls for', () => {
    const record = recordWith('v1', {
      stage: 'current',
      meta: { keyId: 'key-1', createdAt: startAt, expiresAt: startAt + 30 * dayMs },
    })
    const { at } = walk([denied], { ...rehearsal, from: 'v1' })
    const rested = stateOf([record])
    expect(nextTurnAt(stateOf([record], { rotation: at }), policy)).toBe(nextTurnAt(rested, policy))
  })
})
