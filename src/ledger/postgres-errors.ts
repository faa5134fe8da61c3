import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'

const roleFix = 'docs/replicas.md says which role and grants Keyturn needs.'

/** SQLSTATEs that tell a person what to do, https://www.postgresql.org/docs/current/errcodes-appendix.html (read November 2026). */
const known: Readonly<Record<string, { readonly what: string; readonly fix: string }>> = {
  '28P01': {
    what: 'refuses the password',
    fix: 'Correct the password that `ledger.password` names; it is read anew at the next connection.',
  },
  '28000': {
    what: 'refuses this role or this way of connecting',
    fix: `Look at pg_hba.conf and at the role that is named in the ledger's URL; ${roleFix}`,
  },
  '3D000': { what: 'has no such database', fix: `Create it, or correct the ledger's URL; ${roleFix}` },
  '42501': { what: 'denies this role something that Keyturn needs', fix: roleFix },
  '53300': {
    what: 'has no connection left',
    fix: 'Raise max_connections or the limit of the role: every replica takes up to `ledger.connectionsMax` and one to listen.',
  },
  '53100': { what: 'has no room on its disk', fix: 'Make room on the disk of PostgreSQL.' },
  '25006': {
    what: 'is read-only here: a standby, or one that is being replaced',
    fix: 'Let the address lead to the primary; Keyturn connects anew and tries again.',
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

/** Puts a name and a fix to what PostgreSQL, or the way to it, said. `place` never holds a password. */
export function toPostgresError(thrown: unknown, place: string): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const code = sqlState(thrown)
  if (code === undefined) return notReached(thrown, place)
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
        fix: 'Restore it from a backup, or name another schema and start again: what is alive is rebuilt from the store and the issuer.',
        cause: thrown,
      },
    )
  return new KeyturnError('internal', `ledger ${place}: SQLSTATE ${code}`, { cause: thrown })
}

export function closed(place: string): KeyturnError {
  return new KeyturnError('stopping', `the ledger ${place} is closed`)
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
  if (code?.startsWith('ERR_TLS') === true || tlsCodes.has(code ?? ''))
    return unreachable(
      `the certificate of the ledger ${place} is not trusted (${code})`,
      'Name the authority that signed it in `ledger.tls.ca`, and in the URL the host name that the certificate has.',
      thrown,
    )
  // The driver gives no code for it.
  if (thrown instanceof Error && thrown.message === 'The server does not support SSL connections')
    return unreachable(
      `the ledger ${place} speaks no TLS`,
      'Turn it on there (ssl = on), or say `ledger.tls: off` where nobody can listen between the two.',
      thrown,
    )
  return unreachable(
    `the ledger ${place} cannot be reached${code === undefined ? ' or does not answer in time' : ` (${code})`}`,
    'Look whether PostgreSQL runs and the address in `ledger.url` leads to it.',
    thrown,
  )
}

const tlsCodes = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

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
