import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { realFiles } from '../audit/files.ts'
import { createFolderHeads, createLedgerHeads, headsInLedger } from '../audit/head-places.ts'
import { createHeadKeeper, type HeadPlace } from '../audit/heads.ts'
import { openJournal } from '../audit/open-journal.ts'
import { createPacedPages } from '../audit/paced-pages.ts'
import { createRepeats } from '../audit/repeats.ts'
import type { Sink } from '../audit/sink.ts'
import { defaultAudit } from '../config/audit.ts'
import type { AuditConfig, AuditPlaceConfig, SecretSource } from '../config.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Audit, Ledger, Log, Signer, System } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { AuditReader } from '../server/audit-routes.ts'
import { every } from '../server/ticker.ts'
import type { Environment } from './compose.ts'
import type { Home } from './home.ts'

export interface AuditOptions {
  /** Absent: the default, with reads as given. */
  readonly config: AuditConfig | undefined
  readonly isSandbox: boolean
  readonly home: Home
  readonly ledger: Pick<Ledger, 'document' | 'putDocument'>
  readonly signer: Signer
  readonly env: Environment
  readonly version: string
  readonly system: System
  readonly log: Log
}

export interface OpenedAudit {
  readonly audit: Audit
  /** For what may come as often as somebody likes. */
  readonly repeats: Audit
  readonly id: string
  readonly folders: readonly string[]
  readonly reader: AuditReader
  /** Writes what is left, seals it, and closes. */
  close(): Promise<void>
}

const pruneEveryMs = 3_600_000

export async function openAudit(options: AuditOptions): Promise<OpenedAudit> {
  const { home, ledger, signer, system, log } = options
  const config = options.config ?? defaultAudit(home.path, defaultReads(options))
  const id = journalId(home, system)
  const others: Sink[] = []
  for (const place of config.sinks) if (place.kind !== 'file') others.push(await sinkOf(place, options))
  const { journal, folders, prune } = await openJournal({
    id,
    folders: config.sinks.flatMap((one) => (one.kind === 'file' ? [one.folder] : [])),
    others,
    reads: config.reads,
    waitMs: config.waitMs,
    keep: { ms: config.keepMs, bytes: config.keepBytes },
    keyturn: options.version,
    files: realFiles,
    system,
    log,
    // One write for all that came in one turn of the event loop.
    soon,
  })
  const places: HeadPlace[] = []
  for (const place of config.heads) {
    if (place.kind === 'ledger') places.push(createLedgerHeads(ledger, id))
    else if (place.kind === 'file') places.push(createFolderHeads(place.folder, id, realFiles))
    else if (place.kind === 'webhook') {
      const { createWebhookHeads } = await import('../audit/webhook-sink.ts')
      places.push(createWebhookHeads(webhookOf(place, options)))
    }
  }
  const heads = createHeadKeeper({ journal, id, signer, places, system, log })
  const repeats = createRepeats(journal, system)
  const status: AuditReader['status'] = () => {
    const { sealed, troubles } = heads.status()
    return { ...journal.status(), reads: config.reads, sealed, headTroubles: troubles }
  }
  const [shown] = folders
  const pages = shown === undefined ? undefined : createPacedPages({ files: realFiles, folder: shown, soon })
  const stopPruning = every(system, pruneEveryMs, () => void prune(() => heads.seal()))
  void prune(() => heads.seal())
  return {
    audit: journal,
    repeats,
    id,
    folders,
    reader: {
      async page(query) {
        if (pages === undefined)
          throw new KeyturnError('not_found', 'No folder holds the audit journal of this service.', {
            fix: 'Name one under audit.sinks, or ask where its webhook goes.',
          })
        const { rows, through, isEnd } = await pages(query)
        return { journal: id, items: rows, through, isEnd }
      },
      async heads() {
        const isInLedger = config.heads.some(({ kind }) => kind === 'ledger')
        return { ...status(), items: isInLedger ? await headsInLedger(ledger, id) : [] }
      },
      status,
    },
    async close() {
      stopPruning()
      heads.stop()
      repeats.flush()
      await journal.note('closed', {}).catch(() => undefined)
      await heads.seal()
      await journal.close()
    },
  }
}

function soon(callback: () => void): void {
  setImmediate(callback)
}

/** The sandbox shows either way; what is configured is not overruled by an environment. */
function defaultReads({ isSandbox, env }: AuditOptions): AuditConfig['reads'] {
  if (!isSandbox) return 'durable'
  const asked = env['KEYTURN_SANDBOX_AUDIT_READS']?.trim()
  return asked === 'durable' || asked === 'off' ? asked : 'async'
}

async function sinkOf(
  place: Exclude<AuditPlaceConfig, { kind: 'file' }>,
  options: AuditOptions,
): Promise<Sink> {
  if (place.kind === 'syslog') {
    const { createSyslogSink } = await import('../audit/syslog-sink.ts')
    return createSyslogSink(place)
  }
  const { createWebhookSink } = await import('../audit/webhook-sink.ts')
  return createWebhookSink(webhookOf(place, options))
}

function webhookOf(
  { url, bearer, hmac }: Extract<AuditPlaceConfig, { kind: 'webhook' }>,
  { env, system }: AuditOptions,
) {
  const reader = (source: NonNullable<typeof bearer>) => (): Promise<Secret> => readSource(source, env)
  return {
    url,
    clock: system,
    ...(bearer === undefined ? {} : { bearer: reader(bearer) }),
    ...(hmac === undefined ? {} : { hmac: reader(hmac) }),
  }
}

async function readSource(source: SecretSource, env: Environment): Promise<Secret> {
  const text = ('env' in source ? env[source.env] : await readFile(source.file, 'utf8'))?.trim() ?? ''
  if (text !== '') return new Secret(text)
  const where = 'env' in source ? `the variable ${source.env}` : source.file
  throw new KeyturnError('config_invalid', `The secret of the audit webhook is not in ${where}.`, {
    fix: `Put it into ${where}.`,
  })
}

const idPattern = /^[0-9a-f]{16}$/

/** One journal per home folder: two processes that write to one chain would break it. */
function journalId(home: Home, system: System): string {
  const path = home.file('audit-journal')
  const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  if (idPattern.test(known)) return known
  const id = Buffer.from(system.bytes(8)).toString('hex')
  writeFileSync(path, `${id}\n`, { mode: 0o600 })
  return id
}
