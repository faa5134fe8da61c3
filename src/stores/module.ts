import { realpathSync, statSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import { packageFolder } from '../package-folder.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { assertOwnCode } from './own-code.ts'

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
 * rights of Keyturn, so nobody but the user that Keyturn runs as, and root, may be able to write to it, or to put
 * something in its place (own-code.ts). The files that it imports are not looked at.
 *
 * Error codes: `config_invalid`, `config_missing`, `permissions_lax`, and what the module itself throws.
 */
export async function openModuleStore(
  { path, options = {} }: ModuleStoreOptions,
  context: StoreContext,
): Promise<SecretStore> {
  const file = realFile(resolvePath(context, path))
  assertOwnCode(file)
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

/**
 * Errors and secrets of a second copy of Keyturn are strangers to this one, and would be taken for bugs. What is compared
 * is the package that `keyturn` means there, the first by Node's rules for `import` and for `require` alike, and not the
 * file that it exports: which one that is depends on who asks.
 */
function assertOneKeyturn(file: string): void {
  const own = realpathSync(packageFolder())
  let other: string | undefined
  try {
    other = findPackageJSON('keyturn/store', pathToFileURL(file))
  } catch (thrown) {
    // It finds none, or a broken one: then it needs none, or its import will say so.
    if (errnoOf(thrown) === undefined) throw thrown
  }
  if (other === undefined) return
  const folder = realpathSync(dirname(other))
  if (folder === own) return
  throw new KeyturnError(
    'config_invalid',
    `The store module ${file} finds another copy of keyturn: ${folder}.`,
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
