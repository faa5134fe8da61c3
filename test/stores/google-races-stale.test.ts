import type { GoogleSecretManagerOptions } from '../../src/stores/google-secret-manager.ts'
import { raceSuite } from '../conformance/race-suite.ts'
import type { StoreHarness } from '../conformance/store-suite-support.ts'
import { googleDirectHarness } from './fakes/google-direct.ts'

/**
 * Secret Manager is eventually consistent: here one call in 23 is answered, where it reads metadata, `latest` or an alias, with
 * what was there before the last change. What follows from an old answer must still be right, above all an absence.
 */
async function staleHarness(options: GoogleSecretManagerOptions, seed: number): Promise<StoreHarness> {
  const harness = await googleDirectHarness({ ...options, maxAttempts: 10 }, seed)
  const { state } = harness
  const call = state.call.bind(state)
  let calls = seed
  state.call = (rpc, request) => {
    calls += 1
    if ((calls * 7_919) % 23 === 0) state.lag(1)
    return call(rpc, request)
  }
  return harness
}

const kinds: readonly (readonly [string, GoogleSecretManagerOptions])[] = [
  ['', {}],
  [', read by an alias', { consumers: 'alias' }],
  [', a field of a document', { format: 'json' }],
]
for (const [name, options] of kinds)
  for (const seed of [61, 62])
    raceSuite(`google-secret-manager (old answers${name})`, () => staleHarness(options, seed), {
      seed,
      races: 100,
      readsMayBeOld: true,
    })
