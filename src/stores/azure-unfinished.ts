import type { PromoteRequest, System } from '../core/ports.ts'
import type { Secret } from '../core/secret.ts'
import { longDeadMs, tellWithinMs } from './azure-race.ts'
import type { OwnTurn } from './azure-settle.ts'
import type { AzureTags, TurnTags } from './azure-tags.ts'

/** A promotion that this process has begun to write. */
export interface Attempt {
  readonly own: OwnTurn
  readonly text: Secret
  readonly tags: TurnTags
  readonly others: AzureTags
  readonly contentType: string | undefined
  readonly expiresAt: number | undefined
  readonly wasCurrent: boolean
  /** Azure's id of it, once it is known to be there. */
  id?: string
  seen?: readonly string[]
  /** It was acknowledged in time; what was told later may count or not. */
  hasTold: boolean
}

/** Promotions that failed in a way that may pass, by ref: asked for again, they go on where they stopped. */
export interface Unfinished {
  /** What may still go on. It is kept no longer: who takes it brings it back or to its end. */
  take(ref: string, request: PromoteRequest): Attempt | undefined
  keep(ref: string, attempt: Attempt): void
  clear(): void
  readonly size: number
}

/** Each holds two keys. The oldest one goes first: its promotion begins anew. */
const unfinishedMax = 1_000

export function createUnfinished(system: System): Unfinished {
  const kept = new Map<string, { readonly attempt: Attempt; readonly cancel: () => void }>()
  const drop = (ref: string): Attempt | undefined => {
    const found = kept.get(ref)
    found?.cancel()
    kept.delete(ref)
    return found?.attempt
  }
  return {
    take(ref, { to, fence }) {
      const attempt = drop(ref)
      const isOfThis = attempt?.own.version === to && attempt.own.fence === fence
      return isOfThis && leftMs(system, attempt) > 0 ? attempt : undefined
    },
    keep(ref, attempt) {
      drop(ref)
      const forMs = leftMs(system, attempt)
      if (forMs <= 0) return
      for (const oldest of kept.keys()) if (kept.size >= unfinishedMax) drop(oldest)
      const cancel = system.after(forMs, () => void drop(ref), { background: true })
      kept.set(ref, { attempt, cancel })
    },
    clear() {
      for (const ref of kept.keys()) drop(ref)
    },
    get size() {
      return kept.size
    },
  }
}

/** What has withdrawn is brought to its end later on as well: others leave it out already. */
export function leftMs(system: System, { own, seen }: Attempt): number {
  return own.beganAt + (seen?.length === 0 ? longDeadMs : tellWithinMs) - system.now()
}
