import type { SecretStore } from '../../../src/core/ports.ts'
import { type GoogleSecretManagerOptions, openStore, type StoreContext } from '../../../src/stores/index.ts'
import type { FaultHarness, StoreFault } from '../../conformance/fault-suite.ts'
import { type GoogleFake, startGoogleFake } from './google-fake.ts'
import { skippingPauses } from './google-pauses.ts'
import type { HttpFaultKind } from './http-faults.ts'
import { type Recorded, testContext, testSystem } from './system.ts'

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
  system = testSystem,
): Promise<GooglePlace> {
  const fake = await start()
  const context = { ...testContext('.', { GOOGLE_CLOUD_PROJECT: googleProject }), system }
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
          // A claim is waited for as long as its calls may take, by looks that are counted: no longer than this.
          requestTimeoutMs: 5_000,
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

/** For the shared suites. */
export async function googleHarness(given: GoogleSecretManagerOptions = {}): Promise<FaultHarness> {
  // A version that was sent and got no answer is waited for.
  const place = await startGoogle(given, startGoogleFake, skippingPauses())
  const { fake } = place
  let made = 0
  return {
    store: await place.open(),
    ref: 'openai',
    absentRef: 'nowhere',
    another: () => place.open(),
    logged: () => place.context.lines.join('\n'),
    cleanUp: () => place.end(),
    once: () => place.open({ maxAttempts: 1 }),
    impatient: () => place.open({ maxAttempts: 1, requestTimeoutMs: 200 }),
    nowhere: () => place.open({ maxAttempts: 1, endpoint: 'http://127.0.0.1:1' }),
    fail: (kind, options) => fake.fault(faultOf[kind], options),
    heal: () => fake.clear(),
    requests: () => fake.requests.length,
    freshRef: () => `openai-${(made += 1)}`,
    disable() {
      const secret = fake.secret('openai')
      const number = secret?.aliases['current'] ?? secret?.versions.length
      const version = secret?.versions.find((each) => each.number === number)
      if (version !== undefined) version.state = 'DISABLED'
    },
  }
}

const faultOf: Readonly<Record<StoreFault, HttpFaultKind>> = {
  denied: 403,
  throttled: 429,
  slow_down: 'slow_down',
  internal: 500,
  proxy_page: 'proxy_page',
  hang: 'hang',
  reset: 'reset',
  broken: 'broken',
}
