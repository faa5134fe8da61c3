import { constants, lstatSync, type Stats, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { KeyturnError } from '../core/errors.ts'

/** Whoever reads one of these can do what it is for. What was readable once may have been read: a chmod alone does not mend it. */
export const secretFiles: Readonly<Record<string, string>> = {
  'operator.token': 'revoke that token (keyturn token revoke) and remove the file: a new one is made',
  'app.token': 'revoke that token (keyturn token revoke) and remove the file: a new one is made',
  'signing-key.pem': 'where others may have read it, move it away: a new one is made',
}

/** No secrets; but whoever can write them decides what Keyturn believes. (That nobody may read the tokens' hashes either is seen to where they are read.) */
export const believedFiles: readonly string[] = [
  'audit-journal',
  'installation',
  'ledger.db',
  'signing-key.pub',
  'tokens-kept.json',
  'tokens.json',
]

/**
 * Refuses to start where a file of the home is a link, belongs to somebody else, or is open to others.
 * `permissions_lax`, with what to do. Windows has no such modes, so nothing is concluded there.
 */
export function assertPrivateFiles(file: (name: string) => string, uid: number | undefined): void {
  if (uid === undefined) return
  for (const [name, remedy] of Object.entries(secretFiles)) {
    const path = file(name)
    const found = look(path)
    if (found === undefined) continue
    refuseForeign(path, found, uid)
    if ((found.mode & 0o077) !== 0)
      throw lax(`Others on this machine can read ${path}.`, `chmod 600 '${path}'; then ${remedy}.`)
  }
  for (const name of believedFiles) {
    const path = file(name)
    const found = look(path)
    if (found === undefined) continue
    refuseForeign(path, found, uid)
    if ((found.mode & 0o022) !== 0)
      throw lax(
        `Others on this machine can write ${path}.`,
        `chmod go-w '${path}', and look at what is in it.`,
      )
  }
}

/**
 * The same of the configuration, the policy and certificates, which say where keys are sent and who gets them: a link is followed, since that is how they are
 * mounted, and the superuser may own it.
 */
export function assertOwnConfiguration(path: string, uid: number | undefined): void {
  // What came from no file has a word in place of a path.
  if (uid === undefined || !isAbsolute(path)) return
  const found = statSync(path, { throwIfNoEntry: false })
  if (found !== undefined) refuseOfOthers(path, found, uid)
}

/** The same, and its text: what was opened is what is judged and read, however often it is read again. */
export async function readOwnConfiguration(path: string, uid: number | undefined): Promise<string> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    if (uid !== undefined) refuseOfOthers(path, await file.stat(), uid)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function refuseOfOthers(path: string, found: Stats, uid: number): void {
  if (found.uid !== uid && found.uid !== 0)
    throw lax(
      `${path} belongs to another user, who can say with it who gets keys and where they are sent.`,
      `chown it to the user that runs Keyturn, or to root.`,
    )
  if ((found.mode & 0o022) !== 0)
    throw lax(
      `Others on this machine can write ${path}, and with it say who gets keys and where they are sent.`,
      `chmod go-w '${path}', and look at what is in it.`,
    )
}

function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function refuseForeign(path: string, found: Stats, uid: number): void {
  if (found.isSymbolicLink())
    throw lax(
      `${path} is a link, and whoever set it chose what Keyturn reads.`,
      `Put the file itself there: ls -l '${path}'`,
    )
  if (!found.isFile()) throw lax(`${path} is not a file.`, `See what is there: ls -ld '${path}'`)
  if (found.uid !== uid)
    throw lax(`${path} belongs to another user.`, `chown it to the user that runs Keyturn: ls -l '${path}'`)
}

function lax(message: string, fix: string): KeyturnError {
  return new KeyturnError('permissions_lax', message, { fix })
}
