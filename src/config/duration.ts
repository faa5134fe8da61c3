import { assert } from '../core/errors.ts'

/** A whole number and a unit: `300ms`, `90s`, `10m`, `24h`, `7d`. One unit only, so that two spellings never mean the same. */
export const durationPattern = /^(\d{1,9})(ms|s|m|h|d)$/

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds of a duration, undefined where the text is none. */
export function parseDuration(text: string): number | undefined {
  const match = durationPattern.exec(text)
  const unit = unitMs[match?.[2] ?? '']
  return unit === undefined ? undefined : Number(match?.[1]) * unit
}

/** The same for what a schema has let through. */
export function durationMs(text: unknown): number {
  const ms = typeof text === 'string' ? parseDuration(text) : undefined
  assert(ms !== undefined, 'the schema lets only durations through')
  return ms
}
