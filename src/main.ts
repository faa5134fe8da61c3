import { join } from 'node:path'
import type { CredentialSummary } from './api/types.ts'
import type { DiagnoseOptions, Diagnosis } from './cli/io.ts'
import type { Config } from './config.ts'
import type { Log, System } from './core/ports.ts'
import { closeAll } from './engine/close-all.ts'
import type { RunningService } from './engine/service.ts'
import { openAccess, readOwn } from './main/access.ts'
import { composeService, type Environment } from './main/compose.ts'
import { assertOwnFiles, emptyConfig, ledgerOf, loadFrom } from './main/configuration.ts'
import { openDashboard } from './main/dashboard.ts'
import { hardenProcess } from './main/hardening.ts'
import { openHome } from './main/home.ts'
import { assertHomeOf } from './main/home-kind.ts'
import { hooksOf } from './main/hooks.ts'
import { lateBeat } from './main/late-beat.ts'
import { loadLedger, openTokenShelf } from './main/ledger.ts'
import { logTo } from './main/log-to.ts'
import { auditOutside } from './main/outside.ts'
import { assertPrivateFiles } from './main/private-files.ts'
import { processParts } from './main/process-parts.ts'
import { openSandboxMode } from './main/sandbox-mode.ts'
import { createLedgerPlace, once, openForTick, openSteady } from './main/steady.ts'
import { openObserving, openTracer, withTracing } from './main/telemetry.ts'
import { openTokens } from './main/tokens.ts'
import { whenReady } from './main/when-ready.ts'
import { packageVersion } from './package-folder.ts'
import { assertFree } from './server/listen.ts'
import { openTokenStore, type TokenStore } from './server/tokens.ts'
import { createSystem } from './system.ts'
import { observedLedger } from './telemetry/observed-ledger.ts'

export { type Embedded, openEmbedded } from './main/embedded.ts'

export interface ServeOptions {
  readonly config?: Config
  /** A local OpenAI instead of the real one. */
  readonly sandbox?: boolean
  /** The process is Keyturn's own, and may be closed to debuggers and core dumps. */
  readonly isOwnProcess?: boolean
  readonly env: Environment
  readonly cwd: string
  readonly log?: Log
  readonly system?: System
}

export interface Serving {
  readonly url: string
  readonly home: string
  readonly sandboxUrl?: string
  /** Resolves when the first credential can be handed out, or with false after the time given. */
  readyWithin(ms: number): Promise<boolean>
  stop(): Promise<void>
}

/** Runs the service until it is stopped. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const version = packageVersion()
  const tracer = await openTracer(version)
  const system = withTracing(options.system ?? createSystem(), tracer)
  const base = options.config ?? (options.sandbox === true ? emptyConfig(options) : await loadFrom(options))
  const log = options.log ?? logTo(base, system, tracer)
  const observing = openObserving(tracer, log)
  if (options.isOwnProcess === true && options.sandbox !== true)
    await hardenProcess(processParts(options.env), log)
  assertOwnFiles(base)
  const home = await openHome(base.home)
  const undo: (() => Promise<void> | void)[] = [() => home.close()]
  try {
    assertHomeOf(options.sandbox === true ? 'sandbox' : 'real', home)
    assertPrivateFiles((name) => home.file(name), process.getuid?.())
    // What takes long to load is loaded while the first key is being fetched and proven.
    const [openLedger, { createServer }, { createCronBeat }, { createSigner }, { openAudit }] =
      await Promise.all([
        loadLedger(base.ledger),
        import('./server/server.ts'),
        import('./engine/cron.ts'),
        import('./audit/signing-key.ts'),
        import('./main/audit.ts'),
      ])
    const mode = options.sandbox === true ? await openSandboxMode(home, base) : undefined
    if (mode !== undefined) undo.push(() => mode.sandbox.close())
    const config = mode?.config ?? base
    const isSandbox = mode !== undefined
    const env = mode?.env ?? options.env
    // What can refuse this start goes before anything is minted.
    const isFromEnvironment = config.source === 'environment'
    const tokens = await openTokens(home, {
      system,
      log,
      withApp: isSandbox || isFromEnvironment,
      shelf: await openTokenShelf(config.ledger, { home: home.path, env: options.env, system, log }),
    })
    undo.push(() => tokens.close())
    await assertFree(config.listen)
    const signer = createSigner({
      privateFile: home.file('signing-key.pem'),
      publicFile: home.file('signing-key.pub'),
    })
    const dashboard = await openDashboard(config.dashboard, { env: options.env, readText: readOwn })
    const access = await openAccess(config, { tokens, system, log })
    undo.push(() => access.stop())
    const ledgers = createLedgerPlace()
    const audit = await openAudit({
      config: config.audit,
      isSandbox,
      home,
      ledger: ledgers.documents,
      signer,
      env: options.env,
      version,
      system,
      log,
    })
    const closeAudit = once(() => audit.close())
    undo.push(closeAudit)
    undo.push(auditOutside({ tokens, policy: access.policy, audit: audit.audit }))
    const service = await openSteady(
      { config, home, system, log, env, version, ledgers },
      async (lastKnownGood) => {
        const { ledger: plain, owner } = openLedger({ file: home.file('ledger.db'), env, system, log })
        const ledger = observedLedger(plain, observing.telemetry, observing.walks)
        const opened = await composeService({
          config,
          system,
          log,
          env,
          ledger,
          audit: audit.audit,
          // Not where it could not be opened, and is tried again.
          closeBeforeLedger: [async () => (ledgers.isOpen() ? await closeAudit() : undefined)],
          owner,
          beat: lateBeat(createCronBeat(log), system),
          installationFile: home.file('installation'),
          version,
          isSandbox,
          telemetry: observing.telemetry,
          ...lastKnownGood,
        })
        ledgers.open(ledger)
        return opened
      },
      undo,
    ).finally(() => ledgers.settle())
    const { openAlerting } = await import('./main/alerting.ts')
    const alerting = await openAlerting({
      config,
      home,
      service,
      ledgers,
      auditReader: audit.reader,
      system,
      log,
      env: options.env,
      version,
    })
    undo.push(() => alerting.stop())
    const { listen, allowedHosts, trustedProxies = [], rateLimits, tls, socket } = config
    const server = await createServer({
      service,
      tokens,
      signer,
      audit: audit.audit,
      auditRepeats: audit.repeats,
      authenticator: access.authenticator,
      certificates: access.certificates,
      auditReader: audit.reader,
      alerting,
      recorder: observing.recorder,
      ...(tracer === undefined ? {} : { tracer }),
      listen,
      ...(tls === undefined ? {} : { tls: { ...tls, readText: readOwn } }),
      ...(socket === undefined ? {} : { socket }),
      log,
      system,
      version,
      isSandbox,
      allowedHosts,
      trustedProxies,
      ...(rateLimits === undefined ? {} : { rateLimits }),
      approvals: {
        rules: () => access.policy.policy.approvals,
        documents: ledgers.documents,
      },
      dashboard: { ...dashboard, documents: ledgers.documents },
      hooks: hooksOf(config),
      remember: (request) => ledgers.ledger().remember(request),
    })
    undo.push(() => server.stop())
    return {
      url: server.url,
      home: home.path,
      ...(mode === undefined ? {} : { sandboxUrl: mode.sandbox.url }),
      readyWithin: (ms) => whenReady(service, system, ms),
      stop: () => unwind(undo),
    }
  } catch (thrown) {
    await unwind(undo)
    throw thrown
  }
}

/** The tokens of a home without its service, for the command line on the same machine. */
export async function openLocalTokens(options: {
  readonly home: string
  readonly env: Environment
  readonly cwd: string
}): Promise<TokenStore> {
  const { home, env } = options
  const system = createSystem()
  const log = logTo({ log: { level: 'warn', format: 'text' } }, system)
  const shelf = await openTokenShelf(await ledgerOf(options), { home, env, system, log })
  const path = shelf ?? join(home, 'tokens.json')
  return openTokenStore({ path, system, log })
}

