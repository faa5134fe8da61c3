import { KeyturnError } from '../core/errors.ts'
import type { SecretStore, StoreCapabilities } from '../core/ports.ts'
import type { StoreContext } from './context.ts'
import { slotStore } from './slot-store.ts'
import { openVaultCalls } from './vault-calls.ts'
import { checkVault } from './vault-check.ts'
import { slotSuffix, vaultDocuments } from './vault-documents.ts'
import { type VaultOptions, vaultPlace } from './vault-options.ts'

export type { VaultAuth, VaultOptions, VaultSource } from './vault-options.ts'

const capabilities: StoreCapabilities = {
  kind: 'vault',
  writable: true,
  staging: 'slot',
  cas: 'native',
  destroy: 'version',
  // ASSUMPTION: neither Vault nor OpenBao says how far a standby node may lag; seconds are far above what is seen.
  propagationMs: 10_000,
}

const refCharactersMax = 512

/**
 * HashiCorp Vault and OpenBao, a KV engine of version 2, over HTTP. `ref` is a path below the mount, e.g. `team/openai`.
 *
 * The key is one field of the document there; pending, previous and retired keys with everybody's metadata are in the
 * sibling `<ref>__keyturn`, so that neither a reader nor Vault's own limit of kept versions has anything to do with them.
 * Every write is a compare-and-swap on the KV version. See slot-state.ts and slot-pair.ts for how the two go together.
 *
 * Error codes: `bad_request`, `config_invalid`, `config_missing` and all `store_*` codes but `store_read_only`.
 */
export async function openVaultStore(options: VaultOptions, context: StoreContext): Promise<SecretStore> {
  const place = vaultPlace(options, context)
  const calls = openVaultCalls(place, context)
  return slotStore({
    context,
    pair: {
      capabilities,
      failuresMax: place.failuresMax,
      assertRef: (ref) => assertRef(ref, place.mount),
      ...vaultDocuments(calls, place, context),
      check: (ref) => checkVault(calls, place, ref),
      async close() {
        calls.close()
      },
    },
  })
}

/** Vault takes more, but a policy that is to allow exactly this path should be writable by hand. */
function assertRef(ref: string, mount: string): void {
  // As policies and the HTTP API write it. Taken as it is, it would be another document, and an empty one.
  const path = ref.replace(/^\/+/, '').replace(/^v1\//, '')
  const prefix = [`${mount}/data/`, `${mount}/metadata/`].find((each) => path.startsWith(each))
  if (prefix !== undefined || ref.startsWith('/'))
    throw new KeyturnError(
      'bad_request',
      `The name ${ref} is to be a path below the mount ${mount}, without the mount${prefix === undefined ? ' and a slash before it' : ''}.`,
      { fix: `Name it ${prefix === undefined ? path : path.slice(prefix.length)} in the configuration.` },
    )
  const parts = ref.split('/')
  const isPlain = parts.every(
    (part) => /^[A-Za-z0-9_.@+-]{1,128}$/.test(part) && part !== '.' && part !== '..',
  )
  if (isPlain && ref.length <= refCharactersMax && !ref.endsWith(slotSuffix)) return
  throw new KeyturnError(
    'bad_request',
    'The name of a secret in Vault has characters or a form that is not taken.',
    {
      fix: `Name the path below the mount, e.g. team/openai: letters, digits and _ . @ + - between slashes, not ending in ${slotSuffix}.`,
    },
  )
}
