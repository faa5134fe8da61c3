import { afterEach, describe, expect, it } from 'vitest'
import { readOnlyCases } from './store-suite-read-only.ts'
import type { StoreHarness } from './store-suite-support.ts'
import { writableCases } from './store-suite-writable.ts'

export type { StoreHarness } from './store-suite-support.ts'

/**
 * What every store owes by its port. `skips` names tests that a driver cannot pass, each with the reason; a name that
 * is no test's is an error, so that no skip outlives what it was for.
 */
export function storeSuite(
  name: string,
  make: () => Promise<StoreHarness>,
  options: { readonly isWritable: boolean; readonly skips: Readonly<Record<string, string>> },
): void {
  const cases = options.isWritable ? writableCases : readOnlyCases
  describe(`the ${name} store`, () => {
    const harnesses: StoreHarness[] = []
    afterEach(async () => {
      for (const harness of harnesses.splice(0)) await harness.cleanUp()
    })

    for (const { title, run } of cases) {
      if (options.skips[title] !== undefined) continue
      it(title, async () => {
        const harness = await make()
        harnesses.push(harness)
        expect(harness.store.capabilities.writable).toBe(options.isWritable)
        await run(harness)
      })
    }

    it('leaves out only tests that exist', () => {
      const titles = cases.map(({ title }) => title)
      expect(Object.keys(options.skips).filter((title) => !titles.includes(title))).toEqual([])
    })
  })
}
