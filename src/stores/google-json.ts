import { parseJson } from './plain-text.ts'

/** Undefined where it is no JSON, or no object. */
export function jsonObjectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  const document = parseJson(text)
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
  return document as Readonly<Record<string, unknown>>
}
