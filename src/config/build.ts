import { buildAdminKeys } from './admin-keys.ts'
import { buildAlerts } from './alerts.ts'
import { buildAudit } from './audit.ts'
import { buildBlackout, checkBlackout } from './blackout.ts'
import { buildDashboard } from './dashboard.ts'
import type { ConfigDocument } from './document.ts'
import { absoluteIssuer, absoluteStore, isWritable, lacksAccount } from './drivers.ts'
import { durationMs } from './duration.ts'
import { buildHooks } from './hooks.ts'
import { buildFederated } from './identity.ts'
import { buildLastKnownGood } from './last-known-good.ts'
import { buildLedger } from './ledger.ts'
import { isLoopback } from './listen.ts'
import { buildListener } from './listener.ts'
import { named, unknownName } from './named.ts'
import { parseProxy } from './networks.ts'
import { isOpen, isSamePlace, type Place, placesOf } from './places.ts'
import { buildPolicy, checkPolicy } from './policy.ts'
import { present } from './present.ts'
import { dotted } from './problems.ts'
import { buildSchedule, checkSchedule } from './schedule.ts'
import type { ConfigFile, CredentialFile } from './schema.ts'
import { checkStandby } from './standby.ts'
import type {
  Config,
  ConfigProblem,
  ConfigSources,
  CredentialConfig,
  FederatedConfig,
  IssuerConfig,
  ListenConfig,
  MirrorConfig,
  Report,
  StoreConfig,
} from './types.ts'

export interface BuildContext {
  readonly source: string
  readonly document: ConfigDocument
  readonly sources: ConfigSources
  readonly home: string
  readonly listen: ListenConfig
  /** Makes a path of the file absolute. */
  readonly resolve: (path: string) => string
}

/** From the file as written to the configuration as used, together with all that only shows when keys are seen together. */
export function buildConfig(
  file: ConfigFile,
  context: BuildContext,
): {
  readonly config: Config
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
} {
  const problems: ConfigProblem[] = []
  const warnings: ConfigProblem[] = []
  const report: Report = (path, message, fix) => {
    problems.push({ ...context.document.place(path), path: dotted(path), message, fix })
  }
  const { listen } = context
  if (listen.kind === 'tcp' && !isLoopback(listen.host) && !file.allowPlaintext && file.tls === undefined) {
    report(
      ['listen'],
      'listening beyond this machine would send keys over the network unencrypted',
      'Configure tls, listen on 127.0.0.1 or unix:PATH, or set allowPlaintext: true where something in front encrypts.',
    )
  }
  const credentials: CredentialConfig[] = []
  const federated: FederatedConfig[] = []
  for (const [name, credential] of Object.entries(file.credentials)) {
    const { identity } = credential
    if (identity === undefined) credentials.push(buildCredential({ name, credential, file, context, report }))
    else {
      const { resolve, document } = context
      federated.push(
        buildFederated({ name, credential, identity }, { written: document.value, resolve, report }),
      )
    }
  }
  const adminKeys = buildAdminKeys(file, context, report)
  const secrets = [
    ...credentials.flatMap(secretsOf),
    ...adminKeys.map(({ config, path }) => ({ ...config, path, as: dotted(path) })),
  ]
  reportShared(secrets, context.sources.env, report)
  const ledger = buildLedger(file.ledger, context.resolve, report)
  const lastKnownGood = buildLastKnownGood(file.lastKnownGood, context.home, context.resolve)
  const warn: Report = (path, message, fix) => {
    warnings.push({ ...context.document.place(path), path: dotted(path), message, fix })
  }
  const names = [...credentials, ...federated, ...adminKeys.map((one) => one.config)].map((one) => one.name)
  const listener = buildListener(file, { context, names, report, warn })
  if (ledger.kind === 'postgres')
    warnOfOwnStores([...credentials, ...adminKeys.map((one) => one.config)], context.home, warn)
  const { resolve, sources } = context
  const alerts = buildAlerts(file.alerts, { resolve, names, sources, report, warn })
  const dashboard = buildDashboard(file.dashboard, resolve)
  const hooks = buildHooks(file, { credentials, access: listener.access, report, warn })
  const config: Config = {
    source: context.source,
    home: context.home,
    ...(ledger.kind === 'sqlite' ? {} : { ledger }),
    listen,
    allowedHosts: file.allowedHosts,
    ...listener,
    trustedProxies: file.trustedProxies.map(parseProxy).filter((proxy) => proxy !== undefined),
    rateLimits: file.rateLimits,
    verification: file.verification,
    audit: buildAudit(file.audit, { home: context.home, resolve: context.resolve, report }),
    log: file.log,
    credentials,
    ...(adminKeys.length === 0 ? {} : { adminKeys: adminKeys.map((one) => one.config) }),
    ...(federated.length === 0 ? {} : { federated }),
    ...(lastKnownGood === undefined ? {} : { lastKnownGood }),
    alerts,
    ...(dashboard === undefined ? {} : { dashboard }),
    ...(hooks === undefined ? {} : { hooks }),
  }
  return { config, problems, warnings }
}

