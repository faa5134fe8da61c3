import { type BlackoutWindow, blackoutsOf } from '../core/blackout.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Occurrences } from '../core/ports.ts'
import { durationMs } from './duration.ts'
import type { CredentialFile } from './schema.ts'
import type { BlackoutConfig, ConfigSources, Report } from './types.ts'

const dayMs = 86_400_000
/** Longer than this without a free hour, and a key that leaks or expires is never turned in time by itself. */
const lengthDaysMax = 92
/** Windows come again within a year; any fixed instant does, since nobody asks here what time it is. */
const looksFromAt = Date.UTC(2026, 0, 1)
const looksDays = 400

export function buildBlackout(credential: Pick<CredentialFile, 'blackout'>): readonly BlackoutConfig[] {
  return credential.blackout.map((one) =>
    'until' in one
      ? { fromAt: Date.parse(one.from), untilAt: Date.parse(one.until) }
      : { expression: one.from, timeZone: one.timeZone, forMs: durationMs(one.for) },
  )
}

export function checkBlackout(input: {
  readonly blackout: readonly BlackoutConfig[]
  readonly at: readonly string[]
  readonly sources: Pick<ConfigSources, 'assertValidCron' | 'occurrences'>
  readonly report: Report
}): void {
  const { blackout, at, sources, report } = input
  const sound = blackout.map((window, index) =>
    isSound(window, { at: [...at, 'blackout', index], sources, report }),
  )
  const { occurrences } = sources
  if (occurrences === undefined || blackout.length === 0 || sound.includes(false)) return
  if (!isEndless(blackout, occurrences)) return
  report(
    [...at, 'blackout'],
    `the blackouts leave no time between them: together one is longer than ${lengthDaysMax} days`,
    'Shorten `for`, or drop a window: a key has to be turned now and then.',
  )
}

interface Place {
  readonly at: readonly (string | number)[]
  readonly sources: Pick<ConfigSources, 'assertValidCron'>
  readonly report: Report
}

function isSound(window: BlackoutWindow, { at, sources, report }: Place): boolean {
  if ('fromAt' in window) {
    const isOrdered = window.fromAt < window.untilAt
    if (!isOrdered) report([...at, 'until'], 'it ends before it begins', 'Swap `from` and `until`.')
    const isShort = window.untilAt - window.fromAt <= lengthDaysMax * dayMs
    if (!isShort)
      report([...at, 'until'], `it is longer than ${lengthDaysMax} days`, 'Split it, with free time between.')
    return isOrdered && isShort
  }
  try {
    sources.assertValidCron?.(window.expression, window.timeZone)
    return true
  } catch (error) {
    const isOurs = error instanceof KeyturnError
    report(
      [...at, 'from'],
      isOurs
        ? error.message.replace(/^schedule/, 'the beginning')
        : 'expected a cron expression of five fields',
      (isOurs ? error.fix : undefined) ?? "For example '0 17 * * 5': Fridays at five in the afternoon.",
    )
    return false
  }
}

/** One window after another: the looks are bounded, and each goes on where the last one ended. */
function isEndless(blackout: readonly BlackoutConfig[], occurrences: Occurrences): boolean {
  const recurring = blackout.filter((one) => !('fromAt' in one))
  const blackoutAt = blackoutsOf(recurring, occurrences)
  for (let day = 0; day < looksDays; day += 1) {
    const found = blackoutAt(looksFromAt + day * dayMs)
    if (found === undefined) continue
    // A chain too long to be joined is too long.
    if (found.until - found.from > lengthDaysMax * dayMs || blackoutAt(found.until) !== undefined) return true
  }
  return false
}
