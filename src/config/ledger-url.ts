import { isLoopback } from './listen.ts'

/** Where a PostgreSQL is, out of a URL. */
export interface LedgerAddress {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password?: string
  readonly sslMode?: SslMode
}

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

/** What keeps something from being used, and what to do; neither quotes the URL, which may hold a password. */
export interface Refusal {
  readonly message: string
  readonly fix: string
}

export type LedgerUrl =
  | { readonly kind: 'address'; readonly address: LedgerAddress }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

export const urlShape = 'a URL such as postgres://keyturn@db.example.com:5432/keyturn'

/** Refused where it is none, or says something that would be ignored. */
export function parseLedgerUrl(candidate: string): LedgerUrl {
  const isUrl = /^postgres(?:ql)?:\/\/[^/@]+@/.test(candidate)
  // Without a host, which a socket has none of, the standard's reader refuses it.
  const complete = candidate.replace(/^(postgres(?:ql)?:\/\/[^/@]+@)\//, '$1socket.invalid/')
  if (!isUrl || !URL.canParse(complete)) return noAddress
  const url = new URL(complete)
  const folder = url.searchParams.get('host')
  const isSocket = url.hostname === 'socket.invalid'
  const database = decoded(url.pathname.slice(1))
  const user = decoded(url.username)
  const password = decoded(url.password)
  const isWhole = database !== undefined && database !== '' && !database.includes('/') && user !== undefined
  if (url.hash !== '' || !isWhole || password === undefined) return noAddress
  if (isSocket && folder?.startsWith('/') !== true) return noAddress
  const ignored = [...url.searchParams.keys()].find(
    (name) => name !== 'sslmode' && !(name === 'host' && isSocket),
  )
  if (ignored !== undefined) return refused(wouldBeIgnored(ignored))
  const written = url.searchParams.getAll('sslmode')
  const sslMode = sslModes.find((mode) => mode === written[0])
  if (written.length > 1 || (written.length === 1 && sslMode === undefined))
    return refused({
      message: `its sslmode is none of ${sslModes.join(', ')}`,
      fix: 'Write sslmode=verify-full, or leave it out; TLS is set with `ledger.tls`.',
    })
  return {
    kind: 'address',
    address: {
      host: isSocket ? (folder ?? '') : url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 5432 : Number(url.port),
      database,
      user,
      ...(password === '' ? {} : { password }),
      ...(sslMode === undefined ? {} : { sslMode }),
    },
  }
}

const refused = (refusal: Refusal): LedgerUrl => ({ kind: 'refused', refusal })

const noAddress = refused({
  message: `expected ${urlShape}, with no more than sslmode behind it`,
  fix: 'Correct it; in a password @ is written %40, / %2F, : %3A, ? %3F, # %23 and % %25, or it is read from where `ledger.password` says.',
})

/** What clients of PostgreSQL take in a URL, https://www.postgresql.org/docs/current/libpq-connect.html (read November 2026), and poolers. */
const settings: Readonly<Record<string, string>> = {
  sslrootcert: '`ledger.tls.ca` names the authorities',
  sslcert: '`ledger.tls.cert` names the client certificate',
  sslkey: '`ledger.tls.key` names its key',
  password: '`ledger.password` says where it is read from',
  passfile: '`ledger.password` says where the password is read from',
  host: 'the host stands before the database',
  ...Object.fromEntries(
    [
      'application_name',
      'channel_binding',
      'client_encoding',
      'connect_timeout',
      'fallback_application_name',
      'gssencmode',
      'hostaddr',
      'keepalives',
      'options',
      'pgbouncer',
      'pool_timeout',
      'connection_limit',
      'schema',
      'ssl',
      'sslcrl',
      'sslnegotiation',
      'target_session_attrs',
    ].map((name) => [name, 'Keyturn has its own']),
  ),
}

/** A name that is none of those may be a piece of a password. */
function wouldBeIgnored(name: string): Refusal {
  const instead = Object.hasOwn(settings, name) ? settings[name] : undefined
  return {
    message: `${instead === undefined ? 'a setting behind the ?' : `'${name}'`} in it would be ignored`,
    fix: `Take it out of the URL${instead === undefined ? '' : `: ${instead}`}.`,
  }
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** Whether nobody but this machine sees what goes over the connection. */
export function isOnThisMachine(host: string): boolean {
  return host.startsWith('/') || isLoopback(host)
}

/**
 * Whether the connection is encrypted, out of `ledger.tls` and the sslmode of the URL. What is encrypted is always verified in full:
 * a mode that asks for less gets more. Where the two differ, or a mode would do without TLS where there is none, nobody guesses.
 */
export function encryptionOf(
  { host, sslMode }: LedgerAddress,
  tls: 'off' | object | undefined,
): 'encrypted' | 'plain' | Refusal {
  const isOff = tls === 'off' || (tls === undefined && isOnThisMachine(host))
  switch (sslMode) {
    case undefined:
      return isOff ? 'plain' : 'encrypted'
    case 'allow':
    case 'prefer':
      return {
        message: `sslmode=${sslMode} goes on without TLS where there is none, which Keyturn never does`,
        fix: 'Take it out of the URL, or write sslmode=verify-full; `ledger.tls: off` alone does without TLS.',
      }
    case 'disable':
      if (isOff) return 'plain'
      return {
        message:
          tls === undefined
            ? 'sslmode=disable asks for no TLS to another machine'
            : 'sslmode=disable contradicts `ledger.tls`',
        fix: 'Take it out of the URL; or, where nobody can listen between the two, say `ledger.tls: off`.',
      }
    default:
      if (tls !== 'off') return 'encrypted'
      return {
        message: `sslmode=${sslMode} contradicts \`ledger.tls: off\``,
        fix: 'Take `ledger.tls: off` out, or sslmode out of the URL.',
      }
  }
}