/** What one replica puts where no other one reaches, the others cannot hand out. */
function warnOfOwnStores(
  all: readonly { readonly name: string; readonly store: StoreConfig }[],
  home: string,
  warn: Report,
): void {
  const own = all.find(
    ({ store }) => store.kind === 'memory' || (store.kind === 'local' && store.folder.startsWith(`${home}/`)),
  )
  if (own !== undefined)
    warn(
      ['ledger', 'kind'],
      `replicas share this ledger, and the key of ${own.name} is kept where only this one reaches it`,
      'Use a store that all of them reach, e.g. { kind: local, folder: /SHARED/FOLDER }.',
    )
}

/** Two credentials on one secret would each undo what the other does to it; so would a mirror. */
function reportShared(secrets: readonly Named[], env: ConfigSources['env'], report: Report): void {
  const seen = new Map<string, (Place & Named)[]>()
  for (const named of secrets) {
    const places = placesOf(named.store, named.ref, env)
    const other = firstOf(places, (place) => seen.get(place.key)?.find((each) => isSamePlace(place, each)))
    for (const place of places) seen.set(place.key, [...(seen.get(place.key) ?? []), { ...named, ...place }])
    if (other === undefined) continue
    const isUnsure = places.every((place) => place.key !== other.key || isOpen(place, other))
    report(named.path, `keeps its key in the same secret as ${other.as}`, sharedFix(named, other, isUnsure))
  }
}

interface Named {
  readonly store: StoreConfig
  readonly ref: string
  readonly path: readonly (string | number)[]
  /** How others are told of it. */
  readonly as: string
}

function secretsOf({ name, store, ref, mirrors }: CredentialConfig): readonly Named[] {
  return [
    { store, ref, path: ['credentials', name], as: `credentials.${name}` },
    ...mirrors.map((mirror, index) => ({
      store: mirror.store,
      ref: mirror.ref,
      path: ['credentials', name, 'mirrors', index],
      as: `a mirror of credentials.${name}`,
    })),
  ]
}

function firstOf<Item, Found>(
  items: readonly Item[],
  find: (item: Item) => Found | undefined,
): Found | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

function sharedFix(one: Named, other: Named, isUnsure: boolean): string {
  const fixes = ['Give each its own ref, or let the apps share one credential.']
  if (fieldOf(one.store) !== fieldOf(other.store))
    fixes.push(
      'Versions and their labels are of the whole secret, so that two fields of it cannot turn apart.',
    )
  if (isUnsure)
    fixes.push(
      'Where these are two accounts or projects, name both: each ref with its ARN, or with its project.',
    )
  return fixes.join(' ')
}

function fieldOf(store: StoreConfig): string | undefined {
  if (store.kind === 'kubernetes') return store.key
  return 'field' in store ? store.field : undefined
}

interface CredentialInput {
  readonly name: string
  readonly credential: CredentialFile
  readonly file: ConfigFile
  readonly context: BuildContext
  readonly report: Report
}

