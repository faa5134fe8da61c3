import type { Ledger, Log, Timers } from '../core/ports.ts'
import type { CredentialEvent, CredentialName } from '../core/types.ts'
import { engineLimits } from './setup.ts'

/** Of a credential that nothing was told of yet, so many of the latest events are looked at. */
const lookBack = 50

/**
 * Tells of the events of all credentials, of this process's commits and of other replicas', in the order of their ids
 * and none twice: who listens to the events of one replica hears of all.
 */
export interface News {
  /** Of a commit of this process, after it is durable. */
  committed(events: readonly CredentialEvent[]): void
  /** Another replica has changed the credential. Never rejects. */
  follow(name: CredentialName): Promise<void>
}

export interface NewsOptions {
  readonly log: Log
  readonly system: Timers
  /** What is older was told before this process was there. */
  readonly since: number
  /**
   * What the events say cannot be handed out here yet: whoever asked because of them would get what was before, and not ask
   * again. They are told when `follow` is called after that.
   */
  readonly isBehind: (name: CredentialName) => boolean
  /** Of the state that is handed out from. Events of a later one were read before it was: they wait for it. */
  readonly generationOf: (name: CredentialName) => number
}

export function createNews(
  ledger: Pick<Ledger, 'events' | 'lastEventId' | 'watch'>,
  { log, system, since, isBehind, generationOf }: NewsOptions,
  tell: (event: CredentialEvent) => void,
): News {
  const isShared = ledger.watch !== undefined
  /** The id of the last event that was told, or was no news any more. */
  const told = new Map<CredentialName, number>()
  const reading = new Map<CredentialName, Promise<void>>()
  /** What this process committed while events of others before it are still being read. */
  const waiting = new Set<CredentialName>()

  function pass(event: CredentialEvent): void {
    if (event.id <= (told.get(event.credential) ?? 0)) return
    told.set(event.credential, event.id)
    tell(event)
  }

  async function read(name: CredentialName): Promise<void> {
    const last = told.get(name)
    const after = last ?? Math.max(0, (await ledger.lastEventId(name)) - lookBack)
    const events = await ledger.events(name, after)
    // Also where there is nothing to tell: with every change of another replica the same events would be read again.
    if (last === undefined) pastIs(name, after)
    for (const event of events) {
      if (event.generation > generationOf(name)) return
      // What was told before this process was there is no news here.
      if (last !== undefined || event.at >= since) pass(event)
      else pastIs(name, event.id)
    }
  }

  function pastIs(name: CredentialName, id: number): void {
    if (id > (told.get(name) ?? -1)) told.set(name, id)
  }

  function follow(name: CredentialName): Promise<void> {
    if (isBehind(name)) return Promise.resolve()
    const under = reading.get(name)
    if (under !== undefined) {
      waiting.add(name)
      return under
    }
    const work = readAll(name)
    reading.set(name, work)
    return work
  }

  async function readAll(name: CredentialName): Promise<void> {
    try {
      do {
        waiting.delete(name)
        await read(name)
      } while (waiting.has(name))
    } catch (thrown) {
      log('warn', 'events of another replica could not be read; trying again', {
        credential: name,
        error: thrown,
      })
      system.after(engineLimits.followAgainMs, () => void follow(name), { background: true })
    } finally {
      reading.delete(name)
    }
  }

  return {
    committed(events) {
      const [first] = events
      if (first === undefined) return
      if (!isShared) {
        for (const event of events) tell(event)
        return
      }
      const name = first.credential
      const last = told.get(name)
      if (isBehind(name)) return
      const isNext = last === undefined || first.id === last + 1
      if (isNext && !reading.has(name)) for (const event of events) pass(event)
      // Events of others come before these: all are read in their order.
      else void follow(name)
    },
    follow,
  }
}
