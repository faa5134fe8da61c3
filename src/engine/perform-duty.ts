import { promotionHeldUntil } from '../core/blackout.ts'
import { type Change, isLive, recordOf, withRecord } from '../core/credential.ts'
import type { Duty } from '../core/duties.ts'
import { toKeyturnError } from '../core/errors.ts'
import { expiryTurnAt, nextTurnAt } from '../core/expiry.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { observeMirror } from '../core/mirrors.ts'
import type { PromoteOutcome, PromoteRequest } from '../core/ports.ts'
import { applyRetirement } from '../core/retiring.ts'
import { isRunning, isSparing } from '../core/rotation.ts'
import { tendSpare } from '../core/sparing.ts'
import { observeStore, type StoreReading } from '../core/store-look.ts'
import { type SweepFinding, settleSweep } from '../core/sweep.ts'
import { applyRotation, beginRotation } from '../core/turning.ts'
import type { CredentialState } from '../core/types.ts'
import { urgencyOf } from '../core/urgency.ts'
import { classify } from '../core/verdict.ts'
import { recordCheck } from '../core/verification.ts'
import type { Changer } from './book.ts'
import { assertFit } from './fit.ts'
import { performMirror } from './perform-mirror.ts'
import { performRetirement } from './perform-retirement.ts'
import { performRotation } from './perform-rotation.ts'
import { kill, listed, type PerformContext } from './performing.ts'
import { probe } from './probe.ts'
import { rebuilt } from './rebuild.ts'
import { planned } from './scheduling.ts'

/** Does what a duty wants, and returns what came of it as a change to be committed. */
export async function performDuty(duty: Duty, context: PerformContext): Promise<Changer> {
  switch (duty.kind) {
    case 'look':
      return lookAtStore(context)
    case 'align':
      return alignStore(context, duty.to)
    case 'verify':
      return verifyVersion(context, duty.version)
    case 'rotate': {
      const { event, added } = await performRotation(duty.effect, context)
      return (state, changeContext) => applyRotation(state, event, changeContext, added)
    }
    case 'deadline':
      return (state, changeContext) => applyRotation(state, { kind: 'deadline_passed' }, changeContext)
    case 'hold':
      return (state, changeContext) => {
        const until = promotionHeldUntil(state, changeContext.policy, changeContext.now)
        return until === undefined ? undefined : applyRotation(state, { kind: 'held', until }, changeContext)
      }
    case 'start':
      return (state, changeContext) => startScheduled(state, context, changeContext)
    case 'spare':
      return tendSpare
    case 'retire': {
      const event = await performRetirement(duty.effect, context)
      return (state, changeContext) => applyRetirement(state, duty.id, event, changeContext)
    }
    case 'mirror': {
      const reading = await performMirror(duty.id, context)
      return (state, changeContext) => observeMirror(state, duty.id, reading, changeContext)
    }
    case 'sweep':
      return sweep(duty.marker, context)
  }
}

async function lookAtStore(context: PerformContext): Promise<Changer> {
  const { setup, keyring, deps, state } = context
  let reading: StoreReading
  try {
    const read = await setup.store.read(setup.ref)
    if (read === undefined)
      reading = { kind: 'absent', where: `${setup.store.capabilities.kind}: ${setup.ref}` }
    else {
      const { version, meta } = read
      assertFit(read.secret, `The store of ${setup.name}`, setup)
      const isLost = state().versions.length === 0 && setup.policy.canMint && setup.policy.storeWritable
      const found = isLost ? await rebuilt(read, context) : undefined
      reading = {
        kind: 'read',
        version,
        meta,
        fingerprint: fingerprint(read.secret, deps.system),
        ...found?.current,
        ...(found === undefined ? {} : { others: found.others }),
      }
      const known = recordOf(state(), version)
      // What somebody wrote over a known version was never verified and must not get where hand-outs come from.
      const isTrue = known === undefined || known.fingerprint === reading.fingerprint
      if (isTrue && keyring.peek(setup.name, version) === undefined)
        keyring.put(setup.name, version, read.secret)
    }
  } catch (thrown) {
    const error = toKeyturnError(thrown, `reading ${setup.name} from the store`)
    deps.log('warn', 'the store could not be read', { credential: setup.name, error })
    reading = { kind: 'failed', code: error.code, summary: error.message, fix: error.fix ?? '' }
  }
  return (before, changeContext) => observeStore(before, reading, changeContext)
}

