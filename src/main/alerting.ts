import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { ChannelContext, ReadSecret } from '../alerts/context.ts'
import { type ChannelOptions, openChannel } from '../alerts/index.ts'
import { createSend } from '../alerts/post.ts'
import { defaultAlerts } from '../config/default-alerts.ts'
import type { AlertReceiverConfig, Config, SecretSource } from '../config.ts'
import { type AlertCode, alertRules, type Severity } from '../core/alert-codes.ts'
import { type Alert, levelOf } from '../core/alerts.ts'
import { blackoutsOf } from '../core/blackout.ts'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { createMatcher } from '../core/patterns.ts'
import type { Log, System } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { type Alerting, type AlertingOptions, createAlerting, type LocalMemory } from '../engine/alerting.ts'
import { createOccurrences } from '../engine/cron.ts'
import type { AuditReader } from '../server/audit-routes.ts'
import { readBounded, writeAtomically } from '../stores/files.ts'
import type { Environment } from './compose.ts'
import type { Home } from './home.ts'
import type { LedgerPlace } from './steady.ts'

/**
 * Opens every channel that the configuration names, and what tells them. Started here, except for a single beat, which tells
 * of the installation alone: what is wrong with its own process its exit code and log say. Stopped by whoever opened it.
 */
export async function openAlerting(options: {
  readonly config: Config
  readonly home: Home
  readonly service: AlertingOptions['service']
  readonly ledgers: Pick<LedgerPlace, 'documents' | 'isOpen' | 'ledger'>
  readonly auditReader: Pick<AuditReader, 'status'>
  readonly system: System
  readonly log: Log
  readonly env: Environment
  readonly version: string
  readonly isBeat?: boolean
}): Promise<Alerting> {
  const { config, home, system, log, env, isBeat = false } = options
  const { channels, thresholds, clearMs, groupMs, remindMs, perMinute, linkBase } =
    config.alerts ?? defaultAlerts
  const occurrences = createOccurrences()
  const opened = await Promise.all(
    channels.map(async ({ name, severities, credentials, quiet, timeoutMs, receiver }) => {
      const context: ChannelContext = {
        clock: system,
        send: createSend(timeoutMs),
        log,
        timeoutMs,
        version: options.version,
        source: hostname(),
      }
      const matcher = createMatcher(credentials)
      const quietAt = quiet.length === 0 ? undefined : blackoutsOf(quiet, occurrences)
      return {
        name,
        severities: new Set(severities),
        // What is of no single credential concerns all of them.
        takes: (credential: string | undefined) => credential === undefined || matcher.matches(credential),
        isQuiet: (at: number) => quietAt?.(at) !== undefined,
        channel: await openChannel(receiverOf(receiver, env), context),
      }
    }),
  )
  const alerting = createAlerting({
    service: options.service,
    documents: options.ledgers.documents,
    channels: opened,
    thresholds,
    step: { installation: await installationOf(home), groupMs, clearMs },
    delivery: { remindMs, perMinute },
    ...(linkBase === undefined ? {} : { linkBase }),
    own: () => (isBeat ? [] : [...auditAlerts(options.auditReader), ...clockAlerts(options.ledgers)]),
    memory: isBeat ? noMemory : memoryIn(home, log),
    // A beat is never taken for the service that runs beside it.
    owner: config.ledger?.kind === 'postgres' || isBeat ? system.uuid() : 'this-host',
    system,
    log,
  })
  if (opened.length > 0 && !isBeat) alerting.start()
  return alerting
}

const noMemory: LocalMemory = { read: () => undefined, write: () => undefined }
const memoryBytesMax = 1_500_000

/** Holds no secret. Without it a restart tells again what goes on, and cannot end what was begun. */
function memoryIn(home: Home, log: Log): LocalMemory {
  const path = home.file('alerts.json')
  let hasFailed = false
  return {
    read() {
      try {
        const bytes = readBounded(path, memoryBytesMax)
        return bytes === undefined ? undefined : (JSON.parse(bytes.toString('utf8')) as unknown)
      } catch (thrown) {
        log('warn', 'what this replica told before cannot be read', { file: path, error: thrown })
        return undefined
      }
    },
    write(value) {
      try {
        writeAtomically(path, Buffer.from(JSON.stringify(value)))
        hasFailed = false
      } catch (thrown) {
        if (!hasFailed) log('warn', 'what this replica tells cannot be kept', { file: path, error: thrown })
        hasFailed = true
      }
    },
  }
}

