import type {
  CheckSummary,
  CredentialSummary,
  HaltSummary,
  LeaseSummary,
  MirrorSummary,
  RetirementSummary,
  RotationSummary,
  StepSummary,
  Trouble,
  VersionSummary,
} from '../api/types.ts'
import { currentOf, handedOut, recordOf } from '../core/credential.ts'
import { expiryTrouble, nextTurnAt } from '../core/expiry.ts'
import type { Lease } from '../core/leases.ts'
import { mirrorGoal, mirrorOf } from '../core/mirrors.ts'
import { outageOf } from '../core/outage.ts'
import { isRunning, pendingOf } from '../core/rotation.ts'
import {
  type CredentialState,
  type Halt,
  isAuthentic,
  type MirrorId,
  type MirrorState,
  type Policy,
  type Retirement,
  type Rotation,
  type VersionRecord,
} from '../core/types.ts'
import type { CredentialSetup, MirrorSetup } from './setup.ts'
import { standbySummary, standbyTroubles } from './standby-summary.ts'

/** States as the messages of the API. No function here ever sees a secret. */
export function credentialSummary(
  state: CredentialState,
  setup: CredentialSetup,
  now: number,
): CredentialSummary {
  const current = currentOf(state)
  return {
    name: state.name,
    isInternal: setup.isInternal === true,
    generation: state.generation,
    current: current === undefined ? null : versionSummary(current),
    versions: versionSummaries(state),
    rotation: state.rotation === undefined ? null : rotationSummary(state.rotation, state),
    retirements: state.retirements.map((one) => retirementSummary(one, state)).toReversed(),
    rotatesAt: iso(nextTurnAt(state, setup.policy, now)),
    blackoutUntil: iso(setup.policy.blackoutAt?.(now)?.until),
    troubles: troublesOf(state, setup, now),
    store: setup.store.capabilities.kind,
    standby: standbySummary(state, setup.policy, now),
    mirrors: setup.mirrors.map((mirror) => mirrorSummary(mirror, state)),
    issuer: setup.issuer.kind,
  }
}

function mirrorSummary({ id, store }: MirrorSetup, state: CredentialState): MirrorSummary {
  const mirror = mirrorOf(state, id)
  return {
    id,
    store: store.capabilities.kind,
    current: mirror?.current ?? null,
    isInLine:
      mirror !== undefined &&
      mirror.trouble === undefined &&
      mirror.reached === mirrorGoal(state, mirror).key,
    readAt: iso(mirror?.readAt),
  }
}

/** Newest first. */
export function versionSummaries(state: CredentialState): readonly VersionSummary[] {
  return state.versions.map(versionSummary).toReversed()
}

export function versionSummary(record: VersionRecord): VersionSummary {
  const { meta } = record
  return {
    version: record.version,
    stage: record.stage,
    origin: record.origin,
    fingerprint: record.fingerprint,
    keyId: meta.keyId ?? null,
    organization: meta.organization ?? null,
    project: meta.project ?? null,
    serviceAccount: meta.serviceAccount ?? null,
    addedAt: new Date(record.addedAt).toISOString(),
    createdAt: iso(meta.createdAt),
    expiresAt: iso(meta.expiresAt),
    promotedAt: iso(record.promotedAt),
    verifiedAt: iso(record.verifiedAt),
    withdrawnAt: iso(record.withdrawnAt),
    isCompromised: record.compromised === true,
    check: checkSummary(record),
  }
}

function checkSummary({ verdict, checkedAt }: VersionRecord): CheckSummary | null {
  if (verdict === undefined || checkedAt === undefined) return null
  const { kind, cause, summary, fix } = verdict
  return { verdict: kind, cause, summary, fix, checkedAt: new Date(checkedAt).toISOString() }
}

