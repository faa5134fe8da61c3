import { describe, expect, it } from 'vitest'
import { plan } from '../../src/core/duties.ts'
import { askToSteer, progressOf } from '../../src/core/steered.ts'
import { isWaitingForStep } from '../../src/core/steering.ts'
import { applyRotation } from '../../src/core/turning.ts'
import type { CredentialState, Reach, RotationPhase } from '../../src/core/types.ts'
import { changeContext, minuteMs, policyOf, recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'

const token = 'token-of-aws'
const by = 'aws'
const policy = policyOf({ provingCount: 1, provingSettleMs: 0 })
const before = stateOf([recordWith('v-old', { stage: 'current' })])

function steered(
  state: CredentialState,
  upTo: Reach,
  how: 'begin' | 'go_on' = 'begin',
  asked = token,
): CredentialState {
  return askToSteer(state, { token: asked, upTo, how, by }, changeContext(startAt, policy))?.state ?? state
}

type Event = Parameters<typeof applyRotation>[1]
const proved: Event = { kind: 'proved', verdict: verdictOf('valid'), isOurs: true, lacksDeclared: false }
const toStaged: readonly Event[] = [{ kind: 'checked' }, { kind: 'minted', keyId: 'key-1' }]
const toProven: readonly Event[] = [...toStaged, proved, { kind: 'extended' }]

function after(state: CredentialState, events: readonly Event[]): CredentialState {
  return events.reduce((at, event) => {
    const version = at.rotation?.attempts.at(-1)?.version ?? ''
    const meta = { keyId: 'key-1' }
    const added = { version, fingerprint: 'f-new', meta, origin: 'minted' } as const
    const context = changeContext(startAt, policy)
    return applyRotation(at, event, context, event.kind === 'minted' ? added : undefined).state
  }, state)
}

function wants(state: CredentialState): readonly string[] {
  return plan(state, policy, startAt + 1, new Set())
    .duties.filter(({ lane }) => lane === 'rotate')
    .map((duty) => ('effect' in duty ? duty.effect.kind : duty.kind))
}

describe('a rotation that the store drives', () => {
  it('does what it may by now and no more: the rest waits for the next step', () => {
    const begun = steered(before, 'staged')
    expect(wants(begun)).toEqual(['check'])
    const staged = after(begun, toStaged)
    expect([staged.rotation?.phase, wants(staged)]).toEqual(['proving', []])
    expect(wants(steered(staged, 'proven', 'go_on'))).toEqual(['prove'])
    const proven = after(steered(staged, 'proven', 'go_on'), toProven.slice(2))
    expect([proven.rotation?.phase, wants(proven)]).toEqual(['promoting', []])
    expect(wants(steered(proven, 'promoted', 'go_on'))).toEqual(['promote'])
  })

  it('takes a step that comes late or twice for what it is: what was allowed stays allowed', () => {
    const far = steered(after(steered(before, 'staged'), toStaged), 'promoted', 'go_on')
    expect(steered(far, 'staged')).toBe(far)
    expect(steered(far, 'promoted', 'go_on')).toBe(far)
    expect(wants(far)).toEqual(['prove'])
  })

  it.each<[RotationPhase, Reach, boolean]>([
    ['checking', 'staged', false],
    ['reconciling', 'staged', false],
    ['discarding', 'staged', false],
    ['proving', 'staged', true],
    ['extending', 'proven', false],
    ['promoting', 'proven', true],
    ['inspecting', 'promoted', false],
  ])('in %s, allowed to be %s: waiting is %s', (phase, upTo, isWaiting) => {
    const { rotation } = steered(before, upTo)
    expect(rotation && isWaitingForStep({ ...rotation, phase })).toBe(isWaiting)
  })

  it('is begun by the first step alone', () => {
    for (const upTo of ['staged', 'proven', 'promoted'] as const)
      expect(askToSteer(before, { token, upTo, how: 'go_on', by }, changeContext(startAt, policy))).toBe(
        undefined,
      )
    expect(progressOf(before, token, 'staged')).toEqual({ kind: 'unknown' })
  })

  it('halts where the store does not go on, and its next step takes it up where it was', () => {
    const staged = after(steered(before, 'staged'), toStaged)
    const late = startAt + 16 * minuteMs
    expect(plan(staged, policy, late, new Set()).duties.map(({ kind }) => kind)).toContain('deadline')
    const halted = applyRotation(staged, { kind: 'deadline_passed' }, changeContext(late, policy)).state
    expect(halted.rotation?.halt?.summary).toBe(
      'The new key is staged, and the rotation of the store did not go on.',
    )
    const again = steered(halted, 'proven', 'go_on')
    expect([again.rotation?.phase, wants(again)]).toEqual(['proving', ['prove']])
  })

  it('makes no second key under its token: a key that does not work ends it', () => {
    const staged = steered(after(steered(before, 'staged'), toStaged), 'proven', 'go_on')
    const rejected = applyRotation(
      staged,
      { kind: 'proved', verdict: verdictOf('rejected'), isOurs: false, lacksDeclared: false },
      changeContext(startAt + minuteMs, policy),
    ).state
    const halted = after(rejected, [{ kind: 'discarded' }])
    expect([rejected.rotation?.phase, halted.rotation?.phase]).toEqual(['discarding', 'halted'])
    expect(steered(halted, 'staged')).toBe(halted)
    expect(progressOf(halted, token, 'staged').kind).toBe('over')
  })

  it('makes way for the next token: its key is taken back, and one that moved something goes on to its end', () => {
    const staged = after(steered(before, 'staged'), toStaged)
    expect(steered(staged, 'staged', 'begin', 'next').rotation).toMatchObject({
      phase: 'discarding',
      steering: { token },
    })
    const moved = after(steered(after(steered(before, 'staged'), toStaged), 'promoted'), [
      ...toProven.slice(2),
      { kind: 'promoted' },
    ])
    expect(moved.rotation?.phase).toBe('confirming')
    expect(steered(moved, 'staged', 'begin', 'next').rotation?.phase).toBe('confirming')
    const over = after(moved, [{ kind: 'confirmed' }])
    expect(progressOf(over, token, 'staged')).toEqual({ kind: 'reached' })
    expect(steered(over, 'staged', 'begin', 'next').rotation).toMatchObject({
      phase: 'checking',
      steering: { token: 'next' },
    })
  })

  it('goes on by itself in an emergency', () => {
    const staged = after(steered(before, 'staged'), toStaged)
    const urgent = after(staged, [{ kind: 'emergency_asked', by, reason: 'leaked', isCompromised: false }])
    expect([urgent.rotation?.steering, wants(urgent)]).toEqual([undefined, ['prove']])
  })

  it('is not begun beside a rotation that somebody else asked for', () => {
    const request = { mode: 'normal', isCompromised: false, reason: 'due', requestedBy: 'ada' } as const
    const other = askToSteer(
      before,
      { token, upTo: 'staged', how: 'begin', by },
      changeContext(startAt, policy),
    )
    const unsteered = {
      ...other?.state,
      rotation: { ...other?.state.rotation, ...request },
    } as CredentialState
    const { steering: _none, ...rotation } = unsteered.rotation ?? ({} as never)
    const running = { ...unsteered, rotation } as CredentialState
    expect(() => steered(running, 'staged')).toThrow('is being turned already')
  })
})
