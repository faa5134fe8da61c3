// The edge caches. Each one learns of new keys, deletions and policy changes after its own delay, so two requests a
// millisecond apart can disagree, as they do at OpenAI (documented November 2026: revocation within seconds, most
// other updates within 15 minutes).

import { atEdge, type Knobs } from './knobs.ts'
import type { KeyPolicy, KeyRecord } from './records.ts'
import { isGone, policyAt } from './world.ts'

export type EdgeView =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'known'; readonly policy: KeyPolicy }

/** What edge `edge` believes about a key at `at`. */
export function viewAtEdge(key: KeyRecord | undefined, edge: number, at: number, knobs: Knobs): EdgeView {
  if (key === undefined) return { kind: 'unknown' }
  const activationMs = key.settled ? 0 : atEdge(knobs.activationMs, edge)
  if (at < key.createdAt + activationMs) return { kind: 'unknown' }
  if (isGone(key, at - atEdge(knobs.revocationMs, edge))) return { kind: 'unknown' }
  const policy = policyAt(key, at - atEdge(knobs.updateMs, edge))
  return policy.expiresAt !== null && policy.expiresAt <= at ? { kind: 'expired' } : { kind: 'known', policy }
}

/** The last use that an admin answer from this edge shows. */
export function lastUseAtEdge(key: KeyRecord, edge: number, at: number, knobs: Knobs): number | null {
  const horizon = at - atEdge(knobs.lastUsedLagMs, edge)
  return key.uses.findLast((use) => use <= horizon) ?? null
}

/** Whether a list from this edge shows the key: lists can miss a new one and still hold a deleted one. */
export function isListedAtEdge(key: KeyRecord, edge: number, at: number, knobs: Knobs): boolean {
  const horizon = at - atEdge(knobs.listLagMs, edge)
  return (key.settled || key.createdAt <= horizon) && !isGone(key, horizon)
}
