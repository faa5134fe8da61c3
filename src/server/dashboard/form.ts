import { KeyturnError } from '../../core/errors.ts'

const fieldsMax = 20

/** The fields of a form. A field that comes twice is refused: two readers could mean different ones. */
export function parseForm(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.has(name) || fields.size >= fieldsMax)
      throw new KeyturnError('bad_request', 'The form has a field twice, or too many fields.', {
        fix: 'Load the page anew and send its form.',
      })
    fields.set(name, value)
  }
  return fields
}

/** What came, if it was a form at all. */
export function formOf(body: unknown): ReadonlyMap<string, string> {
  return body instanceof Map ? (body as ReadonlyMap<string, string>) : new Map()
}
