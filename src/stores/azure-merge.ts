import { parseJson } from './plain-text.ts'

/**
 * A document with what somebody else changed in it: every field but ours that is another in `changed` than in `base`, from
 * which both were made. Where one of them is no document, `onto` stays as it is.
 */
export function mergeFields(
  field: string,
  {
    onto,
    base,
    changed,
  }: { readonly onto: string; readonly base: string | undefined; readonly changed: string },
): string {
  const ours = documentIn(onto)
  const before = documentIn(base ?? '{}')
  const theirs = documentIn(changed)
  if (ours === undefined || before === undefined || theirs === undefined) return onto
  const merged = new Map(Object.entries(ours))
  for (const name of new Set([...Object.keys(before), ...Object.keys(theirs)])) {
    if (name === field || JSON.stringify(before[name]) === JSON.stringify(theirs[name])) continue
    if (Object.hasOwn(theirs, name)) merged.set(name, theirs[name])
    else merged.delete(name)
  }
  const text = JSON.stringify(Object.fromEntries(merged))
  return text === JSON.stringify(ours) ? onto : text
}

function documentIn(text: string): Readonly<Record<string, unknown>> | undefined {
  const document = parseJson(text)
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
  return document as Readonly<Record<string, unknown>>
}
