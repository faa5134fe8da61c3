import { type Change, type ChangeContext } from '../../src/core/credential.ts'
import { assertState } from '../../src/core/invariants.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import { applyRotation, startRotation } from '../../src/core/turning.ts'
import type { CredentialState, Policy, RotationMode } from '../../src/core/types.ts'
import { changeContext, namer, policyOf, startAt, verdictOf } from './fixtures.ts'

export const policy = policyOf({ provingCount: 1, provingSettleMs: 0 })

/** Changes a state step by step, a second apart, and checks each of them. */
export class Story {
  state: CredentialState
  now = startAt
  readonly alerts: unknown[] = []
  private readonly names = namer()

  constructor(state: CredentialState) {
    this.state = state
  }

  context(policyNow: Policy = policy): ChangeContext {
    return changeContext(this.now, policyNow, this.names)
  }

  change(change: (state: CredentialState, context: ChangeContext) => Change): this {
    this.now += 1_000
    const { state, events } = change(this.state, this.context())
    assertState(state)
    for (const one of events) if (one.kind === 'alert') this.alerts.push(one.data['code'])
    this.state = state
    return this
  }

  wait(ms: number): this {
    this.now += ms
    return this
  }

  rotate(mode: RotationMode = 'normal', isCompromised = false): this {
    const request = { mode, isCompromised, reason: 'asked', requestedBy: 'ada', isAutomatic: false }
    return this.change((state, context) => startRotation(state, request, context))
  }

  on(...events: readonly RotationEvent[]): this {
    for (const event of events)
      this.change((state, context) => applyRotation(state, event, context, this.added(event)))
    return this
  }

  private added(event: RotationEvent): Parameters<typeof applyRotation>[3] {
    const version = event.kind === 'minted' ? this.state.rotation?.attempts.at(-1)?.version : undefined
    if (version === undefined || event.kind !== 'minted') return undefined
    return { version, fingerprint: `f-${version}`, meta: { keyId: event.keyId }, origin: 'minted' }
  }
}

export const checked: RotationEvent = { kind: 'checked' }
export const lost: RotationEvent = { kind: 'mint_unknown' }
export const nothing: RotationEvent = { kind: 'reconciled', found: undefined }
export const valid = {
  kind: 'proved',
  verdict: verdictOf('valid'),
  isOurs: true,
  lacksDeclared: false,
} as const
export const minted = (keyId: string): RotationEvent => ({ kind: 'minted', keyId })
export const pendingLost: RotationEvent = { kind: 'pending_lost' }
export const discarded: RotationEvent = { kind: 'discarded' }
export const toDone: readonly RotationEvent[] = [
  valid,
  { kind: 'extended' },
  { kind: 'promoted' },
  { kind: 'confirmed' },
]
export const byAda = { who: 'ada', why: 'because', isInStore: true }
