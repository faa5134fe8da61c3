import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { CredentialSummary, Problem, RotationSummary, VersionSummary } from '../../src/api/types.ts'
import type { Sandbox } from '../../src/sandbox/index.ts'
import {
  aliveKeys,
  call,
  fastPolicy,
  handOut,
  prepareRig,
  type Rig,
  type RigOptions,
  rotate,
  summaries,
  summary,
  until,
  untilReady,
  untilTurned,
} from './harness.ts'
import { serveRig } from './in-process.ts'
import { spawnService } from './process.ts'

const admin = '/v1/credentials/openai-admin'

/** The admin key is in the local store as well, and nothing of it in the environment. */
async function rigWithAdminKey(options: Pick<RigOptions, 'knobs'> = {}): Promise<Rig> {
  const policy = Object.entries(fastPolicy).map(([name, value]) => `${name}: ${value}`)
  const prepared = await prepareRig({
    ...options,
    credential: (sandbox) => [
      'store: { kind: local }',
      'issuer:',
      '  kind: openai',
      `  baseUrl: "${sandbox.baseUrl}"`,
      `  project: ${sandbox.project}`,
      `  serviceAccount: ${sandbox.serviceAccount}`,
      '  timeout: 5s',
      `  adminKey: { store: { kind: local }, policy: { ${policy.join(', ')} } }`,
    ],
  })
  const { OPENAI_ADMIN_KEY: _none, ...env } = prepared.env
  return { ...prepared, env }
}

async function adminSummary(rig: Rig): Promise<CredentialSummary> {
  const found = (await summaries(rig)).find((one) => one.name === 'openai-admin')
  if (found === undefined) throw new Error('operators see the admin key')
  return found
}

async function bring(rig: Rig, apiKey: string): Promise<void> {
  const answer = await call<Problem>(rig, `${admin}/versions`, { method: 'POST', body: { apiKey } })
  expect(answer.status, answer.body.detail).toBe(201)
}

async function turnAdminKey(rig: Rig, body: Record<string, unknown> = {}): Promise<RotationSummary> {
  const started = await call<RotationSummary & Problem>(rig, `${admin}/rotations`, { method: 'POST', body })
  expect(started.status, started.body.detail).toBe(202)
  return started.body
}

function untilAdmin(
  rig: Rig,
  what: string,
  isSo: (summary: CredentialSummary) => boolean,
  withinMs = 30_000,
): Promise<CredentialSummary> {
  return until(what, () => adminSummary(rig), isSo, withinMs)
}

const isOver = ({ rotation, retirements }: CredentialSummary): boolean =>
  (rotation === null || rotation.phase === 'done') && retirements.every((one) => one.endedAt !== null)

/** A trouble may be told until the next look after what caused it is over. */
const isWell = (one: CredentialSummary): boolean => isOver(one) && one.troubles.length === 0

function aliveAdminKeys(sandbox: Sandbox): readonly string[] {
  return sandbox
    .keys()
    .filter((key) => key.kind === 'admin' && key.state === 'alive')
    .map((key) => key.id)
}

it('an admin key is brought, turned to the proven death of the old one, and everything else goes on with the new one', async () => {
  const rig = await rigWithAdminKey()
  await serveRig(rig)
  const first = rig.sandbox.adminKey()

  const waiting = await until(
    'the credential says what it waits for',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'halted',
  )
  expect(waiting.rotation?.halt).toMatchObject({ reason: 'issuer_denied' })
  expect(waiting.rotation?.halt?.fix).toContain('keyturn bring openai-admin')
  expect(aliveKeys(rig.sandbox)).toEqual([])

  await bring(rig, first)
  // Nobody resumes it: what waited for an admin key goes on when there is one.
  await untilReady(rig)
  const brought = await untilAdmin(rig, 'the admin key is in', isWell)
  expect(brought).toMatchObject({ isInternal: true, issuer: 'openai-admin-keys' })
  expect(brought.current).toMatchObject({ origin: 'brought', check: { verdict: 'valid' } })

  // The one that a person made is that person's, until he says otherwise.
  await turnAdminKey(rig)
  const turned = await untilAdmin(rig, 'turned', isOver)
  expect(turned.retirements[0]?.phase).toBe('kept')
  expect(turned.current?.expiresAt).not.toBeNull()
  const old = turned.versions.find((one) => one.origin === 'brought')
  const revoked = await call<VersionSummary>(rig, `${admin}/versions/${old?.version}/revocations`, {
    method: 'POST',
    body: {},
  })
  expect(revoked.status).toBe(202)
  await untilAdmin(rig, 'the old one is dead', ({ retirements }) =>
    retirements.some((one) => one.phase === 'dead'),
  )
  expect(rig.sandbox.isAlive(first)).toBe(false)

  // From here on both ends are Keyturn's own.
  await turnAdminKey(rig)
  const again = await untilAdmin(
    rig,
    'turned once more',
    (summary) => isOver(summary) && summary.current?.keyId !== turned.current?.keyId,
  )
  expect(again.retirements.map((one) => one.phase)).toEqual(['dead', 'dead'])
  expect(aliveAdminKeys(rig.sandbox)).toEqual([again.current?.keyId])

  await untilTurned(rig, (await rotate(rig)).id)
  expect(aliveKeys(rig.sandbox)).toHaveLength(1)
}, 60_000)

