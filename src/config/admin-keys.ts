import { credentialNamePattern } from '../core/types.ts'
import { buildBlackout, checkBlackout } from './blackout.ts'
import type { BuildContext } from './build.ts'
import { absoluteStore, adminKeyName, isWritable } from './drivers.ts'
import { durationMs } from './duration.ts'
import { named, unknownName } from './named.ts'
import { buildPolicy, checkPolicy, orderedForAdminKeys } from './policy.ts'
import { present } from './present.ts'
import { buildSchedule, checkSchedule } from './schedule.ts'
import type { ConfigFile, KeptAdminKeyFile } from './schema.ts'
import type { AdminKeyConfig, Report, StoreConfig } from './types.ts'

type OpenAIFile = Extract<ConfigFile['issuers'][string], { kind: 'openai' }>

interface Kept {
  readonly kept: KeptAdminKeyFile
  readonly issuer: OpenAIFile
  /** The issuer's name, or where it has none, that of the one credential that it is written in. */
  readonly owner: string
  readonly path: readonly string[]
}

/** One for each issuer that keeps its admin key in a store, whoever mints with it. */
export function buildAdminKeys(
  file: ConfigFile,
  context: BuildContext,
  report: Report,
): readonly { readonly config: AdminKeyConfig; readonly path: readonly string[] }[] {
  const taken = new Set(Object.keys(file.credentials))
  return keptIn(file).map((one) => {
    const config = buildAdminKey(one, file, context, report)
    reportName(config.name, one.path, taken, report)
    taken.add(config.name)
    return { config, path: one.path }
  })
}

function keptIn(file: ConfigFile): readonly Kept[] {
  const shared = Object.entries(file.issuers).map(([owner, issuer]) => ({
    owner,
    issuer,
    path: ['issuers', owner],
  }))
  const own = Object.entries(file.credentials).flatMap(([owner, { issuer }]) =>
    typeof issuer === 'string' ? [] : [{ owner, issuer, path: ['credentials', owner, 'issuer'] }],
  )
  return [...shared, ...own].flatMap(({ owner, issuer, path }): Kept[] =>
    issuer.kind === 'openai' && 'store' in issuer.adminKey
      ? [{ owner, issuer, kept: issuer.adminKey, path: [...path, 'adminKey'] }]
      : [],
  )
}

function buildAdminKey(
  { kept, issuer, owner, path }: Kept,
  file: ConfigFile,
  context: BuildContext,
  report: Report,
): AdminKeyConfig {
  const name = adminKeyName(kept, owner)
  const found = named(kept.store, file.stores, () =>
    unknownName([...path, 'store'], { kind: 'stores', name: kept.store, among: file.stores }, report),
  )
  const store: StoreConfig = found === undefined ? { kind: 'memory' } : absoluteStore(found, context)
  const schedule = buildSchedule(kept, { canTurn: isWritable(store) })
  const { assertValidCron } = context.sources
  const isStated = kept.schedule !== undefined
  checkSchedule({ schedule, isStated, store, at: path, assertValidCron, report })
  const blackout = buildBlackout(kept)
  checkBlackout({ blackout, at: path, sources: context.sources, report })
  // Made with the expiry that it keeps: there is no shorter one while it is pending. A spare would be one more key of an owner.
  const { keyExpiry } = kept.policy
  const policy = {
    ...kept.policy,
    pendingExpiry: keyExpiry,
    manageExpiry: false,
    standby: false,
    standbyMaxAge: keyExpiry,
  }
  checkPolicy({ policy }, path, report, orderedForAdminKeys)
  return {
    name,
    ref: kept.ref ?? (store.kind === 'env' ? 'OPENAI_ADMIN_KEY' : name),
    store,
    baseUrl: issuer.baseUrl,
    timeoutMs: durationMs(issuer.timeout),
    ...present({ organization: kept.organization }),
    schedule,
    blackout,
    policy: buildPolicy(policy, { kind: 'openai' }),
  }
}

function reportName(name: string, path: readonly string[], taken: ReadonlySet<string>, report: Report): void {
  const fix = 'Give it a name of its own: adminKey: { name: … }.'
  if (taken.has(name)) report(path, `there is another credential named '${name}'`, fix)
  else if (!credentialNamePattern.test(name))
    report(path, `its name '${name}' is longer than 63 characters`, fix)
}