function buildCredential(input: CredentialInput): CredentialConfig {
  const { name, credential, file, context, report } = input
  const at = ['credentials', name]
  if (credential.store === undefined) {
    const fix = 'Say where its key is kept (store: { kind: local }), or that tokens are exchanged (identity).'
    report(at, "'store' is missing: expected the name of an entry of stores, or a store", fix)
  }
  const namedStore =
    credential.store === undefined
      ? undefined
      : named(credential.store, file.stores, () =>
          unknownName(
            [...at, 'store'],
            { kind: 'stores', name: credential.store, among: file.stores },
            report,
          ),
        )
  const namedIssuer = named(credential.issuer, file.issuers, () =>
    unknownName([...at, 'issuer'], { kind: 'issuers', name: credential.issuer, among: file.issuers }, report),
  )
  const store: StoreConfig =
    namedStore === undefined ? { kind: 'memory' } : absoluteStore(namedStore, context)
  if (store.kind === 'google-secret-manager' && store.alias !== undefined && store.consumers !== 'alias') {
    const fix = 'Set consumers: alias where all readers read that alias; else leave alias out.'
    report([...at, 'store'], 'an alias means nothing to readers of the newest version', fix)
  }
  const issuer: IssuerConfig =
    namedIssuer === undefined
      ? { kind: 'manual', baseUrl: '', timeoutMs: 0 }
      : absoluteIssuer(namedIssuer, context, typeof credential.issuer === 'string' ? credential.issuer : name)
  if (lacksAccount(issuer)) {
    report(
      [...at, 'issuer'],
      "the openai issuer has no 'serviceAccount'",
      'Name the stable service account that gets each new key (serviceAccount: svc_acct_…), or choose mode: new_service_account.',
    )
  }
  const schedule = buildSchedule(credential, { canTurn: issuer.kind === 'openai' && isWritable(store) })
  checkSchedule({
    schedule,
    isStated: credential.schedule !== undefined,
    store,
    at,
    assertValidCron: context.sources.assertValidCron,
    report,
  })
  checkPolicy(credential, at, report)
  const blackout = buildBlackout(credential)
  checkBlackout({ blackout, at, sources: context.sources, report })
  if (credential.policy.standby && namedStore !== undefined && namedIssuer !== undefined)
    checkStandby({ issuer, store, at, report })
  const mirrors = buildMirrors(input)
  const consumers = credential.consumers.map((one) => ({
    name: one.name,
    keepsForMs: durationMs(one.keepsFor),
  }))
  return {
    name,
    mirrors,
    ref: credential.ref ?? (store.kind === 'env' ? 'OPENAI_API_KEY' : name),
    store,
    consumers,
    issuer,
    expected: {
      ...present({
        organization: credential.expected.organization,
        project: credential.expected.project ?? (issuer.kind === 'openai' ? issuer.projectId : undefined),
      }),
      scopes: credential.expected.scopes,
      models: credential.expected.models,
    },
    schedule,
    blackout,
    policy: buildPolicy(credential.policy, issuer),
  }
}

function buildMirrors({ name, credential, file, context, report }: CredentialInput): readonly MirrorConfig[] {
  const ids = new Set<string>()
  return credential.mirrors.map((mirror, index): MirrorConfig => {
    const at = ['credentials', name, 'mirrors', index]
    const found = named(mirror.store, file.stores, () =>
      unknownName([...at, 'store'], { kind: 'stores', name: mirror.store, among: file.stores }, report),
    )
    const store: StoreConfig = found === undefined ? { kind: 'memory' } : absoluteStore(found, context)
    if (!isWritable(store)) {
      const fix = 'A mirror is written by Keyturn: name a store that can be written.'
      report([...at, 'store'], `the ${store.kind} store is only read`, fix)
    }
    const ref = mirror.ref ?? name
    const title = typeof mirror.store === 'string' ? mirror.store : store.kind
    const id = `${title}/${ref}`
    if (ids.has(id)) {
      const fix = 'Put the two stores under stores, each with a name of its own.'
      report(at, `two mirrors would be called ${id}`, fix)
    }
    ids.add(id)
    return { id, store, ref }
  })
}