it('an app key is turned while the admin key turns', async () => {
  const rig = await rigWithAdminKey({ knobs: { latencyMs: 5 } })
  await serveRig(rig)
  await bring(rig, rig.sandbox.adminKey())
  await untilReady(rig)
  await turnAdminKey(rig)
  await untilAdmin(rig, 'a minted one is current', isOver)
  // Compromised: the new one deletes the old one as soon as it is out, whatever is under way elsewhere.
  await turnAdminKey(rig, { mode: 'emergency', isCompromised: true, confirm: 'openai-admin' })
  const app = await rotate(rig)
  await untilTurned(rig, app.id)
  const ended = await untilAdmin(rig, 'both are over', isOver)
  expect(ended.rotation?.outcome).toBe('promoted')
  expect((await handOut(rig)).status).toBe(200)
}, 60_000)

it('nobody is handed an admin key, whoever asks and however: it is as if there were none', async () => {
  const rig = await rigWithAdminKey()
  await serveRig(rig)
  await bring(rig, rig.sandbox.adminKey())
  await untilAdmin(rig, 'the admin key is in', ({ current }) => current !== null)
  const app = await call<{ token: string }>(rig, '/v1/tokens', {
    method: 'POST',
    body: { name: 'greedy', role: 'app', credentials: ['*'] },
  })
  for (const token of [rig.operatorToken(), app.body.token])
    for (const [method, path, body] of [
      ['GET', ''],
      ['GET', '?wait=0'],
      ['GET', '/events'],
      ['GET', '/leases'],
      ['POST', '/reports', { version: 'v', status: 401 }],
    ] as const) {
      const ask = (name: string) =>
        call<Problem>(rig, `/v1/credentials/${name}${path}`, { method, token, ...(body && { body }) })
      const [internal, none] = await Promise.all([ask('openai-admin'), ask('no-such-name')])
      expect(internal.status, `${method} ${path}`).toBe(404)
      const { instance: _one, ...said } = internal.body
      const { instance: _other, ...usual } = none.body
      expect(said).toEqual(usual)
    }
  const seen = await call<{ items: CredentialSummary[] }>(rig, '/v1/credentials', { token: app.body.token })
  expect(seen.body.items.map((one) => one.name)).toEqual(['openai'])
  const granted = await call<Problem>(rig, '/v1/tokens', {
    method: 'POST',
    body: { name: 'greedy', role: 'app', credentials: ['openai-admin'] },
  })
  expect(granted).toMatchObject({ status: 400, body: { code: 'bad_request' } })
}, 60_000)

it('a new admin key that cannot delete is given up before the old one goes, and the permission is named', async () => {
  const rig = await rigWithAdminKey({ knobs: { mintedAdminKeyScopes: ['api.management.read'] } })
  await serveRig(rig)
  await bring(rig, rig.sandbox.adminKey())
  const before = await untilAdmin(
    rig,
    'the admin key is in',
    (summary) => isOver(summary) && summary.current !== null,
  )
  await turnAdminKey(rig)
  const halted = await untilAdmin(rig, 'halted', ({ rotation }) => rotation?.phase === 'halted')
  expect(halted.rotation?.halt?.reason).toBe('scope_missing')
  expect(halted.rotation?.halt?.summary).toContain('api.management.write')
  expect(halted.current?.version).toBe(before.current?.version)
  expect(rig.sandbox.isAlive(rig.sandbox.adminKey())).toBe(true)
  expect(aliveAdminKeys(rig.sandbox)).toHaveLength(1)
}, 60_000)

