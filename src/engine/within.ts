import type { System } from '../core/ports.ts'

/**
 * What the work resolves with, or undefined after the time; rejects as it does. Work that is late goes on by itself, and what becomes of it is
 * nobody's any more. The timer is cleared in every case: one that is left keeps the process.
 */
export async function within<Value>(
  system: Pick<System, 'after'>,
  limitMs: number,
  work: Promise<Value>,
  options: { readonly background?: boolean } = {},
): Promise<Value | undefined> {
  const limit = Promise.withResolvers<undefined>()
  const cancel = system.after(limitMs, () => limit.resolve(undefined), options)
  try {
    return await Promise.race([work, limit.promise])
  } finally {
    cancel()
  }
}
