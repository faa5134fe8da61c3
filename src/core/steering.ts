import type { Reach, Rotation, RotationPhase } from './types.ts'

/** How far a rotation that the store's own schedule drives may go: rules without a state of their own. */
const order: readonly Reach[] = ['staged', 'proven', 'promoted']

/** What a phase works towards; all others may always go on, whoever waits for them. */
const towards: Readonly<Partial<Record<RotationPhase, Reach>>> = {
  proving: 'proven',
  extending: 'proven',
  promoting: 'promoted',
  confirming: 'promoted',
  inspecting: 'promoted',
}

export function furtherOf(one: Reach, other: Reach): Reach {
  return order.indexOf(one) >= order.indexOf(other) ? one : other
}

export function isWaitingForStep({ steering, phase }: Rotation): boolean {
  const wanted = towards[phase]
  return steering !== undefined && wanted !== undefined && !isWithin(wanted, steering.upTo)
}

/** Whether the walk has come as far as this. */
export function hasReached(rotation: Rotation, reach: Reach): boolean {
  if (rotation.phase === 'done') return rotation.outcome === 'promoted'
  const current = towards[rotation.phase]
  return current !== undefined && current !== reach && isWithin(reach, current)
}

/** Something was stored under its token, and is no key that works: no other one can be. */
export function isUsedUp({ phase, halt, attempts, formerAttempts = [] }: Rotation): boolean {
  const hadKey = [...attempts, ...formerAttempts].some((one) => one.outcome === 'gone')
  return phase === 'halted' && (hadKey || halt?.reason === 'store_conflict')
}

function isWithin(reach: Reach, limit: Reach): boolean {
  return order.indexOf(reach) <= order.indexOf(limit)
}