it('a dead admin key makes no other: that is said, apps keep their key, and one that is brought mends it all', async () => {
  const rig = await rigWithAdminKey()
  await serveRig(rig)
  const lost = rig.sandbox.createAdminKey()
  await bring(rig, lost.value)
  await untilReady(rig)
  await untilAdmin(rig, 'the admin key is in', isOver)
  rig.sandbox.deleteKey(lost.id)
  const out = await untilAdmin(rig, 'withdrawn', ({ current }) => current?.withdrawnAt !== null)
  expect(out.troubles[0]).toMatchObject({ code: 'no_verified_key' })
  expect(out.troubles[0]?.fix).toContain('keyturn bring openai-admin')
  expect((await handOut(rig)).status).toBe(200)
  expect((await fetch(`${rig.url}/readyz`)).status).toBe(200)
  const refused = await call<Problem>(rig, `${admin}/rotations`, {
    method: 'POST',
    body: { mode: 'emergency' },
  })
  expect(refused.body).toMatchObject({ code: 'issuer_cannot_mint' })
  expect(out.rotation?.outcome).toBe('promoted')
  const { id } = await rotate(rig)
  await until(
    'the rotation of the app key waits',
    async () => (await call<RotationSummary>(rig, `/v1/credentials/openai/rotations/${id}`)).body,
    ({ phase }) => phase === 'halted',
  )
  await bring(rig, rig.sandbox.adminKey())
  await untilTurned(rig, id)
}, 60_000)

it('a lost ledger costs nothing: the admin key in the store says itself which keys are ours', async () => {
  const rig = await rigWithAdminKey()
  const service = await serveRig(rig)
  await bring(rig, rig.sandbox.adminKey())
  await untilReady(rig)
  await turnAdminKey(rig)
  const before = await untilAdmin(rig, 'a minted one is current', isOver)
  await service.stop()
  rmSync(join(rig.home, 'ledger.db'))
  await serveRig(rig)
  const after = await untilAdmin(rig, 'it is there again', ({ current }) => current !== null)
  expect(after.current).toMatchObject({ keyId: before.current?.keyId, origin: 'minted' })
  await turnAdminKey(rig)
  await untilAdmin(rig, 'the old one is dead', ({ retirements }) =>
    retirements.some((one) => one.version === before.current?.version && one.phase === 'dead'),
  )
  expect(rig.sandbox.isAlive(before.current?.keyId ?? '')).toBe(false)
}, 60_000)

it('killed while the admin key turns: started again, one is current and no other of ours is alive', async () => {
  const rig = await rigWithAdminKey({ knobs: { latencyMs: 10 } })
  let service = await spawnService(rig)
  await bring(rig, rig.sandbox.adminKey())
  await untilReady(rig)
  // The first old one is a person's and is left alone; the others die.
  for (const phase of ['minting', 'promoting', 'dying']) {
    const before = await adminSummary(rig)
    let isKilled = false
    const dead = new Promise<void>((resolve, reject) => {
      const stop = service.onLine((line) => {
        if (!line.message.startsWith('openai-admin: ') || line.phase !== phase) return
        stop()
        isKilled = true
        service.kill().then(resolve, reject)
      })
    })
    await turnAdminKey(rig).catch((thrown: unknown) => {
      // The kill may be faster than the answer, and a broken connection is heard of before the end of the process.
      if (!isKilled) throw thrown
    })
    await dead
    service = await spawnService(rig)
    const after = await untilAdmin(
      rig,
      `after the kill in ${phase}`,
      (summary) => isWell(summary) && summary.current?.version !== before.current?.version,
      60_000,
    )
    expect(aliveAdminKeys(rig.sandbox)).toContain(after.current?.keyId)
    const person = rig.sandbox
      .keys()
      .filter((key) => key.name === 'Sandbox admin')
      .map((key) => key.id)
    expect(aliveAdminKeys(rig.sandbox).filter((id) => !person.includes(id))).toEqual([after.current?.keyId])
  }
  await untilTurned(rig, (await rotate(rig)).id)
}, 240_000)
