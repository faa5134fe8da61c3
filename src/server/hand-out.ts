import type { CredentialAnswer } from '../api/types.ts'
import type { Hash } from '../core/ports.ts'
import type { HandOut, Service } from '../engine/service.ts'
import { type CoarseClock, coarseMs } from './ticker.ts'

/** A hand-out ready for the wire. Body and ETag are made once per hand-out object, not once per request. */
export interface Prepared {
  readonly handOut: HandOut
  readonly etag: string
  /** A string: node sends it in one piece with the headers, where bytes would be a second one. */
  readonly body: string
  /** Names and values by turns, as `writeHead` takes them; made anew once per tick of the coarse clock, for the age. */
  readonly headers: readonly string[]
  /** The same for a 304, which has no body. */
  readonly headersUnchanged: readonly string[]
}

export interface HandOuts {
  /** Undefined while there is nothing to hand out under this name. */
  prepared(name: string): Prepared | undefined
}

interface Slot {
  handOut: HandOut
  etag: string
  body: string
  headers: readonly string[]
  headersUnchanged: readonly string[]
  headersAt: number
}

/** Prepared hand-outs, one slot per configured credential, replaced when `service.handOut` returns another object. */
export function createHandOuts(options: {
  readonly service: Pick<Service, 'handOut' | 'isInternal'>
  readonly clock: CoarseClock
  readonly hash: Hash
}): HandOuts {
  const { service, clock, hash } = options
  const slots = new Map<string, Slot>()
  return {
    prepared(name) {
      const handOut = service.handOut(name)
      if (handOut === undefined || handOut.kind !== 'available') {
        // What cannot be handed out any more is not kept in memory either.
        if (handOut !== undefined) slots.delete(name)
        return undefined
      }
      let slot = slots.get(name)
      if (slot === undefined || slot.handOut !== handOut) {
        // The engine hands none of these out; that this holds is not left to it alone.
        if (service.isInternal(name)) return undefined
        slot = prepare(handOut, hash)
        slots.set(name, slot)
      }
      if (slot.headersAt !== clock.now) refreshHeaders(slot, clock.now)
      return slot
    },
  }
}

/** Seconds since the key last proved itself; never negative where clocks disagree. */
export function verifiedAgeSeconds(handOut: HandOut, now: number): number {
  return Math.max(0, Math.floor((now - handOut.verifiedAt) / 1_000))
}

/** RFC 9110 13.1.2: `*`, one tag or a list; weak comparison. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  if (header === etag || header === '*') return true
  const bare = etag.replace(/^W\//, '')
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === bare)
}

function prepare(handOut: HandOut, hash: Hash): Slot {
  return {
    handOut,
    etag: etagOf(handOut, hash),
    body: JSON.stringify(answerOf(handOut)),
    headers: [],
    headersUnchanged: [],
    headersAt: -coarseMs,
  }
}

/**
 * A tag of all that a client acts on. `verifiedAt` is left out, since it moves with every check: the tag is therefore a
 * weak one, and the age travels in a header of its own. The fingerprint stands in for the secret.
 */
function etagOf(handOut: HandOut, hash: Hash): string {
  const { secret: _secret, verifiedAt: _verifiedAt, ...rest } = handOut
  return `W/"${handOut.generation}-${hash.sha256Hex(JSON.stringify(rest)).slice(0, 16)}"`
}

function refreshHeaders(slot: Slot, now: number): void {
  const common = [
    'Cache-Control',
    'no-store',
    'ETag',
    slot.etag,
    'Keyturn-Generation',
    String(slot.handOut.generation),
    'Keyturn-Verified-Age',
    String(verifiedAgeSeconds(slot.handOut, now)),
    'X-Content-Type-Options',
    'nosniff',
    ...(slot.handOut.isLastKnownGood === true
      ? ['Keyturn-Last-Known-Good', String(verifiedAgeSeconds(slot.handOut, now))]
      : []),
  ]
  slot.headersUnchanged = common
  slot.headers = [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(slot.body)),
    ...common,
  ]
  slot.headersAt = now
}

function answerOf(handOut: HandOut): CredentialAnswer {
  return {
    name: handOut.name,
    organization: handOut.organization ?? null,
    project: handOut.project ?? null,
    baseUrl: handOut.baseUrl,
    version: handOut.version,
    fingerprint: handOut.fingerprint,
    stage: handOut.stage,
    verdict: handOut.verdict,
    verifiedAt: new Date(handOut.verifiedAt).toISOString(),
    rotatesAt: handOut.rotatesAt === undefined ? null : new Date(handOut.rotatesAt).toISOString(),
    staleAfterSeconds: Math.floor(handOut.staleAfterMs / 1_000),
    generation: handOut.generation,
    ...(handOut.isLastKnownGood === true ? { isLastKnownGood: true } : {}),
    apiKey: handOut.secret.reveal(),
  }
}
