/**
 * Deliberate defects: what each takes the place of, and the seed that catches it. They are put in as a file is loaded
 * (`npm run sim -- --mutation NAME`), never into the source.
 */
export interface Mutation {
  readonly name: string
  /** Under src. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The first seed from 1 on that catches it. */
  readonly seed: number
}

export const mutations: readonly Mutation[] = [
  {
    name: 'minted under a name that nobody wrote down',
    file: 'engine/perform-rotation.ts',
    find: 'mint({ marker: attempt.marker,',
    replace: "mint({ marker: attempt.marker.replace(/.$/, '_'),",
    seed: 1,
  },
  {
    name: 'no overlap',
    file: 'core/retirement.ts',
    find: 'const overlapUntil = request.isForced ? now : now + overlapMs',
    replace: 'const overlapUntil = now',
    seed: 4,
  },
  {
    name: 'withdrawn after one rejection',
    file: 'core/verification.ts',
    find: 'const conclusive: Conclusive = { count: 2, spanMs: 0 }',
    replace: 'const conclusive: Conclusive = { count: 1, spanMs: 0 }',
    seed: 2,
  },
  {
    name: 'no answer counts as a rejection',
    file: 'core/verification.ts',
    find: "  if (check.verdict.kind === 'rejected') {",
    replace: "  if (check.verdict.kind === 'rejected' || check.verdict.kind === 'unknown') {",
    seed: 2,
  },
  {
    name: 'a mint that timed out has failed',
    file: 'engine/perform-rotation.ts',
    find: "if (outcome.kind === 'unknown') return { event: { kind: 'mint_unknown' } }",
    replace: "if (outcome.kind === 'unknown') return { event: { kind: 'reconciled', found: undefined } }",
    seed: 22,
  },
  {
    name: 'leases are not looked at',
    file: 'engine/perform-retirement.ts',
    find: 'const behind = leases.filter((lease) => lease.generation < state.generation)',
    replace: 'const behind = leases.filter(() => false)',
    seed: 90,
  },
  {
    name: 'deleted before it is retired in the store',
    file: 'engine/perform-retirement.ts',
    find: '    await setup.store.retire(setup.ref, { version, fence: context.state().fence })\n    return true',
    replace: '    return true',
    seed: 1,
  },
  {
    name: 'a quota counts as a dead key',
    file: 'core/verdict.ts',
    find: '    kind: row.kind,',
    replace: "    kind: row.kind === 'exhausted' ? 'rejected' : row.kind,",
    seed: 39,
  },
  {
    name: 'a failover takes what was withdrawn',
    file: 'core/credential.ts',
    find: 'const isSpoilt = record.withdrawnAt !== undefined || record.compromised === true || isExpired',
    replace: 'const isSpoilt = isExpired',
    seed: 112,
  },
  {
    name: 'whose key it is does not matter',
    file: 'core/verdict-outcome.ts',
    find: "  if (belongs === 'no') {",
    replace: "  if (belongs === 'no' && expected.project !== undefined) {",
    seed: 3,
  },
  {
    name: 'attempts without an answer are forgotten',
    file: 'core/turning.ts',
    find: 'openAttempts: [...state.openAttempts, ...handedOn].slice(-openAttemptsMax)',
    replace: 'openAttempts: state.openAttempts.slice(-openAttemptsMax)',
    seed: 864,
  },
  {
    name: 'who finds a rotation in minting mints once more',
    file: 'core/rotation-phases.ts',
    find: "isUnmade === true) return rotation\n      return enter(\n        rotation,\n        'reconciling',",
    replace: "isUnmade === true) return rotation\n      return enter(\n        rotation,\n        'minting',",
    seed: 108,
  },
  {
    name: 'apps cannot tell a takeover',
    file: 'core/take-over.ts',
    find: '    generation: state.generation + 1,',
    replace: '    generation: state.generation,',
    seed: 1,
  },
  {
    name: 'rotations by themselves without a bound',
    file: 'core/turning.ts',
    find: 'policy.storeWritable && today < policy.automaticPerDayMax',
    replace: 'policy.storeWritable && today >= 0',
    seed: 384,
  },
  {
    name: 'a key is promoted with its short life',
    file: 'core/rotation-phases.ts',
    find: 'if (isMinted && context.policy.expiryManaged) return enter',
    replace: 'if (isMinted && context.now < 0) return enter',
    seed: 2,
  },
  {
    name: 'a secret in a line of the log',
    file: 'engine/perform-rotation.ts',
    find: '      keyId: outcome.keyId,\n      error: thrown,',
    replace: '      keyId: outcome.secret.reveal(),\n      error: thrown,',
    seed: 377,
  },
  {
    name: 'a pending key is given up and left alive',
    file: 'engine/perform-rotation.ts',
    find: "keyId === undefined ? { how: 'left' } : await kill(keyId, context)",
    replace: "keyId === setup.name ? undefined : { how: 'left' }",
    seed: 2,
  },
  {
    name: 'a dead key stays handed out',
    file: 'core/verification.ts',
    find: '  const isDead = isSettled(after.rejections, needed)',
    replace: '  const isDead = isSettled(after.rejections, { ...needed, count: 1_000 })',
    seed: 17,
  },
  {
    name: 'revoked as soon as the limit is over, whatever the policy says',
    file: 'core/retirement.ts',
    find: "  if (context.policy.afterLimit === 'revoke') {",
    replace: '  if (context.policy.afterLimit !== undefined) {',
    seed: 108,
  },
  {
    name: 'a key that nobody proved is promoted',
    file: 'core/rotation-phases.ts',
    find: '  if (isAuthentic(verdict.kind))\n    return confirmOnce(',
    replace: "  if (verdict.kind !== 'rejected')\n    return confirmOnce(",
    seed: 5,
  },
  {
    name: 'replicas do not hear of each other',
    file: 'engine/create-service.ts',
    find: 'if (latest !== undefined) book.adopt(latest)',
    replace: 'if (latest === undefined) book.adopt(latest)',
    seed: 5,
  },
  {
    name: 'a blackout holds back nothing',
    file: 'core/blackout.ts',
    find: 'return isPressing(state, policy, blackout) ? undefined : blackout.until',
    replace: 'return blackout.until < 0 ? blackout.until : undefined',
    seed: 12,
  },
  {
    name: 'an old key is retired in a blackout',
    file: 'core/retirement.ts',
    find: '  if (blackout !== undefined) {\n    const heldBy',
    replace: '  if (blackout !== undefined && blackout.until < 0) {\n    const heldBy',
    seed: 2,
  },
  {
    name: 'a spare on the account of the current key',
    file: 'engine/perform-rotation.ts',
    find: "    state.rotation?.mode === 'standby'\n",
    replace: '    state.rotation?.mode === undefined\n',
    seed: 3,
  },
  {
    name: 'a failover passes the spare over',
    file: 'core/credential.ts',
    find: "one.version !== state.current && one.stage !== 'pending' &&",
    replace: "one.version !== state.current && one.stage === 'previous' &&",
    seed: 60,
  },
  {
    name: 'a spare is never refreshed',
    file: 'core/standby.ts',
    find: '  return Math.min(record.addedAt + policy.standbyMaxAgeMs, expiresAt)',
    replace: '  return expiresAt',
    seed: 256,
  },
  {
    name: 'a spare that was rejected stays one',
    file: 'core/verification.ts',
    find: '    const withdrawn = withRecord(checked, version, { withdrawnAt: context.now })',
    replace: '    const withdrawn = withRecord(checked, version, {})',
    seed: 194,
  },
  {
    name: 'spares are made without a pause',
    file: 'core/standby.ts',
    find: '  return last + Math.min(pauseMs.longest, pauseMs.first * 2 ** doublings)',
    replace: '  return last + doublings',
    seed: 198,
  },
  {
    name: 'a fence that fell behind its store stays there',
    file: 'core/fences.ts',
    find: 'const isTrusted = Number.isSafeInteger(seen) && seen <= now + fenceAheadMax',
    replace: 'const isTrusted = Number.isSafeInteger(seen) && seen > now + fenceAheadMax',
    seed: 1035,
  },
  {
    name: 'an admin key is made by none',
    file: 'core/credential.ts',
    find: 'return policy.canMint && (policy.isSelfMinting !== true || handedOut(state) !== undefined)',
    replace: 'return policy.canMint',
    seed: 10,
  },
  {
    name: 'an orphan after one look',
    file: 'core/reconcile.ts',
    find: 'return startedAt >= firstAt + apartMs && startedAt >= youngUntil',
    replace: 'return firstAt >= 0 && startedAt >= youngUntil',
    seed: 42,
  },
  {
    name: 'an orphan needs no marker',
    file: 'core/reconcile.ts',
    find: 'return id !== undefined && ids.has(id) && !keyIds.has(key.keyId) && !markers.has(key.name)',
    replace: 'return id !== "" && !keyIds.has(key.keyId) && !markers.has(key.name)',
    seed: 3,
  },
]
