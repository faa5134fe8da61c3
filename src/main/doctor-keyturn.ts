import { existsSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { CredentialSummary } from '../api/types.ts'
import type { ServiceSighting } from '../cli/io.ts'
import { isLocalStore } from '../config/reach.ts'
import type { Config, CredentialConfig, StoreConfig } from '../config.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Log, Occurrences, PermissionFinding, SecretStore, System } from '../core/ports.ts'
import type { KeyturnCredential, KeyturnFacts } from '../doctor/facts.ts'
import { openStore } from '../stores/index.ts'
import type { Environment } from './compose.ts'
import { readIfThere } from './read-if-there.ts'

export interface KeyturnFactsOptions {
  readonly env: Environment
  /** Absolute. */
  readonly folder: string
  /** Reads this file and no other. Absolute. */
  readonly configPath?: string
  readonly isOffline: boolean
  /** Whether stores are asked what Keyturn may do there. */
  readonly withPermissions: boolean
  /** For each store, with all that it tries again. */
  readonly storeTimeoutMs: number
  readonly askService: () => Promise<ServiceSighting | undefined>
  readonly system: System
  readonly log: Log
}

/** What a keyturn.yaml, its stores and a running service say; undefined where there is neither. Changes nothing anywhere. */
export async function keyturnFacts(options: KeyturnFactsOptions): Promise<KeyturnFacts | undefined> {
  const read = await readConfiguration(options)
  const service = options.isOffline ? undefined : await options.askService()
  if (read === undefined && service === undefined) return undefined
  const configured = read === undefined ? [] : await configuredFacts(read, options)
  const known = new Set(configured.map(({ name }) => name))
  const statusOf = (name: string): CredentialSummary | undefined =>
    service?.credentials.find((one) => one.name === name)
  return {
    isNamed: isNamed(options),
    source: read?.source ?? `the service at ${service?.url ?? ''}`,
    problems: read?.problems ?? [],
    warnings: read?.warnings ?? [],
    credentials: [
      ...configured.map((one) => withStatus(one, statusOf(one.name))),
      ...(service?.credentials ?? [])
        .filter((one) => !known.has(one.name) && !one.isInternal)
        .map((status) => withStatus(servedOnly(status), status)),
    ],
    ...(service === undefined
      ? {}
      : {
          service: {
            url: service.url,
            ...(service.problem === undefined ? {} : { problem: service.problem }),
          },
        }),
  }
}

/** Whoever says which file is meant has looked at it; what lies in a folder may be a stranger's. */
function isNamed({ env, configPath }: Pick<KeyturnFactsOptions, 'env' | 'configPath'>): boolean {
  return configPath !== undefined || (env['KEYTURN_CONFIG']?.trim() ?? '') !== ''
}

type ReadConfiguration = Pick<KeyturnFacts, 'source' | 'problems' | 'warnings'> & {
  readonly config?: Config
  readonly occurrences: Occurrences
}

/** Undefined where there is no file: a key in the environment alone is no configuration of Keyturn. */
async function readConfiguration({
  env,
  folder,
  configPath,
}: KeyturnFactsOptions): Promise<ReadConfiguration | undefined> {
  const [{ checkConfig }, { assertValidCron, createOccurrences }] = await Promise.all([
    import('../config/load.ts'),
    import('../engine/cron.ts'),
  ])
  const occurrences = createOccurrences()
  const named = configPath ?? env['KEYTURN_CONFIG']?.trim()
  const check = checkConfig({
    env,
    cwd: folder,
    readFile: readConfigurationFile,
    assertValidCron,
    occurrences,
    ...(configPath === undefined ? {} : { configPath }),
  })
  const known = { occurrences, warnings: [] }
  if (check.kind === 'missing') {
    if (named === undefined || named === '') return undefined
    const { message, fix } = check
    return { ...known, source: shown(resolve(folder, named), folder), problems: [{ message, fix }] }
  }
  if (check.kind === 'invalid') {
    if (check.source === 'environment') return undefined
    return {
      ...known,
      source: shown(resolve(folder, check.source), folder),
      problems: check.problems.map(problemOf),
    }
  }
  const { config, warnings = [] } = check
  if (config.source === 'environment') return undefined
  return {
    ...known,
    source: shown(config.source, folder),
    problems: [],
    warnings: warnings.map(problemOf),
    config,
  }
}

async function configuredFacts(
  { config, occurrences }: ReadConfiguration,
  options: KeyturnFactsOptions,
): Promise<readonly KeyturnCredential[]> {
  if (config === undefined) return []
  return Promise.all(config.credentials.map((one) => credentialFacts(one, config, occurrences, options)))
}

function problemOf(problem: {
  readonly path: string
  readonly message: string
  readonly fix: string
  readonly line?: number
  readonly column?: number
}): KeyturnFacts['problems'][number] {
  const { path, message, fix, line, column } = problem
  return {
    message: path === '' ? message : `${path}: ${message}`,
    fix,
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  }
}

/** Relative to the folder that is looked at, where it is inside. */
function shown(path: string, folder: string): string {
  const inside = relative(folder, path)
  return inside === '' || inside.startsWith('..') ? path : inside.replaceAll('\\', '/')
}

/** The folder may hold a pipe, or a link to what never ends: what is no file of a few lines is no configuration. */
function readConfigurationFile(path: string): string | undefined {
  const about = statSync(path, { throwIfNoEntry: false })
  if (about !== undefined && (!about.isFile() || about.size > configurationBytesMax))
    throw new KeyturnError('file_unusable', `${path} is no file that could be a configuration`)
  return readIfThere(path)
}
const configurationBytesMax = 262_144

function withStatus(credential: KeyturnCredential, status: CredentialSummary | undefined): KeyturnCredential {
  return status === undefined ? credential : { ...credential, status }
}

/** Its store is the service's business. */
function servedOnly({ name, store, issuer }: CredentialSummary): KeyturnCredential {
  return {
    name,
    store,
    baseUrl: '',
    expectation: {},
    canMint: issuer !== 'manual',
    stored: { kind: 'unread' },
    permissions: [],
  }
}

// ------------------------------------------------------------------ stores

async function credentialFacts(
  { name, ref, store, issuer, expected, schedule }: CredentialConfig,
  { home }: Config,
  occurrences: Occurrences,
  options: KeyturnFactsOptions,
): Promise<KeyturnCredential> {
  const { system } = options
  const every =
    schedule === null ? undefined : everyMs(schedule.expression, schedule.timeZone, occurrences, system.now())
  return {
    name,
    store: store.kind,
    ref: store.kind === 'env' ? (store.variable ?? ref) : ref,
    baseUrl: issuer.baseUrl,
    expectation: expected,
    canMint: issuer.kind === 'openai',
    ...(every === undefined ? {} : { rotatesEveryMs: every }),
    ...(await lookInStore({ ref, store, home }, options)),
  }
}

/** The longest way from one occurrence to the next among the coming ones. */
function everyMs(
  expression: string,
  timeZone: string,
  occurrences: Occurrences,
  now: number,
): number | undefined {
  let from = occurrences.next(expression, timeZone, now)
  let longest: number | undefined
  for (let count = 0; count < occurrencesLookedAt && from !== undefined; count += 1) {
    const next = occurrences.next(expression, timeZone, from)
    if (next !== undefined) longest = Math.max(longest ?? 0, next - from)
    from = next
  }
  return longest
}
const occurrencesLookedAt = 12

type Looked = Pick<KeyturnCredential, 'stored' | 'permissions'>

async function lookInStore(
  { ref, store, home }: { readonly ref: string; readonly store: StoreConfig; readonly home: string },
  options: KeyturnFactsOptions,
): Promise<Looked> {
  const { system, log, env, isOffline, withPermissions, storeTimeoutMs } = options
  if (store.kind === 'memory' || ((isOffline || !isNamed(options)) && !isLocalStore(store)))
    return { stored: { kind: 'unread' }, permissions: [] }
  // To open it would make it.
  if (store.kind === 'local' && !existsSync(store.identityFile ?? join(store.folder, 'identity.txt')))
    return { stored: { kind: 'absent' }, permissions: [] }
  let opened: SecretStore | undefined
  const limited = <Value>(work: Promise<Value>): Promise<Value> =>
    within(work, storeTimeoutMs, { system, what: `the ${store.kind} store` })
  try {
    const here = await limited(openStore(store, { system, log, home, env }))
    opened = here
    const stored = await storedIn(here, ref, limited)
    const isWorthAsking = withPermissions && here.capabilities.writable && stored.kind !== 'failed'
    const permissions = isWorthAsking ? await permissionsIn(here, ref, limited) : []
    return { stored, permissions }
  } catch (thrown) {
    return { stored: { kind: 'failed', error: asStoreError(thrown, store.kind) }, permissions: [] }
  } finally {
    await opened?.close().catch((error: unknown) => log('warn', 'a store could not be closed', { error }))
  }
}

type Limited = <Value>(work: Promise<Value>) => Promise<Value>

async function storedIn(store: SecretStore, ref: string, limited: Limited): Promise<Looked['stored']> {
  try {
    const read = await limited(store.read(ref))
    if (read === undefined) return { kind: 'absent' }
    const { createdAt, expiresAt } = read.meta
    return {
      kind: 'found',
      secret: read.secret,
      ...(createdAt === undefined ? {} : { createdAt }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    }
  } catch (thrown) {
    return { kind: 'failed', error: asStoreError(thrown, store.capabilities.kind) }
  }
}

/** What could not be asked is not known, and no finding. */
async function permissionsIn(
  store: SecretStore,
  ref: string,
  limited: Limited,
): Promise<readonly PermissionFinding[]> {
  try {
    return await limited(store.check(ref))
  } catch {
    return []
  }
}

function asStoreError(thrown: unknown, kind: string): KeyturnError {
  return toKeyturnError(thrown, `the ${kind} store failed`)
}

/** The work, or `store_unreachable` after the time given; what comes of it then is of no interest any more. */
async function within<Value>(
  work: Promise<Value>,
  ms: number,
  { system, what }: { readonly system: System; readonly what: string },
): Promise<Value> {
  let cancel: (() => void) | undefined
  const limit = new Promise<never>((_, reject) => {
    cancel = system.after(ms, () =>
      reject(
        new KeyturnError('store_unreachable', `${what} did not answer within ${ms / 1_000} s`, {
          fix: 'Check its address and the network between; --timeout gives it longer.',
          retryable: true,
        }),
      ),
    )
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    cancel?.()
  }
}
