import type { CredentialSummary } from '../api/types.ts'
import { handedOut } from '../core/credential.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Beat, Cancel } from '../core/ports.ts'
import type { CredentialEvent, CredentialName, CredentialState } from '../core/types.ts'
import { blastRadius } from './blast-radius.ts'
import { createBook } from './book.ts'
import { bring } from './bring.ts'
import { closeAll } from './close-all.ts'
import { createGate } from './gate.ts'
import { takeInventory } from './inventory.ts'
import { createKeyring } from './keyring.ts'
import type { LastKnownGood } from './last-known-good.ts'
import { withLastKnownGood } from './last-known-good-summary.ts'
import { createLeaseKeeper } from './leases.ts'
import { createLending, resumeWaiting, type SecretOf } from './lending.ts'
import { createNews } from './news.ts'
import { bringWithinReach, mirrorDue, openCredential, opened, storeDue } from './open-credentials.ts'
import {
  actOnRotation,
  type OperationsContext,
  report,
  revoke,
  rollback,
  rotate,
  targetedBy,
  verifyNow,
} from './operations.ts'
import { createPace } from './pace.ts'
import { createPatrol } from './patrol.ts'
import { withinRates } from './rates.ts'
import { readiness } from './readiness.ts'
import { createReconciler, type ReconcileTimes } from './reconciler.ts'
import { reportOfRotation, reportOfVersion } from './reports.ts'
import { createResolver } from './resolver.ts'
import { createSafekeeping } from './safekeeping.ts'
import type { Actor, RunningService } from './service.ts'
import { type CredentialSetup, type EngineDeps, engineLimits } from './setup.ts'
import { standbySummary } from './standby-summary.ts'
import { steer } from './steering.ts'
import {
  credentialSummary,
  leaseSummary,
  rotationSummary,
  versionSummaries,
  versionSummary,
} from './summaries.ts'
import { createWorker } from './worker.ts'

export interface ServiceOptions {
  readonly setups: readonly CredentialSetup[]
  readonly deps: EngineDeps
  /** Absent: nothing is done by itself, only by `tick`. */
  readonly beat?: Beat
  /** How long a claim is kept over a pause. Default 2 s; `tick` waits longer. */
  readonly patienceMs?: number
  /** When keys at the issuer are held against what is known of them. */
  readonly reconcile?: Partial<ReconcileTimes>
  readonly version: string
  readonly isSandbox: boolean
  /** Given, before anything runs, the way to the keys of internal credentials: for their issuers, and nobody else. */
  readonly lend?: (secretOf: SecretOf) => void
  /** Where what is handed out is kept for a restart with everything away. Whoever opened it ends it. */
  readonly lastKnownGood?: LastKnownGood
  /** Closed last, in this order. */
  readonly close: readonly (() => Promise<void>)[]
}

