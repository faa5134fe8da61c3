import { expect, onTestFinished } from 'vitest'
import type { Beat, Ledger, SecretStore } from '../../src/core/ports.ts'
import type { CredentialEvent, CredentialState, Policy } from '../../src/core/types.ts'
import { createService, type ServiceOptions } from '../../src/engine/create-service.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import type { ReconcileTimes } from '../../src/engine/reconciler.ts'
import type { RunningService } from '../../src/engine/service.ts'
import type { CredentialSetup, EngineDeps } from '../../src/engine/setup.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { type MemoryContent, openMemoryStore } from '../../src/stores/memory.ts'
import { policyOf } from '../core/fixtures.ts'
import { ScriptedIssuer } from './scripted-issuer.ts'
import { VirtualTime } from './virtual-time.ts'

export interface WorldOptions {
  readonly names?: readonly string[]
  readonly policy?: Partial<Policy>
  readonly schedule?: CredentialSetup['schedule']
  /** Whether a key of ours that works is in the store at the start. Default true. */
  readonly isStocked?: boolean
  readonly seed?: number
  /** One issuer for each credential, each with a service account of its own. Default: one for all. */
  readonly isApart?: boolean
}

export interface Logged {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Rings every second, as the real one does, on virtual time. */
export function beatOf(time: VirtualTime): Beat {
  let cancel: () => void = () => undefined
  let isStopped = false
  return {
    start(onBeat) {
      const again = (): void => {
        if (isStopped) return
        onBeat()
        cancel = time.after(1_000, again, { background: true })
      }
      cancel = time.after(1_000, again, { background: true })
    },
    stop() {
      isStopped = true
      cancel()
    },
  }
}

const silentBeat: Beat = { start: () => undefined, stop: () => undefined }

/** A whole engine in virtual time: an issuer to script, a store in memory, a ledger that outlives the service. */
export class World {
  readonly time: VirtualTime
  readonly ledger: Ledger
  readonly logs: Logged[] = []
  readonly content: MemoryContent = new Map()
  readonly issuers = new Map<string, ScriptedIssuer>()
  readonly names: readonly string[]
  readonly policy: Policy
  readonly events: CredentialEvent[] = []
  readonly #options: WorldOptions
  #service: RunningService | undefined

  constructor(options: WorldOptions = {}) {
    this.#options = options
    this.names = options.names ?? ['openai']
    this.time = new VirtualTime(options.seed)
    this.policy = policyOf(options.policy)
    const ledger = openSqliteLedger({ path: ':memory:' })
    this.ledger = ledger
    const shared = new ScriptedIssuer(this.time)
    for (const name of this.names) {
      const issuer = options.isApart === true ? new ScriptedIssuer(this.time, `svc_${name}`) : shared
      this.issuers.set(name, issuer)
      if (options.isStocked !== false) this.stock(name)
    }
    onTestFinished(async () => {
      await this.stop()
      await ledger.close()
    })
  }

  get issuer(): ScriptedIssuer {
    return this.issuerOf(this.names[0] ?? '')
  }

  issuerOf(name: string): ScriptedIssuer {
    const issuer = this.issuers.get(name)
    if (issuer === undefined) throw new Error(`there is no ${name} in this world`)
    return issuer
  }

  /** Puts a key made by hand into the store, as current. */
  stock(name: string, version = `first-${name}`): void {
    const { secret, createdAt, expiresAt } = this.issuerOf(name).plant()
    const meta = { createdAt, ...(expiresAt === undefined ? {} : { expiresAt }) }
    this.content.delete(name)
    openMemoryStore(
      { content: this.content, initial: { [name]: { version, secret, meta } } },
      { system: this.time },
    )
  }

  store(): SecretStore {
    return openMemoryStore({ content: this.content }, { system: this.time })
  }

  deps(change: Partial<EngineDeps> = {}): EngineDeps {
    return {
      system: this.time,
      log: (level, message, fields) => void this.logs.push({ level, message, fields: fields ?? {} }),
      // The service closes its ledger; this one outlives it, as a file does.
      ledger: { ...this.ledger, close: async () => undefined },
      occurrences: createOccurrences(),
      owner: 'this-host',
      installation: 'inst1',
      ...change,
    }
  }

