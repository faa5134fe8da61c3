import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

const roleFix = 'docs/replicas.md says which role and grants Keyturn needs.'

const foreign = {
  what: 'has tables or functions in this schema that Keyturn did not make',
  fix: 'Name a schema in `ledger.schema` that nothing else uses.',
}

/** SQLSTATEs that tell a person what to do, https://www.postgresql.org/docs/current/errcodes-appendix.html (read November 2026). */
const known: Readonly<Record<string, { readonly what: string; readonly fix: string }>> = {
  '28P01': {
    what: 'refuses the password',
    fix: 'Correct what `ledger.password` names, read anew at the next connection, or the role in `ledger.url`: of one that is not there the same is said.',
  },
  '3D000': { what: 'has no such database', fix: `Create it, or correct \`ledger.url\`; ${roleFix}` },
  '42501': {
    what: 'denies this role something that Keyturn needs',
    fix: `Grant the role in \`ledger.url\` CONNECT on the database, USAGE on its schemas, and SELECT, INSERT, UPDATE and DELETE on their tables; ${roleFix}`,
  },
  '42P07': foreign,
  '42723': foreign,
  '53300': {
    what: 'has no connection left',
    fix: 'Raise max_connections or the limit of the role: every replica takes up to `ledger.connectionsMax` and one to listen.',
  },
  '53100': { what: 'has no room on its disk', fix: 'Make room on the disk of PostgreSQL.' },
  '25006': {
    what: 'is read-only here: a standby, one that is being replaced, or a role that is set so (default_transaction_read_only)',
    fix: 'Let `ledger.url` lead to the primary, and to a role that may write; Keyturn connects anew and tries again.',
  },
  '57014': {
    what: 'took too long over a statement',
    fix: 'Look what holds it up (pg_stat_activity, pg_locks).',
  },
  '55P03': { what: 'waited too long for a lock', fix: 'Look who holds it (pg_locks).' },
}

/** What is over as soon as the same is tried again, mostly: restarts, deadlocks, lost races of transactions. */
const passing = new Set(['40001', '40P01', '57P01', '57P02', '57P03', '57P05'])
const missingObject = new Set(['42P01', '42703', '3F000', '42883'])

/** After these the connection is of no more use, or leads to the wrong server. */
export function isBroken(thrown: unknown): boolean {
  const code = sqlState(thrown)
  if (thrown instanceof KeyturnError) return false
  return code === undefined || code === '25006' || code.startsWith('57P') || code.startsWith('08')
}

/** Where something was asked of PostgreSQL. */
export interface Asked {
  /** Never holds a password. */
  readonly place: string
  readonly isEncrypted: boolean
}

/** Puts a name and a fix to what PostgreSQL, or the way to it, said. */
export function toPostgresError(thrown: unknown, { place, isEncrypted }: Asked): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const code = sqlState(thrown)
  if (code === undefined) return notReached(thrown, place)
  if (code === '28000') return refusedEntry({ place, isEncrypted }, thrown)
  const found = known[code]
  if (found !== undefined) return unreachable(`the ledger ${place} ${found.what}`, found.fix, thrown)
  if (passing.has(code) || code.startsWith('08'))
    return unreachable(
      `the ledger ${place} is restarting or was interrupted (SQLSTATE ${code})`,
      'Wait a moment: Keyturn connects anew and tries again.',
      thrown,
    )
  if (code.startsWith('53') || code.startsWith('58'))
    return unreachable(
      `the ledger ${place} lacks something it needs (SQLSTATE ${code})`,
      "Look at PostgreSQL's log.",
      thrown,
    )
  if (missingObject.has(code) || code.startsWith('XX'))
    return new KeyturnError(
      'ledger_corrupt',
      `the ledger ${place} is not as Keyturn made it (SQLSTATE ${code})`,
      {
        fix: 'Restore it from a backup, or name another schema in `ledger.schema` and start again: what is alive is rebuilt from the store and the issuer.',
        cause: thrown,
      },
    )
  return new KeyturnError('internal', `ledger ${place}: SQLSTATE ${code}`, { cause: thrown })
}

function refusedEntry({ place, isEncrypted }: Asked, thrown: unknown): KeyturnError {
  const how = isEncrypted ? 'with TLS' : 'without TLS'
  const first = isEncrypted
    ? 'Where it asks for a client certificate, name one of this role in `ledger.tls.cert` and `ledger.tls.key`'
    : 'Where it demands TLS, as clouds do, write `ledger.tls: { ca: PATH }` with the authority of its certificate'
  return unreachable(
    `the ledger ${place} refuses this role or this way of connecting, which is ${how}`,
    `${first}; else look at pg_hba.conf and at the role in \`ledger.url\`; ${roleFix}`,
    thrown,
  )
}

