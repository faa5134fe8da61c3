import { isHeaderSafe } from './credential.ts'
import { KeyturnClientError } from './errors.ts'
import { limits } from './limits.ts'
import { type Platform, realPlatform } from './platform.ts'
import type { TlsFiles } from './tls-files.ts'
import type { ClientOptions } from './types.ts'

export interface Settings {
  /** Undefined: keys are resolved in this process. */
  readonly url: URL | undefined
  readonly credential: string
  readonly instance: string
  readonly timeoutMs: number
  readonly staleAfterMs: number
  /** Undefined where a client certificate says who asks. */
  readonly token: () => Promise<string | undefined>
  readonly tls: TlsFiles | undefined
}

export const credentialPattern = /^[a-z0-9-]{1,63}$/

export function platformOf(options: ClientOptions): Platform {
  const platform = { ...realPlatform(), ...options.platform }
  return options.env === undefined ? platform : { ...platform, env: options.env }
}

/** Options before environment before defaults. Throws what is wrong with them, by name. */
export function readSettings(options: ClientOptions, platform: Platform): Settings {
  const { env } = platform
  const url = text(options.url?.toString()) ?? text(env['KEYTURN_URL'])
  const credential = text(options.credential) ?? text(env['KEYTURN_CREDENTIAL']) ?? 'openai'
  if (!credentialPattern.test(credential))
    throw new KeyturnClientError(
      'bad_request',
      'The name of a credential that was asked for is not a name.',
      {
        fix: 'Use lower-case letters, digits and hyphens, at most 63, as in `openai-prod`.',
      },
    )
  const timeoutMs = options.timeoutMs ?? limits.timeoutMs
  const staleAfterMs = options.staleAfterMs ?? Number.POSITIVE_INFINITY
  if (!(timeoutMs >= 1 && timeoutMs < 2 ** 31)) throw badNumber('timeoutMs', '1 to 2,147,483,647')
  if (!(staleAfterMs > 0)) throw badNumber('staleAfterMs', 'more than 0')
  const instance = options.instance ?? platform.uuid()
  if (!isHeaderSafe(instance, 128))
    throw new KeyturnClientError('bad_request', 'The option instance is not usable.', {
      fix: 'Use 1 to 128 printable ASCII characters without spaces.',
    })
  const base = url === undefined ? undefined : parseUrl(url)
  const tls = base?.protocol === 'https:' ? tlsOf(options, env) : undefined
  const token = tokenOf(options, platform, tls?.cert !== undefined)
  return { url: base, credential, instance, timeoutMs, staleAfterMs, token, tls }
}

/** Undefined where nothing is named, or a fetch of the app's own carries the calls. */
function tlsOf(options: ClientOptions, env: Platform['env']): TlsFiles | undefined {
  const { caFile, clientCertFile, clientKeyFile, fetch } = options
  const given = [caFile, clientCertFile, clientKeyFile].map(text)
  if (fetch !== undefined) {
    if (given.every((path) => path === undefined)) return undefined
    throw new KeyturnClientError('bad_request', 'A fetch of your own takes no files of certificates.', {
      fix: 'Leave out fetch, or caFile, clientCertFile and clientKeyFile, and have the fetch show the certificate.',
    })
  }
  const [ca, cert, key] = [
    given[0] ?? text(env['KEYTURN_CA_FILE']),
    given[1] ?? text(env['KEYTURN_CLIENT_CERT_FILE']),
    given[2] ?? text(env['KEYTURN_CLIENT_KEY_FILE']),
  ]
  if ((cert === undefined) !== (key === undefined))
    throw new KeyturnClientError(
      'config_invalid',
      'KEYTURN_CLIENT_CERT_FILE and KEYTURN_CLIENT_KEY_FILE belong together, and one is missing.',
      { fix: 'Set both, or neither.' },
    )
  return ca === undefined && cert === undefined ? undefined : { ca, cert, key }
}

/** Reads the token anew for every call, so that a token that was turned in its file is used at once. */
function tokenOf(options: ClientOptions, platform: Platform, isKnownWithout: boolean): Settings['token'] {
  const { env } = platform
  const fixed = text(options.token) ?? (text(options.tokenFile) ? undefined : text(env['KEYTURN_TOKEN']))
  const file = text(options.tokenFile) ?? text(env['KEYTURN_TOKEN_FILE'])
  return async () => {
    if (fixed !== undefined) return checkedToken(fixed.trim(), 'KEYTURN_TOKEN')
    if (file === undefined && isKnownWithout) return undefined
    if (file === undefined)
      throw new KeyturnClientError('config_missing', 'There is an address of Keyturn, but no token for it.', {
        fix: 'Set KEYTURN_TOKEN or KEYTURN_TOKEN_FILE; an operator makes a token with `keyturn token`.',
      })
    let content: string
    try {
      content = await platform.readText(file)
    } catch (error) {
      throw new KeyturnClientError('config_invalid', `The token file ${file} cannot be read.`, {
        fix: 'Check KEYTURN_TOKEN_FILE: it names a small regular file that is there and that this process may read.',
        cause: error,
      })
    }
    return checkedToken(content.trim(), `the token file ${file}`)
  }
}

function checkedToken(token: string, from: string): string {
  if (isHeaderSafe(token, limits.tokenLengthMax)) return token
  throw new KeyturnClientError('config_invalid', `What ${from} holds is not a token.`, {
    fix: 'It must be one line without spaces, as `keyturn token` prints it.',
  })
}

function parseUrl(url: string): URL {
  const fix =
    'Use an address as http://127.0.0.1:7420 or https://keyturn.example, without user name or password.'
  // The address is not repeated: where it is wrong, it may be a token that got into the wrong variable.
  if (!URL.canParse(url))
    throw new KeyturnClientError('config_invalid', 'KEYTURN_URL is not an address.', { fix })
  const parsed = new URL(url)
  if (!['http:', 'https:'].includes(parsed.protocol) || parsed.username !== '' || parsed.password !== '')
    throw new KeyturnClientError('config_invalid', 'KEYTURN_URL is not an address that can be used.', { fix })
  return parsed
}

function badNumber(name: string, range: string): KeyturnClientError {
  return new KeyturnClientError('bad_request', `The option ${name} is out of range.`, {
    fix: `Use ${range}.`,
  })
}

function text(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value
}
