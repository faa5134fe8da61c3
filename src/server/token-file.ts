import { constants } from 'node:fs'
import { open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf, errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { allGrants, type GrantRule } from '../core/grants.ts'
import { isRecord } from '../core/json.ts'
import type { System } from '../core/ports.ts'
import { withLock } from './token-lock.ts'
import { type ShelfContent, type StoredToken, type TokenShelf, tokensMax } from './token-shelf.ts'

const fileBytesMax = 2_000_000
const formatVersion = 1

/** The tokens of one machine: a file in the home folder, apart from the ledger, so that a lost ledger locks nobody out. */
export function createTokenFile(path: string, system: System): TokenShelf {
  return {
    where: `the token file ${path}`,
    read: () => readTokenFile(path),
    signature: () => tokenFileSignature(path),
    change: (work) =>
      withLock(path, system, async () => {
        const { tokens, result } = work((await readTokenFile(path)).tokens)
        await writeTokenFile(path, tokens, system)
        return { content: { tokens, signature: await tokenFileSignature(path) }, result }
      }),
    close: async () => {},
  }
}

/** What stat tells of the file without reading it; `absent` where there is none. */
async function tokenFileSignature(path: string): Promise<string> {
  try {
    const { ino, mtimeNs, size } = await stat(path, { bigint: true })
    return `${ino}:${mtimeNs}:${size}`
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return 'absent'
    throw unreadable(path, thrown)
  }
}

/** An absent file holds no tokens. Refuses one that others may read, and one that is not whole. */
async function readTokenFile(path: string): Promise<ShelfContent> {
  const signature = await tokenFileSignature(path)
  if (signature === 'absent') return { tokens: [], signature }
  const text = await readPrivate(path).catch((thrown: unknown) => {
    throw thrown instanceof KeyturnError ? thrown : unreadable(path, thrown)
  })
  return { tokens: parseTokens(`The token file ${path}`, text), signature }
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
async function writeTokenFile(path: string, tokens: readonly StoredToken[], system: System): Promise<void> {
  const temporary = `${path}.${Buffer.from(system.bytes(6)).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(tokensText(tokens))
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

/** The tokens as they lie on any shelf. */
export function tokensText(tokens: readonly StoredToken[]): string {
  return `${JSON.stringify({ version: formatVersion, tokens }, null, 2)}\n`
}

/** What `tokensText` wrote, looked through. `where` begins the sentence that says what is wrong with it. */
export function parseTokens(where: string, text: string): readonly StoredToken[] {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    // The message of JSON.parse quotes the text; the place to look at is the file itself.
    throw notTokens(where, 'it is not JSON')
  }
  if (!isRecord(content) || !Array.isArray(content['tokens']))
    throw notTokens(where, 'it has no list of tokens')
  if (content['version'] !== formatVersion)
    throw notTokens(where, `its version is not ${formatVersion}; was it written by a newer keyturn?`)
  const tokens: readonly unknown[] = content['tokens']
  if (tokens.length > tokensMax) throw notTokens(where, `it holds more than ${tokensMax} tokens`)
  return tokens.map((token, index) => {
    if (!isStoredToken(token)) throw notTokens(where, `entry ${index + 1} is no token`)
    return token
  })
}

function isStoredToken(value: unknown): value is StoredToken {
  if (!isRecord(value)) return false
  const { id, name, role, credentials, grants, person, sha256, createdAt, expiresAt, lastUsedAt } = value
  return (
    typeof id === 'string' &&
    typeof name === 'string' &&
    (role === 'app' || role === 'operator') &&
    isTextList(credentials) &&
    (grants === undefined || (Array.isArray(grants) && grants.every(isGrantRule))) &&
    (person === undefined || typeof person === 'string') &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isFinite(createdAt) &&
    (expiresAt === null || Number.isFinite(expiresAt)) &&
    (lastUsedAt === null || Number.isFinite(lastUsedAt))
  )
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function isGrantRule(value: unknown): value is GrantRule {
  if (!isRecord(value) || !isTextList(value['credentials']) || !isTextList(value['may'])) return false
  return value['may'].every((grant) => allGrants.some((known) => known === grant))
}

function malformed(path: string, what: string): KeyturnError {
  return notTokens(`The token file ${path}`, what)
}

function notTokens(where: string, what: string): KeyturnError {
  return new KeyturnError('config_invalid', `${where} cannot be used: ${what}.`, {
    fix: 'Restore it from a backup, or move it away and make new tokens with `keyturn token create`.',
  })
}

function unreadable(path: string, thrown: unknown): KeyturnError {
  return new KeyturnError('config_invalid', `The token file ${path} cannot be read (${errnoText(thrown)}).`, {
    fix: `Let the user that runs keyturn read ${path}.`,
    cause: thrown,
  })
}

function unwritable(path: string, thrown: unknown): KeyturnError {
  return new KeyturnError(
    'config_invalid',
    `The token file ${path} cannot be written (${errnoText(thrown)}).`,
    {
      fix: `Let the user that runs keyturn write to ${dirname(path)}, and see that the disk is not full.`,
      cause: thrown,
    },
  )
}

/** Someone else removed it first, which is as good. */
function ignoreAbsent(thrown: unknown): void {
  if (errnoOf(thrown) !== 'ENOENT') throw thrown
}
