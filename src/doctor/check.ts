import type { DoctorContext } from './context.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/**
 * One look at what was gathered. A check that finds nothing wrong returns nothing. What stands in the way of a check is a
 * finding of its own or none of its business: a check does not reject.
 */
export interface Check {
  readonly name: string
  /** Left out with `--offline`. */
  readonly needsNetwork: boolean
  run(facts: Facts, context: DoctorContext): Promise<readonly Finding[]>
}
