import { readFileSync } from 'node:fs'
import { auditedIssuer } from '../audit/audited-issuer.ts'
import { entryOf } from '../audit/engine-events.ts'
import type {
  Config,
  CredentialConfig,
  IssuerConfig,
  MirrorConfig,
  SecretSource,
  StoreConfig,
} from '../config.ts'
import { blackoutsOf } from '../core/blackout.ts'
import { KeyturnError } from '../core/errors.ts'
import { overlapOf } from '../core/overlap.ts'
import type {
  Audit,
  Beat,
  Issuer,
  Ledger,
  Log,
  Occurrences,
  SecretStore,
  System,
  Telemetry,
} from '../core/ports.ts'
import { Secret } from '../core/secret.ts'
import type { Policy } from '../core/types.ts'
import { closeAll } from '../engine/close-all.ts'
import { createService } from '../engine/create-service.ts'
import { createOccurrences } from '../engine/cron.ts'
import { joinServices } from '../engine/joined-service.ts'
import type { LastKnownGood } from '../engine/last-known-good.ts'
import { createPace } from '../engine/pace.ts'
import type { RunningService } from '../engine/service.ts'
import type { CredentialSetup, EngineDeps, MirrorSetup } from '../engine/setup.ts'
import { httpFetch } from '../issuers/http-fetch.ts'
import { openIssuer } from '../issuers/index.ts'
import { openStore } from '../stores/index.ts'
import { observedIssuer } from '../telemetry/observed-issuer.ts'
import { observedStore } from '../telemetry/observed-store.ts'
import { adminKeySetup, createLoan, type Loan, openAdminKeyIssuer } from './admin-keys.ts'
import { installationId } from './installation.ts'
import { openFederated } from './open-federated.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface ComposeOptions {
  readonly config: Config
  readonly system: System
  readonly log: Log
  readonly env: Environment
  readonly ledger: Ledger
  /** Who holds claims in it. */
  readonly owner: string
  readonly beat?: Beat
  readonly patienceMs?: number
  readonly version: string
  readonly isSandbox: boolean
  /** In-process resolving: nothing is minted, moved or revoked, whatever the configuration allows. */
  readonly isReadOnly?: boolean
  /** Keeps the id of the installation beside the ledger. */
  readonly installationFile?: string
  /** Where it is written down what is done by itself. */
  readonly audit?: Audit
  /** Who counts, times and traces what is done. Default: nobody. Whoever opened the ledger has it observe that. */
  readonly telemetry?: Telemetry
  /** Closed when nothing is done any more, and before the ledger. */
  readonly closeBeforeLedger?: readonly (() => Promise<void>)[]
  /** Where what is handed out is kept for a restart with everything away. Whoever opened it ends it. */
  readonly lastKnownGood?: LastKnownGood
  /** Closed after everything else. */
  readonly close?: readonly (() => Promise<void>)[]
}

/**
 * Opens every store and issuer that the configuration names, each once, and puts the service together. Whether it
 * comes about or not, the ledger and what is in `close` belong to it from now on: they are closed with it.
 */
export async function composeService(options: ComposeOptions): Promise<RunningService> {
  const { config, ledger, system, log } = options
  const stores = new Map<string, Promise<SecretStore>>()
  const issuers = new Map<string, Promise<Issuer>>()
  const stop: (() => Promise<void>)[] = []
  const loan = createLoan()
  const issuerContext = { system, log, fetch: httpFetch }
  let federated: RunningService | undefined
  const closers = (): (() => Promise<void>)[] => [
    async () => federated?.stop(),
    ...stop,
    ...(options.closeBeforeLedger ?? []),
    () => ledger.close(),
    ...(options.close ?? []),
  ]
  const storeOf = (store: StoreConfig): Promise<SecretStore> =>
    shared(stores, store, async () => {
      const opened = await openStore(store, storeContext(options))
      stop.push(() => opened.close())
      return options.telemetry === undefined ? opened : observedStore(opened, options.telemetry)
    })
  const watched = (opened: Issuer): Issuer => {
    const observed = options.telemetry === undefined ? opened : observedIssuer(opened, options.telemetry)
    return options.audit === undefined ? observed : auditedIssuer(observed, options.audit)
  }
  try {
    const occurrences = createOccurrences()
    const setups: CredentialSetup[] = []
    for (const credential of config.credentials) {
      const store = await storeOf(credential.store)
      const issuer = await shared(issuers, credential.issuer, async () => {
        const opened = openIssuer(issuerSettings(credential.issuer, loan, options), issuerContext)
        stop.push(() => opened.close())
        return watched(opened)
      })
      const mirrors: MirrorSetup[] = []
      for (const mirror of options.isReadOnly === true ? [] : credential.mirrors)
        mirrors.push(mirrorSetup(credential.name, mirror, await storeOf(mirror.store)))
      setups.push(setupOf(credential, { store, mirrors, issuer }, { ...options, occurrences }))
    }
    // Behind the others, and in an app's process not at all.
    for (const adminKey of options.isReadOnly === true ? [] : (config.adminKeys ?? [])) {
      const store = await storeOf(adminKey.store)
      const opened = openAdminKeyIssuer(adminKey, loan, issuerContext)
      stop.push(() => opened.close())
      setups.push(adminKeySetup(adminKey, { store, issuer: watched(opened), occurrences }))
    }
    const installation = await installationId(ledger, options.installationFile, { system, log })
    options.lastKnownGood?.bind(installation)
    const deps: EngineDeps = {
      system,
      log,
      ledger,
      occurrences,
      owner: options.owner,
      installation,
      ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry }),
      pace: createPace(system, config.verification?.perOrganizationPerMinute),
    }
    federated = await openFederated(options, deps, stop)
    const stored = await createService({
      setups,
      deps,
      ...(options.beat === undefined ? {} : { beat: options.beat }),
      ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
      version: options.version,
      isSandbox: options.isSandbox,
      lend: loan.open,
      ...(options.lastKnownGood === undefined ? {} : { lastKnownGood: options.lastKnownGood }),
      close: closers(),
    })
    const service = federated === undefined ? stored : joinServices(stored, federated)
    if (options.audit !== undefined) followEvents(service, options.audit, log)
    return service
  } catch (thrown) {
    await closeAll(closers()).catch((error: unknown) =>
      log('warn', 'what was opened could not be closed again', { error }),
    )
    throw thrown
  }
}

