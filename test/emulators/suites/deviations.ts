import { describe, expect, it } from 'vitest'
import { type StoreHarness, storeSuite } from '../../conformance/store-suite.ts'
import { writableCases } from '../../conformance/store-suite-writable.ts'
import { deviationMark } from './mark.ts'

/**
 * The suite of the stores against something that is known to deviate from the real service. What is named is run all
 * the same, and has to fail, so that nothing is left out for longer than the deviation is there.
 */
export function emulatorSuite(
  name: string,
  make: () => Promise<StoreHarness>,
  deviations: Readonly<Record<string, string>> = {},
): void {
  storeSuite(name, make, { isWritable: true, skips: deviations })
  const cases = writableCases.filter(({ title }) => deviations[title] !== undefined)
  describe.runIf(cases.length > 0)(name, () => {
    for (const { title, run } of cases) {
      const reason = deviations[title]
      it(`${deviationMark}${title}: ${reason}`, async () => {
        const harness = await make()
        const outcome = await run(harness)
          .then(() => 'passed')
          .catch(() => 'failed')
        await harness.cleanUp()
        expect(outcome, 'this is no deviation any more: take it out of the list').toBe('failed')
      })
    }
  })
}

export function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run this through npm run test:emulators.`)
  return value
}