  setup(name: string, change: Partial<CredentialSetup> = {}): CredentialSetup {
    return {
      name,
      ref: name,
      store: this.store(),
      mirrors: [],
      issuer: this.issuerOf(name).asIssuer(),
      expected: { organization: 'org-ours' },
      mintScopes: [],
      policy: this.policy,
      schedule: this.#options.schedule,
      ...change,
    }
  }

  async start(
    change: {
      readonly deps?: Partial<EngineDeps>
      readonly setup?: Partial<CredentialSetup>
      readonly setups?: readonly CredentialSetup[]
      /** silent: there is a beat, and it never rings. none: nothing is done but by `tick`. */
      readonly beat?: 'regular' | 'silent' | 'none'
      readonly patienceMs?: number
      readonly lend?: ServiceOptions['lend']
      readonly reconcile?: Partial<ReconcileTimes>
    } = {},
  ): Promise<RunningService> {
    const setups = change.setups ?? this.names.map((name) => this.setup(name, change.setup))
    const service = await createService({
      setups,
      deps: this.deps(change.deps),
      ...(change.beat === 'none' ? {} : { beat: change.beat === 'silent' ? silentBeat : beatOf(this.time) }),
      ...(change.patienceMs === undefined ? {} : { patienceMs: change.patienceMs }),
      ...(change.lend === undefined ? {} : { lend: change.lend }),
      ...(change.reconcile === undefined ? {} : { reconcile: change.reconcile }),
      version: '0.0.0',
      isSandbox: false,
      close: [],
    })
    service.onEvent((event) => void this.events.push(event))
    this.#service = service
    return service
  }

  get service(): RunningService {
    if (this.#service === undefined) throw new Error('the service was started')
    return this.#service
  }

  /** Stops in virtual time. */
  async stop(): Promise<void> {
    const service = this.#service
    this.#service = undefined
    if (service === undefined) return
    let isOver = false
    const stopping = service.stop().finally(() => (isOver = true))
    await this.time.until(() => isOver, 60_000, 100)
    await stopping
  }

  async state(name = this.names[0] ?? ''): Promise<CredentialState> {
    const state = await this.ledger.read(name)
    if (state === undefined) throw new Error(`${name} is in the ledger`)
    return state
  }

  /** Starts and waits for the first key. */
  async ready(change: Parameters<World['start']>[0] = {}): Promise<RunningService> {
    const service = await this.start(change)
    await this.time.until(() => this.names.every((name) => this.isHandedOut(name)), 60_000)
    return service
  }

  isHandedOut(name = this.names[0] ?? ''): boolean {
    return this.service.handOut(name)?.kind === 'available'
  }

  handedOut(name = this.names[0] ?? ''): string | undefined {
    const given = this.service.handOut(name)
    return given?.kind === 'available' ? given.version : undefined
  }

  /** What nobody may ever see: errors in the log that are no fault of the world outside. */
  faults(): readonly Logged[] {
    const own = /a duty failed|failed; it will be taken up|what listens|a listener|is not sound/
    return this.logs.filter((one) => own.test(one.message))
  }

  /** Lets a rotation and its retirement walk to their ends. */
  async walkRotation(name = this.names[0] ?? '', withinMs = 600_000): Promise<void> {
    let phase: string | undefined
    await this.time.until(
      () => {
        void this.ledger.read(name).then((state) => (phase = state?.rotation?.phase))
        return phase === 'done' || phase === 'halted'
      },
      withinMs,
      200,
    )
  }
}

export const operator = { name: 'operator' }

/** Rejections that nobody handled, and listeners that would tell; call at the start of a test. */
export function expectNoUnhandled(): void {
  const seen: unknown[] = []
  const note = (reason: unknown): void => void seen.push(reason)
  process.on('unhandledRejection', note)
  onTestFinished(() => {
    process.off('unhandledRejection', note)
    expect(seen).toEqual([])
  })
}
