import { expect, it, onTestFinished, vi } from 'vitest'
import type { RotationSummary } from '../../src/api/types.ts'
import { type AwsFake, startAwsFake } from '../stores/fakes/aws-fake.ts'
import { type CliRun, runCli } from './cli.ts'
import { aliveKeys, handOut, prepareRig, type Rig, rotate, summary, until, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'
import { spawnService } from './process.ts'

interface Rehearsed {
  readonly run: CliRun
  readonly rotation: RotationSummary
}

/** As an operator does it, and what must hold however it ends: apps notice nothing, and no key and no label is left. */
async function rehearse(rig: Rig): Promise<Rehearsed> {
  const before = { handOut: (await handOut(rig)).body, alive: aliveKeys(rig.sandbox) }
  const run = await runCli(rig, ['rotate', 'openai', '--rehearse', '--json'])
  const after = (await handOut(rig)).body
  expect([after.apiKey, after.generation]).toEqual([before.handOut.apiKey, before.handOut.generation])
  expect(aliveKeys(rig.sandbox)).toEqual(before.alive)
  const { versions, retirements } = await summary(rig)
  expect(versions.filter(({ stage }) => stage === 'pending')).toEqual([])
  expect(retirements).toEqual([])
  return { run, rotation: JSON.parse(run.out) as RotationSummary }
}

function errorOf({ err }: CliRun): { readonly code: string; readonly message: string; readonly fix: string } {
  const line = err.split('\n').findLast((one) => one.startsWith('{'))
  return (JSON.parse(line ?? '') as { error: { code: string; message: string; fix: string } }).error
}

it('a good set-up: every permission is told, a rotation would work, and what remains is named', async () => {
  const rig = await prepareRig()
  await serveRig(rig)
  await untilReady(rig)
  const { run, rotation } = await rehearse(rig)
  expect(run.code, run.err).toBe(0)
  expect(rotation).toMatchObject({ outcome: 'rehearsed', failure: null })
  expect(rotation.permissions.map(({ state }) => state)).not.toContain('missing')
  expect(rotation.permissions.map(({ permission }) => permission)).toContain('api.management.write')
  expect(rotation.steps.map(({ phase }) => phase)).toContain('extending')
  const made = rig.sandbox.keys().find(({ name, state }) => name.startsWith('keyturn-') && state !== 'alive')
  expect(rotation.residue.join('\n')).toContain(made?.id)
  expect(rotation.residue.join('\n')).toMatch(/local store \(openai\)/)

  // For people, and again: a rehearsal is in nobody's way.
  const shown = await runCli(rig, ['rotate', 'openai', '--rehearse'])
  expect(shown.code).toBe(0)
  expect(shown.out).toContain('openai: a rotation would work')
  expect(shown.out).toMatch(/granted +api\.management\.write/)
  expect(shown.out).toContain('OpenAI’s audit log keeps')
}, 60_000)

it('an admin key that may only read: named with its fix, and nothing is minted', async () => {
  const rig = await prepareRig()
  const serving = await serveRig(rig)
  await untilReady(rig)
  await serving.stop()
  const reader = rig.sandbox.createAdminKey({ name: 'reader', scopes: ['api.management.read'] })
  await serveRig(rig, { OPENAI_ADMIN_KEY: reader.value })
  await untilReady(rig)
  const made = rig.sandbox.keys().length
  const { run, rotation } = await rehearse(rig)
  expect(run.code).toBe(3)
  const told = errorOf(run)
  expect(told.code).toBe('rehearsal_failed')
  expect(told.message).toContain('api.management.write')
  expect(told.fix).toMatch(/api\.management\.write.*keyturn rotate openai --rehearse/)
  expect(rotation).toMatchObject({ outcome: 'rehearsal_failed', halt: null, residue: [] })
  const missing = rotation.permissions.filter(({ state }) => state === 'missing')
  expect(missing.map(({ permission }) => permission)).toEqual(['api.management.write'])
  expect(rig.sandbox.keys()).toHaveLength(made)
}, 60_000)

it('minting or deleting refused though the checks went well: each is shown as missing, and names the admin key', async () => {
  const rig = await prepareRig()
  await serveRig(rig)
  await untilReady(rig)
  const kind = 'missing_scopes_403'
  rig.sandbox.set({ faults: [{ kind, match: { method: 'POST', path: '/service_accounts/.+/api_keys' } }] })
  const { run, rotation } = await rehearse(rig)
  expect(run.code).toBe(3)
  expect(errorOf(run).message).toContain('The admin key is genuine, but lacks')
  expect(errorOf(run).fix).toMatch(/^Give the admin key .*keyturn rotate openai --rehearse/)
  const missing = rotation.permissions.filter(({ state }) => state === 'missing')
  expect(missing.map(({ resource }) => resource)).toEqual(['making a key'])

  rig.sandbox.set({ faults: [{ kind, match: { method: 'DELETE' } }] })
  const works = await runCli(rig, ['rotate', 'openai', '--rehearse'])
  expect(works.code, works.err).toBe(0)
  expect(works.out).toMatch(/openai: a rotation would work.*would not be deleted.* expiry of one second/)
  expect(works.out).toMatch(/missing +api\.management\.write +deleting a key/)
  expect(works.out).toContain('Give the admin key api.management.write')
  expect(works.out).toContain('it would not delete it, and let it expire')
}, 60_000)

it('a store and a mirror that may not be written to: both are named at once, and nothing is minted', async () => {
  const { fakes, rig } = await onAws({ refs: ['prod/openai', 'copy'] })
  const made = rig.sandbox.keys().length
  for (const fake of fakes) fake.deny('PutSecretValue')
  const { run, rotation } = await rehearse(rig)
  expect(run.code).toBe(3)
  expect(errorOf(run).message).toContain('secretsmanager:PutSecretValue on prod/openai')
  expect(errorOf(run).message).toMatch(/secretsmanager:PutSecretValue on copy \(mirror .*\)/)
  expect(errorOf(run).fix).toMatch(/PutSecretValue/)
  expect(rotation.residue).toEqual([])
  expect(rig.sandbox.keys()).toHaveLength(made)

  // One that no check can test shows when it is needed: the key that was made by then is ended.
  for (const fake of fakes) fake.deny('TagResource')
  const late = await rehearse(rig)
  expect(late.run.code).toBe(3)
  expect(errorOf(late.run).message).toContain('secretsmanager:TagResource')
  expect(late.rotation.permissions.find(({ permission }) => permission.endsWith('TagResource'))?.state).toBe(
    'untested',
  )
  expect(late.rotation.residue.join()).toContain('api_key.created')
}, 60_000)

it('a scope that the apps need and the key lacks: named, and its key is gone again', async () => {
  const { rig, fakes } = await onAws({ refs: ['prod/openai'], scopes: 'api.model.read' })
  const { run, rotation } = await rehearse(rig)
  expect(run.code).toBe(3)
  expect(rotation.failure?.reason).toBe('scope_missing')
  expect(errorOf(run).message).toMatch(/model\.request/)
  // AWS takes labels away and keeps values until it needs the room.
  expect(rotation.residue.join('\n')).toMatch(/aws-secrets-manager store \(prod\/openai\) keeps version/)
  const labels = [...(fakes[0]?.secrets.get('prod/openai')?.versions.values() ?? [])]
  expect(labels.flatMap((one) => [...one.labels]).filter((label) => label.includes('PENDING'))).toEqual([])
}, 60_000)

/** A store in one account and mirrors in others, with a key that a person made. */
async function onAws(options: {
  readonly refs: readonly string[]
  readonly scopes?: string
}): Promise<{ readonly rig: Rig; readonly fakes: readonly AwsFake[] }> {
  const fakes: AwsFake[] = []
  for (const ref of options.refs) {
    const fake = await startAwsFake()
    onTestFinished(() => fake.close())
    fake.secrets.set(ref, { versions: new Map(), tags: new Map() })
    fakes.push(fake)
  }
  const places = fakes.map((fake) => `{ kind: aws-secrets-manager, endpoint: '${fake.endpoint}' }`)
  const mirrors = options.refs.slice(1).map((ref, index) => `{ store: ${places[index + 1]}, ref: ${ref} }`)
  const rig = await prepareRig({
    credential: (sandbox) => [
      `store: ${places[0]}`,
      `ref: ${options.refs[0]}`,
      `mirrors: [${mirrors.join(', ')}]`,
      `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, scopes: [${options.scopes ?? ''}] }`,
      `expected: { organization: ${sandbox.organization}, scopes: [model.request] }`,
    ],
  })
  fakes[0]?.put(options.refs[0] ?? '', rig.sandbox.createServiceAccountKey().value)
  // The SDK reads them where it runs.
  vi.stubEnv('AWS_REGION', 'eu-central-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', ['secret', 'of', 'aws'].join('+'))
  onTestFinished(() => void vi.unstubAllEnvs())
  await serveRig(rig)
  await untilReady(rig)
  await until(
    'the mirrors are in line',
    () => summary(rig),
    ({ mirrors }) => mirrors.every(({ isInLine }) => isInLine),
  )
  return { rig, fakes }
}

it('killed in the middle of a rehearsal: started again, it ends, and its key is gone', async () => {
  const rig = await prepareRig({ policy: { provingSettle: '2s' } })
  const service = await spawnService(rig)
  await untilReady(rig)
  const before = aliveKeys(rig.sandbox)
  const { id } = await rotate(rig, { mode: 'rehearsal' })
  await until(
    'the rehearsal proves its key',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'proving',
  )
  expect(aliveKeys(rig.sandbox)).toHaveLength(before.length + 1)
  await service.kill()
  await spawnService(rig)
  const ended = await until(
    'the rehearsal has ended',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'done',
  )
  expect(ended.rotation).toMatchObject({ id, outcome: 'rehearsed', failure: null })
  expect(ended.rotation?.residue).not.toEqual([])
  expect(aliveKeys(rig.sandbox)).toEqual(before)
  expect(ended.versions.filter(({ stage }) => stage === 'pending')).toEqual([])
}, 60_000)
