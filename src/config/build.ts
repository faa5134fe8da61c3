import { assert } from '../core/errors.ts'
import type { ConfigDocument } from './document.ts'
import { parseDuration } from './duration.ts'
import { isLoopback } from './listen.ts'
import type { ConfigFile, CredentialFile } from './schema.ts'
import { nearest } from './suggest.ts'
import type {
  Config,
  ConfigProblem,
  ConfigSources,
  CredentialConfig,
  IssuerConfig,
  ListenConfig,
  PolicyConfig,
  ScheduleConfig,
  SecretSource,
  StoreConfig,
} from './types.ts'

/** Store kinds that nothing can be written to: they are read, verified and handed out, never turned. */
const readOnlyStores: readonly StoreConfig['kind'][] = ['env', 'file']

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
): { readonly config: Config; readonly problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const report = (path: readonly string[], message: string, fix: string): void => {
    problems.push({ ...context.document.place(path), path: path.join('.'), message, fix })
  }
  const { listen } = context
  if (listen.kind === 'tcp' && !isLoopback(listen.host) && !file.allowPlaintext) {
    report(
      ['listen'],
      'listening beyond this machine would send keys over the network unencrypted',
      'Listen on 127.0.0.1 or unix:PATH, or set allowPlaintext: true where something in front encrypts.',
    )
  }
  const credentials = Object.entries(file.credentials).map(([name, credential]) =>
    buildCredential({ name, credential, file, context, report }),
  )
  reportShared(credentials, report)
  const config: Config = {
    source: context.source,
    home: context.home,
    listen,
    allowedHosts: file.allowedHosts ?? defaultHosts(listen),
    log: file.log,
    credentials,
  }
  return { config, problems }
}

export function defaultHosts(listen: ListenConfig): string[] {
  const local = ['localhost', '127.0.0.1', '[::1]']
  if (listen.kind === 'unix') return local
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  const isAny = host === '0.0.0.0' || host === '[::]'
  return isAny || local.includes(host) ? local : [...local, host]
}

/** Two credentials on one secret would each undo what the other does to it. */
function reportShared(credentials: readonly CredentialConfig[], report: Report): void {
  const seen = new Map<string, string>()
  for (const { name, store, ref } of credentials) {
    // Every memory store is one of its own.
    if (store.kind === 'memory') continue
    const secret = JSON.stringify([store, ref])
    const other = seen.get(secret)
    seen.set(secret, other ?? name)
    if (other === undefined) continue
    const fix = 'Give each its own ref, or let the apps share one credential.'
    report(['credentials', name], `keeps its key in the same secret as credentials.${other}`, fix)
  }
}

type Report = (path: readonly string[], message: string, fix: string) => void

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
  const namedStore = named(credential.store, file.stores, () =>
    unknownName([...at, 'store'], { kind: 'stores', name: credential.store, among: file.stores }, report),
  )
  const namedIssuer = named(credential.issuer, file.issuers, () =>
    unknownName([...at, 'issuer'], { kind: 'issuers', name: credential.issuer, among: file.issuers }, report),
  )
  const store: StoreConfig =
    namedStore === undefined ? { kind: 'memory' } : absoluteStore(namedStore, context)
  const issuer: IssuerConfig =
    namedIssuer === undefined ? { kind: 'manual', baseUrl: '' } : absoluteIssuer(namedIssuer, context)
  if (
    issuer.kind === 'openai' &&
    issuer.mode === 'service_account_key' &&
    issuer.serviceAccount === undefined
  ) {
    report(
      [...at, 'issuer'],
      "the openai issuer has no 'serviceAccount'",
      'Name the stable service account that gets each new key (serviceAccount: svc_acct_…), or choose mode: new_service_account.',
    )
  }
  const schedule = buildSchedule(credential, { canTurn: issuer.kind === 'openai' && isWritable(store) })
  checkSchedule({ schedule, isStated: credential.schedule !== undefined, store, at, context, report })
  checkPolicy(credential, at, report)
  return {
    name,
    ref: credential.ref ?? (store.kind === 'env' ? 'OPENAI_API_KEY' : name),
    store,
    issuer,
    expected: {
      ...given('organization', credential.expected.organization),
      ...given(
        'project',
        credential.expected.project ?? (issuer.kind === 'openai' ? issuer.project : undefined),
      ),
      scopes: credential.expected.scopes,
      models: credential.expected.models,
    },
    schedule,
    policy: buildPolicy(credential.policy, issuer),
  }
}

