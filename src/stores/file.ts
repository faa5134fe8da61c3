import { resolve } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import type { SecretStore } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { assertNoPlaceholder, fieldOf, withoutFileMarks } from './plain-text.ts'
import { readOnlyStore } from './read-only.ts'
import { readSmallFile } from './small-file.ts'
import { secretBytesMax } from './values.ts'
import { watchPath } from './watch-path.ts'

export interface FileStoreOptions {
  /** The folder in which relative refs are looked up. Default: the home folder. */
  readonly path?: string
  /** The field of a JSON document that holds the key. Default: the file is the key alone. */
  readonly field?: string
}

/** The kubelet refreshes mounted secrets once a minute by default and caches for as long again. */
const propagationMs = 120_000

/**
 * A secret that something else mounts as a file (Kubernetes, Docker, a sidecar). `ref` is the file's path. Each read follows the links anew. A
 * trailing newline and a byte order mark are left out; a blank file is malformed, since a writer may be at work.
 * Read-only. Error codes: `store_denied`, `store_malformed`, `store_read_only`, `store_too_large`, `store_unreachable`.
 */
export function openFileStore(options: FileStoreOptions, context: StoreContext): SecretStore {
  const folder = resolvePath(context, options.path ?? '.')
  const pathOf = (ref: string): string => resolve(folder, ref)
  return readOnlyStore(
    {
      kind: 'file',
      propagationMs,
      async read(ref) {
        const path = pathOf(ref)
        const content = await readSmallFile(path, secretBytesMax, context.system)
        return content === undefined ? undefined : secretIn(withoutFileMarks(content), options.field, path)
      },
      resourceOf: pathOf,
      watch: (ref, onChange) => watchPath(pathOf(ref), onChange, context.system),
    },
    context,
  )
}

function secretIn(content: string, field: string | undefined, path: string): Secret {
  const text = field === undefined ? content : withoutFileMarks(fieldOf(content, field, path))
  if (text.trim() === '')
    throw new KeyturnError('store_malformed', `The file ${path} is blank.`, {
      fix: 'Put the key into it, or configure the path of the file that holds it.',
    })
  assertNoPlaceholder(text, path)
  return new Secret(text)
}
