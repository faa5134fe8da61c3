import type { AlertChannel, AlertNotice } from '../core/alert-notice.ts'
import type { ChannelContext } from './context.ts'

export interface LogLineOptions {
  readonly kind: 'log'
}

const levels = { critical: 'error', warning: 'warn', note: 'info' } as const

/**
 * A line of the service's own log, for platforms that make alarms of lines. Its message and the names of its fields stay as
 * they are, since filters of others look for them.
 */
export function openLogLine(_options: LogLineOptions, { log }: ChannelContext): AlertChannel {
  return {
    kind: 'log',
    deliver: async (notice) => {
      log(notice.isOver ? 'info' : levels[notice.severity], 'an alert', fieldsOf(notice))
      return { kind: 'delivered' }
    },
    close: async () => undefined,
  }
}

function fieldsOf({
  id,
  incident,
  kind,
  code,
  severity,
  isOver,
  title,
  ...rest
}: AlertNotice): Readonly<Record<string, unknown>> {
  const { happened, fixes, credentials, resolved, apps, link } = rest
  const about = { happened, fixes, credentials, resolved, apps, ...(link === undefined ? {} : { link }) }
  return { alert: kind, code, severity, isOver, title, ...about, incident, notice: id }
}
