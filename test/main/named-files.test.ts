import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { checkConfig } from '../../src/config.ts'
import { lookAtFiles } from '../../src/main/named-files.ts'
import { readIfThere } from '../../src/main/read-if-there.ts'
import { serve } from '../../src/main.ts'
import { makeAuthority } from '../stores/fakes/authority.ts'

const authority = makeAuthority('authority')
const { cert, key } = authority.issue({ dns: ['localhost'] })
const now = Date.UTC(2026, 0, 1)

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-named-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  return folder
}

interface Case {
  readonly yaml: string
  readonly store?: string
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly prepare?: (folder: string) => void
}

async function look({ yaml, files = {}, env = {}, store = '{ kind: local }', prepare }: Case) {
  const folder = folderWith({
    ...files,
    'keyturn.yaml': `listen: 127.0.0.1:0\n${yaml}\ncredentials:\n  openai: { store: ${store} }\n`,
  })
  prepare?.(folder)
  const sources = { env, cwd: folder, readFile: readIfThere }
  const check = checkConfig(sources)
  if (check.kind !== 'valid') throw new Error(JSON.stringify(check))
  const found = await lookAtFiles({ config: check.config, written: check.document?.value, env, now })
  const told = found.map(
    (one) =>
      `${one.isFatal ? 'fatal' : 'warning'} ${one.path.join('.')}: ${one.message.replaceAll(`${folder}/`, '')}. ${one.fix}`,
  )
  return { told, found, folder, config: check.config }
}

/** Stands for a pipe and for a device as well, which a test that fails would wait for. */
function endless(path: string): void {
  writeFileSync(path, '', { mode: 0o600 })
  truncateSync(path, 5 * 1_048_576)
}

const tls = 'tls: { cert: cert.pem, key: key.pem, clientCa: ca.pem }'
const pems = { 'cert.pem': cert, 'key.pem': key, 'ca.pem': authority.cert }
const postgres = 'ledger: { kind: postgres, url: "postgres://a@db/b"'

it('finds nothing where all is as it should be, nor where nothing is named', async () => {
  const jwt = `{ name: ci, issuer: 'https://ci.example', audience: k, jwksFile: jwks.json, grants: [{ credentials: [openai], may: [read] }] }`
  const { told } = await look({
    yaml: `${tls}\n${postgres}, password: { file: pw }, tls: { ca: ca.pem, cert: cert.pem, key: key.pem } }\naccess: { jwt: [${jwt}] }\naudit: { sinks: [{ file: journal }], heads: [{ file: heads }] }`,
    files: { ...pems, pw: 'word', 'jwks.json': '{"keys":[{"kty":"EC"}]}' },
  })
  expect(told).toEqual([])
  expect((await look({ yaml: '' })).told).toEqual([])
  const unused = 'stores: { k: { kind: kubernetes, kubeconfig: nowhere } }'
  expect((await look({ yaml: unused })).told).toEqual([])
  expect((await look({ yaml: unused, store: 'k' })).told).toEqual([
    expect.stringMatching(/^fatal stores\.k\.kubeconfig: The file nowhere, /),
  ])
})

const another = authority.issue({ dns: ['localhost'] })
const overdue = authority.issue({ dns: ['localhost'] }, '210101')

