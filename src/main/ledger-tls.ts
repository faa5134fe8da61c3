import type { LedgerConfig } from '../config.ts'
import type { Log } from '../core/ports.ts'
import type { PostgresTarget } from '../ledger/postgres.ts'
import { assertPem, type NamedFile, proveTogether } from '../server/pem.ts'
import { assertOwnConfiguration } from './private-files.ts'
import { readNamed } from './read-named.ts'

type LedgerTls = Exclude<Extract<LedgerConfig, { kind: 'postgres' }>['tls'], 'off' | undefined>
type Material = Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>

/**
 * Certificates as the files hold them when a connection is made: clouds change their authorities, and client certificates run
 * out, while Keyturn runs. What cannot be used any more is said once, and what was read last counts meanwhile. Throws
 * `config_invalid` where they cannot be used from the start.
 */
export function followLedgerTls(files: LedgerTls, log: Log): NonNullable<PostgresTarget['tls']> {
  const first = readLedgerTls(files)
  let known = signatureOf(first)
  let context = proveTogether(first, namedIn(files))
  let told: string | undefined
  const renew = (): void => {
    const material = readLedgerTls(files)
    const signature = signatureOf(material)
    if (signature !== known) {
      context = proveTogether(material, namedIn(files))
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

function readLedgerTls(files: LedgerTls): Material {
  const { ca, cert, key } = namedIn(files)
  return {
    ...(ca === undefined ? {} : { ca: readPem(ca, 'certificate') }),
    ...(cert === undefined ? {} : { cert: readPem(cert, 'certificate') }),
    ...(key === undefined ? {} : { key: readPem(key, 'private key') }),
  }
}

function namedIn({ caFile, certFile, keyFile }: LedgerTls) {
  const named = (setting: string, path: string | undefined): NamedFile | undefined =>
    path === undefined ? undefined : { setting, path }
  return {
    ca: named('ledger.tls.ca', caFile),
    cert: named('ledger.tls.cert', certFile),
    key: named('ledger.tls.key', keyFile),
  }
}

function readPem(file: NamedFile, what: 'certificate' | 'private key'): string {
  // Whoever puts an authority of theirs there can be the ledger, and with it say whose tokens count.
  assertOwnConfiguration(file.path, process.getuid?.())
  const text = readNamed(file)
  assertPem(text, what, file)
  return text
}

function signatureOf({ ca = '', cert = '', key = '' }: Material): string {
  return [ca, cert, key].join('\0')
}