/** Puts the engine together and starts it. */
export async function createService(options: ServiceOptions): Promise<RunningService> {
  const pace = options.deps.pace ?? createPace(options.deps.system)
  const deps: EngineDeps = { ...options.deps, pace }
  const isAlive = options.beat !== undefined
  const setups = withinRates(options.setups, { pace, isAlive, log: deps.log })
  const book = createBook(setups, deps, (next) => safekeeping.beforeCommit(next))
  const keyring = createKeyring(setups, deps, book, refresh)
  const safekeeping = createSafekeeping(options.lastKnownGood, setups, keyring, deps.system)
  const resolver = createResolver(setups, keyring, deps, safekeeping)
  options.lend?.(createLending(setups, book, keyring))
  const leases = createLeaseKeeper(deps, (name) => book.state(name))
  const worker = createWorker(setups, book, keyring, deps, {
    patienceMs: options.patienceMs ?? 2_000,
    pace,
    isSpread: isAlive,
    async onSetBack() {
      for (const setup of setups.values()) await bringWithinReach(setup, book)
    },
  })
  const reconciler = createReconciler({
    setups,
    book,
    keyring,
    deps,
    wake: (name) => worker.wake(name),
    times: options.reconcile,
  })
  const listeners = new Set<(event: CredentialEvent) => void>()
  const unread = new Set<CredentialName>()
  const generationOf = (name: CredentialName): number => book.state(name).generation
  const news = createNews(deps.ledger, { ...deps, since: deps.system.now(), isBehind, generationOf }, tell)
  /** After an outage of a shared ledger every credential may have changed. */
  const following = createGate(engineLimits.loadsMax)
  const toFollow = new Set<CredentialName>()
  let stopping: Promise<void> | undefined

  /** A secret has come, or where it came from was confirmed. */
  function refresh(name: CredentialName): void {
    const wasBehind = isBehind(name)
    resolver.refresh(book.state(name))
    safekeeping.follow(book.state(name))
    if (wasBehind && !isBehind(name)) void news.follow(name)
  }
  /** Another replica has turned the key, and here the one before is still handed out, until the new one has been read. */
  function isBehind(name: CredentialName): boolean {
    const given = resolver.handOut(name)
    const wanted = handedOut(book.state(name))
    return given?.kind === 'available' && wanted !== undefined && given.version !== wanted.version
  }
  book.onCommit((state, events) => {
    safekeeping.seed(state)
    keyring.follow(state)
    resolver.refresh(state)
    safekeeping.follow(state, events)
    news.committed(events)
    if (setups.get(state.name)?.isInternal === true && stopping === undefined) void goOnWaiting(state)
  })
  function goOnWaiting(state: CredentialState): Promise<void> {
    return resumeWaiting(state, { setups, book, deps, wake: (name) => worker.wake(name) })
  }
  function tell(event: CredentialEvent): void {
    const level = event.kind === 'alert' || event.kind === 'outage' ? 'warn' : 'info'
    deps.log(level, `${event.credential}: ${event.kind}`, event.data)
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (thrown) {
        deps.log('error', 'a listener to events failed', { credential: event.credential, error: thrown })
      }
    }
  }

  const patrol = createPatrol({
    setups,
    book,
    keyring,
    deps,
    lookNow: (name) => lookNow(name, storeDue),
    onRead: refresh,
    onAgreed: (name) => {
      if (safekeeping.heard(name)) refresh(name)
    },
  })

  for (const [setup, state] of await opened(setups, deps))
    await openCredential(setup, state, { book, deps, safekeeping })
  const unfollow = deps.ledger.watch?.((name) => void followLedger(name)) ?? (() => undefined)
  if (options.beat !== undefined) {
    worker.start(options.beat)
    patrol.start()
    reconciler.start()
  }
  const unwatch = options.beat === undefined ? [] : [...setups.values()].flatMap(watchStores)

  /** What another replica committed is handed out here too, though only one of them has the claim. */
  async function followLedger(name: CredentialName): Promise<void> {
    // Told of again before it is read, it is read once: anybody in the database can notify, as often as they like.
    if (!setups.has(name) || stopping !== undefined || toFollow.has(name)) return
    toFollow.add(name)
    try {
      const latest = await following.run(() => {
        toFollow.delete(name)
        return deps.ledger.read(name)
      })
      if (latest !== undefined) book.adopt(latest)
      await news.follow(name)
    } catch (thrown) {
      deps.log('warn', 'a change by another replica could not be read; trying again', {
        credential: name,
        error: thrown,
      })
      if (unread.has(name)) return
      unread.add(name)
      const again = (): void => {
        unread.delete(name)
        void followLedger(name)
      }
      const delayMs = engineLimits.followAgainMs * (0.5 + deps.system.fraction())
      deps.system.after(delayMs, again, { background: true })
    }
  }

  /** A store that can tell is looked at as soon as it does; `storePoll` stays for what it cannot tell. */
  function watchStores(setup: CredentialSetup): readonly Cancel[] {
    if (setups.size > engineLimits.watchesMax) return []
    const { name, ref, store } = setup
    const watched = (work: () => Cancel | undefined): Cancel | undefined => {
      try {
        return work()
      } catch (thrown) {
        deps.log('warn', 'a store cannot be watched and is only polled', { credential: name, error: thrown })
        return undefined
      }
    }
    const own = watched(() =>
      store.watch?.(ref, () => void lookNow(name, (before, now) => storeDue(before, now))),
    )
    const mirrors = setup.mirrors.map((mirror) =>
      watched(() =>
        mirror.store.watch?.(
          mirror.ref,
          () => void lookNow(name, (before, now) => mirrorDue(before, mirror.id, now)),
        ),
      ),
    )
    return [own, ...mirrors].filter((cancel) => cancel !== undefined)
  }
  async function lookNow(
    name: CredentialName,
    due: (before: CredentialState, now: number) => CredentialState | undefined,
  ): Promise<void> {
    try {
      await book.change(name, (before, { now }) => {
        const state = due(before, now)
        return state === undefined ? undefined : { state, events: [] }
      })
      worker.wake(name)
    } catch (thrown) {
      deps.log('warn', 'a change in the store will be seen at the next poll only', {
        credential: name,
        error: thrown,
      })
    }
  }

  const contextOf = (name: CredentialName): OperationsContext => {
    const setup = setups.get(name)
    if (setup === undefined)
      throw new KeyturnError('not_found', `There is no credential ${name}.`, {
        fix: 'keyturn status lists those that are configured.',
      })
    const others = (): readonly CredentialState[] =>
      [...setups.keys()].filter((other) => other !== name).map((other) => book.state(other))
    return { setup, book, keyring, deps, others, wake: () => worker.wake(name) }
  }
  const stateOf = (name: CredentialName): CredentialState => book.state(contextOf(name).setup.name)
  const summaryOf = (name: CredentialName): CredentialSummary =>
    withLastKnownGood(credentialSummary(book.state(name), contextOf(name).setup, deps.system.now()), {
      handOut: resolver.handOut(name),
      ledger: worker.ledgerTrouble(),
      file: options.lastKnownGood?.trouble(),
      now: deps.system.now(),
    })

  return {
    names: [...setups.keys()],
    isInternal: (name) => setups.get(name)?.isInternal === true,
    handOut: (name) => resolver.handOut(name),
    onHandOut: (listener) => resolver.onHandOut(listener),
    onEvent(listener): Cancel {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    events: (name, afterId) => deps.ledger.events(name, afterId),
    lastEventId: (name) => deps.ledger.lastEventId(name),
    summary: async (name) => summaryOf(name),
    summaries: async () => [...setups.keys()].map(summaryOf),
    versions: async (name) => versionSummaries(book.state(contextOf(name).setup.name)),
    report: (name, told, _actor: Actor) => report(told, contextOf(name)),
    async verify(name) {
      await verifyNow(contextOf(name))
      return summaryOf(name)
    },
    async rotate(name, request, actor) {
      const state = await rotate(request, actor.name, contextOf(name))
      return runningRotation(state)
    },
    async rotations(name) {
      const state = book.state(contextOf(name).setup.name)
      return (await deps.ledger.rotations(name)).map((one) => rotationSummary(one, state))
    },
    async rotation(name, id) {
      const state = book.state(contextOf(name).setup.name)
      const found = state.rotation?.id === id ? state.rotation : await deps.ledger.rotation(name, id)
      if (found === undefined)
        throw new KeyturnError('not_found', `${name} has no such rotation.`, {
          fix: `keyturn status ${name} shows the latest.`,
        })
      return rotationSummary(found, state)
    },
    rotationReport: async (name, id) => reportOfRotation(id, stateOf(name), options),
    versionReport: async (name, version) => reportOfVersion(version, stateOf(name), options),
    actOnRotation: async (name, id, act, actor) =>
      runningRotation(await actOnRotation(id, act, actor.name, contextOf(name))),
    async rollback(name, request, actor) {
      await rollback(request, actor.name, contextOf(name))
      return summaryOf(name)
    },
    bring: async (name, request, actor) => versionSummary(await bring(request, actor.name, contextOf(name))),
    revoke: async (name, version, request, actor) =>
      versionSummary(await revoke(version, request, actor.name, contextOf(name))),
    async blastRadius(name, version, isListening) {
      const context = contextOf(name)
      return blastRadius(targetedBy(book.state(name), version), isListening, context)
    },
    leases: async (name) => (await leases.list(contextOf(name).setup.name)).map(leaseSummary),
    touchLease: (lease) => leases.touch(lease),
    async dropLease(name, instance) {
      const isDropped = await leases.drop(contextOf(name).setup.name, instance)
      if (!isDropped)
        throw new KeyturnError('not_found', `${name} has no lease of that instance.`, {
          fix: `keyturn leases ${name} shows who holds one.`,
        })
      worker.wake(name)
    },
    async endLease(lease) {
      await leases.end({ ...lease, name: contextOf(lease.name).setup.name })
      worker.wake(lease.name)
    },
    standby: (name) => standbySummary(book.state(name), contextOf(name).setup.policy, deps.system.now()),
    inventory: () =>
      takeInventory({ setups: [...setups.values()], keyring, deps, suspects: () => reconciler.suspects() }),
    readiness: () => readiness(book, setups, (name) => resolver.handOut(name), options),
    steer: (name, request) => steer(request, contextOf(name)),
    async tick() {
      await Promise.all([worker.drain(), reconciler.runDue()])
      await leases.flush()
    },
    // Asked for twice, it is one stop.
    stop: () => (stopping ??= stop()),
  }

  async function stop(): Promise<void> {
    for (const cancel of [unfollow, ...unwatch]) cancel()
    patrol.stop()
    await Promise.all([worker.stop(), reconciler.stop()])
    await leases.flush()
    keyring.stop()
    resolver.stop()
    await closeAll(options.close)
  }
}

function runningRotation(state: CredentialState): ReturnType<typeof rotationSummary> {
  if (state.rotation === undefined)
    throw new KeyturnError('rotation_not_running', `${state.name} is not being turned.`)
  return rotationSummary(state.rotation, state)
}
