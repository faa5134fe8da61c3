import type { SecretStore } from '../../../src/core/ports.ts'
import { type GoogleSecretManagerOptions, openStore, type StoreContext } from '../../../src/stores/index.ts'
import { type GoogleFake, startGoogleFake } from './google-fake.ts'
import { type Recorded, testContext } from './system.ts'

export interface GooglePlace {
  readonly fake: GoogleFake
  readonly context: StoreContext & Recorded
  open(options?: GoogleSecretManagerOptions, context?: StoreContext): Promise<SecretStore>
  end(): Promise<void>
}

export const googleProject = 'team-1'

/** The real SDK and a Secret Manager of its own. */
export async function startGoogle(
  given: GoogleSecretManagerOptions = {},
  start: () => Promise<GoogleFake> = startGoogleFake,
): Promise<GooglePlace> {
  const fake = await start()
  const context = testContext('.', { GOOGLE_CLOUD_PROJECT: googleProject })
  const opened: SecretStore[] = []
  return {
    fake,
    context,
    async open(options = {}, use = context) {
      const store = await openStore(
        {
          kind: 'google-secret-manager',
          endpoint: fake.endpoint,
          createIfAbsent: true,
          requestTimeoutMs: 2_000,
          ...given,
          ...options,
        },
        use,
      )
      opened.push(store)
      return store
    },
    async end() {
      for (const store of opened) await store.close()
      await fake.close()
    },
  }
}
