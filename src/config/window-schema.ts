import { z } from 'zod'
import { duration, text } from './fields.ts'

const windowsShape =
  "expected windows such as { from: '0 17 * * 5', for: 63h, timeZone: Europe/Berlin } or { from: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z }"

const instant = z.iso
  .datetime({ offset: true, error: 'expected an instant with its zone, such as 2026-12-20T00:00:00Z' })
  .describe('ISO 8601 with Z or an offset.')

const windowsMax = 50

export function windowsSchema(description: string) {
  return z
    .array(
      z.union(
        [
          z.strictObject({
            from: text('a cron expression', 'Minute, hour, day of month, month, day of week.'),
            for: duration({ default: '12h', min: '1m', max: '31d' }, 'How long each lasts.').removeDefault(),
            timeZone: text('an IANA time zone such as Europe/Berlin', 'IANA name.')
              .refine(isTimeZone, { error: 'expected an IANA time zone such as UTC or Europe/Berlin' })
              .default('UTC'),
          }),
          z.strictObject({ from: instant, until: instant }),
        ],
        { error: windowsShape },
      ),
      { error: `expected a list; ${windowsShape}` },
    )
    .max(windowsMax, { error: `expected at most ${windowsMax} windows` })
    .default([])
    .describe(description)
}

export function isTimeZone(candidate: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: candidate }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
