import { KeyturnError } from '../core/errors.ts'
import { looksLikeKey } from '../core/key-shape.ts'
import type { Service } from '../engine/service.ts'
import type { Caller } from './auth/caller.ts'
import type { CoarseClock } from './ticker.ts'

export interface LeaseHeaders {
  readonly instance: string
  /** `keyturn-generation-in-flight` as it came, where it came. */
  readonly inFlight: string | undefined
}

/**
 * Notes who uses which generation, so that the old key is not revoked under anybody. The engine hears of an instance
 * at most once per second and generation: a busy app asks for its key far more often than that.
 */
export interface Leases {
  /** Undefined, or what is wrong with the headers. */
  touch(name: string, headers: LeaseHeaders, caller: Caller, current: number): KeyturnError | undefined
  /** The instance still holds a stream: whatever generation it last named is still in use. */
  keep(name: string, instance: string, caller: Caller): void
  /** The caller's own instance uses nothing any more: no stream that is still open keeps its lease. */
  end(name: string, instance: string, caller: Caller): Promise<void>
  /** Who asked this process lately, for figures. */
  census(now: number): Census
}

export type Census = ReadonlyMap<string, { readonly count: number; readonly oldestGeneration: number }>

interface Touch {
  readonly app: string
  readonly generation: number
  readonly inFlight: string | undefined
  readonly current: number
  readonly at: number
}

const instancesMax = 20_000
/** As long as the engine waits before it takes an instance for gone. */
const silentMs = 600_000
const instancePattern = /^[\x21-\x7e]{1,128}$/
const inFlightPattern = /^\d{1,15}$/

export function createLeases(options: {
  readonly service: Pick<Service, 'touchLease' | 'endLease'>
  readonly clock: CoarseClock
}): Leases {
  const { service, clock } = options
  const touches = new Map<string, Map<string, Touch>>()
  let count = 0

  const note = (name: string, instance: string, touch: Touch) => {
    const id = idOf(instance, touch.app)
    let instances = touches.get(name)
    if (instances === undefined) touches.set(name, (instances = new Map()))
    if (!instances.has(id)) {
      // Forgetting costs one call to the engine per instance, nothing else.
      if (count >= instancesMax) {
        touches.clear()
        touches.set(name, (instances = new Map()))
        count = 0
      }
      count += 1
    }
    instances.set(id, touch)
    service.touchLease({ name, instance, app: touch.app, generation: touch.generation })
  }

  return {
    touch(name, { instance, inFlight }, caller, current) {
      const last = touches.get(name)?.get(idOf(instance, caller.name))
      const isKnown =
        last !== undefined && last.at === clock.now && last.inFlight === inFlight && last.current === current
      if (isKnown) return undefined
      const refusal = refuse(instance, inFlight)
      if (refusal !== undefined) return refusal
      // A generation above ours is one of a ledger that was lost: what is current is the newest there is.
      const generation = Math.min(inFlight === undefined ? current : Number(inFlight), current)
      note(name, instance, { app: caller.name, generation, inFlight, current, at: clock.now })
      return undefined
    },
    keep(name, instance, caller) {
      const last = touches.get(name)?.get(idOf(instance, caller.name))
      if (last === undefined) return
      note(name, instance, { ...last, at: clock.now })
    },
    async end(name, instance, caller) {
      // What no lease can be called is the lease of nobody.
      if (refuse(instance, undefined) !== undefined) return
      if (touches.get(name)?.delete(idOf(instance, caller.name)) === true) count -= 1
      await service.endLease({ name, instance, app: caller.name })
    },
    census(now) {
      const census = new Map<string, { count: number; oldestGeneration: number }>()
      for (const [name, instances] of touches) {
        const live = [...instances.values()].filter((one) => now - one.at <= silentMs)
        const generations = live.map((one) => one.generation)
        if (live.length > 0)
          census.set(name, { count: live.length, oldestGeneration: Math.min(...generations) })
      }
      return census
    },
  }
}

/** Apps choose the names of their instances by themselves: two may well choose the same. Neither part has spaces. */
function idOf(instance: string, app: string): string {
  return `${instance} ${app}`
}

function refuse(instance: string, inFlight: string | undefined): KeyturnError | undefined {
  // Instances are written down and shown, and the ledger would refuse the lease.
  if (!instancePattern.test(instance) || looksLikeKey(instance))
    return new KeyturnError('bad_request', 'The header Keyturn-Instance is not usable.', {
      fix: 'Send 1 to 128 visible ASCII characters, e.g. the host name and the process id.',
    })
  if (inFlight !== undefined && !inFlightPattern.test(inFlight))
    return new KeyturnError('bad_request', 'The header Keyturn-Generation-In-Flight is not a number.', {
      fix: 'Send the oldest generation that still has requests in flight, as a decimal number.',
    })
  return undefined
}
