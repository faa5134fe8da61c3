import type { Service } from '../engine/service.ts'
import type { Frame } from './frame.ts'

/** So many of one credential, and of so many credentials; what is older is read from the ledger. */
const eventsMax = 20
const credentialsMax = 1_000

/** The latest events of the credentials that have streams: thousands that come back at once ask the ledger once. */
export interface RecentEvents {
  /** What came after this id (undefined: nothing is wanted), and the latest id. Undefined: the ledger has to be asked. */
  after(
    name: string,
    id: number | undefined,
  ): { readonly head: number; readonly events: readonly Frame[] } | undefined
  /** The latest id. */
  load(name: string): Promise<number>
  note(name: string, event: Frame): void
}

interface Known {
  head: number
  /** Without a gap up to `head`. */
  events: Frame[]
  /** Before the ledger has answered, only what is told is known. */
  isLoaded: boolean
}

export function createRecentEvents(service: Pick<Service, 'lastEventId'>): RecentEvents {
  const known = new Map<string, Known>()
  const loading = new Map<string, Promise<number>>()

  async function read(name: string): Promise<number> {
    const one: Known = known.get(name) ?? { head: 0, events: [], isLoaded: false }
    known.delete(name)
    known.set(name, one)
    const [oldest] = known.size > credentialsMax ? known.keys() : []
    if (oldest !== undefined) known.delete(oldest)
    const head = await service.lastEventId(name)
    // What was told while the ledger answered is later than its answer.
    if (head > one.head) {
      one.head = head
      one.events = []
    }
    one.isLoaded = true
    return one.head
  }

  return {
    after(name, id) {
      const one = known.get(name)
      if (one?.isLoaded !== true) return undefined
      const { head, events } = one
      if (id === undefined || id === head) return { head, events: [] }
      // Beyond ours: another replica may have told it, which the ledger knows.
      const firstId = events[0]?.id ?? head + 1
      if (id > head || id < firstId - 1) return undefined
      return { head, events: events.filter((event) => event.id > id) }
    },
    load(name) {
      const underWay = loading.get(name)
      if (underWay !== undefined) return underWay
      const reading = read(name).finally(() => loading.delete(name))
      loading.set(name, reading)
      return reading
    },
    note(name, event) {
      const one = known.get(name)
      if (one === undefined || event.id <= one.head) return
      // One that we were not told of lies between: what is older is read from the ledger.
      if (event.id !== one.head + 1) one.events = []
      one.head = event.id
      one.events.push(event)
      if (one.events.length > eventsMax) one.events.shift()
    },
  }
}