export function closed(place: string): KeyturnError {
  return new KeyturnError('stopping', `the ledger ${place} is closed`)
}

/** A pooler in transaction mode, or in statement mode. */
export function changesConnections(place: string): KeyturnError {
  return unreachable(
    `what answers as the ledger ${place} is a pooler that changes its connection with every transaction, so that word of other replicas is lost`,
    'Let `ledger.url` lead to PostgreSQL itself, or to a pooler in session mode (clouds have a host or a port of their own for it).',
    undefined,
  )
}

/** The server asks for one and none is configured. */
export function noPassword(place: string): never {
  throw unreachable(
    `the ledger ${place} asks for a password, and none is configured`,
    'Name where it is read from in `ledger.password`: { env: NAME } or { file: PATH }.',
    undefined,
  )
}

/** No answer of PostgreSQL's own: the network, TLS, or a time limit of ours. */
function notReached(thrown: unknown, place: string): KeyturnError {
  const code = errnoOf(thrown)
  const tls = code === undefined ? undefined : tlsFinding(code)
  if (tls !== undefined) return unreachable(`${tls.what(place)} (${code})`, tls.fix, thrown)
  // The driver gives no code for these.
  const message = code === undefined && thrown instanceof Error ? thrown.message : ''
  if (message === 'The server does not support SSL connections')
    return unreachable(
      `the ledger ${place} speaks no TLS, and nothing was sent to it`,
      'Turn it on there (ssl = on), or say `ledger.tls: off` where nobody can listen between the two.',
      thrown,
    )
  if (message === 'There was an error establishing an SSL connection')
    return unreachable(
      `what answers at ${place} is no PostgreSQL`,
      'Correct the host and the port in `ledger.url`.',
      thrown,
    )
  if (message === 'Connection terminated unexpectedly')
    return unreachable(
      `what answers at ${place} closed the connection without a word`,
      'Look whether PostgreSQL is restarting there, and whether the host and the port in `ledger.url` lead to it and to nothing else.',
      thrown,
    )
  return unreachable(
    `the ledger ${place} cannot be reached${code === undefined ? ' or does not answer in time' : ` (${code})`}`,
    'Look whether PostgreSQL runs and the address in `ledger.url` leads to it.',
    thrown,
  )
}

interface TlsFinding {
  readonly what: (place: string) => string
  readonly fix: string
}

const untrusted: TlsFinding = {
  what: (place) =>
    `the certificate of the ledger ${place} is signed by an authority that is not trusted here`,
  fix: 'Put the certificates of the authority that signed it into the file that `ledger.tls.ca` names; clouds have a bundle of theirs.',
}

/** What Node says of a certificate, https://nodejs.org/api/tls.html#x509-certificate-error-codes (read November 2026). */
const tlsFindings: Readonly<Record<string, TlsFinding>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: (place) => `the certificate of the ledger ${place} is for another host name`,
    fix: 'Write a name that is in it into `ledger.url`, or, where the address has to stay, into `ledger.tls.serverName`.',
  },
  CERT_HAS_EXPIRED: {
    what: (place) =>
      `the certificate of the ledger ${place}, or of the authority that signed it, has expired`,
    fix: 'Renew that of the server; where it is the authority, put the new one into the file that `ledger.tls.ca` names.',
  },
  CERT_NOT_YET_VALID: {
    what: (place) => `the certificate of the ledger ${place} is not valid yet`,
    fix: 'Correct the clock of this machine, or the certificate of the server.',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
}

const otherTls: TlsFinding = {
  what: (place) => `no TLS comes about with the ledger ${place}`,
  fix: 'Look whether the server takes the client certificate of `ledger.tls.cert` (who signs them is in its ssl_ca_file) and a version and a certificate that Node takes (ssl_min_protocol_version, ssl_cert_file).',
}

function tlsFinding(code: string): TlsFinding | undefined {
  const isOther =
    /^(?:ERR_(?:TLS|SSL|OSSL)_|CERT_|CRL_|EPROTO$|HOSTNAME_MISMATCH$|INVALID_(?:CA|PURPOSE)$)/.test(code)
  return tlsFindings[code] ?? (isOther ? otherTls : undefined)
}

function unreachable(message: string, fix: string, cause: unknown): KeyturnError {
  return new KeyturnError('ledger_unreachable', message, { fix, retryable: true, cause })
}

function sqlState(thrown: unknown): string | undefined {
  const code = errnoOf(thrown)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && hasSeverity(thrown) ? code : undefined
}

function hasSeverity(thrown: unknown): boolean {
  return thrown instanceof Error && 'severity' in thrown
}