export function isWritable(store: StoreConfig): boolean {
  return !readOnlyStores.includes(store.kind)
}

function named<Entry>(
  entry: Entry | string,
  among: Readonly<Record<string, Entry>>,
  onUnknown: () => void,
): Entry | undefined {
  if (typeof entry !== 'string') return entry
  if (Object.hasOwn(among, entry)) return among[entry]
  onUnknown()
  return undefined
}

function unknownName(
  path: readonly string[],
  asked: { readonly kind: 'stores' | 'issuers'; readonly name: unknown; readonly among: object },
  report: Report,
): void {
  const known = Object.keys(asked.among)
  const near = typeof asked.name === 'string' ? nearest(asked.name, known) : undefined
  const list =
    known.length === 0 ? `There are none; add it under ${asked.kind}.` : `There are: ${known.join(', ')}.`
  report(path, `no such name under ${asked.kind}`, near === undefined ? list : `Did you mean '${near}'?`)
}

type StoreFile = ConfigFile['stores'][string]
type IssuerFile = ConfigFile['issuers'][string]

function absoluteStore(store: StoreFile, { home, resolve }: BuildContext): StoreConfig {
  switch (store.kind) {
    case 'local':
      return {
        kind: 'local',
        folder: store.folder === undefined ? `${home}/secrets` : resolve(store.folder),
        ...given('identityFile', store.identityFile && resolve(store.identityFile)),
        ...absolutePassphrase(store.passphrase, resolve),
      }
    case 'env':
      return { kind: 'env', ...given('envFile', store.envFile && resolve(store.envFile)) }
    case 'file':
      return { kind: 'file', ...given('path', store.path && resolve(store.path)) }
    case 'aws-secrets-manager':
      return { kind: store.kind, ...given('region', store.region), ...given('endpoint', store.endpoint) }
    case 'memory':
      return store
  }
}

function absoluteIssuer(issuer: IssuerFile, { resolve }: BuildContext): IssuerConfig {
  if (issuer.kind === 'manual') return issuer
  const { serviceAccount, ...rest } = issuer
  return {
    ...rest,
    adminKey: absoluteSource(issuer.adminKey, resolve),
    ...given('serviceAccount', serviceAccount),
  }
}

function absolutePassphrase(
  source: SecretSource | undefined,
  resolve: (path: string) => string,
): { readonly passphraseFile?: string; readonly passphraseVariable?: string } {
  if (source === undefined) return {}
  return 'file' in source ? { passphraseFile: resolve(source.file) } : { passphraseVariable: source.env }
}

function absoluteSource(source: SecretSource, resolve: (path: string) => string): SecretSource {
  return 'file' in source ? { file: resolve(source.file) } : source
}

/** An optional property: with exactOptionalPropertyTypes an absent value must be an absent key. */
function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [name in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [name in Key]?: Value }
}

// ---------------------------------------------------------------- schedule

export const quarterly: ScheduleConfig = {
  expression: '0 3 1 1,4,7,10 *',
  timeZone: 'UTC',
  jitterMs: 3_600_000,
}

function buildSchedule(
  credential: CredentialFile,
  can: { readonly canTurn: boolean },
): ScheduleConfig | null {
  if (credential.schedule === undefined) return can.canTurn ? quarterly : null
  if (credential.schedule === 'none') return null
  const { cron, timeZone, jitter } = credential.schedule
  return { expression: cron, timeZone, jitterMs: durationMs(jitter) }
}

