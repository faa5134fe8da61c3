import { readFileSync } from 'node:fs'
import * as identity from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'
import { azureCredential } from '../../src/stores/azure-credential.ts'
import { emulatorSuite, fromEnvironment } from '../emulators/suites/deviations.ts'
import { testContext } from '../stores/fakes/system.ts'
import { liveHarness } from './harness.ts'

const vault = fromEnvironment('KEYTURN_LIVE_AZURE_VAULT')
const caFile = process.env['KEYTURN_LIVE_AZURE_CA']
const ca = caFile ? [readFileSync(caFile, 'utf8')] : undefined
const callMs = 120_000

const credential = azureCredential(identity, {}, { context: testContext('.', process.env), ca })
const client = new SecretClient(
  vault,
  credential,
  ca === undefined ? {} : { tlsOptions: { ca: ca.join('\n') } },
)

/** Purged as well: a deleted name cannot be used again for 7 to 90 days, and a vault keeps what was deleted. */
async function remove(name: string): Promise<void> {
  const abortSignal = AbortSignal.timeout(callMs)
  await orAbsent(async () => (await client.beginDeleteSecret(name, { abortSignal })).pollUntilDone())
  await orAbsent(() => client.purgeDeletedSecret(name, { abortSignal }))
}

async function orAbsent(call: () => Promise<unknown>): Promise<void> {
  await call().catch((error: { readonly statusCode?: number }) => {
    if (error.statusCode !== 404) throw error
  })
}

emulatorSuite(
  'azure-key-vault',
  () => liveHarness({ kind: 'azure-key-vault', vault, ...(caFile ? { caFile } : {}) }, remove),
  { 'keeps unicode and 64 KiB whole, and a newline at the end does no harm': 'Azure takes 25 KB' },
)
