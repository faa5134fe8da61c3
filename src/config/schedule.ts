import { KeyturnError } from '../core/errors.ts'
import { isWritable } from './drivers.ts'
import { durationMs } from './duration.ts'
import type { CredentialFile } from './schema.ts'
import type { ConfigSources, Report, ScheduleConfig, StoreConfig } from './types.ts'

export const quarterly: ScheduleConfig = {
  expression: '0 3 1 1,4,7,10 *',
  timeZone: 'UTC',
  jitterMs: 3_600_000,
}

export function buildSchedule(
  credential: Pick<CredentialFile, 'schedule'>,
  can: { readonly canTurn: boolean },
): ScheduleConfig | null {
  if (credential.schedule === undefined) return can.canTurn ? quarterly : null
  if (credential.schedule === 'none') return null
  const { cron, timeZone, jitter } = credential.schedule
  return { expression: cron, timeZone, jitterMs: durationMs(jitter) }
}

export function checkSchedule(input: {
  readonly schedule: ScheduleConfig | null
  readonly isStated: boolean
  readonly store: StoreConfig
  readonly at: readonly (string | number)[]
  readonly assertValidCron: ConfigSources['assertValidCron']
  readonly report: Report
}): void {
  const { schedule, store, at, report } = input
  if (schedule === null || !input.isStated) return
  if (!isWritable(store)) {
    report(
      [...at, 'schedule'],
      `a schedule cannot work with a store of kind ${store.kind}, which is only read`,
      'Keep the key in a store that can be written (local, aws-secrets-manager), or write schedule: none.',
    )
  }
  try {
    input.assertValidCron?.(schedule.expression, schedule.timeZone)
  } catch (error) {
    const isOurs = error instanceof KeyturnError
    report(
      [...at, 'schedule', 'cron'],
      isOurs ? error.message : 'expected a cron expression of five fields',
      (isOurs ? error.fix : undefined) ??
        "For example '0 3 1 1,4,7,10 *': at 3 o'clock on the first day of each quarter.",
    )
  }
}
