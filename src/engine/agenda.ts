import type { CredentialName } from '../core/types.ts'

interface Entry {
  readonly name: CredentialName
  readonly at: number
  readonly order: number
}

/** Who is due when, of very many: a heap, in which what was replaced stays until it comes up. */
export interface Agenda {
  /** Replaces whatever there was under this name. Infinity: never. */
  set(name: CredentialName, at: number): void
  /** The longest due one, taken out; of equal instants the one that was set first. Undefined: none is due. */
  takeDue(now: number): { readonly name: CredentialName; readonly at: number } | undefined
  /** When the next one is due. Infinity where there is none. */
  nextAt(): number
  at(name: CredentialName): number | undefined
}

export function createAgenda(): Agenda {
  const entries = new Map<CredentialName, Entry>()
  const heap: Entry[] = []
  let order = 0

  /** Entries that were replaced meanwhile are dropped on the way. */
  function top(): Entry | undefined {
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      if (entries.get(first.name) === first) return first
      pop()
    }
    return undefined
  }

  function push(entry: Entry): void {
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(entry, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  function pop(): void {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const child = smallerChild(at)
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }

  function smallerChild(parent: number): number {
    const left = 2 * parent + 1
    const [one, other] = [heap[left], heap[left + 1]]
    return one !== undefined && other !== undefined && isBefore(other, one) ? left + 1 : left
  }

  return {
    set(name, at) {
      if (entries.get(name)?.at === at) return
      order += 1
      const entry = { name, at, order }
      entries.set(name, entry)
      if (at === Number.POSITIVE_INFINITY) return
      // Replaced entries are a fraction of the whole, or the heap is made anew.
      if (heap.length > 64 + 4 * entries.size) compact()
      push(entry)
    },
    takeDue(now) {
      const first = top()
      if (first === undefined || first.at > now) return undefined
      pop()
      entries.delete(first.name)
      return first
    },
    nextAt: () => top()?.at ?? Number.POSITIVE_INFINITY,
    at: (name) => entries.get(name)?.at,
  }

  function compact(): void {
    const kept = heap.filter((entry) => entries.get(entry.name) === entry)
    heap.length = 0
    for (const entry of kept) push(entry)
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
