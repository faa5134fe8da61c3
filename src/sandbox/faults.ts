// Which faults hit a request. Reading a plan uses up the counted ones, so that "twice" means twice.

import { knobsProblem } from './knob-checks.ts'
import {
  defaultKnobs,
  type Fault,
  type FaultKind,
  type Knobs,
  plumbingKinds,
  type WriteFamily,
} from './knobs.ts'

export interface KnobStore {
  current(): Knobs
  /** Merges. Throws a TypeError that names the knob if one is unknown or out of range. */
  set(patch: Partial<Knobs>): void
  /** Back to what the sandbox was started with. */
  reset(): void
}

export function createKnobStore(initial: Partial<Knobs>): KnobStore {
  const first = merge(defaultKnobs, initial)
  let knobs = first
  return {
    current: () => knobs,
    set: (patch) => {
      knobs = merge(knobs, patch)
    },
    reset: () => {
      knobs = first
    },
  }
}

export interface FaultTarget {
  readonly path: string
  readonly method: string
  readonly keyId: string | undefined
  readonly edge: number
}

/** Takes the faults that hit this request, and counts down those that are limited. */
export function takeFaults(store: KnobStore, target: FaultTarget): Fault[] {
  const knobs = store.current()
  const hits = knobs.faults.filter((fault) => fault.times !== 0 && isHit(fault, target))
  if (hits.some((fault) => fault.times !== undefined)) {
    const faults = knobs.faults
      .map((fault) =>
        hits.includes(fault) && fault.times !== undefined ? { ...fault, times: fault.times - 1 } : fault,
      )
      .filter((fault) => fault.times !== 0)
    store.set({ faults })
  }
  return [...standing(knobs), ...hits]
}

/** Takes one lost answer of the family, if any is left. */
export function takeLostAnswer(store: KnobStore, family: WriteFamily): boolean {
  const knobs = store.current()
  const left = knobs.loseAnswers[family] ?? 0
  if (left === 0) return false
  store.set({ loseAnswers: { ...knobs.loseAnswers, [family]: left - 1 } })
  return true
}

/** Takes one late mint, and says how late it lands. */
export function takeLateMint(store: KnobStore): number | undefined {
  const knobs = store.current()
  if (knobs.lateMints === 0) return undefined
  store.set({ lateMints: knobs.lateMints - 1 })
  return knobs.lateMintMs
}

export function find(faults: readonly Fault[], kind: FaultKind): Fault | undefined {
  return faults.find((fault) => fault.kind === kind)
}

/** The fault of the plan that is a refusal of the taxonomy. */
export function findRefusal(faults: readonly Fault[]): Fault | undefined {
  return faults.find((fault) => !(plumbingKinds as readonly string[]).includes(fault.kind))
}

/** The knobs that are faults for every request. */
function standing(knobs: Knobs): Fault[] {
  const faults: Fault[] = []
  if (knobs.latencyMs > 0) faults.push({ kind: 'latency', ms: knobs.latencyMs })
  if (knobs.hang) faults.push({ kind: 'hang' })
  if (knobs.proxyPage !== null) faults.push({ kind: 'proxy_page', status: knobs.proxyPage })
  if (knobs.redirectTo !== null) faults.push({ kind: 'redirect', location: knobs.redirectTo })
  if (knobs.errorStatus !== null)
    faults.push({ kind: knobs.errorStatus === 503 ? 'server_is_overloaded' : 'server_error' })
  if (knobs.stripAuthorization) faults.push({ kind: 'strip_authorization' })
  if (knobs.resetMidAnswer) faults.push({ kind: 'reset_midway' })
  if (knobs.streamError) faults.push({ kind: 'stream_error' })
  return faults
}

function isHit(fault: Fault, target: FaultTarget): boolean {
  if (fault.edge !== undefined && fault.edge !== target.edge) return false
  const match = fault.match ?? {}
  if (match.method !== undefined && match.method.toUpperCase() !== target.method) return false
  if (match.keyId !== undefined && match.keyId !== target.keyId) return false
  return match.path === undefined || new RegExp(match.path).test(target.path)
}

function merge(base: Knobs, patch: Partial<Knobs>): Knobs {
  const problem = knobsProblem(patch)
  if (problem !== undefined) throw new TypeError(problem)
  return structuredClone({ ...base, ...patch })
}
