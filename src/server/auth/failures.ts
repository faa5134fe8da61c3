import type { System } from '../../core/ports.ts'

/** Failed verifications that one address may have in a row, and how long until one of them is forgiven. */
const failuresMax = 20
export const forgiveMs = 3_000
const addressesMax = 10_000

/**
 * A signature costs far more than a request. Who brings bad ones again and again is not looked at for a while; whoever is
 * remembered, from the same address too, goes on as before.
 */
export function createFailures(system: Pick<System, 'now'>) {
  const byAddress = new Map<string, { count: number; at: number }>()
  const left = (address: string): number => {
    const known = byAddress.get(address)
    return known === undefined ? 0 : Math.max(0, known.count - (system.now() - known.at) / forgiveMs)
  }
  return {
    isTooMany: (address: string): boolean => left(address) >= failuresMax,
    note(address: string): void {
      const count = left(address) + 1
      byAddress.delete(address)
      if (byAddress.size >= addressesMax) {
        const [oldest] = byAddress.keys()
        if (oldest !== undefined) byAddress.delete(oldest)
      }
      byAddress.set(address, { count, at: system.now() })
    },
  }
}
