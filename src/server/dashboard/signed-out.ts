import type { Ledger, Log, System } from '../../core/ports.ts'
import { createEnded, type EndedSession } from './ended.ts'

/** Where replicas tell one another who signed out. */
export type SharedDocuments = Pick<Ledger, 'document' | 'putDocument'>

/** Sessions that were signed out: here, or at another replica. */
export interface SignedOut {
  /** As far as it is known here. */
  has(session: EndedSession): boolean
  /** Here at once. Resolves when others can know it too, or when it turned out that they cannot be told now. */
  add(session: EndedSession): Promise<void>
  /** Brings here what others know, and there what they lack. The ledger is asked twice a second at most. Never rejects. */
  look(): Promise<void>
  /** Whether others still have to be told of something. */
  readonly isOwing: boolean
}

const documentKey = 'dashboard:signed-out'
/** How often the ledger is asked at most, and while pages are open. */
export const lookEveryMs = 500
const attemptsMax = 8
/** Longer nobody waits for the ledger: then what is known here counts. */
const patienceMs = 2_000

export function createSignedOut(options: {
  /** Absent: sessions are of this process alone. */
  readonly documents: SharedDocuments | undefined
  readonly system: Pick<System, 'now' | 'after'>
  readonly log: Log
}): SignedOut {
  const { documents, system, log } = options
  const ended = createEnded()
  let lookedAt: number | undefined
  let running: Promise<void> | undefined
  let isAddedMeanwhile = false
  let isOwing = false
  let isAway = false

  /** By compare-and-swap: of two who tell at once one looks again. */
  const exchange = async (shared: SharedDocuments): Promise<void> => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const found = await shared.document(documentKey)
      ended.merge(found?.value, system.now())
      const value = ended.content()
      if (JSON.stringify(value) === JSON.stringify(found?.value ?? createEnded().content())) return
      if (await shared.putDocument({ key: documentKey, value, revision: found?.revision ?? 0 })) return
    }
    throw new Error('others change it all the time')
  }
  const ask = async (shared: SharedDocuments): Promise<void> => {
    const owed = isOwing
    isOwing = false
    try {
      await exchange(shared)
      isAway = false
    } catch (thrown) {
      isOwing ||= owed
      if (!isAway)
        log('warn', 'who signed out of the dashboard is not exchanged with other replicas now', {
          error: thrown,
          fix: 'Revoke a token to end all of its sessions everywhere.',
        })
      isAway = true
    }
  }
  const run = async (shared: SharedDocuments): Promise<void> => {
    do {
      isAddedMeanwhile = false
      await ask(shared)
    } while (isAddedMeanwhile)
    running = undefined
  }
  /** One at a time, however long the ledger takes; and nobody is kept waiting by one that does not answer. */
  const begin = (shared: SharedDocuments): Promise<void> => {
    lookedAt = system.now()
    const work = (running ??= run(shared))
    return new Promise((resolve) => {
      const cancel = system.after(patienceMs, resolve, { background: true })
      void work.then(() => {
        cancel()
        resolve()
      })
    })
  }
  return {
    has: (session) => ended.has(session),
    add(session) {
      ended.add(session, system.now())
      if (documents === undefined) return Promise.resolve()
      isOwing = true
      isAddedMeanwhile = true
      return begin(documents)
    },
    look() {
      if (documents === undefined) return Promise.resolve()
      const now = system.now()
      // A clock that was set back does not keep anybody from looking.
      const isFresh = lookedAt !== undefined && now >= lookedAt && now - lookedAt < lookEveryMs
      return isFresh && running === undefined ? Promise.resolve() : begin(documents)
    },
    get isOwing() {
      return isOwing
    },
  }
}
