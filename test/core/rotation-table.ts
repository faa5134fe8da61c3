import type { RotationEvent, RotationEventKind } from '../../src/core/rotation.ts'
import type { Rotation, RotationPhase } from '../../src/core/types.ts'
import { verdictOf } from './fixtures.ts'

/**
 * Every (phase x event) pair of the rotation. In the table a dot says that nothing happens (the very same object comes
 * back), `=` that the rotation changes but stays in its phase; everything else is the phase it goes to.
 */

export const everyKind: Readonly<Record<RotationEventKind, true>> = {
  resumed: true,
  deadline_passed: true,
  checked: true,
  check_failed: true,
  check_unknown: true,
  minted: true,
  mint_refused: true,
  mint_unknown: true,
  mint_unsent: true,
  mint_begun: true,
  reconciled: true,
  reconcile_failed: true,
  brought: true,
  proved: true,
  pending_lost: true,
  discarded: true,
  discard_failed: true,
  extended: true,
  extend_refused: true,
  extend_unknown: true,
  promoted: true,
  promote_lost: true,
  promote_gone: true,
  promote_unknown: true,
  confirmed: true,
  confirm_lost: true,
  confirm_unknown: true,
  inspected: true,
  inspect_unknown: true,
  held: true,
  steered: true,
  pause_asked: true,
  resume_asked: true,
  abort_asked: true,
  emergency_asked: true,
  rotation_asked: true,
}

export const proved = (
  kind: Parameters<typeof verdictOf>[0],
  change: { readonly isOurs?: boolean; readonly lacksDeclared?: boolean } = {},
): RotationEvent => ({
  kind: 'proved',
  verdict: verdictOf(kind),
  isOurs: true,
  lacksDeclared: false,
  ...change,
})
export const checkFailed: RotationEvent = {
  kind: 'check_failed',
  reason: 'denied',
  summary: 'No.',
  fix: 'Ask.',
}
export const refused = (kind: Parameters<typeof verdictOf>[0], retryAfterMs?: number): RotationEvent => ({
  kind: 'mint_refused',
  verdict: verdictOf(kind, retryAfterMs === undefined ? {} : { retryAfterMs }),
})
export const by = 'ada'
export const emergency: RotationEvent = { kind: 'emergency_asked', by, reason: 'leaked', isCompromised: true }
export const minted: RotationEvent = { kind: 'minted', keyId: 'key-1' }

export interface Row {
  readonly name: string
  readonly event: RotationEvent | ((rotation: Rotation) => RotationEvent)
  /** In the order of `columns`. */
  readonly cells: string
  /** Applied this long after the state was reached. */
  readonly afterMs?: number
}

export const columns: readonly RotationPhase[] = [
  'checking',
  'minting',
  'reconciling',
  'awaiting',
  'proving',
  'discarding',
  'extending',
  'promoting',
  'confirming',
  'inspecting',
  'halted',
  'done',
]

export const found = (rotation: Rotation): RotationEvent => ({
  kind: 'reconciled',
  found: {
    version: rotation.attempts.findLast((one) => one.outcome === 'open')?.version ?? 'none',
    keyId: 'key-found',
  },
})