/** The latest opened is closed first; asked for twice, it is done once. */
function unwind(undo: (() => Promise<void> | void)[]): Promise<void> {
  return closeAll(undo.splice(0).toReversed())
}

/** What no receiver has taken within this, the next beat tells. */
const beatAlertsMs = 20_000

/** One beat and out: what is due is done and told, and nothing is left running. For cron and its like. */
export async function tick(
  options: Omit<ServeOptions, 'sandbox'>,
): Promise<{ readonly credentials: readonly CredentialSummary[] }> {
  return await withService(options, async (service) => {
    await service.tick()
    return { credentials: await service.summaries() }
  })
}

/** A service that does nothing by itself, for one piece of work: it is stopped when that ends, however it ends. */
export async function withService<Result>(
  options: Omit<ServeOptions, 'sandbox'>,
  work: (service: RunningService) => Promise<Result>,
): Promise<Result> {
  const version = packageVersion()
  const tracer = await openTracer(version)
  const system = withTracing(options.system ?? createSystem(), tracer)
  const config = options.config ?? (await loadFrom(options))
  const log = options.log ?? logTo(config, system, tracer)
  const { telemetry, walks } = openObserving(tracer, log)
  assertOwnFiles(config)
  const home = await openHome(config.home)
  const undo: (() => Promise<void> | void)[] = [() => home.close()]
  try {
    assertHomeOf('real', home)
    assertPrivateFiles((name) => home.file(name), process.getuid?.())
    const openLedger = await loadLedger(config.ledger)
    const file = home.file('ledger.db')
    const { ledger: plain, owner } = openLedger({ file, env: options.env, system, log })
    const ledger = observedLedger(plain, telemetry, walks)
    const kept = await openForTick({ config, home, system, log, env: options.env })
    undo.push(() => kept.lastKnownGood?.stop())
    const [{ openAudit }, { createSigner }] = await Promise.all([
      import('./main/audit.ts'),
      import('./audit/signing-key.ts'),
    ])
    const audit = await openAudit({
      config: config.audit,
      isSandbox: false,
      home,
      ledger,
      signer: createSigner({
        privateFile: home.file('signing-key.pem'),
        publicFile: home.file('signing-key.pub'),
      }),
      env: options.env,
      version,
      system,
      log,
    })
    const service = await composeService({
      config,
      system,
      log,
      env: options.env,
      ledger,
      owner,
      audit: audit.audit,
      telemetry,
      closeBeforeLedger: [() => audit.close()],
      ...kept,
      patienceMs: 30_000,
      installationFile: home.file('installation'),
      version,
      isSandbox: false,
    })
    undo.push(() => service.stop())
    const { openAlerting } = await import('./main/alerting.ts')
    const ledgers = { documents: ledger, isOpen: () => true, ledger: () => ledger }
    const alerting = await openAlerting({
      config,
      home,
      service,
      ledgers,
      auditReader: audit.reader,
      system,
      log,
      env: options.env,
      version,
      isBeat: true,
    })
    undo.push(() => alerting.stop())
    const result = await work(service)
    await alerting.once(beatAlertsMs)
    return result
  } finally {
    await unwind(undo)
  }
}

/** Looks at a project and what it holds of OpenAI and of Keyturn. Changes nothing. */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const doctor = await import('./main/doctor.ts')
  return doctor.diagnose(options)
}
