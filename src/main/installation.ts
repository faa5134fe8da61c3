import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Ledger, Log, Random } from '../core/ports.ts'

const idPattern = /^[0-9a-f]{8}$/

/**
 * The id of this installation, a part of the name of every key that it makes. It is the ledger's, and stands in a file
 * beside it as well, so that a ledger that was lost does not leave the keys it knew of to nobody.
 */
export async function installationId(
  ledger: Ledger,
  file: string | undefined,
  { system, log }: { readonly system: Random; readonly log: Log },
): Promise<string> {
  const kept = file === undefined ? undefined : read(file)
  const id = await ledger.once('installation', kept ?? system.uuid().slice(0, 8))
  if (file !== undefined && kept !== id) await keep(file, id, log)
  return id
}

function read(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return idPattern.test(text) ? text : undefined
  } catch {
    // Not there yet, or not readable: the ledger has it.
    return undefined
  }
}

/** What stands in it is needed only should the ledger be lost: a disk that does not take it is no reason not to start. */
async function keep(file: string, id: string, log: Log): Promise<void> {
  try {
    await writeFile(file, `${id}\n`, { mode: 0o600, flush: true })
  } catch (thrown) {
    log('warn', 'the id of this installation could not be kept beside the ledger', { file, error: thrown })
  }
}