// biome-ignore format: a table is read by its columns
export const table: readonly Row[] = [
  //                                                                   checking minting     reconciling awaiting proving    discarding extending  promoting  confirming inspecting halted done
  { name: 'resumed', event: { kind: 'resumed' }, cells:               '.        reconciling .           .        .          .          .          .          .          .          .        .' },
  { name: 'deadline', event: { kind: 'deadline_passed' }, cells:      'halted   halted      halted      halted   halted     halted     halted     halted     halted     halted     .        .' },
  { name: 'checked', event: { kind: 'checked' }, cells:               'minting  .           .           .        .          .          .          .          .          .          .        .' },
  { name: 'check failed', event: checkFailed, cells:                  'halted   .           .           .        .          .          .          .          .          .          .        .' },
  { name: 'check unknown', event: { kind: 'check_unknown' }, cells:   '=        .           .           .        .          .          .          .          .          .          .        .' },
  { name: 'minted', event: minted, cells:                             '.        proving     .           .        .          .          .          .          .          .          .        .' },
  { name: 'mint refused', event: refused('blocked'), cells:           '.        halted      .           .        .          .          .          .          .          .          .        .' },
  { name: 'mint throttled', event: refused('throttled'), cells:       '.        =           .           .        .          .          .          .          .          .          .        .' },
  { name: 'mint unsent', event: { kind: 'mint_unsent' }, cells:       '.        =           .           .        .          .          .          .          .          .          .        .' },
  { name: 'mint begun', event: { kind: 'mint_begun' }, cells:         '.        =           .           .        .          .          .          .          .          .          .        .' },
  { name: 'mint unknown', event: { kind: 'mint_unknown' }, cells:     '.        reconciling .           .        .          .          .          .          .          .          .        .' },
  { name: 'key not stored', event: { kind: 'mint_unknown', keyId: 'k' }, cells: '. reconciling .        .        .          .          .          .          .          .          .        .' },
  { name: 'found nothing', event: { kind: 'reconciled', found: undefined }, cells: '. .     minting     .        .          .          .          .          .          .          .        .' },
  { name: 'found a key', event: found, cells:                         '.        .           proving     .        .          .          .          .          .          .          .        .' },
  { name: 'listing failed', event: { kind: 'reconcile_failed' }, cells: '.      .           =           .        .          .          .          .          .          .          .        .' },
  { name: 'brought', event: { kind: 'brought', version: 'b' }, cells: '.        .           .           proving  .          .          .          .          .          .          .        .' },
  { name: 'proved valid', event: proved('valid'), cells:              '.        .           .           .        extending  .          .          .          .          .          .        .' },
  { name: 'proved restricted', event: proved('restricted'), cells:    '.        .           .           .        extending  .          .          .          .          .          .        .' },
  { name: 'proved throttled', event: proved('throttled'), cells:      '.        .           .           .        extending  .          .          .          .          .          .        .' },
  { name: 'proved exhausted', event: proved('exhausted'), cells:      '.        .           .           .        extending  .          .          .          .          .          .        .' },
  { name: 'proved foreign', event: proved('valid', { isOurs: false }), cells: '. .          .           .        discarding .          .          .          .          .          .        .' },
  { name: 'lacks a scope', event: proved('restricted', { lacksDeclared: true }), cells: '. . .          .        discarding .          .          .          .          .          .        .' },
  { name: 'rejected early', event: proved('rejected'), cells:         '.        .           .           .        =          .          .          .          .          .          .        .' },
  { name: 'rejected late', event: proved('rejected'), afterMs: 60_000, cells: '. .          .           .        discarding .          .          .          .          .          .        .' },
  { name: 'proved blocked', event: proved('blocked'), cells:          '.        .           .           .        halted     .          .          .          .          .          .        .' },
  { name: 'misconfigured', event: proved('misconfigured'), cells:     '.        .           .           .        halted     .          .          .          .          .          .        .' },
  { name: 'proved unknown', event: proved('unknown'), cells:          '.        .           .           .        =          .          .          .          .          .          .        .' },
  { name: 'pending lost', event: { kind: 'pending_lost' }, cells:     '.        .           .           .        discarding .          .          .          .          .          .        .' },
  { name: 'discarded', event: { kind: 'discarded' }, cells:           '.        .           .           .        .          minting    .          .          .          .          .        .' },
  { name: 'discard failed', event: { kind: 'discard_failed' }, cells: '.        .           .           .        .          =          .          .          .          .          .        .' },
  { name: 'extended', event: { kind: 'extended' }, cells:             '.        .           .           .        .          .          promoting  .          .          .          .        .' },
  { name: 'extend refused', event: { kind: 'extend_refused' }, cells: '.        .           .           .        .          .          halted     .          .          .          .        .' },
  { name: 'extend unknown', event: { kind: 'extend_unknown' }, cells: '.        .           .           .        .          .          =          .          .          .          .        .' },
  { name: 'promoted', event: { kind: 'promoted' }, cells:             '.        .           .           .        .          .          .          confirming .          .          .        .' },
  { name: 'promote lost', event: { kind: 'promote_lost' }, cells:     '.        .           .           .        .          .          .          inspecting .          .          .        .' },
  { name: 'promote gone', event: { kind: 'promote_gone' }, cells:     '.        .           .           .        .          .          .          discarding .          .          .        .' },
  { name: 'promote unknown', event: { kind: 'promote_unknown' }, cells: '.      .           .           .        .          .          .          =          .          .          .        .' },
  { name: 'confirmed', event: { kind: 'confirmed' }, cells:           '.        .           .           .        .          .          .          .          done       .          .        .' },
  { name: 'confirm lost', event: { kind: 'confirm_lost' }, cells:     '.        .           .           .        .          .          .          .          inspecting .          .        .' },
  { name: 'confirm unknown', event: { kind: 'confirm_unknown' }, cells: '.      .           .           .        .          .          .          .          =          .          .        .' },
  { name: 'ours after all', event: { kind: 'inspected', finding: 'ours' }, cells: '. .      .           .        .          .          .          .          .          confirming .        .' },
  { name: 'unchanged', event: { kind: 'inspected', finding: 'unchanged' }, cells: '. .      .           .        .          .          .          .          .          promoting  .        .' },
  { name: 'adopted', event: { kind: 'inspected', finding: 'adopted' }, cells: '.  .         .           .        .          .          .          .          .          discarding .        .' },
  { name: 'foreign', event: { kind: 'inspected', finding: 'foreign' }, cells: '.  .         .           .        .          .          .          .          .          halted     .        .' },
  { name: 'inspect unknown', event: { kind: 'inspect_unknown' }, cells: '.      .           .           .        .          .          .          .          .          =          .        .' },
  { name: 'held by a blackout', event: { kind: 'held', until: 8e15 }, cells: '.     .           .           .        .          .          .          =          .          .          .        .' },
  // Of a rotation that nobody drives from outside; test/core/steering.test.ts has those.
  { name: 'steered', event: { kind: 'steered', by, upTo: 'promoted' }, cells: '.  .        .           .        .          .          .          .          .          .          .        .' },
  { name: 'pause', event: { kind: 'pause_asked', by }, cells:         '=        =           =           =        =          =          =          =          =          =          =        .' },
  { name: 'resume', event: { kind: 'resume_asked', by }, cells:       '.        .           .           .        .          .          .          .          .          .          checking .' },
  { name: 'abort', event: { kind: 'abort_asked', by }, cells:         'done     reconciling =           done     discarding =          discarding .          .          .          done     .' },
  { name: 'emergency', event: emergency, cells:                       '=        =           =           =        =          =          =          =          =          =          checking .' },
  // Only the making of a spare is superseded by a rotation that is no emergency.
  { name: 'rotation', event: { kind: 'rotation_asked', by, reason: 'due' }, cells: '. .       .           .        .          .          .          .          .          .          .        .' },
]
