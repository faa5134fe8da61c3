import type { Cancel, Log, SignedDocument, Signer, System } from '../core/ports.ts'
import type { Journal } from './journal.ts'

/**
 * A head seals a journal through one row: its number and its hash, signed with the key of the installation. It stands in the
 * journal itself, so that nobody without the key can chain anew what lies before it; and in a second place, so that it shows
 * when rows are cut off from the end.
 */
export interface Head {
  readonly format: typeof headFormat
  readonly journal: string
  readonly seq: number
  readonly hash: string
  readonly at: string
}

type Sealed = Pick<Head, 'seq' | 'hash'>

export const headFormat = 'keyturn-audit-head/1'
/** The `typ` of the signed document, so that a report cannot pass for a head. */
export const headType = 'keyturn-audit-head+jws'

/** The second place. */
export interface HeadPlace {
  readonly name: string
  /** Resolves when it is durable there. `contradicted`: the place has heads of rows that this journal has not, or not so. */
  put(head: SignedDocument, facts: Head): Promise<'kept' | 'contradicted' | void>
}

export interface HeadKeeper {
  /** Seals what there is. Never rejects; what could not be put is tried again with the next. */
  seal(): Promise<void>
  /** How many rows no place has a head of, and whether the last try reached each. */
  status(): { readonly sealed: number; readonly troubles: readonly string[] }
  stop(): void
}

export interface HeadOptions {
  readonly journal: Journal
  readonly id: string
  readonly signer: Signer
  readonly places: readonly HeadPlace[]
  readonly system: System
  readonly log: Log
  readonly everyMs?: number
}

const everyMsDefault = 5_000
/** A service that is killed soon after each of its starts seals all the same. */
const firstMs = 250

export function createHeadKeeper(options: HeadOptions): HeadKeeper {
  const { journal, id, signer, places, system, log } = options
  let sealed = 0
  const troubled = new Set<string>()
  const contradicted = new Set<string>()
  let sealing: Promise<void> | undefined
  let cancel: Cancel = () => undefined
  let isStopped = false

  const sign = async ({ seq, hash }: Sealed): Promise<{ head: SignedDocument; facts: Head }> => {
    const at = new Date(system.now()).toISOString()
    const facts: Head = { format: headFormat, journal: id, seq, hash, at }
    return { head: await signer.sign(JSON.stringify(facts), headType), facts }
  }

  async function sealNow(): Promise<void> {
    if (journal.seq <= sealed) return
    const inside = await sign(journal)
    // Durable before it is sealed elsewhere: a head must not name a row that a crash could still take away.
    const row = await journal.note('head', { head: inside.head })
    const { head, facts } = await sign(row)
    sealed = row.seq
    await Promise.all(places.map((place) => putTo(place, head, facts)))
  }

  async function putTo(place: HeadPlace, head: SignedDocument, facts: Head): Promise<void> {
    try {
      const outcome = await place.put(head, facts)
      if (outcome === 'contradicted' && !contradicted.has(place.name)) {
        contradicted.add(place.name)
        log('error', 'the audit journal lacks rows that signed heads seal: it was cut off, and went on', {
          place: place.name,
          verify: 'keyturn audit verify',
        })
      }
      if (troubled.delete(place.name))
        log('info', 'heads of the audit reach their place again', { place: place.name })
    } catch (thrown) {
      // What keeps a start from going on is told as that; the next one seals what this one wrote.
      if (isStopped)
        log('warn', 'the last head of the audit did not reach its place; the next start seals these rows', {
          place: place.name,
        })
      else if (!troubled.has(place.name))
        log('error', 'a head of the audit did not reach its place; trying again', {
          place: place.name,
          error: thrown,
        })
      troubled.add(place.name)
    }
  }

  function seal(): Promise<void> {
    sealing ??= sealNow()
      .catch((thrown: unknown) =>
        log('error', 'the audit could not be sealed; trying again', { error: thrown }),
      )
      .finally(() => {
        sealing = undefined
      })
    return sealing
  }

  const arm = (ms: number): void => {
    cancel = system.after(
      ms,
      () => {
        void seal().then(() => {
          if (!isStopped) arm(options.everyMs ?? everyMsDefault)
        })
      },
      { background: true },
    )
  }
  arm(firstMs)
  return {
    seal,
    status: () => ({ sealed, troubles: [...troubled] }),
    stop() {
      isStopped = true
      cancel()
    },
  }
}
