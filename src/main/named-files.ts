import { dirname, resolve } from 'node:path'
import type { KeyPath } from '../config/document.ts'
import { dotted } from '../config/problems.ts'
import type { FileFinding } from '../config/types.ts'
import type { Config, SecretSource } from '../config.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import { readKeySetFile } from '../server/auth/key-sets.ts'
import { assertPem, expiryOf } from '../server/pem.ts'
import { readTls } from '../server/tls.ts'
import { jwtRulesOf, readOwn } from './access.ts'
import type { Environment } from './compose.ts'
import { ownFiles } from './configuration.ts'
import { openDashboard } from './dashboard.ts'
import { addressOf, passwordOf } from './ledger.ts'
import { followLedgerTls } from './ledger-tls.ts'
import { assertOwnConfiguration } from './private-files.ts'
import { readNamed } from './read-named.ts'

interface Looking {
  readonly config: Config
  /** The configuration as written, with its secret sources and paths at their keys. */
  readonly written: unknown
  readonly env: Environment
  readonly now: number
}

/**
 * What a start as this user would find wrong with the files that a configuration names, found with what the start does: listener,
 * ledger, sign-in and rules by their own readers, everything else by whether it can be read. Changes nothing, and connects to nothing.
 */
export async function lookAtFiles(looking: Looking): Promise<readonly FileFinding[]> {
  const owned = ownFiles(looking.config).flatMap(({ path, file }) =>
    caught(path, true, () => assertOwnConfiguration(file, process.getuid?.())),
  )
  const found = await Promise.all([
    ...owned,
    ofListener(looking),
    ofRules(looking),
    ofLedger(looking),
    ofDashboard(looking),
    ...ofOthers(looking),
  ])
  return withoutRepeats(found.flat())
}

async function ofListener({ config: { tls }, now }: Looking): Promise<readonly FileFinding[]> {
  if (tls === undefined) return []
  return caught(['tls'], true, async () => {
    await readTls({ ...tls, readText: readOwn })
    return [
      ...expired({ path: ['tls', 'cert'], file: tls.cert, kind: 'chain', isFatal: false }, now),
      ...expired({ path: ['tls', 'clientCa'], file: tls.clientCa, kind: 'bundle', isFatal: false }, now),
    ]
  })
}

/** A rule whose keys cannot be had lets nobody in; the others count. */
function ofRules({ config }: Looking): Promise<readonly FileFinding[]> {
  const inline = config.access?.rules.jwt ?? []
  return caught(['access', 'file'], true, async () => {
    const found = (await jwtRulesOf(config)).map(({ jwksFile }, index) => {
      const path = index < inline.length ? ['access', 'jwt', index, 'jwksFile'] : ['access', 'file']
      return caught(path, false, async () => {
        if (jwksFile !== undefined) await readKeySetFile(jwksFile, readOwn)
      })
    })
    return (await Promise.all(found)).flat()
  })
}

async function ofLedger({ config: { ledger }, env, now }: Looking): Promise<readonly FileFinding[]> {
  if (ledger?.kind !== 'postgres') return []
  const { url, password, tls } = ledger
  const files = tls === 'off' ? undefined : tls
  const found = await Promise.all([
    caught(['ledger', 'tls'], true, () => {
      if (files === undefined) return
      followLedgerTls(files, ignore)
      const { caFile, certFile } = files
      return [
        ...expired({ path: ['ledger', 'tls', 'ca'], file: caFile, kind: 'bundle', isFatal: true }, now),
        ...expired({ path: ['ledger', 'tls', 'cert'], file: certFile, kind: 'chain', isFatal: true }, now),
      ]
    }),
    caught(['ledger', 'url'], true, () => {
      if (typeof url === 'string' || isToBeFound(url, env)) addressOf(ledger, env)
    }),
    caught(['ledger', 'password'], true, async () => {
      if (password !== undefined && isToBeFound(password, env)) passwordOf(ledger, env)
    }),
  ])
  return found.flat()
}

function ofDashboard({ config: { dashboard }, env }: Looking): Promise<readonly FileFinding[]> {
  const sessionKey = dashboard?.sessionKey
  if (dashboard === undefined || sessionKey === undefined || !isToBeFound(sessionKey, env))
    return Promise.resolve([])
  return caught(['dashboard', 'sessionKey'], true, () => openDashboard(dashboard, { env, readText: readOwn }))
}

// -------------------------------------------------------------- all others

