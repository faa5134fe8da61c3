import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '../../src/core/secret.ts'
import { openStore } from '../../src/stores/index.ts'
import { createSystem } from '../../src/system.ts'
import type { Rig } from './harness.ts'

/** Somebody with the store's identity file makes another value current, behind Keyturn's back. */
export async function plant(rig: Pick<Rig, 'home'>, version: string, apiKey: string): Promise<void> {
  const folder = join(rig.home, 'secrets')
  const store = await openStore(
    { kind: 'local', folder },
    { system: createSystem(), home: rig.home, env: {}, log: () => undefined },
  )
  try {
    const fence = fenceOf(folder)
    const { current } = (await store.describe('openai')) ?? {}
    await store.stage('openai', { version, secret: new Secret(apiKey), meta: {}, fence })
    await store.promote('openai', { to: version, expectCurrent: current, fence })
  } finally {
    await store.close()
  }
}

/** The highest fence that the store has seen: a lower one it would refuse, a higher one would shut the service out. */
function fenceOf(folder: string): number {
  const pointer: unknown = JSON.parse(readFileSync(join(folder, 'openai', 'pointer.json'), 'utf8'))
  const fence =
    typeof pointer === 'object' && pointer !== null && 'fence' in pointer ? pointer.fence : undefined
  if (typeof fence !== 'number') throw new Error('the pointer document has no fence')
  return fence
}
