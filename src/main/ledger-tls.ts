import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { LedgerConfig } from '../config.ts'
import { errnoOf, errnoText } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'
import type { PostgresTarget } from '../ledger/postgres.ts'
import { assertOwnConfiguration } from './private-files.ts'

type LedgerTls = Exclude<Extract<LedgerConfig, { kind: 'postgres' }>['tls'], 'off' | undefined>
type Material = Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>

/**
 * Certificates as the files hold them when a connection is made: clouds change their authorities, and client certificates run
 * out, while Keyturn runs. What cannot be used any more is said once, and what was read last counts meanwhile. Throws
 * `file_unusable` where they cannot be used from the start.
 */
export function followLedgerTls(files: LedgerTls, log: Log): NonNullable<PostgresTarget['tls']> {
  const first = readLedgerTls(files)
  let known = signatureOf(first)
  let context = contextOf(first, files)
  let told: string | undefined
  const renew = (): void => {
    const material = readLedgerTls(files)
    const signature = signatureOf(material)
    if (signature !== known) {
      context = contextOf(material, files)
      known = signature
      log('info', "the certificates for the ledger's TLS were read again", { ...files })
    }
    told = undefined
  }
  return {
    ...(files.serverName === undefined ? {} : { serverName: files.serverName }),
    secureContext() {
      try {
        renew()
      } catch (thrown) {
        const message = thrown instanceof Error ? thrown.message : ''
        if (told !== message)
          log('error', "new certificates for the ledger's TLS cannot be used; those from before are", {
            error: thrown,
          })
        told = message
      }
      return context
    },
  }
}

/** The texts of the files. `file_unusable` names the setting and the path. */
function readLedgerTls({ caFile, certFile, keyFile }: LedgerTls): Material {
  const ca = readPem('ledger.tls.ca', caFile, 'CERTIFICATE')
  const cert = readPem('ledger.tls.cert', certFile, 'CERTIFICATE')
  const key = readPem('ledger.tls.key', keyFile, 'PRIVATE KEY')
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

function readPem(setting: string, path: string | undefined, what: string): string | undefined {
  if (path === undefined) return undefined
  let text: string
  // Whoever puts an authority of theirs there can be the ledger, and with it say whose tokens count.
  assertOwnConfiguration(path, process.getuid?.())
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    const isMissing = errnoOf(thrown) === 'ENOENT'
    throw new KeyturnError(
      'file_unusable',
      `The file ${path} that ${setting} names cannot be read (${errnoText(thrown)}).`,
      {
        fix: isMissing
          ? `It is not there: put it there, or correct ${setting}.`
          : `Name a file that the user who runs Keyturn can read in ${setting}: ls -ld '${path}'`,
        cause: thrown,
      },
    )
  }
  if (new RegExp(`-----BEGIN [A-Z0-9 ]{0,20}${what}-----`).test(text)) return text
  throw new KeyturnError(
    'file_unusable',
    `The file ${path} that ${setting} names holds no ${what === 'CERTIFICATE' ? 'certificate' : 'private key'} in PEM.`,
    { fix: `Put one there as PEM (it begins with -----BEGIN), or correct ${setting}.` },
  )
}

function contextOf(material: Material, { caFile, certFile, keyFile }: LedgerTls): SecureContext {
  try {
    return createSecureContext(material)
  } catch (thrown) {
    const isPair = errnoOf(thrown) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
    const named = [caFile, certFile, keyFile].filter((path) => path !== undefined).join(', ')
    throw new KeyturnError(
      'file_unusable',
      isPair
        ? `The key ${keyFile} that ledger.tls.key names does not belong to the certificate ${certFile} of ledger.tls.cert.`
        : `The files of ledger.tls (${named}) cannot be used together (${errnoText(thrown)}).`,
      {
        fix: 'Put the client certificate into the file of ledger.tls.cert, its key without a passphrase into that of ledger.tls.key, and authorities into that of ledger.tls.ca, all as PEM.',
        cause: thrown,
      },
    )
  }
}

function signatureOf({ ca = '', cert = '', key = '' }: Material): string {
  return [ca, cert, key].join('\0')
}
