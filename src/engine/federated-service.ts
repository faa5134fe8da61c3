import type { CredentialSummary, Trouble } from '../api/types.ts'
import { initialState } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import type { CredentialEvent, CredentialName } from '../core/types.ts'
import { createBook } from './book.ts'
import { type Federated, withHeld } from './federated.ts'
import { exchangeNow, noStoredKey, reportToken, tokenRadius, verifyToken } from './federated-acts.ts'
import { createJournal } from './federated-journal.ts'
import { type FederatedSetup, federatedLimits } from './federated-setup.ts'
import { createLeaseKeeper } from './leases.ts'
import { reportOfRotation, reportOfVersion } from './reports.ts'
import type { RunningService } from './service.ts'
import { type EngineDeps, engineLimits } from './setup.ts'
import {
  checkTroubles,
  leaseSummary,
  rotationSummary,
  versionSummaries,
  versionSummary,
} from './summaries.ts'
import { createTokenKeeper } from './token-keeper.ts'
import { within } from './within.ts'

export interface FederatedOptions {
  readonly setups: readonly FederatedSetup[]
  readonly deps: EngineDeps
  /** Tokens are exchanged and refreshed without being asked for; else only by `tick`. */
  readonly isAlive: boolean
  readonly version: string
  readonly isSandbox: boolean
}

/** The service of all federated credentials; joined with that of the stored ones it is the whole (joined-service.ts). */
export async function createFederatedService(options: FederatedOptions): Promise<RunningService> {
  const { deps, setups } = options
  const { system, ledger } = deps
  const book = createBook(new Map(setups.map((one) => [one.name, one])), deps)
  const leases = createLeaseKeeper(deps, (name) => book.state(name))
  const all = new Map<CredentialName, Federated>()
  const eventListeners = new Set<(event: CredentialEvent) => void>()
  const handOutListeners = new Set<(name: CredentialName) => void>()
  let stopping: Promise<void> | undefined

  book.onCommit((_state, events) => {
    for (const event of events) {
      const level = event.kind === 'alert' || event.kind === 'outage' ? 'warn' : 'info'
      deps.log(level, `${event.credential}: ${event.kind}`, event.data)
      tell(eventListeners, event, 'events')
    }
  })

  function tell<Told>(listeners: ReadonlySet<(told: Told) => void>, told: Told, what: string): void {
    for (const listener of listeners) {
      try {
        listener(told)
      } catch (thrown) {
        deps.log('error', `a listener to ${what} failed`, { error: thrown })
      }
    }
  }

  for (const setup of setups) {
    const { name } = setup
    book.adopt(await ledger.open(name, initialState(name, system.now())))
    const journal = createJournal(name, book, deps)
    const keeper = createTokenKeeper({ setup, deps, journal, recorded: () => book.state(name) })
    keeper.onHandOut(() => tell(handOutListeners, name, 'hand-outs'))
    all.set(name, { setup, keeper, journal, state: () => book.state(name), deps })
  }
  if (options.isAlive) for (const { keeper } of all.values()) keeper.start()

  const of = (name: CredentialName): Federated => {
    const found = all.get(name)
    if (found !== undefined) return found
    const fix = 'keyturn status lists those that are configured.'
    throw new KeyturnError('not_found', `There is no credential ${name}.`, { fix })
  }
  const refuse = (name: CredentialName, act: string): never => {
    throw noStoredKey(of(name).setup.name, act)
  }

  async function stop(): Promise<void> {
    // What is under way is broken off; nothing that it could still bring is of use.
    await Promise.all(setups.map(({ exchanger }) => exchanger.close()))
    const ended = [...all.values()].map(async ({ keeper, journal }) => {
      await keeper.stop()
      await journal.stop()
    })
    await within(system, engineLimits.stopMs, Promise.all(ended))
    await leases.flush()
  }

  return {
    names: [...all.keys()],
    isInternal: () => false,
    handOut: (name) => all.get(name)?.keeper.handOut(),
    onHandOut(listener) {
      handOutListeners.add(listener)
      return () => handOutListeners.delete(listener)
    },
    onEvent(listener) {
      eventListeners.add(listener)
      return () => eventListeners.delete(listener)
    },
    events: (name, afterId) => ledger.events(name, afterId),
    lastEventId: (name) => ledger.lastEventId(name),
    summary: async (name) => summaryOf(of(name)),
    summaries: async () => [...all.values()].map(summaryOf),
    versions: async (name) => versionSummaries(withHeld(of(name))),
    report: async (name, told) => reportToken(told, of(name)),
    async verify(name) {
      await verifyToken(of(name))
      return summaryOf(of(name))
    },
    rotate: async (name, request, actor) => exchangeNow(request, actor.name, of(name)),
    async rotations(name) {
      const state = of(name).state()
      return (await ledger.rotations(name)).map((one) => rotationSummary(one, state))
    },
    async rotation(name, id) {
      const state = of(name).state()
      const found = await ledger.rotation(name, id)
      if (found !== undefined) return rotationSummary(found, state)
      const fix = `keyturn status ${name} shows the latest.`
      throw new KeyturnError('not_found', `${name} has no such rotation.`, { fix })
    },
    rotationReport: async (name, id) => reportOfRotation(id, of(name).state(), options),
    versionReport: async (name, version) => reportOfVersion(version, of(name).state(), options),
    async actOnRotation(name) {
      const fix = 'An exchange is over in a moment; there is nothing to pause, resume or abort.'
      throw new KeyturnError('rotation_not_running', `${of(name).setup.name} is not being turned.`, { fix })
    },
    rollback: async (name) => refuse(name, 'to go back to'),
    bring: async (name) => refuse(name, 'that could be brought'),
    revoke: async (name) => refuse(name, 'to revoke'),
    blastRadius: async (name, version, isListening) => tokenRadius(of(name), version, isListening),
    leases: async (name) => (await leases.list(of(name).setup.name)).map(leaseSummary),
    touchLease: (lease) => leases.touch(lease),
    async dropLease(name, instance) {
      if (await leases.drop(of(name).setup.name, instance)) return
      const fix = 'GET its leases to see who holds one.'
      throw new KeyturnError('not_found', `${name} has no lease of that instance.`, { fix })
    },
    endLease: async (lease) => leases.end({ ...lease, name: of(lease.name).setup.name }),
    standby: () => null,
    inventory: async () => ({ at: new Date(system.now()).toISOString(), items: [], gaps: [] }),
    readiness() {
      const credentials = [...all.values()].map((one) => {
        const given = one.keeper.handOut()
        const ready = given.kind === 'available'
        const trouble = ready ? (troublesOf(one)[0]?.summary ?? null) : given.summary
        const verdict = one.keeper.held()?.record.verdict?.kind ?? null
        return { name: one.setup.name, isInternal: false, ready, verdict, trouble }
      })
      const { version, isSandbox } = options
      const ready = credentials.every((one) => one.ready)
      // Each replica exchanges tokens of its own; one that has tried in vain has nothing to wait for.
      const isInService = [...all.values()].every(
        ({ keeper }) => keeper.handOut().kind === 'available' || keeper.trouble() !== undefined,
      )
      return { ready, isInService, version, isSandbox, credentials }
    },
    steer: async (name) => refuse(name, 'to turn'),
    async tick() {
      const by = { by: 'schedule', why: 'looked after by a tick' }
      await Promise.all([...all.values()].map(({ keeper }) => keeper.exchange(by)))
      await Promise.all(
        [...all.values()].map(({ journal }) => journal.settled(federatedLimits.journalWaitMs)),
      )
      await leases.flush()
    },
    stop: () => (stopping ??= stop()),
  }
}

