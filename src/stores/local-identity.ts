import { linkSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type * as AgePackage from 'age-encryption'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { assertPrivate, fileError, readBounded, syncFolder, writeAtomically, writeNew } from './files.ts'

export type Age = typeof AgePackage

export interface PassphraseOptions {
  /** A file whose content, without its last newline, is the passphrase that wraps the identity. */
  readonly passphraseFile?: string
  /** Or the name of an environment variable that holds it. Never the passphrase itself. */
  readonly passphraseVariable?: string
}

const identityPattern = /^AGE-SECRET-KEY-1[0-9A-Z]+$/m
const ageHeader = 'age-encryption.org/'
/** Also of a passphrase. An identity has a few hundred bytes with all comments. */
const identityBytesMax = 65_536

/**
 * The X25519 identity that opens the store's files, in the format of age-keygen, made on first use. With a passphrase
 * the file is itself an age file; unwrapping it costs about a second and 333 MB (scrypt), hence once and never per
 * secret. One in the clear is wrapped in place as soon as a passphrase is configured.
 */
export async function openIdentity(
  age: Age,
  request: {
    readonly path: string
    readonly folder: string
    readonly options: PassphraseOptions
    /** What the log says when it was made. */
    readonly madeText?: string
  },
  context: StoreContext,
): Promise<string> {
  const { path } = request
  const passphrase = readPassphrase(request.options, context)
  const bytes = readIfThere(path) ?? (await generate(age, { ...request, passphrase }, context))
  assertPrivate(path, 'file')
  const text = Buffer.from(bytes).toString()
  if (text.startsWith(ageHeader)) return identityIn(await unwrap(age, { bytes, path, passphrase }), path)
  const identity = identityIn(text, path)
  if (passphrase !== undefined) {
    writeAtomically(path, await wrap(age, text, passphrase))
    context.log('info', 'wrapped the identity file with the passphrase', { path })
  }
  return identity
}

async function generate(
  age: Age,
  request: {
    readonly path: string
    readonly folder: string
    readonly passphrase: string | undefined
    readonly madeText?: string
  },
  context: StoreContext,
): Promise<Uint8Array> {
  const { path, folder, passphrase } = request
  if (hasEncryptedFiles(folder))
    throw new KeyturnError(
      'store_absent',
      `The identity file ${path} is missing, but ${folder} has secrets.`,
      {
        fix: 'Restore the identity file from a backup: without it nobody can open the secrets, and a new one would not help.',
      },
    )
  const identity = await age.generateX25519Identity()
  const recipient = await age.identityToRecipient(identity)
  const created = new Date(context.system.now()).toISOString()
  const text = `# created: ${created}\n# public key: ${recipient}\n${identity}\n`
  const bytes = passphrase === undefined ? Buffer.from(text) : await wrap(age, text, passphrase)
  const temporary = join(dirname(path), `.identity-${context.system.uuid()}.tmp`)
  try {
    writeNew(temporary, bytes)
    // A hard link, unlike a rename, fails where another process was first: then theirs is the identity.
    linkSync(temporary, path)
    syncFolder(dirname(path))
    const made = request.madeText ?? 'made the identity file of the local store: back it up'
    context.log('info', made, { path, recipient })
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw fileError(thrown, path, 'write')
  } finally {
    rmSync(temporary, { force: true })
  }
  const made = readIfThere(path)
  if (made !== undefined) return made
  throw new KeyturnError('store_absent', `The identity file ${path} vanished while it was made.`, {
    fix: 'Start again, and see what removes files there.',
  })
}

async function wrap(age: Age, text: string, passphrase: string): Promise<Uint8Array> {
  const encrypter = new age.Encrypter()
  encrypter.setPassphrase(passphrase)
  return encrypter.encrypt(text)
}

async function unwrap(
  age: Age,
  wrapped: { readonly bytes: Uint8Array; readonly path: string; readonly passphrase: string | undefined },
): Promise<string> {
  if (wrapped.passphrase === undefined)
    throw new KeyturnError(
      'config_missing',
      `The identity file ${wrapped.path} is wrapped by a passphrase.`,
      {
        fix: 'Name the passphrase in the store configuration: passphraseFile or passphraseVariable.',
      },
    )
  try {
    const decrypter = new age.Decrypter()
    decrypter.addPassphrase(wrapped.passphrase)
    return await decrypter.decrypt(wrapped.bytes, 'text')
  } catch {
    // The package does not tell a wrong passphrase from a damaged file, and its words are of no help here.
    throw new KeyturnError(
      'store_denied',
      `The passphrase does not open the identity file ${wrapped.path}.`,
      {
        fix: 'Check the passphrase; where it is right, the file is damaged: restore it from a backup.',
      },
    )
  }
}

function identityIn(text: string, path: string): string {
  const identity = identityPattern.exec(text)?.[0]
  if (identity !== undefined) return identity
  throw new KeyturnError('store_malformed', `The file ${path} holds no X25519 identity.`, {
    fix: 'Restore it from a backup; it has a line that begins with AGE-SECRET-KEY-1.',
  })
}

function readPassphrase(options: PassphraseOptions, context: StoreContext): string | undefined {
  const { passphraseFile, passphraseVariable } = options
  if (passphraseFile !== undefined && passphraseVariable !== undefined)
    throw new KeyturnError(
      'config_invalid',
      'The local store has both passphraseFile and passphraseVariable.',
      {
        fix: 'Keep one of them.',
      },
    )
  if (passphraseVariable !== undefined)
    return nonEmpty(context.env[passphraseVariable], `The variable ${passphraseVariable}`)
  if (passphraseFile === undefined) return undefined
  const path = resolvePath(context, passphraseFile)
  const bytes = readIfThere(path)
  const text = bytes === undefined ? undefined : Buffer.from(bytes).toString()
  return nonEmpty(text?.replace(/\r?\n$/, ''), `The file ${path}`)
}

function nonEmpty(passphrase: string | undefined, where: string): string {
  if (passphrase !== undefined && passphrase !== '') return passphrase
  throw new KeyturnError('config_missing', `${where} that should hold the passphrase is missing or empty.`, {
    fix: 'Put the passphrase there, or take the setting out of the store configuration.',
  })
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readBounded(path, identityBytesMax)
  } catch (thrown) {
    throw fileError(thrown, path, 'read')
  }
}

function hasEncryptedFiles(folder: string): boolean {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.age'))
}
