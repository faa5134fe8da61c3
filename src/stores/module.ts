import { realpathSync, type Stats, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { errnoOf } from './files.ts'

export interface ModuleStoreOptions {
  /** The module, absolute or relative to the home folder: .js, .mjs, .ts or .mts. Never a package or an address. */
  readonly path: string
  /** Given to its `openStore` as they are. Default: none. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** What such a module exports. See docs/own-store.md. */
export type OpenOwnStore = (
  options: Readonly<Record<string, unknown>>,
  context: StoreContext,
) => Promise<SecretStore> | SecretStore

/**
 * A store that somebody else wrote, in a file of theirs that exports `openStore(options, context)`. It runs with all the
 * rights of Keyturn, so nobody but the user that Keyturn runs as, and root, may be able to write to it.
 *
 * Error codes: `config_invalid`, `config_missing`, `permissions_lax`, and what the module itself throws.
 */
export async function openModuleStore(
  { path, options = {} }: ModuleStoreOptions,
  context: StoreContext,
): Promise<SecretStore> {
  const file = realFile(resolvePath(context, path))
  assertOwn(file)
  assertOneKeyturn(file)
  const open = await openerIn(file)
  const store: unknown = await open(options, context)
  assertStore(file, store)
  return store
}

function realFile(path: string): string {
  try {
    const file = realpathSync(path)
    if (statSync(file).isFile()) return file
  } catch (thrown) {
    if (errnoOf(thrown) === undefined) throw thrown
  }
  throw new KeyturnError('config_missing', `There is no store module ${path} that can be read.`, {
    fix: "Correct the store's path: it starts at the folder of the configuration file.",
  })
}

/** Windows has no such modes, so nothing is concluded there. */
function assertOwn(file: string): void {
  const user = process.geteuid?.()
  if (user === undefined) return
  for (const path of [file, dirname(file)]) {
    const found = statSync(path)
    if (isOthersToWrite(found))
      throw new KeyturnError(
        'permissions_lax',
        `Others may change ${path}, and what is in it runs as Keyturn.`,
        {
          fix: `chmod go-w '${path}'`,
        },
      )
    if (found.uid !== user && found.uid !== 0)
      throw new KeyturnError(
        'permissions_lax',
        `${path} belongs to another user, and what is in it runs as Keyturn.`,
        {
          fix: `chown ${user} '${path}'`,
        },
      )
  }
}

/** In a sticky folder such as /tmp others can add files, and cannot replace this one. */
function isOthersToWrite(found: Stats): boolean {
  const isSticky = found.isDirectory() && (found.mode & 0o1000) !== 0
  return (found.mode & 0o022) !== 0 && !isSticky
}

/** Errors and secrets of a second copy of Keyturn are strangers to this one, and would be taken for bugs. */
function assertOneKeyturn(file: string): void {
  const own = join(realpathSync(join(import.meta.dirname, '..', '..')), 'dist', 'store.js')
  let other: string
  try {
    other = realpathSync(createRequire(file).resolve('keyturn/store'))
  } catch (thrown) {
    // It finds none: then it needs none, or its import will say so.
    if (errnoOf(thrown) === undefined) throw thrown
    return
  }
  if (other === own) return
  throw new KeyturnError(
    'config_invalid',
    `The store module ${file} finds another copy of keyturn: ${other}.`,
    {
      fix: `Run the keyturn that is installed beside it (npx keyturn in ${dirname(file)}).`,
    },
  )
}

async function openerIn(file: string): Promise<OpenOwnStore> {
  let loaded: { readonly openStore?: unknown }
  try {
    loaded = (await import(pathToFileURL(file).href)) as typeof loaded
  } catch (thrown) {
    const code = errnoOf(thrown) ?? (thrown instanceof Error ? thrown.name : 'unknown')
    throw new KeyturnError('config_invalid', `The store module ${file} cannot be loaded (${code}).`, {
      fix:
        code === 'ERR_MODULE_NOT_FOUND'
          ? `Install what it imports beside it, keyturn too: npm install keyturn in ${dirname(file)}`
          : `See what is wrong with it: node ${file}`,
      cause: thrown,
    })
  }
  if (typeof loaded.openStore === 'function') return loaded.openStore as OpenOwnStore
  throw new KeyturnError('config_invalid', `The store module ${file} exports no function openStore.`, {
    fix: 'Export a function openStore(options, context) that gives a store, as docs/own-store.md has it.',
  })
}

const methods = [
  'read',
  'describe',
  'stage',
  'promote',
  'retire',
  'destroy',
  'annotate',
  'check',
  'close',
] as const satisfies readonly (keyof SecretStore)[]

function assertStore(file: string, store: unknown): asserts store is SecretStore {
  const candidate = (typeof store === 'object' && store !== null ? store : {}) as Readonly<
    Record<string, unknown>
  >
  const missing = methods.filter((method) => typeof candidate[method] !== 'function')
  const { kind, writable, propagationMs } = (candidate['capabilities'] ?? {}) as Readonly<
    Record<string, unknown>
  >
  const isTold =
    typeof kind === 'string' &&
    typeof writable === 'boolean' &&
    typeof propagationMs === 'number' &&
    propagationMs >= 0
  if (missing.length === 0 && isTold) return
  throw new KeyturnError(
    'config_invalid',
    `What openStore of ${file} gives is no store; it lacks ${[...missing, ...(isTold ? [] : ['capabilities'])].join(', ')}.`,
    { fix: 'Give all that the type SecretStore of keyturn/store asks for.' },
  )
}
