/** Somebody who takes the key without asking Keyturn again, and so holds no lease: a nightly batch, a reader of the store. */
export interface UnleasedConsumer {
  readonly name: string
  /** How long it may go on with a key once it has it. */
  readonly keepsForMs: number
}

export interface Overlap {
  readonly overlapMs: number
  /** Who makes it longer than it is configured, for people. */
  readonly because?: string
}

/**
 * How long an old key lives on at least: as configured, and never shorter than it takes until the last one has moved on
 * whom no lease tells of. Readers of a store see a promotion as late as that store says.
 */
export function overlapOf(request: {
  readonly configuredMs: number
  readonly stores: readonly { readonly kind: string; readonly propagationMs: number }[]
  readonly consumers: readonly UnleasedConsumer[]
}): Overlap {
  const claims = [
    ...request.stores.map(({ kind, propagationMs }) => ({ who: `readers of ${kind}`, ms: propagationMs })),
    ...request.consumers.map(({ name, keepsForMs }) => ({ who: name, ms: keepsForMs })),
  ]
  return claims.reduce<Overlap>(
    (longest, { who, ms }) => (ms > longest.overlapMs ? { overlapMs: ms, because: who } : longest),
    { overlapMs: request.configuredMs },
  )
}
