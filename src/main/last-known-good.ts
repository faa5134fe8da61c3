import { existsSync, readFileSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config, CredentialConfig, IssuerConfig, LastKnownGoodConfig, StoreConfig } from '../config.ts'
import { toKeyturnError } from '../core/errors.ts'
import type { Expected } from '../core/last-known-good.ts'
import type { Hash, Log, System } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import { type LastKnownGood, openLastKnownGood } from '../engine/last-known-good.ts'
import { makePrivateFolder } from '../stores/files.ts'
import type { Environment } from './compose.ts'
import { openSafeFile } from './safe-file.ts'

export interface OpenLastKnownGood {
  readonly config: Config
  readonly installationFile: string
  readonly system: System
  readonly log: Log
  readonly env: Environment
}

/** Undefined where none is configured, or none can be kept; why is logged, and nothing else depends on it. */
export async function openConfigured(options: OpenLastKnownGood): Promise<LastKnownGood | undefined> {
  const { config, system, log } = options
  const configured = config.lastKnownGood
  if (configured === undefined) return undefined
  try {
    const { encrypter, decrypter } = await openKeys(configured, options)
    return await openLastKnownGood({
      file: openSafeFile({ path: configured.path, encrypter, decrypter, uid: process.getuid?.() }),
      installation: readInstallation(options.installationFile),
      maxAgeMs: configured.maxAgeMs,
      expected: expectedOf(config.credentials, system),
      system,
      log,
    })
  } catch (thrown) {
    const error = toKeyturnError(thrown, 'opening the last-known-good file')
    log('error', 'no last-known-good file can be kept: a restart with everything away has nothing to go on', {
      file: configured.path,
      error,
      fix: error.fix ?? '',
    })
    return undefined
  }
}

/**
 * A file that nobody keeps up must not stay: what is withdrawn from now on would come back from it one day. Only once the
 * ledger is there, so that a wrong passphrase during an outage costs nothing.
 */
export async function removeUnkept(path: string | undefined, log: Log): Promise<void> {
  if (path === undefined || !existsSync(path)) return
  try {
    await rm(path, { force: true })
    log('warn', 'removed a last-known-good file that is not kept up', { file: path })
  } catch (thrown) {
    log('error', 'a last-known-good file that is not kept up cannot be removed: remove it by hand', {
      file: path,
      error: thrown,
    })
  }
}

async function openKeys(configured: LastKnownGoodConfig, { config, system, log, env }: OpenLastKnownGood) {
  const [age, { openIdentity }] = await Promise.all([
    import('age-encryption'),
    import('../stores/local-identity.ts'),
  ])
  const { path, identityFile } = configured
  for (const folder of new Set([dirname(path), dirname(identityFile)])) makePrivateFolder(folder)
  const isNew = !existsSync(identityFile)
  if (isNew && existsSync(path)) {
    log('error', 'the identity of the last-known-good file is missing: nobody can open the file any more', {
      file: path,
      identityFile,
    })
    await rm(path, { force: true })
  }
  const identity = await openIdentity(
    age,
    {
      path: identityFile,
      folder: dirname(identityFile),
      options: configured,
      madeText: 'made the identity of the last-known-good file',
    },
    { system, log, home: config.home, env },
  )
  if (isNew) warnOfNeighbours(configured, log)
  const encrypter = new age.Encrypter()
  encrypter.addRecipient(await age.identityToRecipient(identity))
  const decrypter = new age.Decrypter()
  decrypter.addIdentity(identity)
  return { encrypter, decrypter }
}

/** Told once, when the identity is made: whoever copies the disk has both. */
function warnOfNeighbours({ path, identityFile, ...rest }: LastKnownGoodConfig, log: Log): void {
  const isWrapped = rest.passphraseFile !== undefined || rest.passphraseVariable !== undefined
  if (isWrapped || statSync(dirname(path)).dev !== statSync(identityFile).dev) return
  log('warn', 'the last-known-good file and its identity are on one volume: a copy of it opens the keys', {
    file: path,
    identityFile,
    fix: 'Set lastKnownGood.identityFile to a path on another volume, or lastKnownGood.passphrase.',
  })
}

function readInstallation(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return text === '' ? undefined : text
  } catch {
    // None yet: what is found then belongs to nobody.
    return undefined
  }
}

/** What must be as it was for a remembered key to be handed out. Timeouts and ways to log in may change. */
export function expectedOf(
  credentials: readonly CredentialConfig[],
  hash: Hash,
): ReadonlyMap<CredentialName, Expected> {
  return new Map(
    credentials.map(({ name, ref, store, issuer, expected }) => {
      const { organization, project } = expected
      const binding = hash.sha256Hex(JSON.stringify([ref, placeOf(store), minterOf(issuer), expected]))
      return [name, { baseUrl: issuer.baseUrl, organization, project, binding }]
    }),
  )
}

const incidental = new Set([
  'requestTimeoutMs',
  'connectionTimeoutMs',
  'maxAttempts',
  'transport',
  'caFile',
  'auth',
  'identityFile',
  'passphraseFile',
  'passphraseVariable',
])

function placeOf(store: StoreConfig): readonly (readonly [string, unknown])[] {
  return Object.entries(store)
    .filter(([key]) => !incidental.has(key))
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
}

function minterOf(issuer: IssuerConfig): readonly unknown[] {
  if (issuer.kind === 'manual') return [issuer.kind, issuer.baseUrl]
  const { kind, baseUrl, projectId, serviceAccountId, serviceAccountName, mode } = issuer
  return [kind, baseUrl, projectId, serviceAccountId ?? null, serviceAccountName ?? null, mode]
}
