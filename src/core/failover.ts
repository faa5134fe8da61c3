import {
  type Change,
  type ChangeContext,
  currentOf,
  eventOf,
  handedOut,
  nextLive,
  withRecord,
} from './credential.ts'
import { isRunning, isSparing } from './rotation.ts'
import { makeByHand } from './self-minting.ts'
import { takeOver } from './take-over.ts'
import { isHopeless, mayTurnByItself, turnByItself } from './turning.ts'
import type { CredentialState, Verdict } from './types.ts'

export const mintingFix = 'Keyturn is minting another key; run keyturn status to watch it.'

/** The current key is dead: the next live one takes over at once, and where another key can help, one is minted. */
export function failOver(state: CredentialState, verdict: Verdict, context: ChangeContext): Change {
  const dead = state.current
  const withdrawn = dead === undefined ? state : withRecord(state, dead, { withdrawnAt: context.now })
  const next = nextLive(withdrawn, context.now)
  const turned =
    next === undefined
      ? outage(withdrawn, verdict, context)
      : takeOver(
          withdrawn,
          next.version,
          { who: 'failover', why: verdict.summary, isInStore: withdrawn.storeCurrent === next.version },
          context,
        )
  const alert = eventOf(turned.state, 'alert', context.now, {
    code: 'key_rejected',
    version: dead,
    summary: verdict.summary,
    fix: verdict.fix,
    next: next?.version ?? null,
  })
  const request = {
    mode: next === undefined ? 'emergency' : 'normal',
    reason: 'the key handed out was rejected',
    requestedBy: 'failover',
  } as const
  const rotating = verdict.rotationCanHelp ? turnByItself(turned.state, request, context) : undefined
  return {
    state: rotating?.state ?? turned.state,
    events: [...turned.events, alert, ...(rotating?.events ?? [])],
  }
}

/** The key that was in the store at the start is dead, and nothing else is there: another one is minted. */
export function replaceDead(
  state: CredentialState,
  verdict: Verdict,
  context: ChangeContext,
): Change | undefined {
  if (!verdict.rotationCanHelp) return undefined
  const request = {
    mode: 'emergency',
    reason: 'the key in the store is dead',
    requestedBy: 'failover',
  } as const
  return turnByItself(state, request, context)
}

/** Nothing is handed out and what was begun to change that has come to nothing: it is tried again, bounded per day. */
export function turnOutOfOutage(state: CredentialState, verdict: Verdict, context: ChangeContext): Change {
  const isOut = currentOf(state)?.withdrawnAt !== undefined && handedOut(state) === undefined
  return (isOut ? replaceDead(state, verdict, context) : undefined) ?? { state, events: [] }
}

/** A rotation is under way that waits for nobody. The making of a spare is none: it brings no key to hand out. */
export function isTurning({ rotation }: CredentialState): boolean {
  if (isSparing(rotation)) return false
  return isRunning(rotation) && rotation.phase !== 'halted' && !rotation.paused
}

function outage(state: CredentialState, verdict: Verdict, context: ChangeContext): Change {
  const { policy } = context
  const isUnderWay = isTurning(state) && !isHopeless(state, policy)
  const willTurn = isUnderWay || (verdict.rotationCanHelp && mayTurnByItself(state, context))
  const byHand = policy.isSelfMinting === true ? makeByHand(state.name) : verdict.fix
  const fix = willTurn ? mintingFix : byHand
  const out: CredentialState = {
    ...state,
    // What is handed out has changed, to nothing: only a higher generation makes apps drop the key they hold.
    generation: state.generation + 1,
    outage: { since: context.now, summary: verdict.summary, fix },
  }
  return { state: out, events: [eventOf(out, 'outage', context.now, { summary: verdict.summary, fix })] }
}
