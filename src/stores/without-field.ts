import { KeyturnError } from '../core/errors.ts'
import { redactKeys } from '../core/key-shape.ts'

/** People are to recognise their document, not to read it. */
const shownMax = 5
const charactersMax = 40

/**
 * A document with fields of which none is the one that is to hold the key. `begin` is the command that adds an empty one,
 * where there is such a command. `store_malformed`.
 */
export function withoutFieldError(
  where: string,
  {
    field,
    fields,
    begin,
  }: { readonly field: string; readonly fields: readonly string[]; readonly begin?: string },
): KeyturnError {
  const shown = fields.slice(0, shownMax).map(shorten)
  const more = fields.length > shownMax ? `, and ${fields.length - shownMax} more` : ''
  // In brackets, so that nobody copies the full stop with the command.
  const how = begin === undefined ? '.' : ` (${begin}).`
  return new KeyturnError(
    'store_malformed',
    `${where} has fields (${shown.join(', ')}${more}) but no ${field}.`,
    {
      fix: `Configure the name of the field that holds the key. Or, where there is no key in it yet, add ${field} with nothing in it ("") to begin${how}`,
    },
  )
}

/** Names are no secrets, but somebody may have taken a key for one, or a line break. */
function shorten(name: string): string {
  const plain = redactKeys(name).replace(/\p{C}/gu, '?')
  return plain.length > charactersMax ? `${plain.slice(0, charactersMax)}…` : plain
}
