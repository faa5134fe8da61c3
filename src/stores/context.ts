import { isAbsolute, join } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import type { Log, StoreCapabilities, System } from '../core/ports.ts'
import { type VersionId, versionIdPattern } from '../core/types.ts'
import type { StoreFetch } from './http-transport.ts'

/** What every driver gets from outside, so that none reads the clock, the environment or the disk's layout by itself. */
export interface StoreContext {
  readonly system: System
  readonly log: Log
  /** Relative paths in a store's options start here. */
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Told the text of each warning as well, e.g. to show it at start. Never holds a secret. */
  readonly onWarning?: (message: string) => void
  /** How drivers without a package send. Default: node:http and node:https. */
  readonly fetch?: StoreFetch
}

export function resolvePath(context: StoreContext, path: string): string {
  return isAbsolute(path) ? path : join(context.home, path)
}

export function warn(
  context: StoreContext,
  message: string,
  fields: Readonly<Record<string, unknown>>,
): void {
  context.log('warn', message, fields)
  context.onWarning?.(message)
}

/** Version ids become file names, labels and tags: one with other characters must never get that far. */
export function assertVersionId(version: VersionId): void {
  if (versionIdPattern.test(version)) return
  throw new KeyturnError('bad_request', 'A version id has characters or a length that no store takes.', {
    fix: 'Use 1 to 128 of A-Z, a-z, 0-9, dot, underscore and hyphen.',
  })
}

/** Where a key can be turned and is kept; `memory` forgets it with the process. A test holds it against the drivers. */
const writableKinds = 'local, vault, kubernetes, aws-secrets-manager, google-secret-manager, azure-key-vault'

/** For drivers of which each mutation is refused: the same words everywhere. */
export function readOnlyError(ref: string, capabilities: StoreCapabilities, act: string): KeyturnError {
  return new KeyturnError(
    'store_read_only',
    `The ${capabilities.kind} store cannot ${act} ${ref}: it is read-only.`,
    {
      fix: `Keep this credential in a store that can be written (${writableKinds}) to turn its key.`,
    },
  )
}
