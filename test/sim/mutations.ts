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
    seed: 0,
  },
  {
    name: 'no overlap',
    file: 'core/retirement.ts',
    find: 'const overlapUntil = request.isForced ? now : now + policy.overlapMs',
    replace: 'const overlapUntil = now',
    seed: 0,
  },
  {
    name: 'withdrawn after one rejection',
    file: 'core/verification.ts',
    find: 'const conclusive: Conclusive = { count: 2, spanMs: 0 }',
    replace: 'const conclusive: Conclusive = { count: 1, spanMs: 0 }',
    seed: 0,
  },
  {
    name: 'no answer counts as a rejection',
    file: 'core/verification.ts',
    find: "  if (check.verdict.kind === 'rejected') {",
    replace: "  if (check.verdict.kind === 'rejected' || check.verdict.kind === 'unknown') {",
    seed: 0,
  },
  {
    name: 'a mint that timed out has failed',
    file: 'engine/perform-rotation.ts',
    find: "if (outcome.kind === 'unknown') return { event: { kind: 'mint_unknown' } }",
    replace: "if (outcome.kind === 'unknown') return { event: { kind: 'reconciled', found: undefined } }",
    seed: 0,
  },
  {
    name: 'leases are not looked at',
    file: 'engine/perform-retirement.ts',
    find: '    .filter((lease) => lease.generation < state.generation)',
    replace: '    .filter(() => false)',
    seed: 0,
  },
  {
    name: 'mirrors are not looked at before a key is revoked',
    file: 'engine/held-in-stores.ts',
    find: '  return holders.filter((one) => one !== undefined)',
    replace: '  return holders.filter(() => false)',
    seed: 0,
  },
  {
    name: 'the key that stays is not proven again',
    file: 'core/retirement.ts',
    find: "        'proving_current',\n        context,\n        'retired in the store",
    replace: "        'revoking',\n        context,\n        'retired in the store",
    seed: 0,
  },
  {
    name: 'deleted before it is retired in the store',
    file: 'engine/perform-retirement.ts',
    find: '    await setup.store.retire(setup.ref, { version, fence: context.state().fence })\n    return true',
    replace: '    return true',
    seed: 0,
  },
  {
    name: 'a quota counts as a dead key',
    file: 'core/verdict.ts',
    find: '    kind: row.kind,',
    replace: "    kind: row.kind === 'exhausted' ? 'rejected' : row.kind,",
    seed: 0,
  },
  {
    name: 'a failover takes what was withdrawn',
    file: 'core/credential.ts',
    find: 'const isSpoilt = record.withdrawnAt !== undefined || record.compromised === true || isExpired',
    replace: 'const isSpoilt = isExpired',
    seed: 0,
  },
  {
    name: 'whose key it is does not matter',
    file: 'core/verdict-outcome.ts',
    find: "  if (belongs === 'no') {",
    replace: "  if (belongs === 'no' && expected.project !== undefined) {",
    seed: 0,
  },
  {
    name: 'attempts without an answer are forgotten',
    file: 'core/turning.ts',
    find: 'openAttempts: [...state.openAttempts, ...handedOn].slice(-openAttemptsMax)',
    replace: 'openAttempts: state.openAttempts.slice(-openAttemptsMax)',
    seed: 0,
  },
  {
    name: 'a stray key is left alive',
    file: 'engine/perform-rotation.ts',
    find: 'else if (key !== undefined && !(await kill(key.keyId, context)))',
    replace: 'else if (key === undefined && attempt === undefined)',
    seed: 0,
  },
  {
    name: 'who finds a rotation in minting mints once more',
    file: 'core/rotation-phases.ts',
    find: "    case 'resumed':\n      return enter(\n        rotation,\n        'reconciling',",
    replace: "    case 'resumed':\n      return enter(\n        rotation,\n        'minting',",
    seed: 0,
  },
  {
    name: 'a takeover is not written to the store',
    file: 'core/take-over.ts',
    find: ': { isAlignmentDue: policy.storeWritable }',
    replace: ': { isAlignmentDue: false }',
    seed: 0,
  },
  {
    name: 'apps cannot tell a takeover',
    file: 'core/take-over.ts',
    find: '    generation: state.generation + 1,',
    replace: '    generation: state.generation,',
    seed: 0,
  },
  {
    name: 'rotations by themselves without a bound',
    file: 'core/turning.ts',
    find: 'return policy.canMint && policy.storeWritable && today < policy.automaticPerDayMax',
    replace: 'return policy.canMint && policy.storeWritable && today >= 0',
    seed: 0,
  },
  {
    name: 'a key is promoted with its short life',
    file: 'core/rotation-phases.ts',
    find: "isMinted && context.policy.expiryManaged ? 'extending' : 'promoting'",
    replace: "isMinted && context.policy.expiryManaged ? 'promoting' : 'promoting'",
    seed: 0,
  },
  {
    name: 'a secret in a line of the log',
    file: 'engine/perform-rotation.ts',
    find: '      keyId: outcome.keyId,\n      error: thrown,',
    replace: '      keyId: outcome.secret.reveal(),\n      error: thrown,',
    seed: 0,
  },
  {
    name: 'a claim of somebody else is taken',
    file: 'ledger/sqlite-claims.ts',
    find: '(claim_owner IS NULL OR claim_until <= ? OR claim_owner = ?)',
    replace: '(claim_owner IS NULL OR claim_until <= ? OR claim_owner = ? OR 1 = 1)',
    seed: 0,
  },
  {
    name: 'nobody looks once more before the delete',
    file: 'engine/perform-retirement.ts',
    find: '  if (heldBy !== undefined) return { kind: ',
    replace: "  if (heldBy === 'nobody') return { kind: ",
    seed: 0,
  },
  {
    name: 'the store is not asked at the gate',
    file: 'engine/held-in-stores.ts',
    find: "one.fingerprint === print ? ['the store has it for current'] : []",
    replace: 'one.fingerprint === print ? [] : []',
    seed: 0,
  },
  {
    name: 'a pending key is given up and left alive',
    file: 'engine/perform-rotation.ts',
    find: 'if (effect.keyId !== undefined && !(await kill(effect.keyId, context)))',
    replace: 'if (effect.keyId !== undefined && effect.version === setup.name)',
    seed: 0,
  },
  {
    name: 'a dead key stays handed out',
    file: 'core/verification.ts',
    find: '  const isDead = isSettled(after.rejections, needed)',
    replace: '  const isDead = isSettled(after.rejections, { ...needed, count: 1_000 })',
    seed: 0,
  },
  {
    name: 'revoked as soon as the limit is over, whatever the policy says',
    file: 'core/retirement.ts',
    find: "  if (context.policy.afterLimit === 'revoke') {",
    replace: '  if (context.policy.afterLimit !== undefined) {',
    seed: 0,
  },
  {
    name: 'a promotion that is not read back',
    file: 'core/rotation-phases.ts',
    find: "      return goOn(rotation, 'confirming', context, 'moved to current in the store')",
    replace: "      return end(rotation, 'promoted', context, 'moved to current in the store')",
    seed: 0,
  },
  {
    name: 'a key that nobody proved is promoted',
    file: 'core/rotation-phases.ts',
    find: '  if (isAuthentic(verdict.kind)) return confirmOnce(rotation, context, verdict)',
    replace: "  if (verdict.kind !== 'rejected') return confirmOnce(rotation, context, verdict)",
    seed: 0,
  },
  {
    name: 'replicas do not hear of each other',
    file: 'engine/create-service.ts',
    find: 'if (latest !== undefined) book.adopt(latest)',
    replace: 'if (latest === undefined) book.adopt(latest)',
    seed: 0,
  },
  {
    name: 'leases of a lost ledger count for the new one',
    file: 'core/store-look.ts',
    find: 'Math.max(state.generation, Math.floor(now / 1_000))',
    replace: 'state.generation',
    seed: 0,
  },
]
