import { isWalking } from '../core/retirement.ts'
import { isRunning } from '../core/rotation.ts'
import type { CredentialState } from '../core/types.ts'
import type { EngineDeps } from './setup.ts'

/**
 * Says at a start what was under way when the process before ended, however it ended. Otherwise a log that breaks off in
 * the middle of a rotation begins again as if nothing had been.
 */
export function tellTakenUp(state: CredentialState, deps: Pick<EngineDeps, 'log'>): void {
  const { name, rotation } = state
  const walking = state.retirements.filter(isWalking)
  if (!isRunning(rotation) && walking.length === 0 && state.openAttempts.length === 0) return
  deps.log('info', `${name}: goes on where it was left`, {
    generation: state.generation,
    ...(isRunning(rotation)
      ? { rotation: { id: rotation.id, phase: rotation.phase, paused: rotation.paused } }
      : {}),
    ...(walking.length === 0
      ? {}
      : {
          retirements: walking.map(({ version, phase, heldBy }) => ({
            version,
            phase,
            heldBy: heldBy ?? null,
          })),
        }),
    ...(state.openAttempts.length === 0 ? {} : { unansweredMints: state.openAttempts.length }),
  })
}
