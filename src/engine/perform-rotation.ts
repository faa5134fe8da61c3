import { currentOf, handedOut, isOut, type NewVersion, recordOf } from '../core/credential.ts'
import { assert, KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Ending } from '../core/evidence.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { MintOutcome, StoredVersion } from '../core/ports.ts'
import type { RotationEffect, RotationEvent } from '../core/rotation.ts'
import { type Attempt, isAuthentic, type KeyId, type VersionMeta, type VersionRecord } from '../core/types.ts'
import { classify } from '../core/verdict.ts'
import { assertFit } from './fit.ts'
import { performCheck } from './perform-check.ts'
import { kill, listed, type PerformContext, type Performed, requestIdOf } from './performing.ts'
import { probe } from './probe.ts'
import { issuerResidue, residueOf } from './residue.ts'
import { type EngineDeps, engineLimits } from './setup.ts'
import { takeOutOfStores } from './take-out.ts'

/** Performs what a rotation wants. Never throws: whatever goes wrong is an event. */
export async function performRotation(effect: RotationEffect, context: PerformContext): Promise<Performed> {
  try {
    return await perform(effect, context)
  } catch (thrown) {
    const error = toKeyturnError(thrown, `rotation of ${context.setup.name}, ${effect.kind}`)
    context.deps.log('warn', 'a step of a rotation failed; it will be tried again', {
      credential: context.setup.name,
      effect: effect.kind,
      error,
    })
    return { event: failureOf(effect, error) }
  }
}

/** A fault means that nobody knows: each phase has an event for that. Only refusals known to be final halt at once. */
function failureOf(effect: RotationEffect, error: KeyturnError): RotationEvent {
  switch (effect.kind) {
    case 'check':
      return error.retryable
        ? { kind: 'check_unknown' }
        : { kind: 'check_failed', reason: error.code, summary: error.message, fix: error.fix ?? '' }
    case 'mint':
      return { kind: 'mint_unknown' }
    case 'reconcile':
      return { kind: 'reconcile_failed' }
    case 'prove':
      return {
        kind: 'proved',
        verdict: classify({ kind: 'no_answer', failure: 'aborted' }),
        isOurs: false,
        lacksDeclared: false,
      }
    case 'discard':
      return { kind: 'discard_failed' }
    case 'extend':
      return { kind: 'extend_unknown' }
    case 'promote':
      return { kind: 'promote_unknown' }
    case 'confirm':
      return { kind: 'confirm_unknown' }
    case 'inspect':
      return { kind: 'inspect_unknown' }
  }
}

function perform(effect: RotationEffect, context: PerformContext): Promise<Performed> {
  switch (effect.kind) {
    case 'check':
      return performCheck(context)
    case 'mint':
      return mint(effect.attempt, context)
    case 'reconcile':
      return reconcile(effect.attempts, context)
    case 'prove':
      return prove(effect.version, context)
    case 'discard':
      return discard(effect, context)
    case 'extend':
      return extend(effect, context)
    case 'promote':
      return promote(effect, context)
    case 'confirm':
      return confirm(effect.to, context)
    case 'inspect':
      return inspect(effect, context)
  }
}

