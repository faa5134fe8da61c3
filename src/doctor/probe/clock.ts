import type { Finding } from '../finding.ts'
import type { Layers } from './layers.ts'

/** Tokens and signatures bear a minute; the `date` header itself is whole seconds. */
export const skewMsMax = 60_000

export interface Skew {
  /** What the local clock is behind by; negative: it is ahead. */
  readonly skewMs: number
  readonly finding: Finding
}

/** The local clock against the `date` of the answer. Undefined: no more than a minute apart, or not told. */
export function skewFinding({ http, httpAt }: Layers): Skew | undefined {
  if (http?.kind !== 'done' || httpAt === undefined) return undefined
  const { date = '', age } = http.answer.headers
  const serverAt = Date.parse(date)
  // A cached answer is as old as its `age` says, and caches round.
  if (Number.isNaN(serverAt) || age !== undefined) return undefined
  const skewMs = Math.round(serverAt - httpAt)
  if (Math.abs(skewMs) <= skewMsMax) return undefined
  const seconds = Math.round(Math.abs(skewMs) / 1_000)
  const way = skewMs > 0 ? 'behind' : 'ahead of'
  return {
    skewMs,
    finding: {
      code: 'clock_skewed',
      severity: 'warning',
      seen: `The clock of this machine is ${seconds} s ${way} that of the answer.`,
      cause:
        'The clock of this machine or container is wrong, which breaks TLS, signed tokens and what expires.',
      fix: 'sudo timedatectl set-ntp true',
    },
  }
}