/** Keys that name a file which a store reads when it is opened. */
const openedKeys: readonly string[] = ['caFile', 'kubeconfig']
/** Keys that name a file which is read whenever it is needed. */
const usedKeys: readonly string[] = ['jwtFile']

/** Files of stores, and secrets that are read from files, at whatever depth they stand. */
function ofOthers({ config, written }: Looking): readonly Promise<readonly FileFinding[]>[] {
  const at = (file: string): string => resolve(dirname(config.source), file)
  const stores = namedStores(written)
  const isOpened = ([first, name]: KeyPath): boolean => first !== 'stores' || stores.has(name)
  const all = namedBelow(written, []).filter(({ path }) => isOpened(path))
  return all.map(({ path, file, kind }) =>
    caught(path, kind === 'opened', () => {
      const named = { setting: dotted(path), path: at(file) }
      const text = readNamed(named)
      if (path.at(-1) === 'caFile') assertPem(text, 'certificate', named)
      if (text.trim() !== '') return
      throw new KeyturnError(
        'config_invalid',
        `The file ${named.path}, which ${named.setting} names, is empty.`,
        {
          fix: `Put what it is for into it, or correct ${named.setting}.`,
        },
      )
    }),
  )
}

interface Named {
  readonly path: KeyPath
  readonly file: string
  readonly kind: 'opened' | 'used'
}

function namedBelow(value: unknown, path: KeyPath): readonly Named[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => namedBelow(item, [...path, index]))
  if (!isRecord(value) || isReadElsewhere(path)) return []
  return Object.entries(value).flatMap(([key, inner]): readonly Named[] => {
    const here = [...path, key]
    if (typeof inner !== 'string') return namedBelow(inner, here)
    const isModule = key === 'path' && value['kind'] === 'module'
    if (openedKeys.includes(key) || isModule) return [{ path: here, file: inner, kind: 'opened' }]
    const isSecret = key === 'file' && Object.keys(value).length === 1
    if (!isSecret && !usedKeys.includes(key)) return []
    // Of an identity file, which is unwrapped when its store is opened.
    return [{ path: here, file: inner, kind: path.at(-1) === 'passphrase' ? 'opened' : 'used' }]
  })
}

/** Names of entries under `stores` that something else refers to: the others are never opened. */
function namedStores(value: unknown): ReadonlySet<unknown> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...namedStores(item)]))
  if (!isRecord(value)) return new Set()
  return new Set([value['store'], ...Object.values(value).flatMap((inner) => [...namedStores(inner)])])
}

/** By their own readers, above; and places of the audit are folders, which are made. */
function isReadElsewhere([first, second, third, ...deeper]: KeyPath): boolean {
  if (first === 'audit') return typeof third === 'number' && deeper.length === 0 && second !== undefined
  return (
    ['access', 'ledger', 'tls'].includes(String(first)) || (first === 'dashboard' && second === 'sessionKey')
  )
}

// ----------------------------------------------------------------- helpers

function expired(
  certificate: {
    readonly path: KeyPath
    readonly file: string | undefined
    readonly kind: 'chain' | 'bundle'
    readonly isFatal: boolean
  },
  now: number,
): readonly FileFinding[] {
  const { path, file, kind, isFatal } = certificate
  if (file === undefined) return []
  const setting = dotted(path)
  const at = expiryOf(readNamed({ setting, path: file }), kind)
  if (at === undefined || at.getTime() > now) return []
  return [
    {
      path,
      message: `The certificate in ${file}, which ${setting} names, expired on ${at.toISOString().slice(0, 10)}`,
      fix: 'Put a new one in its place.',
      isFatal,
    },
  ]
}

/** What it finds, and what it throws as a finding. */
async function caught(path: KeyPath, isFatal: boolean, look: () => unknown): Promise<readonly FileFinding[]> {
  try {
    const found = await look()
    return Array.isArray(found) ? (found as readonly FileFinding[]) : []
  } catch (thrown) {
    const { message, fix = '' } = toKeyturnError(thrown, 'looking at a file')
    return [{ path, message: message.replace(/\.$/, ''), fix, isFatal }]
  }
}

/** One file may be named twice, and one reader finds what another found. */
function withoutRepeats(all: readonly FileFinding[]): readonly FileFinding[] {
  return all.filter(({ message }, index) => all.findIndex((other) => other.message === message) === index)
}

/** A variable is one of the service's surroundings, which are seldom those of who checks. */
function isToBeFound(source: SecretSource, env: Environment): boolean {
  return 'file' in source || (env[source.env]?.trim() ?? '') !== ''
}

function ignore(): void {
  // Nothing goes on here that anybody would follow.
}
