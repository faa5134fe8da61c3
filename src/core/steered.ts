import type { Change, ChangeContext } from './credential.ts'
import { KeyturnError } from './errors.ts'
import { askForRotation } from './operations.ts'
import { isRunning, isSparing } from './rotation.ts'
import { hasReached, isUsedUp } from './steering.ts'
import { applyRotation } from './turning.ts'
import type { CredentialState, Reach, Rotation, Steering } from './types.ts'

export interface SteerRequest extends Steering {
  /** begin: there may be none yet. go_on: only with the one that was begun. look: nothing is changed. */
  readonly how: 'begin' | 'go_on' | 'look'
  readonly by: string
}

/** How a rotation that is driven from outside stands. */
export type SteerAnswer =
  /** It is as far as was asked, or further. */
  | { readonly kind: 'reached' }
  /** It is on its way: ask again. */
  | { readonly kind: 'going'; readonly summary: string }
  /** It will not go on by itself. */
  | { readonly kind: 'stopped'; readonly summary: string; readonly fix: string }
  /** It will not go on at all: under this token there will be no key. */
  | { readonly kind: 'over'; readonly summary: string; readonly fix: string }
  /** There is none for this token. */
  | { readonly kind: 'unknown' }

/**
 * One step of the store's rotation: begins the walk of this token, or lets it go on. Safe to repeat, in any order. A walk
 * for another token is one that the store has given up, since it has one token at a time: what moved something already
 * goes on to its end, any other takes its key back; then it is asked again.
 */
export function askToSteer(
  state: CredentialState,
  { token, upTo, how, by }: SteerRequest,
  context: ChangeContext,
): Change | undefined {
  const { rotation } = state
  if (how === 'look') return undefined
  if (rotation?.steering?.token === token)
    return isRunning(rotation) ? applyRotation(state, { kind: 'steered', by, upTo }, context) : undefined
  if (how !== 'begin') return undefined
  if (isRunning(rotation) && (rotation.steering !== undefined || isSparing(rotation)))
    return makeWay(state, rotation, by, context)
  if (!context.policy.canMint)
    throw new KeyturnError(
      'issuer_cannot_mint',
      `${state.name} cannot be turned by its store: no admin key is configured, so no key can be minted.`,
      { fix: 'Configure the issuer’s admin key, project and service account.' },
    )
  const request = { mode: 'normal', isCompromised: false, reason: 'the rotation of the store' } as const
  return askForRotation(state, { ...request, requestedBy: by, steering: { token, upTo } }, context)
}

function makeWay(
  state: CredentialState,
  rotation: Rotation,
  by: string,
  context: ChangeContext,
): Change | undefined {
  const aborted = applyRotation(state, { kind: 'abort_asked', by }, context)
  if (aborted.state.rotation !== rotation) return aborted
  const further = applyRotation(state, { kind: 'steered', by, upTo: 'promoted' }, context)
  return further.state === state ? undefined : further
}

export function progressOf({ name, rotation }: CredentialState, token: string, upTo: Reach): SteerAnswer {
  if (rotation?.steering?.token !== token) return { kind: 'unknown' }
  if (hasReached(rotation, upTo)) return { kind: 'reached' }
  const { phase, halt, discard } = rotation
  if (phase === 'halted')
    return {
      kind: isUsedUp(rotation) ? 'over' : 'stopped',
      summary: halt?.summary ?? '',
      fix: halt?.fix ?? '',
    }
  if (phase === 'done')
    return {
      kind: 'over',
      summary: `The rotation ended as ${rotation.outcome ?? 'aborted'}. ${discard?.summary ?? ''}`.trim(),
      fix: '',
    }
  if (rotation.paused)
    return { kind: 'stopped', summary: 'The rotation is paused.', fix: `keyturn resume ${name}` }
  return { kind: 'going', summary: `The rotation is at ${phase}.` }
}