/** The one effect that is not safe to repeat. What was minted is staged at once: between the two the key lives in memory alone. */
async function mint(attempt: Attempt, context: PerformContext): Promise<Performed> {
  const { setup } = context
  assert(setup.issuer.mint !== undefined, `${setup.name} has an issuer that mints`)
  if (attempt.isUnmade === true) return { event: { kind: 'mint_begun' } }
  const expiresInSeconds = setup.policy.expiryManaged
    ? setup.policy.pendingExpirySeconds
    : setup.policy.keyExpirySeconds
  const scopes = setup.mintScopes.length > 0 ? { scopes: setup.mintScopes } : {}
  const state = context.state()
  const spare =
    state.rotation?.mode === 'standby'
      ? { spareFor: { serviceAccount: currentOf(state)?.meta.serviceAccount } }
      : {}
  const outcome = await setup.issuer.mint({ marker: attempt.marker, expiresInSeconds, ...scopes, ...spare })
  if (outcome.kind === 'refused')
    return { event: { kind: 'mint_refused', verdict: classify(outcome.observation) } }
  if (outcome.kind === 'unknown') return { event: { kind: 'mint_unknown' } }
  if (outcome.kind === 'unsent') return { event: { kind: 'mint_unsent' } }
  try {
    const added = await stage(attempt, outcome, context)
    return { event: { kind: 'minted', keyId: outcome.keyId, ...requestIdOf(outcome) }, added }
  } catch (thrown) {
    context.deps.log('error', 'a minted key could not be put into the store; it will be revoked', {
      credential: setup.name,
      keyId: outcome.keyId,
      error: thrown,
    })
    return { event: { kind: 'mint_unknown', keyId: outcome.keyId, ...refusalOf(thrown) } }
  }
}

/** What will not pass by itself: another key would only meet the same. */
function refusalOf(thrown: unknown): Pick<Extract<RotationEvent, { kind: 'mint_unknown' }>, 'refusal'> {
  if (!(thrown instanceof KeyturnError) || thrown.retryable || thrown.code === 'internal') return {}
  return { refusal: { reason: thrown.code, summary: thrown.message, fix: thrown.fix ?? '' } }
}

async function stage(
  attempt: Attempt,
  minted: Extract<MintOutcome, { kind: 'minted' }>,
  context: PerformContext,
): Promise<NewVersion> {
  const { setup, keyring, deps } = context
  const meta: VersionMeta = {
    keyId: minted.keyId,
    ...(minted.serviceAccount === undefined ? {} : { serviceAccount: minted.serviceAccount }),
    marker: attempt.marker,
    createdAt: minted.createdAt,
    ...(minted.expiresAt === undefined ? {} : { expiresAt: minted.expiresAt }),
    ...(setup.expected.organization === undefined ? {} : { organization: setup.expected.organization }),
    ...(setup.expected.project === undefined ? {} : { project: setup.expected.project }),
  }
  const { fence, rotation } = context.state()
  const token = rotation?.steering?.token
  const request = {
    version: attempt.version,
    secret: minted.secret,
    meta,
    fence,
    ...(token === undefined ? {} : { token }),
  }
  for (let tries = 1; ; tries++) {
    try {
      await setup.store.stage(setup.ref, request)
      break
    } catch (thrown) {
      const isFinal =
        !(thrown instanceof KeyturnError && thrown.retryable) || tries >= engineLimits.stageTries
      if (isFinal) throw thrown
      await pause(setup.policy.retryBaseMs * 2 ** tries, deps)
    }
  }
  keyring.put(setup.name, attempt.version, minted.secret)
  return {
    version: attempt.version,
    fingerprint: fingerprint(minted.secret, deps.system),
    meta,
    origin: 'minted',
  }
}

function pause(delayMs: number, deps: EngineDeps): Promise<void> {
  return new Promise((resolve) => void deps.system.after(delayMs, resolve))
}

/**
 * Finds out what became of attempts whose answer was never seen. A key at the issuer that bears our marker and has no
 * stored value can never be used by anybody: it is revoked. Errors are not absence: any of them makes this fail.
 */
