import type { Readiness } from '../api/types.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Cancel, Log, System } from '../core/ports.ts'
import type { CredentialEvent, CredentialName } from '../core/types.ts'
import type { LastKnownGood } from './last-known-good.ts'
import {
  type ConfiguredCredential,
  createRememberedAnswers,
  type RememberedAnswers,
} from './remembered-answers.ts'
import type { HandOut, NoHandOut, RunningService } from './service.ts'
import { within } from './within.ts'

export interface SteadyOptions {
  readonly credentials: readonly ConfiguredCredential[]
  readonly lastKnownGood: LastKnownGood
  /** Opens the ledger, the stores and the engine on them. Each call begins anew, and leaves nothing open where it rejects. */
  readonly open: () => Promise<RunningService>
  readonly system: System
  readonly log: Log
  readonly version: string
}

export const steadyLimits = {
  /**
   * The engine has this long to open before anything is answered from the file. The ledger may know that a key was withdrawn
   * while this process was away, so it is heard first where it can be; a database that refuses does so at once.
   */
  patienceMs: 2_000,
  /** Between tries to open it, doubling, with jitter: many replicas that lost one database must not all come back at once. */
  retryBaseMs: 500,
  retryMaxMs: 30_000,
  /** Hand-outs that end by the clock alone are looked at when the first of them does, and at least and at most this often. */
  lookMs: 1_000,
  lookMaxMs: 3_600_000,
  /** Events that are told after taking over, of one credential. */
  eventsMax: 500,
} as const

/**
 * The engine, or what the last-known-good file holds until the engine can be opened. Where that goes well at once, or
 * nothing is remembered, nothing of this remains: what is returned is the engine itself.
 */
export async function openSteadily(options: SteadyOptions): Promise<RunningService> {
  const { lastKnownGood, system } = options
  const opening = options.open()
  const isRemembered = options.credentials.some(({ name }) => lastKnownGood.usable(name) !== undefined)
  if (!isRemembered) return await opening
  try {
    const opened = await within(system, steadyLimits.patienceMs, opening)
    if (opened !== undefined) return opened
    return new SteadyService(options, opening, stillOpening())
  } catch (thrown) {
    return new SteadyService(options, undefined, toKeyturnError(thrown, 'opening the ledger and the stores'))
  }
}

function stillOpening(): KeyturnError {
  return new KeyturnError('ledger_unreachable', 'The ledger or a store does not answer.', {
    fix: 'Look at the ledger and at the stores; Keyturn goes on trying.',
    retryable: true,
  })
}

class SteadyService implements RunningService {
  readonly names: readonly CredentialName[]
  readonly #options: SteadyOptions
  readonly #remembered: RememberedAnswers
  readonly #handOutListeners = new Set<(name: CredentialName) => void>()
  readonly #eventListeners = new Set<(event: CredentialEvent) => void>()
  readonly #since: number
  #engine: RunningService | undefined
  #reason: KeyturnError
  #opening: Promise<void> | undefined
  #failures = 0
  #cancelRetry: Cancel = () => undefined
  #cancelLook: Cancel = () => undefined
  #stopping: Promise<void> | undefined

