import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { fieldOf, parseJson, withoutFileMarks } from './plain-text.ts'
import { secretBytesMax, tooLarge } from './values.ts'
import { withoutFieldError } from './without-field.ts'

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
  /** It is a document that has no such field, or an empty one (yet). */
  isWithoutKey(text: string): boolean
  /** It has other people's fields and not ours, whose name is most likely wrong: no place to begin. */
  withoutField(text: string, ref: string): KeyturnError | undefined
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
  withoutField: () => undefined,
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
      return isFields(document) && (!Object.hasOwn(document, field) || document[field] === '')
    },
    withoutField(text, ref) {
      const document = parseJson(text)
      const fields = isFields(document) ? Object.keys(document) : []
      return fields.length === 0 || fields.includes(field)
        ? undefined
        : withoutFieldError(ref, { field, fields })
    },
    read(text, ref) {
      if (isFields(parseJson(text))) return new Secret(withoutFileMarks(fieldOf(text, field, ref)))
      throw notJsonError(ref, field)
    },
    write(secret, base, ref) {
      const document = parseJson(base ?? '{}')
      if (isFields(document)) return bounded(JSON.stringify({ ...document, [field]: secret.reveal() }), ref)
      // To write over it would lose what somebody keeps there.
      throw notJsonError(ref, field)
    },
  }
}

function notJsonError(ref: string, field: string): KeyturnError {
  return new KeyturnError('store_malformed', `The secret ${ref} is not a JSON object.`, {
    fix: `Set format: plain for the store of ${ref} where the secret is the key alone, or make it {"${field}": …}.`,
  })
}

function isFields(document: unknown): document is Readonly<Record<string, unknown>> {
  return typeof document === 'object' && document !== null && !Array.isArray(document)
}

function bounded(text: string, ref: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes > secretBytesMax) throw tooLarge(ref, bytes)
  return text
}
