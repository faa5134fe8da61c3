import { KeyturnError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import { jsonObjectIn } from './google-json.ts'
import { withoutFileMarks } from './plain-text.ts'
import { type ValueOptions, valueFormat } from './value-format.ts'

/** How the key stands in the text of a version. */
export interface GoogleText {
  /** Others have fields of their own in it, which every new version must have as well. */
  readonly isShared: boolean
  /** Undefined: a document into which no key was put yet. `store_malformed`: nothing that a key could be in. */
  keyIn(text: string, where: string): Secret | undefined
  /** The same for what somebody else may have put there: undefined where no key can be read. */
  keyOrNothing(text: string, where: string): Secret | undefined
  /** The text of the next version. `base`: that of the newest one, whose other fields stay. */
  next(key: Secret, base: Secret | undefined, where: string): Secret
  /** Fields can be written into it. */
  isDocument(text: string): boolean
  /** Nothing but the key is in it. */
  isAlone(text: string): boolean
}

export function googleText(options: ValueOptions): GoogleText {
  const format = valueFormat(options)
  const field = options.field ?? 'OPENAI_API_KEY'
  const objectIn = (text: string): object | undefined => jsonObjectIn(withoutFileMarks(text))
  const keyIn: GoogleText['keyIn'] = (text, where) => {
    const document = format.needsBase ? objectIn(text) : undefined
    if (document !== undefined && !Object.hasOwn(document, field)) return undefined
    return format.read(text, where)
  }
  return {
    isShared: format.needsBase,
    keyIn,
    keyOrNothing(text, where) {
      try {
        return keyIn(text, where)
      } catch (thrown) {
        if (thrown instanceof KeyturnError && thrown.code === 'store_malformed') return undefined
        throw thrown
      }
    },
    next: (key, base, where) =>
      new Secret(format.write(key, base === undefined ? undefined : withoutFileMarks(base.reveal()), where)),
    isDocument: (text) => format.needsBase && objectIn(text) !== undefined,
    isAlone(text) {
      const document = format.needsBase ? objectIn(text) : undefined
      return document === undefined
        ? !format.needsBase
        : Object.keys(document).every((name) => name === field)
    },
  }
}
