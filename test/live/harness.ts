import { randomUUID } from 'node:crypto'
import type { SecretStore } from '../../src/core/ports.ts'
import { openStore, type StoreConfig } from '../../src/stores/index.ts'
import type { StoreHarness } from '../conformance/store-suite.ts'
import { testContext } from '../stores/fakes/system.ts'

/** A name of its own for each test. `remove` takes it and what Keyturn made beside it away; absence is a success. */
export async function liveHarness(
  config: StoreConfig,
  remove: (name: string) => Promise<void>,
): Promise<StoreHarness> {
  const context = testContext('.', process.env)
  const ref = `keyturn-live-${randomUUID()}`
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openStore(config, context)
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
      for (const name of [ref, `${ref}-keyturn`]) await remove(name)
    },
  }
}