/** Nobody waits: what they tell of is durable in the ledger already. */
function followEvents(service: RunningService, audit: Audit, log: Log): void {
  service.onEvent((event) => {
    audit.record(entryOf(event))?.catch((error: unknown) =>
      log('error', 'what the engine did is not in the audit journal', {
        credential: event.credential,
        event: event.kind,
        error,
      }),
    )
  })
}

function shared<Value>(
  known: Map<string, Promise<Value>>,
  config: unknown,
  open: () => Promise<Value>,
): Promise<Value> {
  const key = JSON.stringify(config)
  const found = known.get(key)
  if (found !== undefined) return found
  const opening = open()
  known.set(key, opening)
  return opening
}

function storeContext({ system, log, config, env }: ComposeOptions): Parameters<typeof openStore>[1] {
  return { system, log, home: config.home, env }
}

function issuerSettings(
  issuer: IssuerConfig,
  loan: Loan,
  { env }: ComposeOptions,
): Parameters<typeof openIssuer>[0] {
  if (issuer.kind === 'manual') return issuer
  const { adminKey, ...rest } = issuer
  if ('credential' in adminKey) return { ...rest, adminKey: () => loan.secretOf(adminKey.credential) }
  return { ...rest, adminKey: () => readSecret(adminKey, env) }
}

/** Read at every use, so that a turned admin key is used at once. */
async function readSecret(source: SecretSource, env: Environment): Promise<Secret> {
  const text = 'env' in source ? env[source.env] : readFile(source.file)
  const trimmed = text?.trim() ?? ''
  if (trimmed !== '') return new Secret(trimmed)
  const where = 'env' in source ? `the variable ${source.env}` : source.file
  throw new KeyturnError('issuer_denied', `The admin key is not in ${where}.`, {
    fix: `Put an admin key with api.management.write into ${where}.`,
  })
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new KeyturnError('issuer_denied', `The admin key file ${path} cannot be read.`, {
      fix: `Put the admin key there, and let the user that Keyturn runs as read it (in a pod: fsGroup): ls -l '${path}'`,
      cause: thrown,
    })
  }
}

function mirrorSetup(name: string, { id, ref }: MirrorConfig, store: SecretStore): MirrorSetup {
  if (store.capabilities.writable) return { id, ref, store }
  throw new KeyturnError('config_invalid', `The mirror ${id} of ${name} is a store that is only read.`, {
    fix: 'A mirror is written by Keyturn: name a store that can be written.',
  })
}

function setupOf(
  credential: CredentialConfig,
  { store, mirrors, issuer }: Pick<CredentialSetup, 'store' | 'mirrors' | 'issuer'>,
  options: ComposeOptions & { readonly occurrences: Occurrences },
): CredentialSetup {
  const isReadOnly = options.isReadOnly === true
  // Other readers of any of the stores must have seen the new key before the old one goes.
  const { overlapMs, because } = overlapOf({
    configuredMs: credential.policy.overlapMs,
    stores: [store, ...mirrors.map((one) => one.store)].map((one) => one.capabilities),
    consumers: credential.consumers,
  })
  const policy: Policy = {
    ...credential.policy,
    canMint: issuer.canMint && !isReadOnly,
    isManual: issuer.kind === 'manual' && !isReadOnly,
    storeWritable: store.capabilities.writable && !isReadOnly,
    mirrors: mirrors.map(({ id }) => id),
    ...(credential.blackout.length === 0
      ? {}
      : { blackoutAt: blackoutsOf(credential.blackout, options.occurrences) }),
    standby: credential.policy.standby && issuer.canMint && store.capabilities.writable && !isReadOnly,
    overlapMs,
    ...(because === undefined ? {} : { overlapBecause: because }),
  }
  return {
    name: credential.name,
    ref: credential.ref,
    store,
    mirrors,
    issuer,
    ...mintsWith(credential.issuer),
    expected: credential.expected,
    mintScopes: credential.issuer.kind === 'openai' ? credential.issuer.scopes : [],
    policy,
    // Of a store of one's own only the store itself can say that it is only read.
    schedule: store.capabilities.writable ? (credential.schedule ?? undefined) : undefined,
  }
}

function mintsWith(issuer: IssuerConfig): Pick<CredentialSetup, 'mintsWith'> {
  if (issuer.kind !== 'openai' || !('credential' in issuer.adminKey)) return {}
  return { mintsWith: issuer.adminKey.credential }
}
