import { lstatSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

/**
 * Refuses a file of code that anybody but the user that Keyturn runs as, and root, could change, replace, or give other
 * packages: the file, its folder, all folders above it, and on the way up each `node_modules` and the nearest
 * `package.json`, in which Node looks up what the code imports. `file` is a real path, free of links.
 *
 * Error code: `permissions_lax`. Windows has no such modes, so nothing is concluded there.
 */
export function assertOwnCode(file: string): void {
  const user = process.geteuid?.()
  if (user === undefined) return
  assertOwn(file, user)
  let hasPackage = false
  for (const folder of foldersAbove(file)) {
    const isOwnFolder = folder === dirname(file)
    assertOwn(folder, user, { mayBeSticky: !isOwnFolder })
    hasPackage ||= assertOwnIfThere(join(folder, 'package.json'), user)
    assertOwnIfThere(join(folder, 'node_modules'), user)
    if (!hasPackage && isOthersToWrite(statSync(folder))) throw packageless(file, folder)
  }
}

function* foldersAbove(file: string): Generator<string> {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    yield folder
    if (folder === dirname(folder)) return
  }
}

/** A link counts as what it leads to, and its owner may not be a stranger either. */
function assertOwnIfThere(path: string, user: number): boolean {
  try {
    const link = lstatSync(path)
    if (isStrangers(link, user)) throw strangers(path, user)
    assertOwn(path, user)
    return true
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return false
    throw thrown
  }
}

function assertOwn(path: string, user: number, { mayBeSticky = false } = {}): void {
  const found = statSync(path)
  if (isStrangers(found, user)) throw strangers(path, user)
  if (!isOthersToWrite(found)) return
  // In a sticky folder such as /tmp others can add files, and replace none that is not theirs.
  const isSticky = found.isDirectory() && (found.mode & 0o1000) !== 0
  if (isSticky && mayBeSticky) return
  throw new KeyturnError('permissions_lax', `Others may change ${path}, and what is in it runs as Keyturn.`, {
    fix: isSticky
      ? `Move it into a folder of its own, into which others cannot write.`
      : `chmod go-w '${path}'${isVolume(found) ? `. ${volumeHint}` : ''}`,
  })
}

function isOthersToWrite({ mode }: Stats): boolean {
  return (mode & 0o022) !== 0
}

function isStrangers({ uid }: Stats, user: number): boolean {
  return uid !== user && uid !== 0
}

/** The root of a volume of Kubernetes is 0777, and stays so whatever its defaultMode. */
function isVolume(found: Stats): boolean {
  return found.isDirectory() && (found.mode & 0o777) === 0o777
}

const volumeHint =
  'In Kubernetes put the module into the image, or mount it alone (subPath) into a folder of the image.'

function strangers(path: string, user: number): KeyturnError {
  return new KeyturnError(
    'permissions_lax',
    `${path} belongs to another user, and what is in it runs as Keyturn.`,
    {
      fix: `Look who put it there, and remove it. Where it is yours: chown ${user} '${path}'`,
    },
  )
}

/** Node would take the next one up, which others can put there at any time, also after this look. */
function packageless(file: string, folder: string): KeyturnError {
  return new KeyturnError(
    'permissions_lax',
    `Others may put a package.json into ${folder}, and it would be that of ${file}, which runs as Keyturn.`,
    {
      fix: `Move the module away from ${folder}, or give it one: echo '{}' > '${dirname(file)}/package.json'`,
    },
  )
}
