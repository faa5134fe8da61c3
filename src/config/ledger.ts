import { z } from 'zod'
import { path, secretSource, text, wholeNumber } from './fields.ts'
import { encryptionOf, parseLedgerUrl, urlShape } from './ledger-url.ts'
import { present } from './present.ts'
import type { LedgerConfig, Report, SecretSource } from './types.ts'

const postgres = z.strictObject({
  kind: z.literal('postgres'),
  url: z
    .union([text(urlShape, ''), ...secretSource('').options], {
      error: `expected ${urlShape}, or { env: NAME } or { file: PATH }`,
    })
    .describe(
      'Where PostgreSQL is: `postgres://ROLE@HOST:PORT/DATABASE`, without a password; for a Unix socket `postgres://ROLE@/DATABASE?host=/FOLDER`. `?sslmode=require`, `verify-ca` and `verify-full` mean TLS, verified in full. Or where that is read from (`{ env: NAME }`, `{ file: PATH }`): there it may hold the password.',
    ),
  password: secretSource(
    'Where the password is read from, anew for each connection, so that a turned one needs no restart. Default: the one in a `url` that is read from elsewhere, else none.',
  ).optional(),
  schema: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,39}$/, {
      error: 'expected a name of a-z, 0-9 and _, at most 40, that does not begin with a digit or pg_',
    })
    .default('keyturn')
    .describe("The schema for Keyturn's tables, and nothing else's."),
  migrate: z
    .boolean({ error: 'expected true or false' })
    .default(true)
    .describe(
      'Whether this process makes and changes the tables. false: `ledger_behind` where that is needed.',
    ),
  connectionsMax: wholeNumber(
    { default: 10, min: 2, max: 100 },
    'Connections of one replica at most, besides one that listens.',
  ),
  tls: z
    .union(
      [
        z.literal('off'),
        z.strictObject({
          ca: path('Certificates of the authority, PEM. Default: those that Node trusts.').optional(),
          cert: path('A client certificate, PEM.').optional(),
          key: path('Its private key, PEM.').optional(),
          serverName: text(
            'a host name',
            'The name in the certificate, where the URL has another.',
          ).optional(),
        }),
      ],
      { error: 'expected off, or { ca: PATH, cert: PATH, key: PATH, serverName: NAME }' },
    )
    .optional()
    .describe(
      'How the connection is encrypted; the certificate and its name are always checked. Default: `{}`, on this machine `off`.',
    ),
})

export const ledgerSchema = z
  .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('sqlite') }), postgres], {
    error: 'expected a kind of ledger: sqlite or postgres',
  })
  .prefault({ kind: 'sqlite' })
  .describe(
    'Where state is kept that is no secret. sqlite: in `ledger.db` in the home folder, for one process. postgres: shared by several replicas.',
  )

export type LedgerFile = z.output<typeof ledgerSchema>

export function buildLedger(
  file: LedgerFile,
  resolve: (path: string) => string,
  report: Report,
): LedgerConfig {
  if (file.kind === 'sqlite') return file
  const { url, password, tls, ...rest } = file
  if (typeof url === 'string') checkUrl(url, tls, report)
  if (typeof tls === 'object' && (tls.cert === undefined) !== (tls.key === undefined))
    report(
      ['ledger', 'tls'],
      'a client certificate and its key are needed together',
      'Name both cert and key.',
    )
  return {
    ...rest,
    url: typeof url === 'string' ? url : absolute(url, resolve),
    ...(password === undefined ? {} : { password: absolute(password, resolve) }),
    ...(tls === undefined ? {} : { tls: tls === 'off' ? 'off' : absoluteTls(tls, resolve) }),
  }
}

function checkUrl(url: string, tls: 'off' | object | undefined, report: Report): void {
  const at = ['ledger', 'url']
  const read = parseLedgerUrl(url)
  if (read.kind === 'refused') return report(at, read.refusal.message, read.refusal.fix)
  if (read.address.password !== undefined)
    report(
      at,
      'a password stands in this file',
      'Take it out (and change it, if the file was shared); name where it is read from: password: { env: NAME } or { file: PATH }.',
    )
  const encryption = encryptionOf(read.address, tls)
  if (typeof encryption === 'object') report(at, encryption.message, encryption.fix)
}

function absolute(source: SecretSource, resolve: (path: string) => string): SecretSource {
  return 'env' in source ? source : { file: resolve(source.file) }
}

function absoluteTls(
  { ca, cert, key, serverName }: Exclude<Extract<LedgerFile, { kind: 'postgres' }>['tls'], 'off' | undefined>,
  resolve: (path: string) => string,
) {
  return present({
    caFile: ca && resolve(ca),
    certFile: cert && resolve(cert),
    keyFile: key && resolve(key),
    serverName,
  })
}
