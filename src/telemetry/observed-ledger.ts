import type { Ledger, Telemetry, TracedOutcome } from '../core/ports.ts'
import type { CredentialState } from '../core/types.ts'
import type { WalkWatch } from './walks.ts'

/**
 * A ledger each of whose calls is counted, timed and traced, and whose commits tell how walks get on: what is committed here
 * was done by this process, what is only read was perhaps done by another.
 */
export function observedLedger(ledger: Ledger, telemetry: Telemetry, walks: WalkWatch): Ledger {
  const openAll = ledger.openAll?.bind(ledger)
  const run = <Result>(
    name: string,
    work: () => Promise<Result>,
    told: (result: Result) => TracedOutcome = () => ({ outcome: 'done' }),
  ): Promise<Result> => telemetry.run({ part: 'ledger', name }, work, told)
  const seen = <State extends CredentialState | undefined>(state: State): State => {
    if (state !== undefined) walks.seen(state)
    return state
  }
  return {
    open: async (...asked) => seen(await run('open', () => ledger.open(...asked))),
    ...(openAll === undefined
      ? {}
      : { openAll: async (initials) => (await run('openAll', () => openAll(initials))).map(seen) }),
    read: async (name) => seen(await run('read', () => ledger.read(name))),
    readAll: async () => (await run('readAll', () => ledger.readAll())).map(seen),
    async claim(request) {
      const claims = await run('claim', () => ledger.claim(request))
      for (const { state } of claims) seen(state)
      return claims
    },
    renew: (request) => run('renew', () => ledger.renew(request), taken),
    release: (request) => run('release', () => ledger.release(request)),
    async commit(commit) {
      const outcome = await run(
        'commit',
        () => ledger.commit(commit),
        ({ kind }) => ({ outcome: kind }),
      )
      if (outcome.kind === 'committed') walks.committed(outcome.state, outcome.events)
      return outcome
    },
    ...(ledger.watch === undefined ? {} : { watch: ledger.watch.bind(ledger) }),
    nextDueAt: (names) => run('nextDueAt', () => ledger.nextDueAt(names)),
    events: (...asked) => run('events', () => ledger.events(...asked)),
    lastEventId: (name) => run('lastEventId', () => ledger.lastEventId(name)),
    rotations: (...asked) => run('rotations', () => ledger.rotations(...asked)),
    rotation: (...asked) => run('rotation', () => ledger.rotation(...asked)),
    aftermath: (...asked) => run('aftermath', () => ledger.aftermath(...asked)),
    touchLease: (...leases) => run('touchLease', () => ledger.touchLease(...leases)),
    leases: (name) => run('leases', () => ledger.leases(name)),
    dropLease: (...asked) => run('dropLease', () => ledger.dropLease(...asked)),
    endLease: (lease) => run('endLease', () => ledger.endLease(lease)),
    once: (...asked) => run('once', () => ledger.once(...asked)),
    document: (key) => run('document', () => ledger.document(key)),
    putDocument: (request) => run('putDocument', () => ledger.putDocument(request), taken),
    remember: (request) => run('remember', () => ledger.remember(request)),
    close: () => ledger.close(),
  }
}

function taken(isTaken: boolean): TracedOutcome {
  return { outcome: isTaken ? 'done' : 'lost' }
}
