import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { fieldOf, parseJson, withoutFileMarks } from './plain-text.ts'
import { secretBytesMax, tooLarge } from './values.ts'

export interface ValueOptions {
  /** `plain`: the value is the key alone. `json`: an object with the key in one field. Default `plain`. */
  readonly format?: 'plain' | 'json'
  /** The field of the object. Default `OPENAI_API_KEY`. The other fields are kept as they are. */
  readonly field?: string
}

/** How the key stands in the secret's text. */
export interface ValueFormat {
  readonly placeholder: string
  /** The text of the current version is needed to write another one. */
  readonly needsBase: boolean
  /** It is a document that has no such field (yet): nothing is wrong with it, there is just no key in it. */
  isWithoutKey(text: string): boolean
  read(text: string, ref: string): Secret
  write(secret: Secret, base: string | undefined, ref: string): string
}

export function valueFormat(options: ValueOptions): ValueFormat {
  return options.format === 'json' ? jsonFormat(options.field ?? 'OPENAI_API_KEY') : plainFormat
}

const plainFormat: ValueFormat = {
  placeholder: 'no-key-yet',
  needsBase: false,
  isWithoutKey: () => false,
  read(text, ref) {
    const key = withoutFileMarks(text)
    if (key.trim() !== '') return new Secret(key)
    throw new KeyturnError('store_malformed', `The secret ${ref} is blank.`, { fix: 'Put the key into it.' })
  },
  write: (secret, _base, ref) => bounded(secret.reveal(), ref),
}

function jsonFormat(field: string): ValueFormat {
  return {
    placeholder: '{}',
    needsBase: true,
    isWithoutKey(text) {
      const document = parseJson(text)
      return isObject(document) && !Object.hasOwn(document, field)
    },
    read: (text, ref) => new Secret(withoutFileMarks(fieldOf(text, field, ref))),
    write(secret, base, ref) {
      const document = parseJson(base ?? '{}')
      if (isObject(document)) return bounded(JSON.stringify({ ...document, [field]: secret.reveal() }), ref)
      // To write over it would lose what somebody keeps there.
      throw new KeyturnError('store_malformed', `The secret ${ref} is not a JSON object.`, {
        fix: `Make it {"${field}": …}, or configure format: plain.`,
      })
    },
  }
}

function isObject(document: unknown): document is object {
  return typeof document === 'object' && document !== null && !Array.isArray(document)
}

function bounded(text: string, ref: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes > secretBytesMax) throw tooLarge(ref, bytes)
  return text
}
