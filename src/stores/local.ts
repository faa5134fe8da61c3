import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import type { PermissionFinding, SecretStore, StoreCapabilities, StoredVersion } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { VersionId } from '../core/types.ts'
import { decryptBytes, encryptBytes } from './age-bytes.ts'
import { assertVersionId, resolvePath, type StoreContext } from './context.ts'
import {
  assertPrivate,
  fileError,
  makePrivateFolder,
  readBounded,
  removeDurably,
  removeTemporaries,
  writeAtomically,
} from './files.ts'
import { openFolderLock } from './folder-lock.ts'
import { openIdentity, type PassphraseOptions } from './local-identity.ts'
import {
  annotateOn,
  describeShelf,
  destroyOn,
  emptyShelf,
  find,
  otherSecretError,
  promoteOn,
  retireOn,
  type Shelf,
  stageOn,
} from './shelf.ts'
import { readShelf, writeShelf } from './shelf-document.ts'
import { assertStorable, secretBytesMax } from './values.ts'
import { watchPath } from './watch-path.ts'

export interface LocalStoreOptions extends PassphraseOptions {
  /** Default `secrets`. Made with mode 0700. On a local disk: locks over NFS or SMB cannot be relied on. */
  readonly folder?: string
  /** The age identity that opens the files. Default `identity.txt` in the folder; made on first use with mode 0600. */
  readonly identityFile?: string
}

const capabilities: StoreCapabilities = {
  kind: 'local',
  writable: true,
  staging: 'native',
  cas: 'native',
  destroy: 'version',
  propagationMs: 0,
}

const pointerName = 'pointer.json'
/** A hundred versions with all their metadata stay below a quarter of it. */
const pointerBytesMax = 1_048_576
/** What age adds to a secret is a few hundred bytes. */
const versionBytesMax = 2 * secretBytesMax
/** A read that meets a version being destroyed looks at the pointer once more. */
const readAttemptsMax = 2

/**
 * Secrets in a folder, each version an age file that `age -d -i identity.txt` opens, beside one pointer document that
 * says which is which and holds no secret. `ref` is any text; it names a folder inside.
 *
 * Error codes: `bad_request`, `config_invalid`, `config_missing`, `permissions_lax`, `store_absent`, `store_conflict`,
 * `store_denied`, `store_malformed`, `store_too_large`, `store_unreachable`.
 */
