import { toKeyturnError } from '../core/errors.ts'
import type { Check } from './check.ts'
import type { DoctorContext } from './context.ts'
import { withoutExplained } from './explained.ts'
import type { Facts } from './facts.ts'
import { describePlace, type Finding, type Severity } from './finding.ts'

export interface Examination {
  readonly findings: readonly Finding[]
  /** What was read, for those who compare places or make a bundle. */
  readonly facts: Facts
  /** Checks that broke: bugs of ours, told so that silence is not mistaken for health. */
  readonly broken: readonly { readonly check: string; readonly code: string }[]
  readonly tookMs: number
}

/** More than this are not shown: whoever has them has one cause. */
export const findingsMax = 200

/** Reads everything once, then runs the checks in their order; the worst findings come first. */
export async function examine(
  context: DoctorContext,
  parts: {
    readonly gather: (context: DoctorContext) => Promise<Facts>
    readonly checks: readonly Check[]
  },
): Promise<Examination> {
  const { system, options } = context
  const startedAt = system.now()
  const facts = await parts.gather(context)
  const findings: Finding[] = []
  const broken: { check: string; code: string }[] = []
  for (const check of parts.checks) {
    if (check.needsNetwork && options.isOffline) continue
    try {
      findings.push(...(await check.run(facts, context)))
    } catch (thrown) {
      const { code, message } = toKeyturnError(thrown, `the check ${check.name} broke`)
      context.log('error', message, { check: check.name, code })
      broken.push({ check: check.name, code })
    }
  }
  return {
    findings: inOrder(withoutExplained(distinct(findings))),
    facts,
    broken,
    tookMs: system.now() - startedAt,
  }
}

/** One cause at one place is told once, whoever found it first. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Map<string, Finding>()
  for (const finding of findings) {
    const { code, place } = finding
    const key = `${code} ${place === undefined ? '' : describePlace(place)}`
    if (!seen.has(key)) seen.set(key, finding)
  }
  return [...seen.values()]
}

const ranks: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 }

function inOrder(findings: readonly Finding[]): readonly Finding[] {
  return findings
    .toSorted((left, right) => ranks[left.severity] - ranks[right.severity])
    .slice(0, findingsMax)
}
