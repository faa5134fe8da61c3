import type { DoctorContext } from '../context.ts'

/** All steps together, so that a dead network is told of within 10 s. */
export const totalMs = 9_000
/** Below this an attempt would say nothing. */
const leastMs = 100

export interface Budget {
  /** For the next step: as asked for, but never beyond what is left of the whole. */
  stepMs(steps?: number): number
  readonly isSpent: boolean
}

export function createBudget({ system, options }: Pick<DoctorContext, 'system' | 'options'>): Budget {
  const endsAt = system.now() + totalMs
  const left = () => Math.max(0, endsAt - system.now())
  return {
    stepMs: (steps = 1) => Math.round(Math.max(leastMs, Math.min(options.stepTimeoutMs * steps, left()))),
    get isSpent() {
      return left() < leastMs
    },
  }
}