/** `state`: where the old version's walk is looked up; absent for rotations of the past. */
export function rotationSummary(rotation: Rotation, state?: CredentialState): RotationSummary {
  const isEnded = rotation.phase === 'done'
  const to = pendingOf(rotation)?.version ?? rotation.attempts.at(-1)?.version
  const retirement = state?.retirements.find(
    (one) => rotation.from !== undefined && one.version === rotation.from && rotation.outcome === 'promoted',
  )
  return {
    id: rotation.id,
    credential: rotation.credential,
    mode: rotation.mode,
    reason: rotation.reason,
    requestedBy: rotation.requestedBy,
    phase: rotation.phase,
    isPaused: rotation.paused,
    outcome: rotation.outcome ?? null,
    from: rotation.from ?? null,
    to: to ?? null,
    startedAt: new Date(rotation.startedAt).toISOString(),
    phaseAt: new Date(rotation.phaseAt).toISOString(),
    deadlineAt: isEnded || rotation.phase === 'halted' ? null : iso(rotation.deadlineAt),
    endedAt: iso(rotation.endedAt),
    halt: haltSummary(rotation.halt),
    failure: haltSummary(rotation.failure),
    permissions: (rotation.permissions ?? []).map(({ permission, resource, state: is, fix }) => ({
      permission,
      resource,
      state: is,
      fix: fix ?? '',
    })),
    residue: rotation.residue ?? [],
    steps: rotation.steps.map(stepSummary),
    retirement: retirement === undefined || state === undefined ? null : retirementSummary(retirement, state),
  }
}

export function retirementSummary(retirement: Retirement, state: CredentialState): RetirementSummary {
  return {
    id: retirement.id,
    version: retirement.version,
    fingerprint: recordOf(state, retirement.version)?.fingerprint ?? null,
    phase: retirement.phase,
    startedAt: new Date(retirement.startedAt).toISOString(),
    overlapUntil: new Date(retirement.overlapUntil).toISOString(),
    heldBy: retirement.heldBy ?? null,
    endedAt: iso(retirement.endedAt),
    halt: haltSummary(retirement.halt),
    steps: retirement.steps.map(stepSummary),
  }
}

function haltSummary(halt: Halt | undefined): HaltSummary | null {
  if (halt === undefined) return null
  const { from, reason, summary, fix, at } = halt
  return { from, reason, summary, fix, at: new Date(at).toISOString() }
}

/** Field by field: what is written down beside them, the evidence, is for reports. */
function stepSummary(step: {
  readonly at: number
  readonly phase: string
  readonly note: string
}): StepSummary {
  return { at: new Date(step.at).toISOString(), phase: step.phase, note: step.note }
}

export function leaseSummary(lease: Lease): LeaseSummary {
  const { instance, app, generation, seenAt } = lease
  return { instance, app, generation, seenAt: new Date(seenAt).toISOString() }
}

/** What is wrong now, worst first: nothing handed out, then the store, a halted walk, and what the last check said. */
export function troublesOf(
  state: CredentialState,
  setup: Pick<CredentialSetup, 'policy'>,
  now: number,
): readonly Trouble[] {
  const troubles: Trouble[] = []
  const { storeTrouble, rotation } = state
  const outage = outageOf(state)
  if (outage !== undefined)
    troubles.push({
      code: 'no_verified_key',
      summary: outage.summary,
      fix: outage.fix,
      since: iso(outage.since),
    })
  const isHalted = rotation?.phase === 'halted'
  // That the store is empty is only the consequence where the first key could not be made.
  if (storeTrouble !== undefined && !(isHalted && storeTrouble.code === 'store_absent'))
    troubles.push({
      code: storeTrouble.code,
      summary: storeTrouble.summary,
      fix: storeTrouble.fix,
      since: iso(storeTrouble.since),
    })
  if (rotation?.halt !== undefined && isHalted) troubles.push(haltTrouble('rotation_halted', rotation.halt))
  for (const one of state.retirements) troubles.push(...retirementTroubles(state, one))
  for (const id of setup.policy.mirrors) {
    const trouble = mirrorOf(state, id)?.trouble
    if (trouble !== undefined) troubles.push(mirrorTrouble(id, trouble))
  }
  const leaked = currentOf(state)
  if (leaked?.isLeaked === true)
    troubles.push({
      code: 'key_compromised',
      summary: `The key of ${state.name} was said to be in the wrong hands, under another credential that holds it too.`,
      fix: `Turn it now: keyturn rotate ${state.name} --emergency --compromised`,
      since: null,
    })
  const expiring = expiryTrouble(state, setup.policy, now)
  if (expiring !== undefined) troubles.push({ code: 'key_expiring', ...expiring, since: iso(expiring.since) })
  const all = [
    ...troubles,
    ...checkTroubles(state),
    ...standbyTroubles(state, setup.policy, now),
    ...paceTroubles(setup.policy),
  ]
  if (all.length > 0 || handedOut(state) !== undefined || isRunning(rotation)) return all
  const summary = `No key of ${state.name} has been verified yet.`
  return [{ code: 'no_verified_key', summary, fix: 'Wait for the first check.', since: null }]
}

