import type {
  CredentialState,
  NewCredentialEvent,
  Retirement,
  Rotation,
  Sweep,
} from '../../src/core/types.ts'

export function stateOf(name: string, change: Partial<CredentialState> = {}): CredentialState {
  return {
    name,
    revision: 0,
    fence: 0,
    generation: 0,
    versions: [],
    nextStoreReadAt: 0,
    retirements: [],
    openAttempts: [],
    automaticAt: [],
    ...change,
  }
}

export function eventOf(name: string, note: string): NewCredentialEvent {
  return { at: 1_000, credential: name, kind: 'verdict', generation: 0, data: { note } }
}

export function rotationOf(name: string, id: string, change: Partial<Rotation> = {}): Rotation {
  return {
    id,
    credential: name,
    mode: 'normal',
    isCompromised: false,
    reason: 'quarterly',
    requestedBy: 'schedule',
    startedAt: 1_000,
    phase: 'minting',
    phaseAt: 1_000,
    deadlineAt: 2_000,
    wakeAt: 1_000,
    paused: false,
    attempts: [],
    confirmations: 0,
    retries: 0,
    steps: [],
    ...change,
  }
}

export function retirementOf(id: string, change: Partial<Retirement> = {}): Retirement {
  return {
    id,
    version: `version-of-${id}`,
    startedAt: 1_000,
    phase: 'dead',
    phaseAt: 2_000,
    wakeAt: 2_000,
    overlapUntil: 1_500,
    limitAt: 9_000,
    isForced: false,
    isExpiring: false,
    isLimitAlerted: false,
    rejections: 3,
    retries: 0,
    endedAt: 2_000,
    steps: [],
    ...change,
  }
}

export function sweepOf(marker: string, change: Partial<Sweep> = {}): Sweep {
  return { marker, version: `version-of-${marker}`, outcome: 'absent', endedAt: 3_000, ...change }
}