  constructor(options: SteadyOptions, opening: Promise<RunningService> | undefined, reason: KeyturnError) {
    this.#options = options
    this.#reason = reason
    this.#since = options.system.now()
    this.names = options.credentials.map(({ name }) => name)
    const { credentials, lastKnownGood, system, version } = options
    this.#remembered = createRememberedAnswers({
      credentials,
      lastKnownGood,
      version,
      now: () => system.now(),
      reason: () => this.#reason,
    })
    options.log(
      'error',
      'answering from the last-known-good file until the ledger and the stores can be opened',
      {
        error: reason,
        fix: reason.fix ?? '',
      },
    )
    this.#remembered.refresh()
    this.#look()
    if (opening === undefined) this.#openLater()
    else this.#open(opening)
  }

  // ------------------------------------------------------------- taking over

  #open(opening: Promise<RunningService>): void {
    this.#opening = opening
      .then((engine) => this.#takeOver(engine))
      .catch((thrown: unknown) => {
        const error = toKeyturnError(thrown, 'opening the ledger and the stores')
        // One line for each thing that is wrong, not one for each try.
        if (error.code !== this.#reason.code || error.message !== this.#reason.message)
          this.#options.log('error', 'still answering from the last-known-good file', {
            error,
            fix: error.fix ?? '',
          })
        this.#reason = error
        this.#openLater()
      })
  }

  #openLater(): void {
    if (this.#stopping !== undefined) return
    const { system, open } = this.#options
    const { retryBaseMs, retryMaxMs } = steadyLimits
    const longestMs = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(this.#failures, 10))
    this.#failures += 1
    const delayMs = longestMs * (0.5 + system.fraction() / 2)
    this.#cancelRetry = system.after(delayMs, () => this.#open(open()), { background: true })
  }

  async #takeOver(engine: RunningService): Promise<void> {
    if (this.#stopping !== undefined) return await engine.stop()
    const before = this.#remembered.handOuts()
    this.#cancelLook()
    this.#engine = engine
    engine.onHandOut((name) => this.#tellHandOut(name))
    engine.onEvent((event) => this.#tellEvent(event))
    for (const name of this.names) this.#tellHandOut(name)
    this.#options.log('info', 'the ledger and the stores are open again: answering from the engine', {
      afterMs: this.#options.system.now() - this.#since,
    })
    for (const [name, given] of before) await this.#catchUp(engine, name, given)
  }

  /** Streams stayed open: what others changed meanwhile is told on them now. */
  async #catchUp(engine: RunningService, name: CredentialName, before: HandOut | NoHandOut): Promise<void> {
    const now = engine.handOut(name)
    const told = this.#options.lastKnownGood.kept(name)?.lastEventId
    if (now === undefined || now.generation === before.generation || told === undefined) return
    try {
      const missed = await engine.events(name, told)
      for (const event of missed.slice(-steadyLimits.eventsMax)) this.#tellEvent(event)
    } catch (thrown) {
      this.#options.log('warn', 'events of the time without a ledger cannot be told', {
        credential: name,
        error: thrown,
      })
    }
  }

  #tellHandOut(name: CredentialName): void {
    for (const listener of this.#handOutListeners) {
      try {
        listener(name)
      } catch (thrown) {
        this.#options.log('error', 'a listener to hand-outs failed', { credential: name, error: thrown })
      }
    }
  }

  #tellEvent(event: CredentialEvent): void {
    for (const listener of this.#eventListeners) {
      try {
        listener(event)
      } catch (thrown) {
        const { credential } = event
        this.#options.log('error', 'a listener to events failed', { credential, error: thrown })
      }
    }
  }

  // -------------------------------------------------------- until it is open

  #look(): void {
    const again = (): void => {
      for (const name of this.#remembered.refresh()) this.#tellHandOut(name)
      this.#look()
    }
    const { lookMs, lookMaxMs } = steadyLimits
    const delayMs = Math.min(
      lookMaxMs,
      Math.max(lookMs, this.#remembered.endsAt() - this.#options.system.now()),
    )
    this.#cancelLook = this.#options.system.after(delayMs, again, { background: true })
  }

  #of(name: CredentialName): ConfiguredCredential {
    const found = this.#options.credentials.find((one) => one.name === name)
    if (found !== undefined) return found
    throw new KeyturnError('not_found', `There is no credential ${name}.`, {
      fix: 'keyturn status lists those that are configured.',
    })
  }

  /** What needs the ledger waits for it. */
  #needed(): RunningService {
    if (this.#engine !== undefined) return this.#engine
    throw new KeyturnError(
      'ledger_unreachable',
      `Keyturn answers from its last-known-good file; nothing can be changed or looked up now. ${this.#reason.message}`,
      {
        fix: this.#reason.fix ?? 'Bring the ledger and the stores back.',
        retryable: true,
        cause: this.#reason,
      },
    )
  }

  // --------------------------------------------------------------- the service

  isInternal = (name: CredentialName): boolean =>
    this.#options.credentials.some((one) => one.name === name && one.isInternal)

  handOut = (name: CredentialName): HandOut | NoHandOut | undefined =>
    this.#engine === undefined ? this.#remembered.handOut(name) : this.#engine.handOut(name)

  onHandOut = (listener: (name: CredentialName) => void): Cancel => {
    this.#handOutListeners.add(listener)
    return () => this.#handOutListeners.delete(listener)
  }

  onEvent = (listener: (event: CredentialEvent) => void): Cancel => {
    this.#eventListeners.add(listener)
    return () => this.#eventListeners.delete(listener)
  }

  events: RunningService['events'] = async (name, afterId) =>
    (await this.#engine?.events(name, afterId)) ?? []

  lastEventId: RunningService['lastEventId'] = async (name) =>
    this.#engine === undefined
      ? (this.#options.lastKnownGood.kept(name)?.lastEventId ?? 0)
      : await this.#engine.lastEventId(name)

  summary: RunningService['summary'] = async (name) =>
    this.#engine === undefined ? this.#remembered.summary(this.#of(name)) : await this.#engine.summary(name)

  summaries: RunningService['summaries'] = async () =>
    this.#engine === undefined
      ? this.#options.credentials.map((one) => this.#remembered.summary(one))
      : await this.#engine.summaries()

  versions: RunningService['versions'] = async (name) =>
    this.#engine === undefined
      ? this.#remembered.summary(this.#of(name)).versions
      : await this.#engine.versions(name)

  standby: RunningService['standby'] = (name) => this.#engine?.standby(name) ?? null

  touchLease: RunningService['touchLease'] = (lease) => this.#engine?.touchLease(lease)

  report: RunningService['report'] = async (...asked) => await this.#needed().report(...asked)
  verify: RunningService['verify'] = async (...asked) => await this.#needed().verify(...asked)
  rotate: RunningService['rotate'] = async (...asked) => await this.#needed().rotate(...asked)
  rotations: RunningService['rotations'] = async (...asked) => await this.#needed().rotations(...asked)
  rotation: RunningService['rotation'] = async (...asked) => await this.#needed().rotation(...asked)
  rotationReport: RunningService['rotationReport'] = async (...asked) =>
    await this.#needed().rotationReport(...asked)
  versionReport: RunningService['versionReport'] = async (...asked) =>
    await this.#needed().versionReport(...asked)
  actOnRotation: RunningService['actOnRotation'] = async (...asked) =>
    await this.#needed().actOnRotation(...asked)
  rollback: RunningService['rollback'] = async (...asked) => await this.#needed().rollback(...asked)
  bring: RunningService['bring'] = async (...asked) => await this.#needed().bring(...asked)
  revoke: RunningService['revoke'] = async (...asked) => await this.#needed().revoke(...asked)
  blastRadius: RunningService['blastRadius'] = async (...asked) => await this.#needed().blastRadius(...asked)
  leases: RunningService['leases'] = async (...asked) => await this.#needed().leases(...asked)
  dropLease: RunningService['dropLease'] = async (...asked) => await this.#needed().dropLease(...asked)
  endLease: RunningService['endLease'] = async (lease) => await this.#needed().endLease(lease)
  inventory: RunningService['inventory'] = async (...asked) => await this.#needed().inventory(...asked)
  steer: RunningService['steer'] = async (...asked) => await this.#needed().steer(...asked)
  tick: RunningService['tick'] = async () => await this.#needed().tick()

  readiness = (): Readiness => (this.#engine ?? this.#remembered).readiness()

  /** Asked for twice, it is one stop. An engine that is still opening is ended when it is there. */
  stop = (): Promise<void> => (this.#stopping ??= this.#stop())

  async #stop(): Promise<void> {
    this.#cancelRetry()
    this.#cancelLook()
    // One that is opening ends itself when it is there; a database that never answers is not waited for.
    if (this.#opening !== undefined)
      await within(this.#options.system, steadyLimits.patienceMs, this.#opening)
    await this.#engine?.stop()
  }
}
