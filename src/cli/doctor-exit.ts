import type { DoctorReport, ReportedFinding } from '../doctor/report.ts'
import { type ExitCode, exitCodes } from './exit.ts'

/** Nobody at this machine can mend these: to try again is all there is. */
const awayCodes: readonly string[] = [
  'dns_failed',
  'connect_failed',
  'timed_out',
  'openai_failing',
  'store_unreachable',
]

/** 3 where a person must mend something, 1 where it could not be told whether all is well, else 0. */
export function exitOfReport(
  { findings, broken, comparisons }: Pick<DoctorReport, 'findings' | 'broken' | 'comparisons'>,
  { isStrict }: { readonly isStrict: boolean },
): ExitCode {
  const counted = findings.filter((one) => isCounted(one, isStrict))
  if (counted.some(({ code }) => !awayCodes.includes(code))) return exitCodes.needsHuman
  const isBlind = broken.length > 0 || comparisons.some(({ problem }) => problem !== null)
  return counted.length > 0 || isBlind ? exitCodes.failed : exitCodes.done
}

function isCounted({ severity }: ReportedFinding, isStrict: boolean): boolean {
  return severity === 'error' || (isStrict && severity === 'warning')
}