/** Writes a takeover to the store. What somebody else put there meanwhile is left for the next look to verify. */
async function alignStore(context: PerformContext, to: string): Promise<Changer> {
  const { setup, state, deps } = context
  const { storeCurrent: expectCurrent, fence } = state()
  try {
    const outcome = await promoteThere({ to, expectCurrent, fence }, context)
    const isThere = outcome.kind === 'promoted' || outcome.kind === 'already'
    return (before, context) => {
      if (before.current !== to) return undefined
      const looked = { ...before, isAlignmentDue: false, nextStoreReadAt: context.now }
      const stored = withRecord(looked, to, { isUnstored: false })
      return { state: isThere ? { ...stored, storeCurrent: to } : looked, events: [] }
    }
  } catch (thrown) {
    const error = toKeyturnError(thrown, `writing ${setup.name} to the store`)
    deps.log('warn', 'a takeover could not be written to the store; trying again', {
      credential: setup.name,
      error,
    })
    const reading = {
      kind: 'failed',
      code: error.code,
      summary: error.message,
      fix: error.fix ?? '',
    } as const
    return (before, context) => {
      const change = observeStore(before, reading, context)
      return { ...change, state: { ...change.state, storeReadAt: change.state.nextStoreReadAt } }
    }
  }
}

/** What was adopted from a mirror is not in the store yet. */
async function promoteThere(
  request: PromoteRequest,
  { setup, state, keyring }: PerformContext,
): Promise<PromoteOutcome> {
  const outcome = await setup.store.promote(setup.ref, request)
  const { to: version, fence } = request
  const record = recordOf(state(), version)
  const secret = keyring.peek(setup.name, version)
  if (outcome.kind !== 'gone' || record?.origin !== 'found' || secret === undefined) return outcome
  await setup.store.stage(setup.ref, { version, secret, meta: record.meta, fence })
  return setup.store.promote(setup.ref, request)
}

async function verifyVersion(
  { setup, state, keyring, deps }: PerformContext,
  version: string,
): Promise<Changer> {
  try {
    const secret = await keyring.get(setup.name, version)
    if (secret !== undefined) {
      const { policy } = setup
      const urgency = urgencyOf(state(), version, { now: deps.system.now(), policy })
      const check = await probe(setup, state(), { secret, version, urgency }, deps)
      const at = deps.system.now()
      return (before, context) => recordCheck(before, version, { ...check, at }, context)
    }
  } catch (thrown) {
    deps.log('warn', 'a key could not be verified', { credential: setup.name, version, error: thrown })
  }
  const check = {
    verdict: classify({ kind: 'no_answer', failure: 'aborted' }),
    isOurs: false,
    belonging: undefined,
  }
  return (before, context) => recordCheck(before, version, check, context)
}

function startScheduled(
  state: CredentialState,
  { setup, deps }: PerformContext,
  context: Parameters<Changer>[1],
): Change | undefined {
  const { isDue, state: scheduled } = planned(state, setup, deps, context.now)
  const isExpiring = (expiryTurnAt(state, setup.policy) ?? Number.POSITIVE_INFINITY) <= context.now
  // A blackout has begun since it was planned: what is due stays due.
  const isHeld = (nextTurnAt(state, setup.policy, context.now) ?? context.now) > context.now
  if (isDue && isHeld) return undefined
  const isTaken = isRunning(state.rotation) && !isSparing(state.rotation)
  if ((!isDue && !isExpiring) || isHeld || isTaken) return { state: scheduled, events: [] }
  const request = {
    mode: 'normal',
    isCompromised: false,
    reason: isDue ? 'due by schedule' : 'the key expires soon',
    requestedBy: 'schedule',
    isAutomatic: false,
  } as const
  return beginRotation(scheduled, request, context)
}

/** Looks again for a key whose mint was never answered; one that has landed late and is stored nowhere is ended. */
async function sweep(marker: string, context: PerformContext): Promise<Changer> {
  const { setup, deps } = context
  const open = context.state().openAttempts.find((one) => one.marker === marker)
  let found: SweepFinding = { kind: 'unknown' }
  try {
    found = open === undefined ? { kind: 'absent' } : await sweepOne(open, context)
  } catch (thrown) {
    deps.log('warn', 'a key that may have landed late could not be looked for; trying again', {
      credential: setup.name,
      error: thrown,
    })
  }
  return (state, changeContext) => settleSweep(state, marker, found, changeContext)
}

async function sweepOne(
  open: CredentialState['openAttempts'][number],
  context: PerformContext,
): Promise<SweepFinding> {
  const { setup, deps } = context
  const keys = await listed(context)
  if (keys === undefined) return { kind: 'unknown' }
  const key = keys.find((one) => one.name === open.marker)
  if (key === undefined) return { kind: 'absent' }
  const { keyId } = key
  const state = context.state()
  const record = recordOf(state, open.version)
  // Somebody made it current by hand: what it is gets verified before anything is done about it.
  const read = await setup.store.read(setup.ref)
  if (read?.version === open.version && record?.stage !== 'retired') return { kind: 'unknown' }
  if (record !== undefined && isLive(record, deps.system.now())) return { kind: 'in_use', keyId }
  if ((await kill(keyId, context)) === undefined) return { kind: 'unknown' }
  if (record === undefined) await setup.store.destroy(setup.ref, open.version)
  return { kind: 'revoked', keyId }
}
