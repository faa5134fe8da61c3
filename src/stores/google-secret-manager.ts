import type { PermissionFinding, SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import type { StoreContext } from './context.ts'
import { aliasStore } from './google-alias.ts'
import { type GoogleAccess, googleCalls } from './google-calls.ts'
import { checkGoogle } from './google-check.ts'
import { type GoogleClientOptions, loadGoogleSdk, openGoogleClient } from './google-client.ts'
import { googleDocuments } from './google-documents.ts'
import { googleKeeper } from './google-keeper.ts'
import { fullName, type GoogleName, parentOf, parseGoogleRef } from './google-names.ts'
import { type Newest, newestReader } from './google-newest.ts'
import { readingByNumber } from './google-reading.ts'
import { googleText } from './google-text.ts'
import { slotStore } from './slot-store.ts'
import type { ValueOptions } from './value-format.ts'

export interface GoogleSecretManagerOptions extends GoogleClientOptions, ValueOptions {
  /** Default `latest`. */
  readonly consumers?: 'latest' | 'alias'
  /** With consumers `alias`, the alias of the current key. Default `current`. */
  readonly alias?: string
  readonly createIfAbsent?: boolean
  /** Per attempt, 1 to 60,000. Default 5,000. */
  readonly requestTimeoutMs?: number
  /** Attempts per call, 1 to 10. Default 3. */
  readonly maxAttempts?: number
}

const capabilities: StoreCapabilities = {
  kind: 'google-secret-manager',
  writable: true,
  staging: 'slot',
  // Claims under an etag order all who know of them; a version that was sent and arrives late is taken by Google.
  cas: 'lease',
  destroy: 'version',
  // ASSUMPTION: `latest` follows within minutes (https://cloud.google.com/secret-manager/docs/data-consistency, 2026-11-21).
  propagationMs: 5 * 60_000,
}

/**
 * Google Secret Manager through its official SDK. `ref` is `NAME` or `projects/PROJECT[/locations/LOCATION]/secrets/NAME`.
 *
 * With consumers `latest` the newest version of the secret is the current key, and all other keys are versions of a sibling
 * `NAME-keyturn`, of which the annotations say what they are. See slot-pair.ts for how the two go together and
 * google-promote.ts for what stands in for a compare-and-swap of versions. With consumers `alias` everything is in the one
 * secret, and an alias says what is current: see google-alias.ts.
 *
 * Error codes: `bad_request`, `config_invalid`, `config_missing`, `package_missing` and all `store_*` codes but
 * `store_read_only`.
 */
export async function openGoogleSecretManagerStore(
  options: GoogleSecretManagerOptions,
  context: StoreContext,
  load = loadGoogleSdk,
): Promise<SecretStore> {
  const { client, project } = await openGoogleClient(options, context, load)
  const requestTimeoutMs = options.requestTimeoutMs ?? 5_000
  const failuresMax = (options.maxAttempts ?? 3) - 1
  const isByAlias = options.consumers === 'alias'
  const createIfAbsent = options.createIfAbsent ?? false
  const calls = googleCalls(client, requestTimeoutMs, context.system)
  const text = googleText(options)
  const newest = newestReader(calls)
  const nameOf = async (ref: string): Promise<GoogleName> => {
    const { parent, id } = parseGoogleRef(ref)
    return { id, parent: parent ?? parentOf(await project(), options.location) }
  }
  const check = async (ref: string): Promise<readonly PermissionFinding[]> =>
    checkGoogle(calls, await nameOf(ref), { createIfAbsent, hasSibling: !isByAlias })
  const keyIn = async (ref: string, value: string): Promise<Secret | undefined> =>
    text.keyIn(value, fullName(await nameOf(ref)))
  const keeper = googleKeeper(calls, { createIfAbsent, isShared: isByAlias }, context)
  if (isByAlias) {
    const alias = options.alias ?? 'current'
    const store = aliasStore(calls, keeper, { nameOf, text, alias, failuresMax, check }, context)
    const current = async (ref: string): Promise<GoogleAccess> => calls.access(await nameOf(ref), alias)
    return readingByNumber(store, { failuresMax, current, keyIn }, context)
  }
  const place = { nameOf, newest, text, createIfAbsent, requestTimeoutMs }
  const store = slotStore({
    context,
    pair: {
      capabilities,
      failuresMax,
      assertRef: parseGoogleRef,
      ...googleDocuments(calls, place, keeper, context),
      check,
      close: () => calls.close(),
    },
  })
  const current = async (ref: string): Promise<Newest> => newest.read(await nameOf(ref))
  return readingByNumber(store, { failuresMax, current, keyIn }, context)
}