/** Said although nothing is broken: whoever reads how old a verdict may be counts on what is configured. */
function paceTroubles({ verifyEveryMs, verifyConfiguredMs }: Policy): readonly Trouble[] {
  if (verifyConfiguredMs === undefined) return []
  const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`
  const summary = `The key is verified every ${seconds(verifyEveryMs)} and not every ${seconds(verifyConfiguredMs)}: its organisation has too many for its rate.`
  const fix = 'Raise verification.perOrganizationPerMinute, or make verifyEvery longer.'
  return [{ code: 'verification_stretched', summary, fix, since: null }]
}

function retirementTroubles(state: CredentialState, one: Retirement): readonly Trouble[] {
  if (one.phase === 'halted' && one.halt !== undefined) return [haltTrouble('retirement_halted', one.halt)]
  if (one.phase === 'unproven') {
    const fix = 'Check it in OpenAI’s dashboard; probing goes on.'
    const summary = 'An old key was deleted but is still accepted.'
    return [{ code: 'key_not_dead', summary, fix, since: iso(one.phaseAt) }]
  }
  const heldBy = one.heldBy ?? 'still in use'
  if (one.phase === 'draining' && one.isLimitAlerted) {
    const isApp = !/^the (?:mirror|store)\b/.test(heldBy)
    const fix = `${isApp ? 'Move that app on' : 'Mend that'}, or run: keyturn revoke ${state.name} ${one.version}`
    return [
      { code: 'key_still_used', summary: `The old key is kept: ${heldBy}.`, fix, since: iso(one.limitAt) },
    ]
  }
  if (one.phase === 'proving_current' && one.isHeldAlerted === true) {
    const summary = `The old key is not deleted: ${heldBy}`
    const fix = `Mend the current key first: keyturn status ${state.name}`
    return [{ code: 'retirement_held', summary, fix, since: iso(one.phaseAt) }]
  }
  return []
}

function mirrorTrouble(id: MirrorId, trouble: NonNullable<MirrorState['trouble']>): Trouble {
  const { code, summary, fix, since } = trouble
  const told = code === 'mirror_behind' ? `The mirror ${id} is not in line. ${summary}` : summary
  return { code, summary: told, fix, since: iso(since) }
}

function haltTrouble(code: string, halt: Halt): Trouble {
  return { code, summary: halt.summary, fix: halt.fix, since: iso(halt.at) }
}

/** What the last check of the current version says that a person should know. */
export function checkTroubles(state: CredentialState): readonly Trouble[] {
  const current = currentOf(state)
  const verdict = current?.verdict
  if (verdict === undefined || verdict.kind === 'valid' || state.outage !== undefined) return []
  const code = isAuthentic(verdict.kind) ? `key_${verdict.kind}` : `check_${verdict.kind}`
  return [{ code, summary: verdict.summary, fix: verdict.fix, since: iso(current?.checkedAt) }]
}

function iso(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}