function receiverOf(receiver: AlertReceiverConfig, env: Environment): ChannelOptions {
  const read =
    (source: SecretSource): ReadSecret =>
    () =>
      readSource(source, env)
  switch (receiver.kind) {
    case 'webhook': {
      const { url, secret } = receiver
      return { kind: 'webhook', url: async () => new Secret(url), secret: read(secret) }
    }
    case 'slack':
      return { kind: 'slack', url: read(receiver.url) }
    case 'teams':
      return { kind: 'teams', url: read(receiver.url) }
    case 'pagerduty':
      return { ...receiver, routingKey: read(receiver.routingKey) }
    case 'sentry':
      return { kind: 'sentry', dsn: read(receiver.dsn) }
    case 'log':
      return receiver
    case 'datadog':
      return { ...receiver, apiKey: read(receiver.apiKey) }
    case 'email': {
      const { password, ...rest } = receiver
      return { ...rest, ...(password === undefined ? {} : { password: read(password) }) }
    }
  }
}

const secretBytesMax = 65_536

/** Read at every use, so that what was turned is used without a restart. */
async function readSource(source: SecretSource, env: Environment): Promise<Secret> {
  const where = 'env' in source ? `the variable ${source.env}` : source.file
  const trimmed = ('env' in source ? env[source.env] : secretIn(source.file))?.trim() ?? ''
  if (trimmed !== '') return new Secret(trimmed)
  throw new KeyturnError('config_invalid', `Its secret is not in ${where}.`, { fix: 'Put it there.' })
}

/** Undefined: there is no such file. */
function secretIn(file: string): string | undefined {
  try {
    return readBounded(file, secretBytesMax)?.toString('utf8')
  } catch (thrown) {
    const why = thrown instanceof KeyturnError ? thrown.message : (errnoOf(thrown) ?? 'unknown')
    throw new KeyturnError('config_invalid', `Its secret cannot be read from ${file}: ${why}`, {
      fix: 'It is to be a small file that the user Keyturn runs as may read.',
    })
  }
}

/** Tells installations apart for a receiver of several. It stands beside the ledger once that was open. */
async function installationOf(home: Home): Promise<string> {
  const text = await readFile(home.file('installation'), 'utf8').catch(() => '')
  return /^[0-9a-f]{8}$/.test(text.trim()) ? text.trim() : 'new'
}

function auditAlerts(reader: Pick<AuditReader, 'status'>): readonly Alert[] {
  const { sinks } = reader.status()
  const silent = sinks.filter(({ isTaking }) => !isTaking).map(({ name }) => name)
  if (silent.length === 0) return []
  const isAll = silent.length === sinks.length
  // With one place left rows are kept, and replies leave.
  const severity = isAll ? 'critical' : 'warning'
  const summary = `The audit journal cannot be written to ${silent.join(', ')}${isAll ? ', so that nothing is handed out where every read must be audited' : ''}.`
  const fix = 'Make room or mend the place; keyturn audit status says how it does.'
  return [ownAlert('audit_unavailable', { summary, fix, severity })]
}

function clockAlerts(ledgers: Pick<LedgerPlace, 'isOpen' | 'ledger'>): readonly Alert[] {
  const offMs = ledgers.isOpen() ? ledgers.ledger().clockOffMs?.() : undefined
  if (offMs === undefined) return []
  const where = `${Math.round(Math.abs(offMs) / 1_000)} s ${offMs > 0 ? 'behind' : 'ahead of'}`
  const summary = `The clock of ${hostname()} is ${where} the ledger’s; until it is right, this replica verifies and turns nothing.`
  const fix = 'Set the clock (chronyc makestep, or look at the time service of the machine).'
  return [ownAlert('clock_wrong', { summary, fix })]
}

function ownAlert(
  code: AlertCode,
  {
    severity = alertRules[code].severity,
    ...told
  }: { readonly summary: string; readonly fix: string; readonly severity?: Severity },
): Alert {
  return {
    id: `/${code}`,
    code,
    severity,
    level: levelOf(severity, 0),
    ...told,
    holdMs: alertRules[code].holdMs,
  }
}
