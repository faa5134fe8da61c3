import { existsSync } from 'node:fs'
import type { Config } from '../config.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Ledger, Log, System } from '../core/ports.ts'
import type { LastKnownGood } from '../engine/last-known-good.ts'
import type { RunningService } from '../engine/service.ts'
import { openSteadily } from '../engine/steady-service.ts'
import type { Environment } from './compose.ts'
import type { Home } from './home.ts'
import { openConfigured, removeUnkept } from './last-known-good.ts'

interface Parts {
  readonly config: Config
  readonly home: Home
  readonly system: System
  readonly log: Log
  readonly env: Environment
}

interface Kept {
  readonly lastKnownGood?: LastKnownGood
}

/** The ledger that the service works on now, for those who need one beside it. */
export interface LedgerPlace {
  open(ledger: Ledger): void
  /** Whether it is open is decided for now: nobody waits for it any longer. */
  settle(): void
  /** Why it is not open now. */
  failed(thrown: unknown): void
  isOpen(): boolean
  /** Throws while there is none. */
  ledger(): Ledger
  /** While it is being opened for the first time, they wait. */
  readonly documents: Pick<Ledger, 'document' | 'putDocument'>
}

export function createLedgerPlace(): LedgerPlace {
  let current: Ledger | undefined
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => (settle = resolve))
  let reason: KeyturnError | undefined
  const ledger = (): Ledger => {
    if (current !== undefined) return current
    const why = reason === undefined ? 'The ledger is not open.' : reason.message
    throw new KeyturnError('ledger_unreachable', `Nothing can be changed or looked up now. ${why}`, {
      fix: reason?.fix ?? 'Look at the log: it says what keeps the ledger or a store from being opened.',
      retryable: true,
    })
  }
  return {
    open(opened) {
      current = opened
      settle()
    },
    settle: () => settle(),
    failed: (thrown) => void (reason = toKeyturnError(thrown, 'opening the ledger and the stores')),
    isOpen: () => current !== undefined,
    ledger,
    documents: {
      async document(key) {
        await settled
        return await ledger().document(key)
      },
      async putDocument(request) {
        await settled
        return await ledger().putDocument(request)
      },
    },
  }
}

/** Asked for again, it is the same one time. */
export function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => (done ??= work())
}

/**
 * The service as the ledger and the stores allow it: on them, or on the last-known-good file until they are there. What is
 * opened here is put on `undo`; where there is a file to go on, `open` is called again and again until it succeeds.
 */
export async function openSteady(
  parts: Parts & { readonly version: string; readonly ledgers: LedgerPlace },
  openOnce: (kept: Kept) => Promise<RunningService>,
  undo: (() => Promise<void> | void)[],
): Promise<RunningService> {
  const { config, system, log, version, ledgers } = parts
  const open = async (kept: Kept): Promise<RunningService> => {
    try {
      return await openOnce(kept)
    } catch (thrown) {
      ledgers.failed(thrown)
      throw thrown
    }
  }
  const lastKnownGood = await openConfigured({ ...parts, installationFile: parts.home.file('installation') })
  undo.push(() => lastKnownGood?.stop())
  const credentials = credentialsOf(config)
  const service =
    lastKnownGood === undefined
      ? await open({})
      : await openSteadily({
          credentials,
          lastKnownGood,
          open: () => open({ lastKnownGood }),
          system,
          log,
          version,
        })
  undo.push(() => service.stop())
  if (lastKnownGood === undefined) await removeUnkept(pathOf(parts), log)
  return service
}

/** A beat hands nothing out, but what it withdraws must not come back from a file that the service wrote before. */
export async function openForTick(parts: Parts): Promise<Kept> {
  if (!existsSync(pathOf(parts))) return {}
  const lastKnownGood = await openConfigured({ ...parts, installationFile: parts.home.file('installation') })
  return lastKnownGood === undefined ? {} : { lastKnownGood }
}

function pathOf({ config, home }: Parts): string {
  return config.lastKnownGood?.path ?? home.file('last-known-good', 'keys.age')
}

function credentialsOf(config: Config) {
  const stored = config.credentials.map(({ name, store, issuer }) => ({
    name,
    isInternal: false,
    store: store.kind,
    issuer: issuer.kind,
  }))
  const internal = (config.adminKeys ?? []).map(({ name, store }) => ({
    name,
    isInternal: true,
    store: store.kind,
    issuer: 'openai-admin-keys',
  }))
  const federated = (config.federated ?? []).map(({ name }) => ({
    name,
    isInternal: false,
    store: 'none',
    issuer: 'workload-identity',
  }))
  return [...stored, ...internal, ...federated]
}
