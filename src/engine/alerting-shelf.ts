import { type AlertBook, emptyBook } from '../core/alert-book.ts'
import { type KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Ledger, System } from '../core/ports.ts'

/** Where the book of alerts is kept, for all replicas one. */
export interface Shelf {
  /** As this replica knows it. */
  book(): AlertBook
  /** As the ledger has it now. */
  read(): Promise<AlertBook>
  /**
   * Whether this replica is the one that decides and tells, which one of them is at a time. The others look now and then
   * whether it is still there.
   */
  leads(): Promise<boolean>
  /** By compare-and-swap; the work may be done again, on what another replica left. False: nothing was changed. */
  change(work: (book: AlertBook) => AlertBook): Promise<boolean>
  /** Why the ledger could not be asked last, and since when. */
  trouble(): ShelfTrouble | undefined
  /** What fires and nobody is told of yet, by its id, since when: for those who look once and are gone. */
  seen(): Promise<ReadonlyMap<string, number>>
  keepSeen(seen: ReadonlyMap<string, number>): Promise<void>
  /** Another replica may begin at once. */
  leave(): Promise<void>
}

export interface ShelfTrouble {
  readonly since: number
  readonly error: KeyturnError
}

const leadMs = 60_000
const renewMs = 20_000
const lookMs = 10_000
const changeTries = 5
const seenMax = 3_000
/** Longer than from one beat to the next: what is older was seen before a service ran in between. */
const seenMs = 2 * 86_400_000
const keys = { book: 'alerts', lead: 'alerts:lead', seen: 'alerts:seen' } as const

/** Two that believe to lead do no harm: every change is by compare-and-swap, and each try to tell is one. */
export function createShelf(options: {
  readonly documents: Pick<Ledger, 'document' | 'putDocument'>
  readonly owner: string
  readonly system: Pick<System, 'now'>
}): Shelf {
  const { documents, owner, system } = options
  let kept: { readonly book: AlertBook; readonly revision: number } = { book: emptyBook, revision: 0 }
  let isLeading = false
  let nextLookAt = Number.NEGATIVE_INFINITY
  let lastLookAt = Number.NEGATIVE_INFINITY
  let trouble: ShelfTrouble | undefined

  async function asked<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      const answer = await work()
      trouble = undefined
      return answer
    } catch (thrown) {
      const error = toKeyturnError(thrown, 'keeping the book of alerts')
      trouble = { since: trouble?.since ?? system.now(), error }
      return undefined
    }
  }

  async function load(): Promise<AlertBook> {
    const document = await documents.document(keys.book)
    const value = document?.value
    kept = { book: isBook(value) ? value : emptyBook, revision: document?.revision ?? 0 }
    return kept.book
  }

  async function takeLead(now: number): Promise<boolean> {
    const document = await documents.document(keys.lead)
    const { owner: holder, until = 0 } = (document?.value ?? {}) as { owner?: string; until?: number }
    // A clock that was far ahead must not keep everybody out.
    const isHeld = holder !== owner && now < until && until <= now + 2 * leadMs
    if (isHeld) return false
    const value = { owner, until: now + leadMs }
    return await documents.putDocument({ key: keys.lead, value, revision: document?.revision ?? 0 })
  }

  return {
    book: () => kept.book,
    read: load,
    async leads() {
      const now = system.now()
      if (now < nextLookAt && now >= lastLookAt) return isLeading
      lastLookAt = now
      const wasLeading = isLeading
      isLeading = (await asked(() => takeLead(now))) ?? false
      if (isLeading && !wasLeading) isLeading = (await asked(load)) !== undefined
      nextLookAt = now + (isLeading ? renewMs : lookMs)
      return isLeading
    },
    async change(work) {
      for (let tries = 0; tries < changeTries; tries += 1) {
        const value = work(kept.book)
        if (value === kept.book) return true
        const { revision } = kept
        const isPut = await asked(() => documents.putDocument({ key: keys.book, value, revision }))
        if (isPut === undefined) return false
        if (isPut) {
          kept = { book: value, revision: revision + 1 }
          return true
        }
        if ((await asked(load)) === undefined) return false
      }
      return false
    },
    trouble: () => trouble,
    async seen() {
      const document = await asked(() => documents.document(keys.seen))
      const { seen = {} } = (document?.value ?? {}) as { readonly seen?: Readonly<Record<string, number>> }
      const now = system.now()
      return new Map(Object.entries(seen).filter(([, at]) => at <= now && now - at < seenMs))
    },
    async keepSeen(seen) {
      await asked(async () => {
        const document = await documents.document(keys.seen)
        if (seen.size === 0 && document === undefined) return
        const value = { seen: Object.fromEntries([...seen].slice(0, seenMax)) }
        await documents.putDocument({ key: keys.seen, value, revision: document?.revision ?? 0 })
      })
    },
    async leave() {
      if (!isLeading) return
      isLeading = false
      await asked(async () => {
        const document = await documents.document(keys.lead)
        if ((document?.value as { owner?: string } | undefined)?.owner !== owner) return
        await documents.putDocument({
          key: keys.lead,
          value: { owner, until: 0 },
          revision: document?.revision ?? 0,
        })
      })
    },
  }
}

/** Of another version or by another hand it is begun anew: all that fires is told again then. */
export function isBook(value: unknown): value is AlertBook {
  return (
    typeof value === 'object' &&
    value !== null &&
    'incidents' in value &&
    Array.isArray(value.incidents) &&
    'serial' in value &&
    typeof value.serial === 'number' &&
    'channels' in value &&
    'dropped' in value
  )
}