export async function openLocalStore(
  options: LocalStoreOptions,
  context: StoreContext,
): Promise<SecretStore> {
  const folder = resolvePath(context, options.folder ?? 'secrets')
  prepareFolder(folder)
  const age = await import('age-encryption')
  const identityPath =
    options.identityFile === undefined
      ? join(folder, 'identity.txt')
      : resolvePath(context, options.identityFile)
  const identity = await openIdentity(age, { path: identityPath, folder, options }, context)
  const encrypter = new age.Encrypter()
  encrypter.addRecipient(await age.identityToRecipient(identity))
  const decrypter = new age.Decrypter()
  decrypter.addIdentity(identity)
  const lock = openFolderLock(join(folder, 'lock.db'), context.system)

  const openFile = async (path: string): Promise<Secret | undefined> => {
    const bytes = readBytes(path, versionBytesMax)
    if (bytes === undefined) return undefined
    try {
      return new Secret(
        new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
          await decryptBytes(decrypter, bytes),
        ),
      )
    } catch {
      // Whatever the package says of it, the file is no age file for this identity; its words are left out on purpose.
      throw new KeyturnError('store_malformed', `The file ${path} cannot be opened with ${identityPath}.`, {
        fix: 'It is damaged or was encrypted for another identity: restore one of the two from a backup.',
      })
    }
  }

  const readVersion = async (ref: string, wanted?: VersionId): Promise<StoredVersion | undefined> => {
    for (let attempt = 0; attempt < readAttemptsMax; attempt += 1) {
      const shelf = readPointer(folder, ref)
      const version = wanted ?? shelf?.current
      const entry = shelf === undefined || version === undefined ? undefined : find(shelf, version)
      if (entry === undefined) return undefined
      const secret = await openFile(versionPath(folder, ref, entry.version))
      if (secret !== undefined) return { version: entry.version, secret, meta: entry.meta }
    }
    throw new KeyturnError(
      'store_malformed',
      `A version of ${ref} is listed but its file is not in ${folder}.`,
      {
        fix: `Restore the file from a backup: ls '${refFolder(folder, ref)}'`,
      },
    )
  }

  /** Runs under the lock; what the change returns as shelf becomes the new pointer document. */
  const change = <Result>(
    ref: string,
    decide: (shelf: Shelf) => { readonly result: Result; readonly shelf?: Shelf | undefined },
    after: () => void = () => undefined,
  ): Promise<Result> =>
    lock.run(() => {
      const here = refFolder(folder, ref)
      try {
        const { result, shelf } = decide(readPointer(folder, ref) ?? emptyShelf)
        if (shelf !== undefined) {
          removeTemporaries(here)
          writeAtomically(join(here, pointerName), Buffer.from(writeShelf(ref, shelf)))
        }
        after()
        return result
      } catch (thrown) {
        throw fileError(thrown, here, 'write')
      }
    })

  return {
    capabilities,
    read: (ref, readOptions) => readVersion(ref, readOptions?.version),
    async describe(ref) {
      const shelf = readPointer(folder, ref)
      return shelf === undefined ? undefined : describeShelf(shelf)
    },
    async stage(ref, { version, secret, meta, fence }) {
      assertVersionId(version)
      assertStorable(ref, secret)
      const bytes = await encryptBytes(encrypter, Buffer.from(secret.reveal()))
      const dropped: VersionId[] = []
      const kind = await change(
        ref,
        (shelf) => {
          const result = stageOn(ref, shelf, { version, meta, fence, at: context.system.now() })
          if (result.kind === 'exists') return { result: result.kind }
          makePrivateFolder(refFolder(folder, ref))
          // The value first: a pointer never names a file that is not on the disk yet.
          writeAtomically(versionPath(folder, ref, version), bytes)
          dropped.push(...result.dropped)
          return { result: result.kind, shelf: result.shelf }
        },
        () => {
          for (const gone of dropped) removeDurably(versionPath(folder, ref, gone))
        },
      )
      if (kind === 'staged') return
      const there = await readVersion(ref, version)
      if (there?.secret.equals(secret) !== true) throw otherSecretError(ref, version)
    },
    promote: (ref, request) =>
      change(ref, (shelf) => {
        const { outcome, shelf: changed } = promoteOn(ref, shelf, request)
        return { result: outcome, shelf: changed }
      }),
    retire: (ref, request) =>
      change(ref, (shelf) => ({ result: undefined, shelf: retireOn(ref, shelf, request) })),
    async destroy(ref, version) {
      assertVersionId(version)
      await change(
        ref,
        (shelf) => ({ result: undefined, shelf: destroyOn(ref, shelf, version) }),
        // Also where the pointer does not name it: a crash in between may have left the file.
        () => {
          const path = versionPath(folder, ref, version)
          if (existsSync(path)) removeDurably(path)
        },
      )
      return 'destroyed'
    },
    annotate: (ref, version, meta) =>
      change(ref, (shelf) => ({ result: undefined, shelf: annotateOn(ref, shelf, version, meta) })),
    async check() {
      return [finding(folder, 'read', constants.R_OK), finding(folder, 'write', constants.W_OK)]
    },
    watch: (ref, onChange) => watchPath(join(refFolder(folder, ref), pointerName), onChange, context.system),
    async close() {
      lock.close()
    },
  }
}

function prepareFolder(folder: string): void {
  try {
    makePrivateFolder(folder)
    assertPrivate(folder, 'folder')
  } catch (thrown) {
    throw fileError(thrown, folder, 'write')
  }
}

function readPointer(folder: string, ref: string): Shelf | undefined {
  const path = join(refFolder(folder, ref), pointerName)
  const bytes = readBytes(path, pointerBytesMax)
  if (bytes === undefined) return undefined
  const shelf = readShelf(bytes.toString())
  if (shelf !== undefined) return shelf
  throw new KeyturnError(
    'store_malformed',
    `The pointer document ${path} is damaged or from a newer Keyturn.`,
    {
      fix: 'Restore it from a backup. The secrets beside it are whole: age opens each with the identity file.',
    },
  )
}

function readBytes(path: string, bytesMax: number): Buffer | undefined {
  try {
    return readBounded(path, bytesMax)
  } catch (thrown) {
    throw fileError(thrown, path, 'read')
  }
}

function versionPath(folder: string, ref: string, version: VersionId): string {
  return join(refFolder(folder, ref), `${version}.age`)
}

/** One level below the folder whatever the ref is. Dots are escaped as well: `..`, `lock.db` and `identity.txt` are taken. */
function refFolder(folder: string, ref: string): string {
  if (ref === '' || !ref.isWellFormed())
    throw new KeyturnError(
      'bad_request',
      'The name of a secret in the local store is empty or not well-formed.',
      {
        fix: 'Name it, e.g. openai.',
      },
    )
  return join(folder, encodeURIComponent(ref).replaceAll('.', '%2E'))
}

function finding(folder: string, permission: 'read' | 'write', mode: number): PermissionFinding {
  try {
    accessSync(folder, mode)
    return { permission, resource: folder, state: 'granted' }
  } catch (thrown) {
    const fix = fileError(thrown, folder, permission).fix
    return { permission, resource: folder, state: 'missing', ...(fix === undefined ? {} : { fix }) }
  }
}
