import type { CredentialEvent, CredentialName, CredentialState, Retirement, Rotation } from '../core/types.ts'
import type { Recorder } from './recorder.ts'
import type { Attributes, Tracer } from './tracer.ts'

/** Hears of states and tells of rotations and retirements: how long each phase took, and how they ended. */
export interface WalkWatch {
  /** As it stands in the ledger, whoever brought it there. */
  seen(state: CredentialState): void
  /** As this process has just brought it there. */
  committed(state: CredentialState, events: readonly CredentialEvent[]): void
}

type Walk = Pick<Rotation | Retirement, 'id' | 'phase' | 'phaseAt' | 'startedAt' | 'endedAt'>

interface Known {
  readonly rotation: Rotation | undefined
  readonly retirements: readonly Retirement[]
}

/** Alerts that say that a key of ours which nobody had is no more. */
const revokedCodes: ReadonlySet<unknown> = new Set(['orphan_revoked', 'stray_key_revoked'])

export function createWalkWatch(recorder: Recorder, tracer?: Tracer): WalkWatch {
  /** Those that have a walk under way; the others are looked up in vain. */
  const known = new Map<CredentialName, Known>()

  function seen({ name, rotation, retirements }: CredentialState): void {
    const running = rotation?.phase === 'done' ? undefined : rotation
    const walking = retirements.filter((one) => one.endedAt === undefined)
    if (running === undefined && walking.length === 0) known.delete(name)
    else known.set(name, { rotation: running, retirements: walking })
  }

  function rotationMoved(before: Rotation | undefined, after: Rotation): void {
    if (before?.id !== after.id || before.phase === after.phase) return
    phaseOver('rotation', before, after, after.id, after.credential)
    if (after.phase === 'halted') recorder.rotationHalts.add([before.phase])
    if (after.phase === 'done') rotationOver(after)
  }

  function rotationOver({ id, mode, startedAt, endedAt, credential, ...rest }: Rotation): void {
    const outcome = rest.outcome ?? 'none'
    recorder.rotations.add([mode, outcome])
    if (endedAt === undefined) return
    recorder.rotationSeconds.observe([mode, outcome], secondsOf(startedAt, endedAt))
    const attributes = {
      ...attributesOf(credential, id),
      'keyturn.mode': mode,
      'keyturn.outcome': outcome,
    }
    tracer?.past({ name: 'rotation', walk: id, startedAt, endedAt, attributes })
  }

  function retirementMoved(before: Retirement, after: Retirement, credential: CredentialName): void {
    if (before.phase === after.phase) return
    const walk = after.rotation ?? after.id
    phaseOver('retirement', before, after, walk, credential)
    const { endedAt, startedAt, phase } = after
    if (endedAt === undefined) return
    recorder.retirements.add([phase])
    const attributes = { ...attributesOf(credential, walk), 'keyturn.outcome': phase }
    tracer?.past({ name: 'retirement', walk, startedAt, endedAt, attributes })
  }

  function phaseOver(
    what: 'rotation' | 'retirement',
    before: Walk,
    after: Walk,
    walk: string,
    credential: CredentialName,
  ): void {
    const tally = what === 'rotation' ? recorder.rotationPhaseSeconds : recorder.retirementPhaseSeconds
    tally.observe([before.phase], secondsOf(before.phaseAt, after.phaseAt))
    tracer?.past({
      name: `${what} phase ${before.phase}`,
      walk,
      startedAt: before.phaseAt,
      endedAt: Math.max(before.phaseAt, after.phaseAt),
      attributes: { ...attributesOf(credential, walk), 'keyturn.phase': before.phase },
    })
  }

  return {
    seen,
    committed(state, events) {
      const before = known.get(state.name)
      if (before !== undefined) {
        if (state.rotation !== undefined) rotationMoved(before.rotation, state.rotation)
        for (const one of before.retirements) {
          const after = state.retirements.find(({ id }) => id === one.id)
          if (after !== undefined) retirementMoved(one, after, state.name)
        }
      }
      for (const { kind, data } of events) {
        recorder.events.add([kind, codeOf(kind, data)])
        const lost = lostCodes.find((one) => kind === 'alert' && one === data['code'])
        if (lost !== undefined) recorder.keysLost.add([state.name, lost])
        if (revokedCodes.has(data['code'])) recorder.orphansRevoked.add([])
      }
      seen(state)
    },
  }
}

/** Alerts have a code; a promotion has who set it off, who may be anybody with a name. */
function codeOf(kind: CredentialEvent['kind'], { code, by }: CredentialEvent['data']): string {
  if (kind === 'promoted') return setOffBy.find((one) => one === by) ?? 'person'
  return typeof code === 'string' ? code : ''
}

/** Of which credential matters: whoever ends keys is to be found before the next one is lost. */
const lostCodes = ['key_rejected', 'key_vanished'] as const
const setOffBy = ['schedule', 'failover', 'start'] as const

/** Clocks of two replicas may disagree about which of two instants was first. */
function secondsOf(fromAt: number, untilAt: number): number {
  return Math.max(0, untilAt - fromAt) / 1_000
}

function attributesOf(credential: CredentialName, walk: string): Attributes {
  return { 'keyturn.credential': credential, 'keyturn.walk': walk }
}
