import { randomUUID } from 'node:crypto'
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import type { SecretStore } from '../../../src/core/ports.ts'
import { type AwsSecretsManagerOptions, openStore } from '../../../src/stores/index.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { testContext } from '../../stores/fakes/system.ts'

const attempts = { maxAttempts: 5 }
const deadlineMs = 60_000

/** A secret of its own for each test, made and taken away with the SDK. */
export async function awsHarness(
  place: { readonly env: Readonly<Record<string, string | undefined>>; readonly endpoint?: string },
  options: AwsSecretsManagerOptions = {},
): Promise<StoreHarness> {
  const { endpoint, env } = place
  const context = testContext('.', env)
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? ''
  const where = { region, ...(endpoint === undefined ? {} : { endpoint }) }
  const client = new SecretsManagerClient({ ...where, ...attempts, ...staticCredentials(env) })
  const ref = `keyturn-live-${randomUUID()}`
  const abort = (): { abortSignal: AbortSignal } => ({ abortSignal: AbortSignal.timeout(deadlineMs) })
  if (options.createIfAbsent !== true) await client.send(new CreateSecretCommand({ Name: ref }), abort())
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openStore({ kind: 'aws-secrets-manager', ...where, ...options }, context)
    opened.push(store)
    return store
  }
  return {
    store: await another(),
    ref,
    absentRef: `keyturn-live-${randomUUID()}`,
    another,
    logged: () => context.lines.join('\n'),
    async cleanUp() {
      for (const store of opened) await store.close()
      await client
        .send(new DeleteSecretCommand({ SecretId: ref, ForceDeleteWithoutRecovery: true }), abort())
        .finally(() => client.destroy())
    },
  }
}

function staticCredentials(env: Readonly<Record<string, string | undefined>>) {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  const sessionToken = env['AWS_SESSION_TOKEN']
  if (env['AWS_PROFILE'] || !accessKeyId || !secretAccessKey) return {}
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } }
}
