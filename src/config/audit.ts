import { join } from 'node:path'
import type { z } from 'zod'
import type { auditSchema } from './audit-schema.ts'
import { durationMs } from './duration.ts'
import type { AuditConfig, AuditPlaceConfig, Report, SecretSource } from './types.ts'

type Written = z.infer<typeof auditSchema>
type WrittenSink = NonNullable<Written['sinks']>[number]

const megabyte = 1_000_000

export function buildAudit(
  written: Written,
  context: { readonly home: string; readonly resolve: (path: string) => string; readonly report: Report },
): AuditConfig {
  const { home, resolve, report } = context
  const place = (one: WrittenSink): AuditPlaceConfig => {
    if ('file' in one) return { kind: 'file', folder: resolve(one.file) }
    if ('syslog' in one) return { kind: 'syslog', address: one.syslog }
    return {
      kind: 'webhook',
      url: one.webhook,
      ...(one.bearer === undefined ? {} : { bearer: source(one.bearer, resolve) }),
      ...(one.hmac === undefined ? {} : { hmac: source(one.hmac, resolve) }),
    }
  }
  const sinks = written.sinks?.map(place) ?? [{ kind: 'file' as const, folder: join(home, 'audit') }]
  if (sinks.every(({ kind }) => kind === 'syslog'))
    report(
      ['audit', 'sinks'],
      'no place confirms that it has a row',
      'Add { file: FOLDER } or a webhook: syslog says nothing, so no reply could rely on it.',
    )
  const folders = sinks.flatMap((one) => (one.kind === 'file' ? [one.folder] : []))
  if (new Set(folders).size < folders.length)
    report(['audit', 'sinks'], 'a folder is named twice', 'Name another one, best on another volume.')
  return {
    reads: written.reads,
    waitMs: durationMs(written.wait),
    sinks,
    heads: written.heads.map((one) => {
      if (one === 'ledger') return { kind: 'ledger' as const }
      const built = place(one)
      if (built.kind === 'file' && folders.includes(built.folder))
        report(
          ['audit', 'heads'],
          'the heads stand beside the rows that they seal',
          'Name another folder, best on another volume: whoever can change one place should not reach both.',
        )
      return built
    }),
    keepMs: durationMs(written.keep),
    keepBytes: written.keepMegabytes * megabyte,
  }
}

/** Without a file: one folder in the home folder, heads in the ledger. */
export function defaultAudit(home: string, reads: AuditConfig['reads']): AuditConfig {
  return {
    reads,
    waitMs: 2_000,
    sinks: [{ kind: 'file', folder: join(home, 'audit') }],
    heads: [{ kind: 'ledger' }],
    keepMs: 400 * 86_400_000,
    keepBytes: 10_240 * megabyte,
  }
}

function source(written: SecretSource, resolve: (path: string) => string): SecretSource {
  return 'file' in written ? { file: resolve(written.file) } : written
}
