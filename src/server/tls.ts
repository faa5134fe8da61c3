import { readFile, stat } from 'node:fs/promises'
import type { SecureContextOptions, Server } from 'node:tls'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import { assertPem, expiryOf, type NamedFile, proveTogether, unreadable } from './pem.ts'
import { every } from './ticker.ts'

export interface TlsOptions {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
  readonly clientCertificates: 'optional' | 'required'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Reads a file, and refuses one that others can put there. Default: reads it. */
  readonly readText?: (path: string) => Promise<string>
}

/** The files of the configuration, read and proven to fit together. */
export interface TlsMaterial {
  readonly context: SecureContextOptions
  /** Changes whenever a file does. */
  readonly signature: string
  /** The text of the authorities, to see whether they changed. */
  readonly clientCa: string
}

const pollMs = 1_000
/** A whole handshake has to be over by then. */
export const handshakeMs = 10_000

/** `config_invalid` where a file is missing, or certificate and key do not belong together. */
export async function readTls(options: TlsOptions): Promise<TlsMaterial> {
  const signature = await signatureOf(options)
  const { minVersion } = options
  const files = filesOf(options)
  const [cert, key, clientCa] = await Promise.all([
    readPem(files.cert, 'certificate', options),
    readPem(files.key, 'private key', options),
    files.ca === undefined ? '' : readPem(files.ca, 'certificate', options),
  ])
  const context: SecureContextOptions = {
    cert,
    key,
    minVersion,
    ...(clientCa === '' ? {} : { ca: clientCa }),
  }
  proveTogether(context, files)
  return { context, signature, clientCa }
}

/** For `https.createServer`. Whoever shows no certificate, or none that counts, can still show a token. */
export function serverTls(options: TlsOptions, { context }: TlsMaterial) {
  return {
    ...context,
    handshakeTimeout: handshakeMs,
    requestCert: options.clientCa !== undefined,
    rejectUnauthorized: options.clientCa !== undefined && options.clientCertificates === 'required',
  }
}

/**
 * Reads the files again when they change. Connections that are open live on; what does not fit together is said once and
 * leaves everything as it was, since a certificate and its key are seldom replaced in the same instant.
 */
export function watchTls(input: {
  readonly server: Pick<Server, 'setSecureContext'>
  readonly options: TlsOptions
  readonly material: TlsMaterial
  readonly system: System
  readonly log: Log
  /** The authorities are others now. */
  readonly onClientCa: () => void
}): Cancel {
  const { server, options, system, log } = input
  let { signature, clientCa } = input.material
  /** What could not be used when it was looked at last, and whether that was said. */
  let bad = { signature: '', isTold: false }
  let isLooking = false
  const tellIfExpired = ({ context, clientCa }: TlsMaterial): void => {
    const told = [
      {
        at: expiryOf(String(context.cert), 'chain'),
        what: 'the certificate has expired: whoever checks it does not connect',
        file: { cert: options.cert },
      },
      {
        at: expiryOf(clientCa, 'bundle'),
        what: 'the authorities of clients have expired: nobody is let in by a certificate',
        file: { clientCa: options.clientCa },
      },
    ]
    for (const { at, what, file } of told)
      if (at !== undefined && at.getTime() <= system.now())
        log('error', what, {
          ...file,
          expiredAt: at.toISOString(),
          fix: 'Put a new one in its place; it is read without a restart.',
        })
  }
  tellIfExpired(input.material)
  const look = async (): Promise<void> => {
    const now = await signatureOf(options).catch(() => 'unreadable')
    if (now === signature || (now === bad.signature && bad.isTold)) return
    try {
      const material = await readTls(options)
      server.setSecureContext(material.context)
      signature = material.signature
      log('info', 'the certificate was read again', { cert: options.cert })
      tellIfExpired(material)
      if (material.clientCa === clientCa) return
      clientCa = material.clientCa
      input.onClientCa()
    } catch (thrown) {
      // Once more before it is said: the second file may be on its way.
      const isTold = now === bad.signature
      bad = { signature: now, isTold }
      if (isTold)
        log('error', 'the new certificate cannot be used; the one from before is', {
          error: toKeyturnError(thrown, 'reading the certificate'),
        })
    }
  }
  return every(system, pollMs, () => {
    if (isLooking) return
    isLooking = true
    void look().finally(() => {
      isLooking = false
    })
  })
}

function filesOf({
  cert,
  key,
  clientCa,
}: TlsOptions): Record<'cert' | 'key', NamedFile> & { ca?: NamedFile } {
  return {
    cert: { setting: 'tls.cert', path: cert },
    key: { setting: 'tls.key', path: key },
    ...(clientCa === undefined ? {} : { ca: { setting: 'tls.clientCa', path: clientCa } }),
  }
}

async function signatureOf(options: TlsOptions): Promise<string> {
  const parts = await Promise.all(
    Object.values(filesOf(options)).map(async (file) => {
      try {
        const { ino, mtimeNs, size } = await stat(file.path, { bigint: true })
        return `${ino}:${mtimeNs}:${size}`
      } catch (thrown) {
        throw unreadable(file, thrown)
      }
    }),
  )
  return parts.join(' ')
}

async function readPem(
  file: NamedFile,
  what: 'certificate' | 'private key',
  { readText = (path) => readFile(path, 'utf8') }: TlsOptions,
): Promise<string> {
  const text = await readText(file.path).catch((thrown: unknown) => {
    throw thrown instanceof KeyturnError ? thrown : unreadable(file, thrown)
  })
  assertPem(text, what, file)
  return text
}
