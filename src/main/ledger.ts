import { join } from 'node:path'
import { encryptionOf, type LedgerAddress, parseLedgerUrl, type Refusal } from '../config/ledger-url.ts'
import type { LedgerConfig, SecretSource } from '../config.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Ledger, Log, System } from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { PostgresTarget } from '../ledger/postgres.ts'
import type { TokenShelf } from '../server/token-shelf.ts'
import type { Environment } from './compose.ts'
import { followLedgerTls } from './ledger-tls.ts'
import { readNamed } from './read-named.ts'

export interface OpenedLedger {
  readonly ledger: Ledger
  /**
   * Who holds claims. One process has SQLite to itself, and takes its own claims over when it starts again; of several on
   * one PostgreSQL each start is somebody new.
   */
  readonly owner: string
}

export type OpenLedger = (context: {
  /** Of SQLite. */
  readonly file: string
  readonly env: Environment
  readonly system: System
  readonly log: Log
}) => OpenedLedger

/** Loads the one that is configured. */
export async function loadLedger(config: LedgerConfig | undefined): Promise<OpenLedger> {
  if (config?.kind !== 'postgres') {
    const { openSqliteLedger } = await import('../ledger/sqlite.ts')
    return ({ file }) => ({ ledger: openSqliteLedger({ path: file }), owner: 'this-host' })
  }
  const { openPostgresLedger } = await import('../ledger/postgres.ts')
  return ({ env, system, log }) => {
    const target = targetOf(config, env, log)
    const ledger = openPostgresLedger({ target, migrate: config.migrate, system, log })
    const owner = system.uuid()
    // Else nobody could tell which replica a claim in the ledger is of.
    log('info', 'this replica shares its ledger with others', { claimsAs: owner, schema: config.schema })
    return { ledger, owner }
  }
}

/** Where the replicas that share a ledger share their tokens: in a schema beside it. Undefined where there is one process. */
export async function openTokenShelf(
  config: LedgerConfig | undefined,
  context: {
    readonly home: string
    readonly env: Environment
    readonly system: System
    readonly log: Log
  },
): Promise<TokenShelf | undefined> {
  if (config?.kind !== 'postgres') return undefined
  const [{ openPostgresShelf }, { sharedTokenShelf }] = await Promise.all([
    import('../ledger/postgres-shelf.ts'),
    import('./token-shelf.ts'),
  ])
  const { home, env, system, log } = context
  const target = targetOf(config, env, log)
  const beside = { ...target, schema: `${target.schema}_tokens`, connectionsMax: 2 }
  return sharedTokenShelf({
    shelf: openPostgresShelf({ target: beside, key: 'tokens', migrate: config.migrate, log }),
    cacheFile: join(home, 'tokens-kept.json'),
    formerFile: join(home, 'tokens.json'),
    system,
    log,
  })
}

type PostgresConfig = Extract<LedgerConfig, { kind: 'postgres' }>

/** Where the configured PostgreSQL is and how it is entered; secrets and certificates are read when they are needed. */
export function targetOf(config: PostgresConfig, env: Environment, log: Log): PostgresTarget {
  const address = addressOf(config, env)
  const { host, port, database, user } = address
  const { tls, schema, connectionsMax } = config
  const files = tls === undefined || tls === 'off' ? {} : tls
  return {
    host,
    port,
    database,
    user,
    schema,
    connectionsMax,
    password: async () => passwordOf(config, env),
    ...(encryptionOf(address, tls) === 'plain' ? {} : { tls: followLedgerTls(files, log) }),
  }
}

/** `config_invalid` where it cannot be used, alone or beside `ledger.tls`. */
export function addressOf(config: PostgresConfig, env: Environment): LedgerAddress {
  const { url } = config
  const text = typeof url === 'string' ? url : read(url, env)
  if (text === undefined)
    throw unusable(config, {
      message: 'there is none',
      fix: `Put postgres://ROLE@HOST:PORT/DATABASE into ${urlIn(config)}.`,
    })
  const found = parseLedgerUrl(text)
  if (found.kind === 'refused') throw unusable(config, found.refusal)
  const encryption = encryptionOf(found.address, config.tls)
  if (typeof encryption === 'object') throw unusable(config, encryption)
  return found.address
}

function unusable(config: PostgresConfig, { message, fix }: Refusal): KeyturnError {
  return new KeyturnError(
    'config_invalid',
    `The address of the ledger in ${urlIn(config)} cannot be used: ${message}.`,
    { fix },
  )
}

function urlIn({ url }: PostgresConfig): string {
  return typeof url === 'string' ? 'ledger.url' : `${whereIs(url)} (ledger.url)`
}

/** Read at every new connection, so that a password that was turned is used without a restart. */
export function passwordOf(config: PostgresConfig, env: Environment): Secret | undefined {
  if (config.password === undefined) {
    const { password } = addressOf(config, env)
    return password === undefined ? undefined : new Secret(password)
  }
  const text = read(config.password, env)
  if (text !== undefined) return new Secret(text)
  const where = whereIs(config.password)
  throw new KeyturnError('ledger_unreachable', `The password of the ledger is not in ${where}.`, {
    fix: `Put it into ${where}, readable by this user only.`,
    retryable: true,
  })
}

function read(source: SecretSource, env: Environment): string | undefined {
  const text = 'env' in source ? env[source.env] : readFile(source.file)
  const trimmed = text?.trim() ?? ''
  return trimmed === '' ? undefined : trimmed
}

function readFile(path: string): string | undefined {
  try {
    return readNamed({ setting: 'ledger', path })
  } catch {
    // Not there, or not readable: whoever asked says what is missing.
    return undefined
  }
}

function whereIs(source: SecretSource): string {
  return 'env' in source ? `the variable ${source.env}` : source.file
}
