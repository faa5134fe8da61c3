import type { AlertsConfig } from './types.ts'

const hourMs = 3_600_000

/** Without a file: nobody is told, and what fires can be looked at. */
export const defaultAlerts: AlertsConfig = {
  channels: [],
  thresholds: {
    expiryLeadsMs: [30 * 24 * hourMs, 7 * 24 * hourMs, 24 * hourMs],
    rotationSoonMs: 24 * hourMs,
    rotationLateMs: hourMs,
    adminKeyAgeMs: 90 * 24 * hourMs,
    momentaryMs: hourMs,
  },
  clearMs: 60_000,
  groupMs: 5_000,
  remindMs: 24 * hourMs,
  perMinute: 10,
}
