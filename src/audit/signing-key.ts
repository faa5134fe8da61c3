import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { errnoOf, errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Signer } from '../core/ports.ts'
import { type PublicJwk, publicJwk, thumbprint } from './jwk.ts'
import { signDocument } from './jws.ts'

const privateMode = 0o600
const publicMode = 0o644

/**
 * The installation's signing key: Ed25519, made when it is first needed, in a file that only this user can read. It never
 * leaves; what others verify with stands beside it. A file that is damaged is left as it is and never replaced: documents
 * would be signed by a key that nobody expects.
 *
 * Errors: `file_unusable`, `permissions_lax`. Handing out keys does not depend on any of this.
 */
export function createSigner(files: { readonly privateFile: string; readonly publicFile: string }): Signer {
  let known: { readonly privateKey: KeyObject; readonly jwk: PublicJwk; readonly pem: string } | undefined
  const open = (): NonNullable<typeof known> => {
    if (known !== undefined) return known
    const privateKey = readKey(files.privateFile) ?? makeKey(files.privateFile)
    const publicKey = createPublicKey(privateKey)
    const pem = String(publicKey.export({ type: 'spki', format: 'pem' }))
    writePublic(files.publicFile, pem)
    known = { privateKey, jwk: publicJwk(publicKey), pem }
    return known
  }
  return {
    async publicKey() {
      const { jwk, pem } = open()
      return { keyId: thumbprint(jwk), jwk, pem }
    },
    async sign(payload, typ) {
      const { privateKey, jwk } = open()
      return signDocument(payload, { privateKey, jwk, typ })
    },
  }
}

function readKey(path: string): KeyObject | undefined {
  const text = readIfThere(path)
  if (text === undefined) return undefined
  tighten(path)
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (thrown) {
    throw unusable(path, thrown)
  }
  throw unusable(path, undefined)
}

function unusable(path: string, cause: unknown): KeyturnError {
  return new KeyturnError('file_unusable', `The signing key ${path} is no private key of Ed25519.`, {
    fix: `Restore it from a backup; or move it away (mv ${path} ${path}.damaged): a new one is made, whose public half those who verify reports have to get anew.`,
    cause,
  })
}

function tighten(path: string): void {
  if (process.platform === 'win32' || (statSync(path).mode & 0o077) === 0) return
  try {
    chmodSync(path, privateMode)
  } catch (thrown) {
    throw new KeyturnError('permissions_lax', `Others may read the signing key ${path}.`, {
      fix: `As the file's owner: chmod 600 ${path}`,
      cause: thrown,
    })
  }
}

/** Whole or not at all, and never over one that another process has made meanwhile: theirs is taken then. */
function makeKey(path: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return writing(path, () => {
    const temporary = writeTemporary(path, pem, privateMode)
    try {
      linkSync(temporary, path)
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EEXIST') throw thrown
    } finally {
      rmSync(temporary, { force: true })
    }
    syncFolder(path)
    return readKey(path) ?? privateKey
  })
}

function writePublic(path: string, pem: string): void {
  if (readIfThere(path) === pem) return
  writing(path, () => {
    renameSync(writeTemporary(path, pem, publicMode), path)
    syncFolder(path)
  })
}

function writeTemporary(path: string, text: string, mode: number): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const handle = openSync(temporary, 'wx', mode)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  return temporary
}

/** What was linked or renamed is durable only when its folder is. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(dirname(path), 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined
    throw new KeyturnError(
      'file_unusable',
      `The signing key ${path} cannot be read (${errnoText(thrown)}).`,
      {
        fix: 'Give the user that runs Keyturn read access to it.',
        cause: thrown,
      },
    )
  }
}

function writing<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof KeyturnError) throw thrown
    throw new KeyturnError(
      'file_unusable',
      `The signing key ${path} cannot be written (${errnoText(thrown)}).`,
      {
        fix: `Give the user that runs Keyturn write access to ${dirname(path)}, and look whether the disk is full.`,
        cause: thrown,
      },
    )
  }
}