async function reconcile(attempts: readonly Attempt[], context: PerformContext): Promise<Performed> {
  const { setup } = context
  const keys = await listed(context)
  if (keys === undefined) return { event: { kind: 'reconcile_failed' } }
  let found: { readonly attempt: Attempt; readonly keyId: KeyId } | undefined
  const residue: string[] = []
  const strays: KeyId[] = []
  for (const attempt of attempts.toReversed()) {
    const key = keys.find((one) => one.name === attempt.marker)
    const stored = await setup.store.read(setup.ref, { version: attempt.version })
    // Never the id that the store names: whoever can write there would choose which key is revoked.
    const keyId = key?.keyId ?? attempt.keyId
    if (keyId === undefined) continue
    if (stored !== undefined && found === undefined) found = { attempt, keyId }
    else if (key !== undefined) {
      if ((await kill(key.keyId, context)) === undefined) return { event: { kind: 'reconcile_failed' } }
      strays.push(key.keyId)
      if (isRehearsed(context))
        residue.push(...(await issuerResidue({ version: attempt.version, keyId: key.keyId }, context)))
    }
  }
  if (found === undefined) return { event: { kind: 'reconciled', found: undefined, residue, strays } }
  const stored = await setup.store.read(setup.ref, { version: found.attempt.version })
  if (stored === undefined) return { event: { kind: 'reconcile_failed' } }
  const { version } = found.attempt
  context.keyring.put(setup.name, version, stored.secret)
  const added: NewVersion = {
    version,
    fingerprint: fingerprint(stored.secret, context.deps.system),
    meta: { ...stored.meta, keyId: found.keyId },
    origin: 'minted',
  }
  return { event: { kind: 'reconciled', found: { version, keyId: found.keyId }, residue, strays }, added }
}

async function prove(version: string, context: PerformContext): Promise<Performed> {
  const secret = await context.keyring.get(context.setup.name, version)
  if (secret === undefined) return { event: { kind: 'pending_lost' } }
  const { verdict, isOurs, lacksDeclared } = await probe(
    context.setup,
    context.state(),
    { secret, version },
    context.deps,
  )
  const at = context.deps.system.now()
  return { event: { kind: 'proved', verdict, isOurs, lacksDeclared, at } }
}

async function discard(
  effect: Extract<RotationEffect, { kind: 'discard' }>,
  context: PerformContext,
): Promise<Performed> {
  const { setup, keyring } = context
  // A person made it current before it was heard to be staged: apps may have it, and it is a rotation's to end no more.
  const stage = recordOf(context.state(), effect.version)?.stage
  if (stage === 'current' || stage === 'previous' || stage === 'standby')
    return { event: { kind: 'discarded' } }
  await takeOutOfStores(effect.version, context)
  const { version, keyId } = effect
  const ending: Ending | undefined = keyId === undefined ? { how: 'left' } : await kill(keyId, context)
  if (ending === undefined) return { event: { kind: 'discard_failed' } }
  const fate = await setup.store.destroy(setup.ref, version)
  keyring.drop(setup.name, version)
  const event = { kind: 'discarded', ...ending, value: fate } as const
  if (!isRehearsed(context)) return { event }
  return { event: { ...event, residue: await residueOf({ version, keyId, fate }, context) } }
}

/** Whoever rehearses wants to know what is left of it. */
function isRehearsed({ state }: PerformContext): boolean {
  return state().rotation?.mode === 'rehearsal'
}

async function extend(
  effect: Extract<RotationEffect, { kind: 'extend' }>,
  context: PerformContext,
): Promise<Performed> {
  const { setup } = context
  const record = recordOf(context.state(), effect.version)
  assert(record !== undefined, 'a key is on record before its life is extended')
  const outcome = await setup.issuer.setExpiry?.(effect.keyId, setup.policy.keyExpirySeconds)
  if (outcome === undefined || outcome.kind === 'refused') return { event: { kind: 'extend_refused' } }
  if (outcome.kind === 'unknown') return { event: { kind: 'extend_unknown' } }
  const meta = { ...record.meta, expiresAt: outcome.expiresAt }
  await setup.store.annotate(setup.ref, effect.version, meta)
  return {
    event: { kind: 'extended', ...requestIdOf(outcome) },
    added: { version: effect.version, fingerprint: record.fingerprint, meta, origin: record.origin },
  }
}