/** As `credentialSummary`; what this process holds goes before what any replica has written down. */
function summaryOf(one: Federated): CredentialSummary {
  const { setup, keeper } = one
  const state = one.state()
  const held = keeper.held()
  const given = keeper.handOut()
  return {
    name: setup.name,
    isInternal: false,
    generation: given.generation,
    current: held === undefined ? null : versionSummary(held.record),
    versions: versionSummaries(withHeld(one)),
    rotation: state.rotation === undefined ? null : rotationSummary(state.rotation, state),
    retirements: [],
    rotatesAt: new Date(keeper.nextExchangeAt()).toISOString(),
    blackoutUntil: null,
    troubles: troublesOf(one),
    store: 'none',
    standby: null,
    mirrors: [],
    issuer: 'workload-identity',
  }
}

function troublesOf(one: Federated): readonly Trouble[] {
  const { keeper } = one
  const given = keeper.handOut()
  const trouble = keeper.trouble()
  const troubles: Trouble[] = []
  if (given.kind === 'unavailable') {
    const { summary, fix, since } = given
    troubles.push({ code: 'no_verified_key', summary, fix, since: new Date(since).toISOString() })
  }
  if (trouble !== undefined) {
    const { summary, fix, since, isRefused } = trouble
    const code = isRefused ? 'exchange_refused' : 'exchange_failing'
    troubles.push({ code, summary, fix, since: new Date(since).toISOString() })
  }
  return [...troubles, ...(given.kind === 'unavailable' ? [] : checkTroubles(withHeld(one)))]
}
