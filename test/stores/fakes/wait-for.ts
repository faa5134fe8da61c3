import { vi } from 'vitest'
import { patientMs } from './system.ts'

/** Until nothing is thrown. The second that Vitest gives is less than a busy machine may stand still. */
export function waitFor<Found>(look: () => Found): Promise<Found> {
  return vi.waitFor(look, { timeout: patientMs })
}