async function promote(
  effect: Extract<RotationEffect, { kind: 'promote' }>,
  context: PerformContext,
): Promise<Performed> {
  const { setup } = context
  const request = { to: effect.to, expectCurrent: effect.from, fence: context.state().fence }
  const promoted = await setup.store.promote(setup.ref, request)
  // A store that lost what was current has nothing that could be overwritten: that is no other writer's key.
  const isEmpty = promoted.kind === 'conflict' && promoted.current === undefined && effect.from !== undefined
  const outcome = isEmpty
    ? await setup.store.promote(setup.ref, { ...request, expectCurrent: undefined })
    : promoted
  switch (outcome.kind) {
    case 'promoted':
    case 'already':
      return { event: { kind: 'promoted' } }
    case 'conflict':
      return { event: { kind: 'promote_lost' } }
    case 'gone':
      return { event: { kind: 'promote_gone' } }
  }
}

/** Reads back what another reader of the store gets, and compares the value too. */
async function confirm(to: string, context: PerformContext): Promise<Performed> {
  const { setup, deps } = context
  const read = await setup.store.read(setup.ref)
  if (read === undefined) return { event: { kind: 'confirm_unknown' } }
  const isSame =
    read.version === to &&
    fingerprint(read.secret, deps.system) === recordOf(context.state(), to)?.fingerprint
  return { event: { kind: isSame ? 'confirmed' : 'confirm_lost' } }
}

async function inspect(
  effect: Extract<RotationEffect, { kind: 'inspect' }>,
  context: PerformContext,
): Promise<Performed> {
  const { setup } = context
  const read = await setup.store.read(setup.ref)
  if (read?.version === effect.to) return { event: { kind: 'inspected', finding: 'ours' } }
  if (read?.version === effect.from) return { event: { kind: 'inspected', finding: 'unchanged' } }
  if (read === undefined) return { event: { kind: 'inspected', finding: 'foreign' } }
  const known = knownAs(read, context)
  if (known.some((one) => one.version === effect.from || isReplaced(one, context)))
    return { event: { kind: 'inspected', finding: 'renamed', current: read.version } }
  if (handedOut(context.state()) === undefined && known.some((one) => isOut(one) || isDead(one, context)))
    return { event: { kind: 'inspected', finding: 'dead', current: read.version } }
  // It may work, but it is never handed out again: nothing is superseded by it.
  if (known.some(isOut)) return { event: { kind: 'inspected', finding: 'foreign' } }
  try {
    assertFit(read.secret, `The store of ${setup.name}`, setup)
  } catch {
    // Nobody's key, and nothing that may be sent to anybody.
    return { event: { kind: 'inspected', finding: 'foreign' } }
  }
  const { verdict, isOurs, lacksDeclared } = await probe(
    setup,
    context.state(),
    { secret: read.secret },
    context.deps,
  )
  const isFit = isOurs && !(setup.policy.isSelfMinting === true && lacksDeclared)
  if (isAuthentic(verdict.kind))
    return { event: { kind: 'inspected', finding: isFit ? 'adopted' : 'foreign' } }
  return verdict.kind === 'rejected'
    ? { event: { kind: 'inspected', finding: 'foreign' } }
    : { event: { kind: 'inspect_unknown' } }
}

/** It was handed out when the rotation began, which compares with another one: a reader of old values had it in the store. */
function isReplaced({ version, promotedAt }: VersionRecord, { state }: PerformContext): boolean {
  const { current, rotation } = state()
  const isFromBefore = promotedAt !== undefined && rotation !== undefined && promotedAt < rotation.startedAt
  return version === current && isFromBefore
}

/** Those that it may be by its id or by its value. */
function knownAs(read: StoredVersion, { state, deps }: PerformContext): readonly VersionRecord[] {
  const print = fingerprint(read.secret, deps.system)
  return state().versions.filter((one) => one.version === read.version || one.fingerprint === print)
}

/** Conclusively, and not only because some of the issuer's edges do not know it yet. */
function isDead(record: VersionRecord, { setup, deps }: PerformContext): boolean {
  const isYoung = deps.system.now() < record.addedAt + setup.policy.activationGraceMs
  return record.verdict?.kind === 'rejected' && (record.rejections?.count ?? 0) > 1 && !isYoung
}
