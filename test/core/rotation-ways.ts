import { newRotation, type RotationEvent } from '../../src/core/rotation.ts'
import type { Policy, Rotation, RotationMode } from '../../src/core/types.ts'
import { policyOf, startAt, verdictOf, type Walked, walkRotation } from './fixtures.ts'

export const policy = policyOf()
export const by = 'ada'
export const checked: RotationEvent = { kind: 'checked' }
export const minted: RotationEvent = { kind: 'minted', keyId: 'key-1' }
export const lost: RotationEvent = { kind: 'mint_unknown' }
export const nothing: RotationEvent = { kind: 'reconciled', found: undefined }
export const discarded: RotationEvent = { kind: 'discarded' }
export const promoted: RotationEvent = { kind: 'promoted' }
export const resume: RotationEvent = { kind: 'resume_asked', by }
export const abort: RotationEvent = { kind: 'abort_asked', by }
export const pause: RotationEvent = { kind: 'pause_asked', by }
export const deadline: RotationEvent = { kind: 'deadline_passed' }
export const leak = { by, reason: 'leaked', isCompromised: true }
export const emergency: RotationEvent = { kind: 'emergency_asked', ...leak }
export const proved = (
  kind: Parameters<typeof verdictOf>[0],
  change: { readonly isOurs?: boolean; readonly lacksDeclared?: boolean; readonly at?: number } = {},
): RotationEvent => ({
  kind: 'proved',
  verdict: verdictOf(kind),
  isOurs: true,
  lacksDeclared: false,
  ...change,
})
export const valid = proved('valid')
export const toExtending = [checked, minted, valid, valid, valid]
export const toPromoting = [...toExtending, { kind: 'extended' } as const]
export const toInspecting = [...toPromoting, { kind: 'promote_lost' } as const]

export function begin(
  mode: RotationMode | undefined,
  from: string | undefined,
  rules: Policy = policy,
): Walked<Rotation> {
  const request = {
    id: 'r-1',
    credential: 'openai',
    mode: mode ?? 'normal',
    isCompromised: false,
    reason: 'due',
    requestedBy: 'schedule',
    from,
  }
  return { at: newRotation(request, { now: startAt, policy: rules }), now: startAt }
}

export function walk(
  events: readonly (RotationEvent | number)[],
  options: {
    readonly mode?: RotationMode
    readonly from?: string | undefined
    readonly policy?: Policy
  } = {},
): Walked<Rotation> {
  const rules = options.policy ?? policy
  const from = 'from' in options ? options.from : 'v-old'
  return walkRotation(begin(options.mode, from, rules), events, rules)
}

export const openOf = (rotation: Rotation): number =>
  rotation.attempts.filter((one) => one.outcome === 'open').length

/** Every phase with a walk to it. */
export const ways: Readonly<Record<string, readonly RotationEvent[]>> = {
  checking: [],
  minting: [checked],
  reconciling: [checked, lost],
  proving: [checked, minted, valid],
  discarding: [checked, minted, { kind: 'pending_lost' }],
  extending: toExtending,
  promoting: toPromoting,
  confirming: [...toPromoting, promoted],
  inspecting: toInspecting,
}
