import type { AlertChannel } from '../core/alert-notice.ts'
import type { ChannelContext } from './context.ts'
import type { DatadogOptions } from './datadog.ts'
import type { EmailOptions } from './email.ts'
import type { LogLineOptions } from './log-line.ts'
import type { PagerDutyOptions } from './pagerduty.ts'
import type { SentryOptions } from './sentry.ts'
import type { SlackOptions } from './slack.ts'
import type { TeamsOptions } from './teams.ts'
import type { WebhookOptions } from './webhook.ts'

export type ChannelOptions =
  | WebhookOptions
  | SlackOptions
  | TeamsOptions
  | PagerDutyOptions
  | EmailOptions
  | SentryOptions
  | DatadogOptions
  | LogLineOptions

/** Loads the driver when its channel is configured, and no other. */
export async function openChannel(options: ChannelOptions, context: ChannelContext): Promise<AlertChannel> {
  switch (options.kind) {
    case 'webhook':
      return (await import('./webhook.ts')).openWebhook(options, context)
    case 'slack':
      return (await import('./slack.ts')).openSlack(options, context)
    case 'teams':
      return (await import('./teams.ts')).openTeams(options, context)
    case 'pagerduty':
      return (await import('./pagerduty.ts')).openPagerDuty(options, context)
    case 'email':
      return (await import('./email.ts')).openEmail(options, context)
    case 'sentry':
      return (await import('./sentry.ts')).openSentry(options, context)
    case 'datadog':
      return (await import('./datadog.ts')).openDatadog(options, context)
    case 'log':
      return (await import('./log-line.ts')).openLogLine(options, context)
  }
}
