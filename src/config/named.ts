import { nearest } from '../core/nearest.ts'
import type { Report } from './types.ts'

/** What is written in place of a name, or stands under it. Undefined, and told, where there is no such name. */
export function named<Entry>(
  entry: Entry | string,
  among: Readonly<Record<string, Entry>>,
  onUnknown: () => void,
): Entry | undefined {
  if (typeof entry !== 'string') return entry
  if (Object.hasOwn(among, entry)) return among[entry]
  onUnknown()
  return undefined
}

export function unknownName(
  path: readonly (string | number)[],
  asked: { readonly kind: 'stores' | 'issuers'; readonly name: unknown; readonly among: object },
  report: Report,
): void {
  const known = Object.keys(asked.among)
  const near = typeof asked.name === 'string' ? nearest(asked.name, known) : undefined
  const list =
    known.length === 0 ? `There are none; add it under ${asked.kind}.` : `There are: ${known.join(', ')}.`
  report(path, `no such name under ${asked.kind}`, near === undefined ? list : `Did you mean '${near}'?`)
}
