import { basename } from 'node:path'
import type { AuditFiles } from '../../audit/files.ts'
import type { JournalVerification } from '../../audit/verify-journal.ts'
import { KeyturnError } from '../../core/errors.ts'
import type { SignedDocument } from '../../core/ports.ts'
import { headFilesAt, type JournalFiles, journalsAt } from '../audit-files.ts'
import { argument, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { findTrust } from './report-verify.ts'

interface Found {
  readonly folder: string
  readonly result: JournalVerification
}

/** Needs no service: the files, the key, and the heads of the second place; a service that runs is asked for its heads. */
export async function run(context: Context): Promise<ExitCode> {
  const { out } = context
  const journals = await journalsAt(context, argument(context, 0))
  const { trust } = await findTrust(context)
  const { headsByJournal, journalIdOf, verifyJournal } = await import('../../audit/verify-journal.ts')
  const { realFiles } = await import('../../audit/files.ts')
  const { thumbprint } = await import('../../audit/jwk.ts')
  if (trust.kind === 'nobody')
    throw new KeyturnError(
      'signing_key_unknown',
      'nobody vouches for the key that the journal is sealed with',
      {
        fix: 'Give the public key of the installation (keyturn report key): --key FILE, or --key-id ID where you have compared the id.',
      },
    )
  const keyId = trust.kind === 'id' ? trust.keyId : thumbprint(trust.jwk)
  const heads = headsByJournal(await headsFor(context))
  const unheld = new Set(heads.keys())
  const found = journals.map(({ folder, paths }: JournalFiles): Found => {
    const ids = [journalIdOf(realFiles, paths) ?? '', basename(folder)]
    const byId = ids.find((id) => heads.has(id))
    // Where there is one of each they belong together, whatever the journal says that it is.
    const [only] = heads.size === 1 && journals.length === 1 ? heads.keys() : []
    const own = heads.get(byId ?? only ?? '') ?? []
    unheld.delete(byId ?? only ?? '')
    return { folder, result: verifyJournal({ files: told(out, realFiles, paths), paths, keyId, heads: own }) }
  })
  if (out.isLive) out.redraw([])
  for (const { folder, result } of found)
    if (result.kind === 'intact' && !result.isHeld)
      out.warn(
        `${folder}: no heads of a second place were held against it, so rows that were cut off after row ${result.sealed} would not show: --heads PATH`,
      )
  for (const id of unheld)
    out.warn(
      `there are heads of the journal ${id}, and no such journal here: it is another replica's, or it was taken away`,
    )
  out.result({ isIntact: found.every(({ result }) => result.kind === 'intact'), journals: found }, () =>
    found.flatMap(linesOf),
  )
  const broken = found.find(({ result }) => result.kind === 'broken')
  if (broken?.result.kind !== 'broken') return exitCodes.done
  const { fault } = broken.result
  const where = fault.file === undefined ? '' : ` (${fault.file}:${fault.line ?? 0})`
  const what = fault.seq === 0 ? 'a head of the second place' : `row ${fault.seq}`
  throw new KeyturnError('audit_broken', `${what} is ${words[fault.kind]}${where}: ${fault.why}`, {
    fix:
      fault.kind === 'foreign'
        ? 'Where the journal is of another replica or installation, give its own key (--key FILE) and its own heads (--heads PATH, or --offline). Where it is not, keep the files as they are and compare them with another place that audit.sinks names.'
        : 'Keep the files as they are. Rows before this one are as they were written; compare the rest with another place that audit.sinks names.',
  })
}

/** How much is drawn at once: reading goes on in between. */
const drawBytes = 8_000_000

/** Reads as `files` does, and draws how far it has got where a person looks: a journal of a year takes a while. */
function told(
  out: Context['out'],
  files: Pick<AuditFiles, 'read' | 'size'>,
  paths: readonly string[],
): Pick<AuditFiles, 'read'> {
  if (!out.isLive) return files
  const total = paths.reduce((sum, path) => sum + files.size(path), 0)
  let read = 0
  let drawnAt = 0
  return {
    read(path, at, bytesMax) {
      const bytes = files.read(path, at, bytesMax)
      read += bytes.length
      if (read - drawnAt >= drawBytes) {
        drawnAt = read
        // Beginnings of files are read twice.
        const percent = Math.min(99, Math.floor((read / Math.max(1, total)) * 100))
        const file = paths.indexOf(path) + 1
        out.redraw([`verifying: file ${file} of ${paths.length}, ${percent} %`])
      }
      return bytes
    },
  }
}

const words = {
  changed: 'changed',
  removed: 'removed',
  reordered: 'out of order',
  cut_off: 'cut off',
  foreign: 'foreign',
} as const

function linesOf({ folder, result }: Found): readonly string[] {
  if (result.kind === 'broken') return [`${folder}: broken after ${result.rows} rows`]
  const { rows, first, last, sealed, isUnfinished } = result
  return [
    `${folder}: intact, rows ${first} to ${last} (${rows}), sealed through row ${sealed}`,
    ...(isUnfinished ? ['  its last line is not finished yet; nobody was told of it'] : []),
  ]
}

async function headsFor(context: Context): Promise<readonly SignedDocument[]> {
  const given = context.options.list('heads')
  if (given.length > 0) {
    const { readHeads } = await import('../../audit/verify-journal.ts')
    return given
      .flatMap((path) => headFilesAt(context, path))
      .flatMap((path) => readHeads(context.io.readFile(path) ?? ''))
  }
  if (context.options.has('offline')) return []
  try {
    return (await (await context.api()).auditHeads()).items
  } catch (thrown) {
    if (thrown instanceof KeyturnError) return []
    throw thrown
  }
}
