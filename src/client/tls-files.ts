import { orAborted } from './deadline.ts'
import { KeyturnClientError } from './errors.ts'
import { quietSendBy, type Way } from './quiet-send.ts'
import type { Send } from './wire.ts'

/** What an HTTPS connection is made with, as paths of PEM files. A certificate and its key belong together. */
export interface TlsFiles {
  /** The authority that signs for the service, in place of those that Node knows. */
  readonly ca?: string | undefined
  /** What is shown to the service. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

type Pem = Pick<Way, 'ca' | 'cert' | 'key'>

/**
 * Reads the files again for every exchange, so that certificates may live for minutes. Files are seldom replaced in the same instant:
 * where they do not fit together or one is missing for a while, those from before count, and the files are blamed only where they do not do.
 */
export function sendByFiles(files: TlsFiles, readText: (path: string) => Promise<string>): Send {
  let good: Pem | undefined
  return async (request) => {
    let fault: unknown
    try {
      good = await orAborted(readPem(files, readText, good), request.signal)
    } catch (thrown) {
      if (good === undefined || request.signal.aborted) throw thrown
      fault = thrown
    }
    try {
      return await quietSendBy(good)(request)
    } catch (thrown) {
      throw request.signal.aborted ? thrown : (fault ?? thrown)
    }
  }
}

async function readPem(
  files: TlsFiles,
  readText: (path: string) => Promise<string>,
  known: Pem | undefined,
): Promise<Pem> {
  const read = async (name: keyof Pem): Promise<Pem> => {
    const path = files[name]
    return path === undefined ? {} : { [name]: await readOne(path, variables[name], readText) }
  }
  const [ca, cert, key] = await Promise.all([read('ca'), read('cert'), read('key')])
  const pem: Pem = { ...ca, ...cert, ...key }
  if (known !== undefined && names.every((name) => known[name] === pem[name])) return known
  await assertUsable(pem, files)
  return pem
}

const names = ['ca', 'cert', 'key'] as const

const variables = {
  ca: 'KEYTURN_CA_FILE',
  cert: 'KEYTURN_CLIENT_CERT_FILE',
  key: 'KEYTURN_CLIENT_KEY_FILE',
} as const

async function readOne(
  path: string,
  variable: string,
  readText: (path: string) => Promise<string>,
): Promise<string> {
  try {
    return await readText(path)
  } catch (error) {
    throw new KeyturnClientError('config_invalid', `The file ${path} cannot be read.`, {
      fix: `Check ${variable}: it names a small regular file that is there and that this process may read.`,
      cause: error,
    })
  }
}

async function assertUsable({ ca, cert, key }: Pem, files: TlsFiles): Promise<void> {
  // Node takes a text without any certificate for an authority that signs for nobody.
  if (ca !== undefined && !/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(ca))
    throw new KeyturnClientError('config_invalid', `There is no certificate in ${files.ca}.`, {
      fix: 'Put the authority that signs for the service into it, as PEM, or unset KEYTURN_CA_FILE.',
    })
  const { createSecureContext } = await import('node:tls')
  const tryOut = (pem: Pem, told: string, fix: string) => {
    try {
      createSecureContext(pem)
    } catch (error) {
      throw new KeyturnClientError('config_invalid', told, { fix, cause: error })
    }
  }
  if (ca !== undefined)
    tryOut({ ca }, `The authority ${files.ca} cannot be used.`, 'Put a PEM certificate into it.')
  if (cert !== undefined && key !== undefined)
    tryOut(
      { cert, key },
      `The client certificate ${files.cert} cannot be used with the key ${files.key}.`,
      'KEYTURN_CLIENT_CERT_FILE names a PEM chain, KEYTURN_CLIENT_KEY_FILE the key that belongs to it, without a passphrase.',
    )
}