function checkSchedule(input: {
  readonly schedule: ScheduleConfig | null
  readonly isStated: boolean
  readonly store: StoreConfig
  readonly at: readonly string[]
  readonly context: BuildContext
  readonly report: Report
}): void {
  const { schedule, store, at, report } = input
  if (schedule === null || !input.isStated) return
  if (!isWritable(store)) {
    report(
      [...at, 'schedule'],
      `a schedule cannot work with a store of kind ${store.kind}, which is only read`,
      'Keep the key in a store that can be written (local, aws-secrets-manager), or write schedule: none.',
    )
  }
  try {
    input.context.sources.assertValidCron?.(schedule.expression, schedule.timeZone)
  } catch {
    report(
      [...at, 'schedule', 'cron'],
      'expected a cron expression of five fields: minute, hour, day of month, month, day of week',
      "For example '0 3 1 1,4,7,10 *': at 3 o'clock on the first day of each quarter.",
    )
  }
}

// ------------------------------------------------------------------ policy

type PolicyFile = CredentialFile['policy']

/** Pairs of which the first must not be longer than the second: a rotation could never get past the one otherwise. */
const orderedDurations: readonly (readonly [keyof PolicyFile, keyof PolicyFile])[] = [
  ['overlap', 'drainLimit'],
  ['retryBase', 'retryMax'],
  ['deadSpan', 'deadLimit'],
  ['provingSettle', 'phaseDeadline'],
  ['activationGrace', 'phaseDeadline'],
  ['phaseDeadline', 'pendingExpiry'],
  ['pendingExpiry', 'keyExpiry'],
]

function checkPolicy(credential: CredentialFile, at: readonly string[], report: Report): void {
  for (const [shorter, longer] of orderedDurations) {
    if (durationMs(credential.policy[shorter]) <= durationMs(credential.policy[longer])) continue
    report(
      [...at, 'policy', shorter],
      `${shorter} is longer than ${longer}`,
      `Make ${shorter} shorter than ${longer}, or ${longer} longer.`,
    )
  }
}

export function buildPolicy(policy: PolicyFile, issuer: IssuerConfig): PolicyConfig {
  return {
    overlapMs: durationMs(policy.overlap),
    drainLimitMs: durationMs(policy.drainLimit),
    afterLimit: policy.afterLimit,
    quietMs: durationMs(policy.quiet),
    provingCount: policy.provingCount,
    provingSettleMs: durationMs(policy.provingSettle),
    activationGraceMs: durationMs(policy.activationGrace),
    attemptsMax: policy.attemptsMax,
    phaseDeadlineMs: durationMs(policy.phaseDeadline),
    retryBaseMs: durationMs(policy.retryBase),
    retryMaxMs: durationMs(policy.retryMax),
    verifyEveryMs: durationMs(policy.verifyEvery),
    verifyCloselyEveryMs: durationMs(policy.verifyCloselyEvery),
    verifyCloselyForMs: durationMs(policy.verifyCloselyFor),
    rejectionGapMs: durationMs(policy.rejectionGap),
    automaticPerDayMax: policy.automaticPerDay,
    deadProbes: policy.deadProbes,
    deadSpanMs: durationMs(policy.deadSpan),
    deadLimitMs: durationMs(policy.deadLimit),
    storePollMs: durationMs(policy.storePoll),
    pendingExpirySeconds: Math.ceil(durationMs(policy.pendingExpiry) / 1_000),
    keyExpirySeconds: Math.ceil(durationMs(policy.keyExpiry) / 1_000),
    expiryManaged: policy.manageExpiry ?? issuer.kind === 'openai',
    staleAfterMs: durationMs(policy.staleAfter),
  }
}

function durationMs(text: unknown): number {
  const ms = typeof text === 'string' ? parseDuration(text) : undefined
  assert(ms !== undefined, 'the schema lets only durations through')
  return ms
}
