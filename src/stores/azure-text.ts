import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { AzureStore } from './azure-look.ts'
import { mergeFields } from './azure-merge.ts'
import { parseJson } from './plain-text.ts'

/** What a value of Key Vault says and shall say. Whole values are secrets too: each holds a key. */

/** Azure takes 25 KB (learn.microsoft.com, 2026-11-20), and leaves open whether of 1,000 bytes or of 1,024. */
const azureBytesMax = 25_000

/** Undefined where it is other people's document without our field, or the value that stands for no key. */
export function keyIn({ format, field }: AzureStore, value: Secret, ref: string): Secret | undefined {
  const text = value.reveal()
  if (field !== undefined) {
    const document = parseJson(text)
    const isObject = typeof document === 'object' && document !== null && !Array.isArray(document)
    if (isObject && !Object.hasOwn(document, field)) return undefined
  } else if (text === format.placeholder) return undefined
  return format.read(text, ref)
}

/** The key alone, or the document of `base` with the key in it. */
export function textWith(
  { format, field }: AzureStore,
  key: Secret,
  { ref, base }: { readonly ref: string; readonly base: Secret | undefined },
): Secret {
  const text = new Secret(format.write(key, field === undefined ? undefined : base?.reveal(), ref))
  assertSize(ref, text)
  return text
}

export function mergedText(
  field: string,
  {
    onto,
    base,
    changed,
  }: { readonly onto: Secret; readonly base: Secret | undefined; readonly changed: Secret },
): Secret {
  const documents = { onto: onto.reveal(), base: base?.reveal(), changed: changed.reveal() }
  return new Secret(mergeFields(field, documents))
}

export function assertSize(ref: string, text: Secret): void {
  const bytes = Buffer.byteLength(text.reveal())
  if (bytes <= azureBytesMax) return
  throw new KeyturnError(
    'store_too_large',
    `The secret ${ref} has ${bytes} bytes; Azure Key Vault takes ${azureBytesMax}.`,
    { fix: 'Check that it is the key alone, or keep what else is in the document in a secret of its own.' },
  )
}
