import { constants } from 'node:fs'
import { mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import type { System } from '../core/ports.ts'

/** A token as it is kept: never itself, only its SHA-256. */
export interface StoredToken {
  readonly id: string
  readonly name: string
  readonly role: 'app' | 'operator'
  readonly credentials: readonly string[]
  /** Lower-case hex of SHA-256 over the token. */
  readonly sha256: string
  readonly createdAt: number
  readonly expiresAt: number | null
  /** Coarse: written back every few minutes at most. */
  readonly lastUsedAt: number | null
}

export interface TokenFileContent {
  readonly tokens: readonly StoredToken[]
  /** Changes whenever the file does. */
  readonly signature: string
}

export const tokensMax = 1_000

const fileBytesMax = 2_000_000
const formatVersion = 1
const lockWaitMs = 5_000
const lockRetryMs = 20
/** A lock this old belongs to a process that died: a change takes milliseconds. */
const lockStaleMs = 10_000

/** What stat tells of the file without reading it; `absent` where there is none. */
export async function tokenFileSignature(path: string): Promise<string> {
  try {
    const { ino, mtimeNs, size } = await stat(path, { bigint: true })
    return `${ino}:${mtimeNs}:${size}`
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return 'absent'
    throw unreadable(path, thrown)
  }
}

/** An absent file holds no tokens. Refuses one that others may read, and one that is not whole. */
export async function readTokenFile(path: string): Promise<TokenFileContent> {
  const signature = await tokenFileSignature(path)
  if (signature === 'absent') return { tokens: [], signature }
  const text = await readPrivate(path).catch((thrown: unknown) => {
    throw thrown instanceof KeyturnError ? thrown : unreadable(path, thrown)
  })
  return { tokens: parse(path, text), signature }
}

/** What was opened is what is judged and read. Opening waits for nothing: a pipe in its place would hold up the start for ever. */
async function readPrivate(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const found = await file.stat()
    if (!found.isFile()) throw malformed(path, 'it is not a regular file')
    if ((found.mode & 0o077) !== 0)
      throw new KeyturnError(
        'permissions_lax',
        `The token file ${path} is open to other users of this machine.`,
        { fix: `chmod 600 ${path}` },
      )
    if (found.size > fileBytesMax) throw malformed(path, 'it is larger than it can be')
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Whole or not at all: written beside, flushed to disk, renamed over. */
export async function writeTokenFile(
  path: string,
  tokens: readonly StoredToken[],
  system: System,
): Promise<void> {
  const temporary = `${path}.${Buffer.from(system.bytes(6)).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(`${JSON.stringify({ version: formatVersion, tokens }, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    const folder = await open(dirname(path), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (thrown) {
    await unlink(temporary).catch(ignoreAbsent)
    throw unwritable(path, thrown)
  }
}

/**
 * Does the work while no other process changes the file: the command line may revoke a token at the very moment at which
 * the service notes that it was used, and the revocation must not get lost.
 */
export async function withTokenFileLock<Result>(
  path: string,
  system: System,
  work: () => Promise<Result>,
): Promise<Result> {
  const lock = `${path}.lock`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((thrown: unknown) => {
    throw unwritable(path, thrown)
  })
  for (let waitedMs = 0; !(await takeLock(lock, system)); waitedMs += lockRetryMs) {
    if (waitedMs >= lockWaitMs)
      throw new KeyturnError('conflict', `The token file ${path} is being changed by another process.`, {
        fix: `Try again; where no other keyturn runs, remove ${lock}.`,
        retryable: true,
      })
    await new Promise<void>((resolve) => system.after(lockRetryMs, resolve))
  }
  try {
    return await work()
  } finally {
    await unlink(lock).catch(ignoreAbsent)
  }
}

async function takeLock(lock: string, system: System): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw unwritable(lock, thrown)
  }
  const takenAt = await stat(lock).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
  if (takenAt !== undefined && system.now() - takenAt > lockStaleMs) await unlink(lock).catch(ignoreAbsent)
  return false
}

function parse(path: string, text: string): readonly StoredToken[] {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    // The message of JSON.parse quotes the text; the place to look at is the file itself.
    throw malformed(path, 'it is not JSON')
  }
  if (!isRecord(content) || !Array.isArray(content['tokens']))
    throw malformed(path, 'it has no list of tokens')
  if (content['version'] !== formatVersion)
    throw malformed(path, `its version is not ${formatVersion}; was it written by a newer keyturn?`)
  const tokens: readonly unknown[] = content['tokens']
  if (tokens.length > tokensMax) throw malformed(path, `it holds more than ${tokensMax} tokens`)
  return tokens.map((token, index) => {
    if (!isStoredToken(token)) throw malformed(path, `entry ${index + 1} is no token`)
    return token
  })
}

function isStoredToken(value: unknown): value is StoredToken {
  if (!isRecord(value)) return false
  const { id, name, role, credentials, sha256, createdAt, expiresAt, lastUsedAt } = value
  return (
    typeof id === 'string' &&
    typeof name === 'string' &&
    (role === 'app' || role === 'operator') &&
    Array.isArray(credentials) &&
    credentials.every((credential) => typeof credential === 'string') &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isFinite(createdAt) &&
    (expiresAt === null || Number.isFinite(expiresAt)) &&
    (lastUsedAt === null || Number.isFinite(lastUsedAt))
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(path: string, what: string): KeyturnError {
  return new KeyturnError('config_invalid', `The token file ${path} cannot be used: ${what}.`, {
    fix: 'Restore it from a backup, or move it away and make new tokens with `keyturn token create`.',
  })
}

function unreadable(path: string, thrown: unknown): KeyturnError {
  return new KeyturnError('config_invalid', `The token file ${path} cannot be read (${codeOf(thrown)}).`, {
    fix: `Let the user that runs keyturn read ${path}.`,
    cause: thrown,
  })
}

function unwritable(path: string, thrown: unknown): KeyturnError {
  return new KeyturnError('config_invalid', `The token file ${path} cannot be written (${codeOf(thrown)}).`, {
    fix: `Let the user that runs keyturn write to ${dirname(path)}, and see that the disk is not full.`,
    cause: thrown,
  })
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : 'unknown'
}

/** Someone else removed it first, which is as good. */
function ignoreAbsent(thrown: unknown): void {
  if (codeOf(thrown) !== 'ENOENT') throw thrown
}
