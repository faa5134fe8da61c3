import type { SecretStore } from '../../../src/core/ports.ts'
import { type AwsSecretsManagerOptions, openStore, type StoreContext } from '../../../src/stores/index.ts'
import { type AwsFake, startAwsFake } from './aws-fake.ts'
import { patientMs, type Recorded, testContext } from './system.ts'

export interface AwsPlace {
  readonly fake: AwsFake
  readonly context: StoreContext & Recorded
  readonly opened: SecretStore[]
  end(): Promise<void>
}

export async function startAws(): Promise<AwsPlace> {
  const fake = await startAwsFake()
  const opened: SecretStore[] = []
  return {
    fake,
    context: testContext('.', { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }),
    opened,
    async end() {
      for (const store of opened) await store.close()
      await fake.close()
    },
  }
}

/** The real SDK. */
export async function openAws(
  { fake, context, opened }: AwsPlace,
  options: AwsSecretsManagerOptions = {},
  given: StoreContext = context,
): Promise<SecretStore> {
  const store = await openStore(
    {
      kind: 'aws-secrets-manager',
      endpoint: fake.endpoint,
      region: 'eu-central-1',
      requestTimeoutMs: patientMs,
      ...options,
    },
    given,
  )
  opened.push(store)
  return store
}
