import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setDefaultCACertificates } from 'node:tls'
import type { SecretStore } from '../../../src/core/ports.ts'
import { type AzureKeyVaultOptions, openStore, type StoreContext } from '../../../src/stores/index.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { type AzureFake, startAzureFake } from './azure-fake.ts'
import { makeFolder } from './folder.ts'
import { patientMs, type Recorded, testContext } from './system.ts'

export interface AzurePlace {
  readonly fake: AzureFake
  readonly context: StoreContext & Recorded
  open(options?: Partial<AzureKeyVaultOptions>, context?: StoreContext): Promise<SecretStore>
  /** Trusts what the system trusts, of which the fake is none. */
  openWithoutAuthority(options?: Partial<AzureKeyVaultOptions>): Promise<SecretStore>
  end(): Promise<void>
}

/** A vault, and a service principal that the real credential of @azure/identity logs in as. */
export async function startAzure(system?: StoreContext['system']): Promise<AzurePlace> {
  // Nothing public is spoken to, and to read hundreds of certificates for each connection is most of what a test takes.
  setDefaultCACertificates([])
  const fake = await startAzureFake()
  const { path: folder, remove } = await makeFolder()
  const env = {
    AZURE_TENANT_ID: fake.tenantId,
    AZURE_CLIENT_ID: fake.clientId,
    AZURE_CLIENT_SECRET: fake.clientSecret,
    AZURE_AUTHORITY_HOST: fake.address,
  }
  const context = { ...testContext(folder, env), ...(system === undefined ? {} : { system }) }
  await writeFile(join(folder, 'ca.pem'), fake.certificate.cert)
  const opened: SecretStore[] = []
  const defaults = { kind: 'azure-key-vault', vault: fake.address, requestTimeoutMs: patientMs } as const
  const keep = async (opening: Promise<SecretStore>): Promise<SecretStore> => {
    const store = await opening
    opened.push(store)
    return store
  }
  return {
    fake,
    context,
    open: (options = {}, given = context) =>
      keep(openStore({ ...defaults, caFile: 'ca.pem', ...options }, given)),
    openWithoutAuthority: (options = {}) => keep(openStore({ ...defaults, ...options }, context)),
    async end() {
      for (const store of opened) await store.close()
      await fake.close()
      await remove()
    },
  }
}

/** The secret is not there yet. */
export async function azureHarness(): Promise<StoreHarness> {
  const place = await startAzure()
  return {
    store: await place.open(),
    ref: 'openai',
    absentRef: 'nowhere',
    another: () => place.open(),
    logged: () => place.context.lines.join('\n'),
    cleanUp: () => place.end(),
  }
}
