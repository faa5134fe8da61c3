import type { Ledger, SignedDocument } from '../core/ports.ts'
import { type AuditFiles, fileIn } from './files.ts'
import type { HeadPlace } from './heads.ts'

/** The newest heads of one journal as the ledger keeps them: with PostgreSQL that is another machine. */
interface Kept {
  readonly heads: readonly SignedDocument[]
}

const keptMax = 8
/** Beyond it the older half goes: what it sealed is sealed by the newer ones too. */
const folderBytesMax = 8 * 1024 * 1024
const triesMax = 5

function keyOf(journal: string): string {
  return `audit-heads/${journal}`
}

export function createLedgerHeads(
  ledger: Pick<Ledger, 'document' | 'putDocument'>,
  journal: string,
): HeadPlace {
  const key = keyOf(journal)
  return {
    name: 'ledger',
    async put(head) {
      for (let tries = 0; tries < triesMax; tries += 1) {
        const known = await ledger.document(key)
        const heads = (known?.value as Kept | undefined)?.heads ?? []
        const value: Kept = { heads: [...heads, head].slice(-keptMax) }
        if (await ledger.putDocument({ key, value, revision: known?.revision ?? 0 })) return
      }
      throw new Error('another process changes the same heads')
    },
  }
}

export async function headsInLedger(
  ledger: Pick<Ledger, 'document'>,
  journal: string,
): Promise<readonly SignedDocument[]> {
  const known = await ledger.document(keyOf(journal))
  return (known?.value as Kept | undefined)?.heads ?? []
}

/** One line per head, in a folder that is best on another volume. */
export function createFolderHeads(folder: string, journal: string, files: AuditFiles): HeadPlace {
  return {
    name: folder,
    async put(head) {
      files.list(folder)
      const path = fileIn(folder, headsName(journal))
      const file = files.open(path)
      try {
        await file.append(Buffer.from(`${JSON.stringify(head)}\n`))
      } finally {
        file.close()
      }
      if (files.size(path) > folderBytesMax) keepNewest(files, path)
    },
  }
}

export function headsName(journal: string): string {
  return `${journal}.heads.jsonl`
}

function keepNewest(files: AuditFiles, path: string): void {
  const half = files.read(path, files.size(path) - folderBytesMax / 2, folderBytesMax)
  files.put(path, half.subarray(half.indexOf(0x0a) + 1))
}
