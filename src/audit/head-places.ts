import type { Ledger, SignedDocument } from '../core/ports.ts'
import { type AuditFiles, fileIn } from './files.ts'
import type { Head, HeadPlace } from './heads.ts'

/** The newest heads of one journal as the ledger keeps them: with PostgreSQL that is another machine. */
interface Kept {
  readonly heads: readonly SignedDocument[]
  /** Those after which others came that seal no later row: the journal was cut off, and went on. They stay as evidence. */
  readonly passed?: readonly SignedDocument[]
}

const keptMax = 8
const passedMax = 8
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
    async put(head, { seq }) {
      for (let tries = 0; tries < triesMax; tries += 1) {
        const known = await ledger.document(key)
        const { heads = [], passed = [] } = (known?.value ?? {}) as Partial<Kept>
        const further = heads.filter((one) => seqOf(one) >= seq)
        const others = heads.filter((one) => !further.includes(one))
        const evidence = [...passed, ...further].slice(0, passedMax)
        const value: Kept = {
          heads: [...others, head].slice(-keptMax),
          ...(evidence.length === 0 ? {} : { passed: evidence }),
        }
        if (await ledger.putDocument({ key, value, revision: known?.revision ?? 0 }))
          return evidence.length === 0 ? 'kept' : 'contradicted'
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
  const { heads = [], passed = [] } = (known?.value ?? {}) as Partial<Kept>
  return [...passed, ...heads]
}

/** As the head says itself; whether it is signed is looked at when the journal is verified. */
function seqOf({ payload }: SignedDocument): number {
  try {
    const { seq } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Partial<Head>
    return typeof seq === 'number' ? seq : 0
  } catch {
    return 0
  }
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
      if (files.size(path) > folderBytesMax) await keepNewest(files, folder, journal)
      return 'kept'
    },
  }
}

export function headsName(journal: string): string {
  return `${journal}.heads.jsonl`
}

/** What goes and is contradicted by what came later is evidence, and goes to a file of its own. */
async function keepNewest(files: AuditFiles, folder: string, journal: string): Promise<void> {
  const path = fileIn(folder, headsName(journal))
  const size = files.size(path)
  const all = files.read(path, 0, size)
  const cut = all.indexOf(0x0a, size - folderBytesMax / 2) + 1
  const lines = (bytes: Buffer): readonly string[] => bytes.toString('utf8').split('\n').slice(0, -1)
  let least = Math.min(...lines(all.subarray(cut)).map(seqIn))
  const passed: string[] = []
  for (const line of lines(all.subarray(0, cut)).toReversed()) {
    if (seqIn(line) > least) passed.push(line)
    least = Math.min(least, seqIn(line))
  }
  if (passed.length > 0) {
    const file = files.open(fileIn(folder, headsName(`${journal}.passed`)))
    try {
      await file.append(Buffer.from(`${passed.slice(0, passedMax).join('\n')}\n`))
    } finally {
      file.close()
    }
  }
  files.put(path, all.subarray(cut))
}

function seqIn(line: string): number {
  try {
    return seqOf(JSON.parse(line) as SignedDocument)
  } catch {
    return 0
  }
}
