import { expect, it } from 'vitest'
import { prepareRig, rotate, until, untilAllDead, untilPromoted, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'
import { scrape } from './scrape.ts'

const openai = { credential: 'openai' }

it('a rotation and the end of the old key: every phase, call and outcome is counted', async () => {
  const rig = await prepareRig()
  await serveRig(rig)
  await untilReady(rig)
  const before = await until(
    'every edge knows the first key',
    () => scrape(rig),
    ({ valueOf }) => valueOf('keyturn_credential_verdict', { ...openai, verdict: 'valid' }) === 1,
  )
  expect(before.valueOf('keyturn_credential_ready', openai)).toBe(1)
  // The first key was made, and nothing was there to be retired.
  expect(before.valueOf('keyturn_rotations_total', { mode: 'normal', outcome: 'promoted' })).toBe(1)
  expect(before.valueOf('keyturn_retirements_total', { outcome: 'dead' })).toBeUndefined()

  const { id } = await rotate(rig)
  await untilPromoted(rig, id)
  await untilAllDead(rig)
  await until(
    'the retirement is counted',
    () => scrape(rig),
    ({ valueOf }) => valueOf('keyturn_retirements_total', { outcome: 'dead' }) === 1,
  )
  const { valueOf, samples } = await scrape(rig)
  expect(valueOf('keyturn_rotations_total', { mode: 'normal', outcome: 'promoted' })).toBe(2)
  // Where an answer came too late on a busy machine a key is made once more.
  expect(
    valueOf('keyturn_rotation_phase_duration_seconds_count', { phase: 'minting' }),
  ).toBeGreaterThanOrEqual(2)
  for (const phase of ['checking', 'proving', 'promoting', 'confirming'])
    expect([phase, valueOf('keyturn_rotation_phase_duration_seconds_count', { phase })]).toEqual([phase, 2])
  for (const phase of ['draining', 'retiring', 'proving_current', 'revoking', 'dying'])
    expect([phase, valueOf('keyturn_retirement_phase_duration_seconds_count', { phase })]).toEqual([phase, 1])
  // The overlap of this set-up is half a second.
  expect(
    valueOf('keyturn_retirement_phase_duration_seconds_sum', { phase: 'draining' }),
  ).toBeGreaterThanOrEqual(0.5)
  const calls = (operation: string, outcome: string) =>
    valueOf('keyturn_issuer_call_duration_seconds_count', { operation, outcome })
  expect([calls('mint', 'minted'), calls('revoke', 'gone')]).toEqual([2, 1])
  const verified = samples.filter(({ name }) => name === 'keyturn_verifications_total')
  const rejected = verified.filter(({ labels }) => labels['verdict'] === 'rejected')
  expect(rejected.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(3)
  expect(
    valueOf('keyturn_store_call_duration_seconds_count', { operation: 'promote', outcome: 'promoted' }),
  ).toBe(2)
  expect(
    valueOf('keyturn_ledger_call_duration_seconds_count', { operation: 'commit', outcome: 'committed' }),
  ).toBeGreaterThan(10)
  const promotions = ['start', 'person', 'failover'].map((code) =>
    valueOf('keyturn_events_total', { kind: 'promoted', code }),
  )
  expect(promotions).toEqual([1, 1, 0])
  expect(valueOf('keyturn_credential_key_age_seconds', openai)).toBeLessThan(30)
}, 60_000)

it('a key that is refused and nothing to follow it: the verdict, the trouble and the alert are there', async () => {
  const rig = await prepareRig({ policy: { automaticPerDay: 1 } })
  await serveRig(rig)
  await untilReady(rig)
  rig.sandbox.set({ faults: [{ kind: 'invalid_api_key', match: { method: 'GET', path: '/models' } }] })
  const seen = await until(
    'nothing is handed out',
    () => scrape(rig),
    ({ valueOf }) => valueOf('keyturn_credential_ready', openai) === 0,
  )
  expect(seen.valueOf('keyturn_credential_trouble', { ...openai, code: 'no_verified_key' })).toBe(1)
  expect(seen.valueOf('keyturn_credential_verified_age_seconds', openai)).toBeUndefined()
  expect(seen.valueOf('keyturn_keys_lost_total', { ...openai, code: 'key_rejected' })).toBeGreaterThanOrEqual(
    1,
  )
  const refused = seen.samples.filter(
    ({ name, labels }) => name === 'keyturn_verifications_total' && labels['verdict'] === 'rejected',
  )
  expect(refused.length).toBeGreaterThan(0)
}, 60_000)
