import type { z } from 'zod'
import { isLoopbackHost } from '../core/loopback.ts'
import { createMatcher } from '../core/patterns.ts'
import type { alertsSchema } from './alerts-schema.ts'
import { buildBlackout, checkBlackout } from './blackout.ts'
import { durationMs } from './duration.ts'
import { present } from './present.ts'
import type {
  AlertChannelConfig,
  AlertReceiverConfig,
  AlertsConfig,
  ConfigSources,
  Report,
  SecretSource,
} from './types.ts'

type Written = z.output<typeof alertsSchema>
type WrittenChannel = Written['channels'][string]

interface AlertsContext {
  readonly resolve: (path: string) => string
  /** Every credential that is configured, internal ones too. */
  readonly names: readonly string[]
  readonly sources: Pick<ConfigSources, 'assertValidCron' | 'occurrences'>
  readonly report: Report
  readonly warn: Report
}

export function buildAlerts(written: Written, context: AlertsContext): AlertsConfig {
  const channels = Object.entries(written.channels).map(([name, channel]) =>
    buildChannel(name, channel, context),
  )
  return {
    channels,
    ...(written.linkBase === undefined ? {} : { linkBase: written.linkBase.replace(/\/+$/, '') }),
    thresholds: {
      expiryLeadsMs: written.expiry.map((lead) => durationMs(lead)).toSorted((a, b) => b - a),
      rotationSoonMs: durationMs(written.rotationSoon),
      rotationLateMs: durationMs(written.rotationLate),
      adminKeyAgeMs: durationMs(written.adminKeyAge),
      momentaryMs: durationMs(written.momentary),
    },
    clearMs: durationMs(written.resolveAfter),
    groupMs: durationMs(written.groupWithin),
    remindMs: durationMs(written.remindEvery),
    perMinute: written.perMinute,
  }
}

function buildChannel(name: string, channel: WrittenChannel, context: AlertsContext): AlertChannelConfig {
  const at = ['alerts', 'channels', name]
  const quiet = buildBlackout({ blackout: channel.quiet })
  checkQuiet(quiet, at, context)
  channel.credentials.forEach((pattern, index) => {
    if (!context.names.some((one) => createMatcher([pattern]).matches(one)))
      context.warn(
        [...at, 'credentials', index],
        `no credential fits '${pattern}'`,
        'Correct it, or leave it for later ones.',
      )
  })
  return {
    name,
    severities: channel.severities,
    credentials: channel.credentials,
    quiet,
    timeoutMs: durationMs(channel.timeout),
    receiver: receiverOf(channel, at, context),
  }
}

/** Windows are checked as those of a blackout are, and told under their own name. */
function checkQuiet(
  quiet: AlertChannelConfig['quiet'],
  at: readonly string[],
  { sources, report }: AlertsContext,
): void {
  checkBlackout({
    blackout: quiet,
    at,
    sources: present({ assertValidCron: sources.assertValidCron }),
    report: (path, message, fix) =>
      report(
        path.map((part) => (part === 'blackout' ? 'quiet' : part)),
        message,
        fix,
      ),
  })
}

/** What the ports are for; a server may have it otherwise. */
const otherTls = { 465: 'starttls', 587: 'implicit', 25: 'implicit' } as const

function receiverOf(
  channel: WrittenChannel,
  at: readonly string[],
  { resolve, report, warn }: AlertsContext,
): AlertReceiverConfig {
  const read = (source: SecretSource): SecretSource =>
    'file' in source ? { file: resolve(source.file) } : source
  switch (channel.kind) {
    case 'webhook':
      return { kind: 'webhook', url: channel.url, secret: read(channel.secret) }
    case 'slack':
    case 'teams':
      return { kind: channel.kind, url: read(channel.url) }
    case 'pagerduty':
      return { kind: 'pagerduty', routingKey: read(channel.routingKey), url: channel.url }
    case 'sentry':
      return { kind: 'sentry', dsn: read(channel.dsn) }
    case 'datadog':
      return { kind: 'datadog', apiKey: read(channel.apiKey), url: channel.url }
    case 'log':
      return { kind: 'log' }
    case 'email':
      break
  }
  const { host, tls, user, password, from, to } = channel
  if (tls === 'none' && !isLoopbackHost(host) && host !== '::1')
    report([...at, 'tls'], 'mail would leave this machine unencrypted', 'Set tls: implicit or tls: starttls.')
  if ((user === undefined) !== (password === undefined))
    report(at, 'a user and a password are needed together', 'Name both user and password, or neither.')
  const port = channel.port ?? (tls === 'implicit' ? 465 : 587)
  if (otherTls[port as keyof typeof otherTls] === tls)
    warn(
      [...at, 'port'],
      `port ${port} mostly does not speak \`tls: ${tls}\``,
      'tls: implicit goes with port 465, tls: starttls with port 587; keyturn alerts test tries it.',
    )
  const login = present({ user, password: password === undefined ? undefined : read(password) })
  return { kind: 'email', host, port, tls, ...login, from, to }
}
