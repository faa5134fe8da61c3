import type { Facts, Setting } from '../facts.ts'

export interface EffectiveBaseUrl {
  readonly setting: Setting | undefined
  /** It stands in the source, where the checks of sources judge it. */
  readonly isInSource: boolean
}

/**
 * What a client is given in the source wins over the environment. It counts only where every client gets the same: of
 * several, nobody can tell which one the key is for.
 */
export function effectiveBaseUrl({ baseUrl, scan }: Pick<Facts, 'baseUrl' | 'scan'>): EffectiveBaseUrl {
  const clients = scan?.clients ?? []
  const literals = clients.flatMap(({ options }) =>
    options.flatMap(({ name, value, place }) =>
      name === 'baseurl' && value.kind === 'literal' ? [{ value: value.text, place }] : [],
    ),
  )
  const [first] = literals
  const isOfAll = literals.length === clients.length && literals.every(({ value }) => value === first?.value)
  return first !== undefined && isOfAll
    ? { setting: first, isInSource: true }
    : { setting: baseUrl, isInSource: false }
}
