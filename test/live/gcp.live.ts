import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { afterAll } from 'vitest'
import { loadGoogleSdk } from '../../src/stores/google-client.ts'
import type { StoreConfig } from '../../src/stores/index.ts'
import { emulatorSuite, fromEnvironment } from '../emulators/suites/deviations.ts'
import { liveHarness } from './harness.ts'

const project = fromEnvironment('GOOGLE_CLOUD_PROJECT')
const endpoint = process.env['KEYTURN_LIVE_GCP_ENDPOINT']
const notFound = 5
const callMs = { timeout: 10_000 }

const client = new SecretManagerServiceClient({ projectId: project, ...(await placeOf(endpoint)) })
afterAll(() => client.close())

const config = {
  kind: 'google-secret-manager',
  project,
  createIfAbsent: true,
  ...(endpoint ? { endpoint } : {}),
} as const satisfies StoreConfig

async function remove(name: string): Promise<void> {
  await client
    .deleteSecret({ name: `projects/${project}/secrets/${name}` }, callMs)
    .catch((error: { readonly code?: number }) => {
      if (error.code !== notFound) throw error
    })
}

/** Plain HTTP is for a server on this machine, which gets no credentials. */
async function placeOf(given: string | undefined) {
  if (!given) return { fallback: true }
  const { protocol, hostname, port } = new URL(given)
  const place = { fallback: true, apiEndpoint: hostname, ...(port === '' ? {} : { port: Number(port) }) }
  if (protocol !== 'http:') return place
  return { ...place, protocol: 'http', ...(await loadGoogleSdk()).withoutCredentials('rest') }
}

emulatorSuite('google-secret-manager (latest)', () => liveHarness(config, remove))
emulatorSuite('google-secret-manager (alias)', () => liveHarness({ ...config, consumers: 'alias' }, remove))
