import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import type { SecretStore, System } from '../../../src/core/ports.ts'
import type { GoogleSdk, SecretManagerClient } from '../../../src/stores/google-client.ts'
import {
  type GoogleSecretManagerOptions,
  openGoogleSecretManagerStore,
} from '../../../src/stores/google-secret-manager.ts'
import type { StoreHarness } from '../../conformance/store-suite-support.ts'
import { createGoogleState, type GoogleFakeState, type Message } from './google-fake-state.ts'
import { testContext, testSystem } from './system.ts'

/**
 * The driver on the state of the fake without a wire in between: a thousand races take seconds, and how the calls of two
 * clients fall among each other is drawn from a seed. The wires are what all other tests go over.
 */
export async function googleDirectHarness(
  options: GoogleSecretManagerOptions,
  seed: number,
): Promise<StoreHarness & { readonly state: GoogleFakeState }> {
  const state = createGoogleState()
  const context = { ...testContext('.', { GOOGLE_CLOUD_PROJECT: 'team-1' }), system: hasty }
  const pause = turns(seed)
  const sdk = directSdk(state, async (_rpc, _request, run) => {
    await pause()
    const answer = run()
    await pause()
    return answer
  })
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openGoogleSecretManagerStore(
      { endpoint: 'http://127.0.0.1:1', createIfAbsent: true, ...options },
      context,
      async () => sdk,
    )
    opened.push(store)
    return store
  }
  return {
    state,
    store: await another(),
    ref: 'openai',
    absentRef: 'nowhere',
    another,
    logged: () => context.lines.join('\n'),
    async cleanUp() {
      for (const store of opened) await store.close()
    },
  }
}

/** Calls take no time here, so that pauses between them need none either. */
const hasty: System = {
  ...testSystem,
  after: (delayMs, callback, options) =>
    testSystem.after(options?.background === true ? delayMs : 0, callback, options),
}

/** So many turns of the event loop lie before and after a call is carried out. */
function turns(seed: number): () => Promise<void> {
  let random = seed
  return async () => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff
    const count = (random >> 16) % 4
    for (let turn = 0; turn < count; turn += 1)
      await new Promise<void>((resolve) => void setImmediate(resolve))
  }
}

const calls = [
  'getSecret',
  'createSecret',
  'updateSecret',
  'addSecretVersion',
  'accessSecretVersion',
  'listSecretVersions',
  'destroySecretVersion',
  'testIamPermissions',
] as const

/** What happens to a call; `run` carries it out, now or later. */
export type Around = (rpc: string, request: Message, run: () => Message) => Promise<Message>

export function directSdk(state: GoogleFakeState, around: Around): GoogleSdk {
  const call = async (name: string, request: Message): Promise<readonly unknown[]> => {
    const rpc = name[0]?.toUpperCase() + name.slice(1)
    const answer = await around(rpc, request, () => state.call(rpc, request))
    const { versions } = answer as { readonly versions?: unknown }
    // A list is paged through by the SDK, which gives what is on the page.
    return [versions ?? answer]
  }
  class Direct {
    async close(): Promise<void> {}
    async getProjectId(): Promise<string> {
      return 'team-1'
    }
  }
  for (const name of calls)
    Object.defineProperty(Direct.prototype, name, { value: (request: Message) => call(name, request) })
  return {
    SecretManagerServiceClient: Direct as unknown as new () => SecretManagerClient,
    withoutCredentials: () => ({}),
  }
}

/** Every call above is one that the real client has. */
export const unknownCalls = calls.filter((name) => !(name in SecretManagerServiceClient.prototype))