const cases: readonly (readonly [string, Case, RegExp])[] = [
  [
    'a certificate that is not there',
    { yaml: tls, files: { ...pems, 'cert.pem': '' }, prepare: (folder) => rmSync(join(folder, 'cert.pem')) },
    /^fatal tls: The file cert\.pem, which tls\.cert names, cannot be read \(ENOENT\)\. It is not there/,
  ],
  [
    'a key that is a folder',
    {
      yaml: tls,
      files: pems,
      prepare: (folder) => {
        rmSync(join(folder, 'key.pem'))
        mkdirSync(join(folder, 'key.pem'), { mode: 0o700 })
      },
    },
    /^fatal tls: The file key\.pem, which tls\.key names, cannot be read \(EISDIR\)/,
  ],
  [
    'a certificate that is none',
    { yaml: tls, files: { ...pems, 'cert.pem': 'hello' } },
    /^fatal tls: There is no certificate in cert\.pem, which tls\.cert names\./,
  ],
  [
    'a key that is none',
    { yaml: tls, files: { ...pems, 'key.pem': cert } },
    /^fatal tls: There is no private key in key\.pem, which tls\.key names\./,
  ],
  [
    'the key of another certificate',
    { yaml: tls, files: { ...pems, 'key.pem': another.key } },
    /^fatal tls: The key key\.pem does not belong to the certificate cert\.pem/,
  ],
  [
    'a certificate that is damaged',
    { yaml: tls, files: { ...pems, 'cert.pem': cert.replace(/[a-z]{4}/, '====') } },
    /^fatal tls: The files of tls\.cert, tls\.key, tls\.clientCa cannot be used \(ERR_OSSL/,
  ],
  [
    'authorities that are none',
    { yaml: tls, files: { ...pems, 'ca.pem': key } },
    /^fatal tls: There is no certificate in ca\.pem, which tls\.clientCa names\./,
  ],
  [
    'a certificate that has expired, with which the service starts',
    { yaml: tls, files: { ...pems, 'cert.pem': overdue.cert, 'key.pem': overdue.key } },
    /^warning tls\.cert: The certificate in cert\.pem, which tls\.cert names, expired on 2021-01-01\./,
  ],
  [
    'a file that others can write',
    { yaml: tls, files: pems, prepare: (folder) => chmodSync(join(folder, 'key.pem'), 0o666) },
    /^fatal tls\.key: Others on this machine can write key\.pem/,
  ],
  [
    'an authority of the ledger that is not there',
    { yaml: `${postgres}, tls: { ca: none.pem } }` },
    /^fatal ledger\.tls: The file none\.pem, which ledger\.tls\.ca names, cannot be read \(ENOENT\)/,
  ],
  [
    'one that is none',
    { yaml: `${postgres}, tls: { ca: key.pem } }`, files: pems },
    /^fatal ledger\.tls: There is no certificate in key\.pem, which ledger\.tls\.ca names\./,
  ],
  [
    'a client certificate of the ledger with another key',
    {
      yaml: `${postgres}, tls: { cert: cert.pem, key: key.pem } }`,
      files: { ...pems, 'key.pem': another.key },
    },
    /^fatal ledger\.tls: The key key\.pem does not belong/,
  ],
  [
    'one that has expired',
    {
      yaml: `${postgres}, tls: { cert: cert.pem, key: key.pem } }`,
      files: { 'cert.pem': overdue.cert, 'key.pem': overdue.key },
    },
    /^fatal ledger\.tls\.cert: .* expired on 2021-01-01/,
  ],
  [
    'a password of the ledger that is not there',
    { yaml: `${postgres}, password: { file: pw } }` },
    /^fatal ledger\.password: The password of the ledger is not in pw/,
  ],
  [
    'a URL of the ledger in a variable that is wrong',
    {
      yaml: 'ledger: { kind: postgres, url: { env: URL } }',
      env: { URL: 'postgres://a:hunter2@db/c?sslmode=prefer' },
    },
    /^fatal ledger\.url: The address of the ledger in the variable URL .* sslmode=prefer/,
  ],
  [
    'a password of PostgreSQL that would never end',
    {
      yaml: `${postgres}, password: { file: pw } }`,
      prepare: (folder) => endless(join(folder, 'pw')),
    },
    /^fatal ledger\.password: The password of the ledger is not in pw/,
  ],
  [
    'authorities of PostgreSQL that would never end',
    { yaml: `${postgres}, tls: { ca: ca.pem } }`, prepare: (folder) => endless(join(folder, 'ca.pem')) },
    /^fatal ledger\.tls: What ledger\.tls\.ca names, ca\.pem, is no file, or a very long one/,
  ],
  [
    'a session key of the dashboard that is not there',
    { yaml: 'dashboard: { sessionKey: { file: session } }' },
    /^fatal dashboard\.sessionKey: /,
  ],
  [
    'an authority of a store that is none',
    {
      yaml: 'stores: { v: { kind: vault, address: "https://vault.example", auth: { kind: token, token: { file: token } }, caFile: ca.pem } }',
      files: { 'ca.pem': 'hello', token: 'word' },
      store: 'v',
    },
    /^fatal stores\.v\.caFile: There is no certificate in ca\.pem, which stores\.v\.caFile names\./,
  ],
  [
    'a passphrase of a store that is not there',
    { yaml: 'stores: { l: { kind: local, passphrase: { file: words } } }', store: 'l' },
    /^fatal stores\.l\.passphrase\.file: The file words, which stores\.l\.passphrase\.file names, cannot be read/,
  ],
  [
    'a secret that is not there',
    { yaml: 'alerts: { channels: { ops: { kind: slack, url: { file: slack.url } } } }' },
    /^warning alerts\.channels\.ops\.url\.file: The file slack\.url, which alerts\.channels\.ops\.url\.file names, cannot be read/,
  ],
  [
    'one that is empty',
    {
      yaml: 'alerts: { channels: { ops: { kind: slack, url: { file: slack.url } } } }',
      files: { 'slack.url': '\n' },
    },
    /^warning alerts\.channels\.ops\.url\.file: The file slack\.url, .* is empty/,
  ],
]

it.each(cases)('finds %s', async (_what, given, said) => {
  const { told } = await look(given)
  expect(told).toEqual([expect.stringMatching(said)])
  expect(told.join('')).not.toContain('hunter2')
})

/** What shows without asking anybody. */
const atStart = cases.filter(([, , said]) =>
  /^\^fatal (?:tls|ledger\\.(?:tls:|url)|dashboard|stores)/.test(said.source),
)

it.each(atStart)('does not start on %s, for the same reason', async (_what, given) => {
  const { folder, config, found } = await look(given)
  const [finding] = found
  const starting = serve({ config, env: given.env ?? {}, cwd: folder, log: () => undefined })
  const started = await starting.then(
    (served) => served.stop().then(() => undefined),
    (thrown: unknown) => String(thrown),
  )
  // A store says it in its own words.
  if (finding?.path[0] === 'stores') expect(started).toMatch(/ca\.pem|words/)
  else expect(started).toContain(finding?.message)
})
