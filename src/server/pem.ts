import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { errnoOf, errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

/** A file of the configuration, and the setting that names it. */
export interface NamedFile {
  readonly setting: string
  readonly path: string
}

/** `config_invalid` where there is none in it: without any authority Node would take all that it trusts itself. */
export function assertPem(
  text: string,
  what: 'certificate' | 'private key',
  { setting, path }: NamedFile,
): void {
  if (new RegExp(`-----BEGIN [A-Z0-9 ]{0,20}${what.toUpperCase()}-----`).test(text)) return
  throw new KeyturnError('config_invalid', `There is no ${what} in ${path}, which ${setting} names.`, {
    fix: `Put one into it, as PEM (it begins with -----BEGIN), or correct ${setting}.`,
  })
}

/** `config_invalid` where the texts do not belong together, or are damaged. */
export function proveTogether(
  texts: SecureContextOptions,
  files: {
    readonly cert?: NamedFile | undefined
    readonly key?: NamedFile | undefined
    readonly ca?: NamedFile | undefined
  },
): SecureContext {
  try {
    return createSecureContext(texts)
  } catch (thrown) {
    const { cert, key } = files
    const isPair = errnoOf(thrown) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
    const all = Object.values(files).filter((file) => file !== undefined)
    const settings = all.map(({ setting }) => setting).join(', ')
    throw new KeyturnError(
      'config_invalid',
      isPair
        ? `The key ${key?.path} does not belong to the certificate ${cert?.path}, so that neither can be used.`
        : `The files of ${settings} cannot be used (${errnoText(thrown)}): ${all.map(({ path }) => path).join(', ')}.`,
      {
        fix: isPair
          ? `Put the key of this certificate where ${key?.setting} says, or the certificate of this key where ${cert?.setting} does.`
          : `Put whole PEM files there, the key without a passphrase, or correct ${settings}.`,
        cause: thrown,
      },
    )
  }
}

export function unreadable({ setting, path }: NamedFile, thrown: unknown): KeyturnError {
  const isMissing = errnoOf(thrown) === 'ENOENT'
  return new KeyturnError(
    'config_invalid',
    `The file ${path}, which ${setting} names, cannot be read (${errnoText(thrown)}).`,
    {
      fix: isMissing
        ? `It is not there: put it there, or correct the path in ${setting}.`
        : `Let the user that runs keyturn read it (ls -ld '${path}'), or correct ${setting}.`,
      cause: thrown,
    },
  )
}

/** When a text of certificates ends to be of use: a chain with its first, a bundle of authorities with the last of them. */
export function expiryOf(text: string, kind: 'chain' | 'bundle'): Date | undefined {
  const all = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g) ?? []
  const ends = all.map((pem) => new X509Certificate(pem).validToDate.getTime())
  const [first] = ends
  if (first === undefined) return undefined
  return new Date(kind === 'chain' ? first : Math.max(...ends))
}
