import type { PostgresTools } from './postgres-tools.ts'

/** A replica that is further off claims nothing: what it takes for due, silent or expired may not be. */
export const clockOffMsMax = 30_000

export interface ClockSeen {
  /** By our clock, before and after the question. */
  readonly askedAt: number
  readonly answeredAt: number
  readonly ledgerNow: number
}

/** How far ours is behind at least: what a slow answer can explain does not count. */
export function clockOffMs({ askedAt, answeredAt, ledgerNow }: ClockSeen): number {
  if (ledgerNow > answeredAt) return ledgerNow - answeredAt
  return Math.min(0, ledgerNow - askedAt)
}

/** Holds our clock against the ledger's at every look, and says once when it is off, and once when it is right again. */
export function createClockWatch({ log }: Pick<PostgresTools, 'log'>): (seen: ClockSeen) => boolean {
  let wasOff = false
  return (seen) => {
    const offMs = clockOffMs(seen)
    const isOff = Math.abs(offMs) > clockOffMsMax
    if (isOff && !wasOff)
      log(
        'error',
        'the clock of this machine is off; until it is right, this replica verifies and turns nothing',
        {
          behindTheLedgerMs: Math.round(offMs),
          allowedMs: clockOffMsMax,
          fix: 'Set the clock (chronyc makestep, or look at the time service of the machine).',
        },
      )
    if (!isOff && wasOff)
      log('info', 'the clock of this machine is right again', { allowedMs: clockOffMsMax })
    wasOff = isOff
    return !isOff
  }
}
