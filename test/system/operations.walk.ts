import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CredentialSummary, Problem, RotationSummary } from '../../src/api/types.ts'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { runCli } from './cli.ts'
import {
  aliveKeys,
  call,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summary,
  until,
  untilAllDead,
  untilPromoted,
  untilReady,
  untilTold,
} from './harness.ts'
import { serveRig } from './in-process.ts'
import { plant } from './plant.ts'

const at = '/v1/credentials/openai'
/** Old keys stay alive for the length of a test. */
const longOverlap = { overlap: '1h', drainLimit: '2h' }

async function started(options: Parameters<typeof prepareRig>[0] = {}): Promise<Rig> {
  const rig = await prepareRig(options)
  await serveRig(rig)
  await untilReady(rig)
  return rig
}

function post(rig: Rig, path: string, body: unknown = {}): ReturnType<typeof call<Problem>> {
  return call<Problem>(rig, at + path, { method: 'POST', body })
}

async function keyNow(rig: Rig): Promise<string> {
  return (await handOut(rig)).body.apiKey
}

function rotationIn(rig: Rig, phase: string): Promise<CredentialSummary> {
  return until(
    `a rotation is ${phase}`,
    () => summary(rig),
    ({ rotation }) => rotation?.phase === phase,
  )
}

const manual = (sandbox: Sandbox): string[] => [
  'store: { kind: local }',
  `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
  `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
]

describe('rotate', () => {
  it('normal, from the command line to a proven death', async () => {
    const rig = await started()
    const before = await keyNow(rig)
    const run = await runCli(rig, ['rotate', 'openai', '--wait', '--json', '--reason', 'by hand'])
    expect(run.code).toBe(0)
    const after = await keyNow(rig)
    expect(after).not.toBe(before)
    expect(rig.sandbox.isAlive(before)).toBe(false)
    expect(rig.sandbox.isAlive(after)).toBe(true)
    const { rotation, retirements } = await summary(rig)
    expect(rotation).toMatchObject({
      mode: 'normal',
      outcome: 'promoted',
      reason: 'by hand',
      requestedBy: 'operator-of-this-home',
    })
    expect(retirements[0]?.phase).toBe('dead')
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
  })

  it('an emergency for a compromised key: it dies at once, whatever the overlap', async () => {
    const rig = await started({ policy: longOverlap })
    const before = await keyNow(rig)
    expect(
      (
        await runCli(rig, [
          'rotate',
          'openai',
          '--emergency',
          '--compromised',
          '--confirm',
          'openai',
          '--wait',
        ])
      ).code,
    ).toBe(0)
    expect(rig.sandbox.isAlive(before)).toBe(false)
    const { versions } = await summary(rig)
    expect(versions.filter((one) => one.isCompromised)).toHaveLength(1)
    const back = await post(rig, '/rollbacks', { to: versions.find((one) => one.isCompromised)?.version })
    expect([back.status, back.body.code]).toEqual([409, 'version_not_live'])
  })

  it('an emergency that is not for a compromised key leaves the old one its overlap', async () => {
    const rig = await started({ policy: longOverlap })
    const before = await keyNow(rig)
    await untilPromoted(rig, (await rotate(rig, { mode: 'emergency' })).id)
    expect(rig.sandbox.isAlive(before)).toBe(true)
    expect((await summary(rig)).retirements[0]?.phase).toBe('draining')
  })

  it('a rehearsal mints, proves and discards, and apps notice nothing', async () => {
    const rig = await started()
    const before = await handOut(rig)
    const ended = await untilPromoted(rig, (await rotate(rig, { mode: 'rehearsal' })).id)
    expect(ended.outcome).toBe('rehearsed')
    const after = await handOut(rig)
    expect(after.body.apiKey).toBe(before.body.apiKey)
    expect(after.body.generation).toBe(before.body.generation)
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
  })

  it('once at a time; an emergency hastens the one that runs; --compromised needs it', async () => {
    const rig = await started({ policy: { ...longOverlap, provingSettle: '20s' } })
    const first = await rotate(rig)
    await rotationIn(rig, 'proving')
    const second = await post(rig, '/rotations')
    expect([second.status, second.body.code]).toEqual([409, 'rotation_in_progress'])
    const wrong = await post(rig, '/rotations', { isCompromised: true })
    expect([wrong.status, wrong.body.code]).toEqual([400, 'bad_request'])
    const hastened = await rotate(rig, { mode: 'emergency' })
    expect(hastened.id).toBe(first.id)
    expect((await untilPromoted(rig, first.id, 80_000)).outcome).toBe('promoted')
  }, 120_000)

  it('an idempotency key makes a repeat the same rotation, and refuses another body', async () => {
    const rig = await started({ policy: longOverlap })
    const ask = async (body: unknown): Promise<{ status: number; body: RotationSummary & Problem }> => {
      const response = await fetch(rig.url + at + '/rotations', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${rig.operatorToken()}`,
          'content-type': 'application/json',
          'idempotency-key': 'turn-1',
        },
        body: JSON.stringify(body),
      })
      return { status: response.status, body: (await response.json()) as RotationSummary & Problem }
    }
    const first = await ask({ reason: 'a' })
    await untilPromoted(rig, first.body.id)
    const again = await ask({ reason: 'a' })
    expect([again.status, again.body.id]).toEqual([first.status, first.body.id])
    const other = await ask({ reason: 'b' })
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch'])
    expect(aliveKeys(rig.sandbox)).toHaveLength(2)
  })
})

describe('pause, resume and abort', () => {
  it('hold a rotation where it is, let it go on, and give it up without a trace', async () => {
    const rig = await started({ policy: { ...longOverlap, provingSettle: '5s' } })
    const before = await keyNow(rig)
    const { id } = await rotate(rig)
    await rotationIn(rig, 'proving')
    // As long as OpenAI does not answer nothing is proven, however long a command takes on a busy machine.
    rig.sandbox.set({ errorStatus: 500 })
    expect((await runCli(rig, ['pause', 'openai'])).code).toBe(0)
    const paused = await summary(rig)
    expect(paused.rotation?.isPaused).toBe(true)
    rig.sandbox.set({ errorStatus: null })
    expect((await runCli(rig, ['resume', 'openai'])).code).toBe(0)
    expect((await untilPromoted(rig, id)).outcome).toBe('promoted')
    const after = await keyNow(rig)
    expect(after).not.toBe(before)

    const given = await rotate(rig)
    await rotationIn(rig, 'proving')
    rig.sandbox.set({ errorStatus: 500 })
    expect((await runCli(rig, ['abort', 'openai'])).code).toBe(0)
    rig.sandbox.set({ errorStatus: null })
    expect((await untilPromoted(rig, given.id)).outcome).toBe('aborted')
    expect(await keyNow(rig)).toBe(after)
    expect(aliveKeys(rig.sandbox)).toHaveLength(2)
    for (const act of ['pause', 'resume', 'abort']) {
      const run = await runCli(rig, [act, 'openai'])
      expect(run.code).toBe(1)
      expect(run.err).toMatch(/no rotation of 'openai' is running/)
    }
  }, 120_000)
})

describe('rollback', () => {
  it('to the previous one, by id, by its beginning, by fingerprint; refused for what is dead or unknown', async () => {
    const rig = await started({ knobs: { revocationMs: 0 }, policy: longOverlap })
    const keys = [await keyNow(rig)]
    for (let turn = 0; turn < 2; turn++) {
      await untilPromoted(rig, (await rotate(rig)).id)
      keys.push(await keyNow(rig))
    }
    const { versions } = await summary(rig)
    const [third, second, first] = versions
    expect((await runCli(rig, ['rollback', 'openai'])).code).toBe(0)
    expect(await keyNow(rig)).toBe(keys[1])
    expect((await post(rig, '/rollbacks', { to: first?.version })).status).toBe(200)
    expect(await keyNow(rig)).toBe(keys[0])
    expect((await post(rig, '/rollbacks', { to: third?.version.slice(0, 8) })).status).toBe(200)
    expect(await keyNow(rig)).toBe(keys[2])
    expect((await post(rig, '/rollbacks', { to: second?.fingerprint })).status).toBe(200)
    expect(await keyNow(rig)).toBe(keys[1])
    const same = await post(rig, '/rollbacks', { to: second?.version })
    expect([same.status, same.body.code]).toEqual([409, 'conflict'])

    rig.sandbox.deleteKey(first?.keyId ?? '')
    const dead = await post(rig, '/rollbacks', { to: first?.version })
    expect([dead.status, dead.body.code]).toEqual([409, 'version_not_live'])
    const unknown = await post(rig, '/rollbacks', { to: 'nothing-like-it' })
    expect([unknown.status, unknown.body.code]).toEqual([404, 'not_found'])
    expect(await keyNow(rig)).toBe(keys[1])
    // The store agrees, so that a restart hands out the same.
    const stored = await untilTold(rig)
    expect(stored.current?.version).toBe(second?.version)
  })

  it('cuts the overlap of what it takes back short: it is not revoked afterwards', async () => {
    // The rollback has to come within the overlap.
    const rig = await started({ policy: { overlap: '8s' } })
    const before = await keyNow(rig)
    await untilPromoted(rig, (await rotate(rig)).id)
    expect((await post(rig, '/rollbacks')).status).toBe(200)
    const { retirements } = await until(
      'the newer key is dead',
      () => summary(rig),
      (one) => one.retirements.some(({ phase }) => phase === 'dead'),
      60_000,
    )
    expect(retirements.filter(({ phase }) => phase === 'dead')).toHaveLength(1)
    expect(await keyNow(rig)).toBe(before)
    expect(rig.sandbox.isAlive(before)).toBe(true)
  }, 90_000)
})

describe('bring', () => {
  it('with a person as issuer: from an empty store to current, and the next one after it', async () => {
    const rig = await prepareRig({ credential: manual })
    await serveRig(rig)
    const empty = await until(
      'it says what is missing',
      () => handOut(rig),
      ({ body }) => body.fix?.includes('keyturn bring') === true,
    )
    expect(empty.status).toBe(503)
    const first = rig.sandbox.createUserKey()
    expect((await runCli(rig, ['bring', 'openai'], { stdin: `${first.value}\n` })).code).toBe(0)
    await untilReady(rig)
    expect(await keyNow(rig)).toBe(first.value)

    const waiting = await rotate(rig)
    await rotationIn(rig, 'awaiting')
    const second = rig.sandbox.createUserKey()
    expect((await runCli(rig, ['bring', 'openai'], { stdin: second.value })).code).toBe(0)
    expect((await untilPromoted(rig, waiting.id)).outcome).toBe('promoted')
    expect(await keyNow(rig)).toBe(second.value)
    // What a person made, a person deletes.
    const { retirements, versions } = await summary(rig)
    expect(retirements[0]?.phase).toBe('kept')
    expect(rig.sandbox.isAlive(first.value)).toBe(true)
    expect(versions.map((one) => one.origin)).toEqual(['brought', 'brought'])
  })

  it('refuses what is no key, a key that is there already, and a key that is not ours or dead', async () => {
    const rig = await prepareRig({ credential: manual, policy: { activationGrace: '0s' } })
    await serveRig(rig)
    const { value } = rig.sandbox.createUserKey()
    for (const apiKey of [
      '',
      ' ',
      'your-api-key',
      rig.sandbox.adminKey(),
      ['sk', 'ant', 'a1'.repeat(40)].join('-'),
      `"${value}"`,
      `${value}\n${value}`,
    ]) {
      const refused = await post(rig, '/versions', { apiKey })
      expect(refused.status).toBe(400)
      expect(refused.body.fix).not.toBe('')
    }
    expect((await summary(rig)).rotation).toBeNull()
    expect((await post(rig, '/versions', { apiKey: value })).status).toBe(201)
    await untilReady(rig)
    const twin = await post(rig, '/versions', { apiKey: value })
    expect([twin.status, twin.body.code]).toEqual([409, 'conflict'])

    const foreign = rig.sandbox.createServiceAccountKey({
      serviceAccount: rig.sandbox.other.serviceAccount,
      project: rig.sandbox.other.project,
    })
    const dead = rig.sandbox.createUserKey()
    rig.sandbox.deleteKey(dead.id)
    for (const apiKey of [foreign.value, dead.value]) {
      expect((await post(rig, '/versions', { apiKey })).status).toBe(201)
      const { rotation } = await rotationIn(rig, 'halted')
      expect(rotation?.halt?.fix).not.toBe('')
      expect(await keyNow(rig)).toBe(value)
      expect((await runCli(rig, ['abort', 'openai'])).code).toBe(0)
      await rotationIn(rig, 'done')
    }
    await untilTold(rig)
  }, 60_000)
})

describe('revoke', () => {
  it('a previous key dies at once; the current one gives way to a live one first', async () => {
    const rig = await started({ policy: longOverlap })
    const first = await keyNow(rig)
    await untilPromoted(rig, (await rotate(rig)).id)
    const second = await keyNow(rig)
    await untilPromoted(rig, (await rotate(rig)).id)
    const third = await keyNow(rig)
    const { versions } = await summary(rig)
    const idOf = (place: number): string => versions[place]?.version ?? ''

    expect(
      (await runCli(rig, ['revoke', 'openai', idOf(2).slice(0, 8), '--reason', 'found in a log'])).code,
    ).toBe(0)
    await until(
      'it is dead',
      () => rig.sandbox.isAlive(first),
      (alive) => !alive,
    )
    expect(await keyNow(rig)).toBe(third)
    expect((await post(rig, `/versions/${idOf(0)}/revocations`)).status).toBe(202)
    expect(await keyNow(rig)).toBe(second)
    const { retirements } = await until(
      'all walks have ended',
      () => summary(rig),
      (one) => one.retirements.every(({ endedAt }) => endedAt !== null),
    )
    expect(retirements.map((one) => one.phase).toSorted()).toEqual(['dead', 'dead', 'kept'])
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
    expect(rig.sandbox.isAlive(second)).toBe(true)
  }, 60_000)

  it('the last working key: refused; with a typed confirmation it goes, and apps are told', async () => {
    const rig = await started()
    const only = await keyNow(rig)
    const version = (await summary(rig)).current?.version ?? ''
    const refused = await runCli(rig, ['revoke', 'openai', version])
    expect(refused.code).toBe(3)
    expect(refused.err).toMatch(/last working key[^]*--even-if-last/)
    expect((await runCli(rig, ['revoke', 'openai', version, '--even-if-last'])).code).toBe(3)
    const wrong = await post(rig, `/versions/${version}/revocations`, {
      evenIfLast: true,
      confirm: 'another',
    })
    expect([wrong.status, wrong.body.code]).toEqual([409, 'confirmation_needed'])
    expect(rig.sandbox.isAlive(only)).toBe(true)

    const { generation } = (await handOut(rig)).body
    expect(
      (await runCli(rig, ['revoke', 'openai', version, '--even-if-last', '--confirm', 'openai'])).code,
    ).toBe(0)
    const gone = await handOut(rig)
    expect([gone.status, gone.body.code]).toEqual([503, 'no_verified_key'])
    await until(
      'it is dead',
      () => rig.sandbox.isAlive(only),
      (alive) => !alive,
    )
    await untilTold(rig, ['no_verified_key'])
    await untilPromoted(rig, (await rotate(rig)).id)
    const back = await handOut(rig)
    expect(back.status).toBe(200)
    expect(back.body.generation).toBeGreaterThan(generation)
    await untilAllDead(rig)
    await untilTold(rig)
  }, 60_000)
})

it('verify proves the current key now, and status and versions show it', async () => {
  const rig = await started({ policy: { verifyEvery: '1h', verifyCloselyEvery: '1h' } })
  const before = (await handOut(rig)).body.verifiedAt
  expect((await runCli(rig, ['verify', 'openai'])).code).toBe(0)
  expect((await handOut(rig)).body.verifiedAt > before).toBe(true)
  rig.sandbox.set({ errorStatus: 500 })
  expect((await runCli(rig, ['verify', 'openai'])).code).toBe(1)
  rig.sandbox.set({ errorStatus: null, billing: 'insufficient_quota', billingOnModels: true })
  expect((await runCli(rig, ['verify', 'openai'])).code).toBe(3)
  expect((await runCli(rig, ['versions', 'openai'])).out).toMatch(/current/)
})

it('a lease holds the old key, and dropping it lets go', async () => {
  const rig = await started()
  const before = await keyNow(rig)
  const asWorker = { authorization: `Bearer ${rig.appToken()}`, 'keyturn-instance': 'worker-1' }
  await fetch(rig.url + at, { headers: asWorker })
  await untilPromoted(rig, (await rotate(rig)).id)
  const held = await until(
    'the lease holds it',
    () => summary(rig),
    ({ retirements }) => retirements[0]?.heldBy?.includes('worker-1') === true,
  )
  expect(held.retirements[0]?.phase).toBe('draining')
  expect(rig.sandbox.isAlive(before)).toBe(true)
  const { body } = await call<{ items: { instance: string }[] }>(rig, `${at}/leases`)
  expect(body.items.map((one) => one.instance)).toEqual(['worker-1'])
  const dropped = await fetch(`${rig.url}${at}/leases/worker-1`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${rig.operatorToken()}` },
  })
  expect(dropped.status).toBe(204)
  await untilAllDead(rig)
  expect(rig.sandbox.isAlive(before)).toBe(false)
})

it('tick on a home where nothing runs: the first key, and a rotation by repeated ticks', async () => {
  const rig = await prepareRig({ policy: { overlap: '300ms', quiet: '0s' } })
  const first = await runCli(rig, ['tick', '--json'])
  expect(first.code).toBe(0)
  const [made] = (JSON.parse(first.out) as { items: CredentialSummary[] }).items
  expect(made?.current?.check?.verdict).toBe('valid')

  // Asked for while a service ran that has gone since.
  const service = await serveRig(rig)
  await untilReady(rig)
  const before = await keyNow(rig)
  await rotate(rig)
  await service.stop()
  const last = await until(
    'ticks have brought it to its end',
    async () =>
      (JSON.parse((await runCli(rig, ['tick', '--json'])).out) as { items: CredentialSummary[] }).items[0],
    (one) => one?.rotation?.outcome === 'promoted' && one.retirements.every(({ phase }) => phase === 'dead'),
    90_000,
  )
  expect(last?.retirements).toHaveLength(1)
  expect(rig.sandbox.isAlive(before)).toBe(false)
  expect(aliveKeys(rig.sandbox)).toHaveLength(1)
}, 150_000)

describe('stores that somebody else writes', () => {
  it('from the environment nothing is turned, brought or revoked, and each refusal says what to do instead', async () => {
    const rig = await prepareRig({
      credential: (sandbox) => [
        'store: { kind: env }',
        `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
      ],
    })
    const key = rig.sandbox.createUserKey()
    await serveRig(rig, { OPENAI_API_KEY: key.value })
    await untilReady(rig)
    const { current, rotatesAt } = await summary(rig)
    expect(rotatesAt).toBeNull()
    const refusals = [
      await post(rig, '/rotations'),
      await post(rig, '/rotations', { mode: 'emergency' }),
      await post(rig, '/versions', { apiKey: rig.sandbox.createUserKey().value }),
    ]
    for (const { status, body } of refusals) {
      expect([status, body.code]).toEqual([409, 'store_read_only'])
      expect(body.fix).toMatch(/by hand/)
    }
    const revoked = await post(rig, `/versions/${current?.version}/revocations`)
    expect(revoked.status).toBe(409)
    expect(revoked.body.fix).not.toMatch(/keyturn rotate/)
    expect(await keyNow(rig)).toBe(key.value)
  })

  it('a key that is replaced in a file is proven and taken up; the old one is left to its owner', async () => {
    const rig = await prepareRig({
      credential: (sandbox) => [
        'store: { kind: file }',
        'ref: key.txt',
        `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
      ],
      // The watch on the file has to tell; no poll comes to its help.
      policy: { storePoll: '1d' },
    })
    const put = (value: string): void => writeFileSync(join(rig.home, 'key.txt'), value, { mode: 0o600 })
    const first = rig.sandbox.createUserKey()
    put(first.value)
    await serveRig(rig)
    await untilReady(rig)
    const { generation } = (await handOut(rig)).body
    const second = rig.sandbox.createUserKey()
    put(second.value)
    const taken = await until(
      'the new one is handed out',
      () => handOut(rig),
      ({ body }) => body.apiKey === second.value,
    )
    expect(taken.body.generation).toBeGreaterThan(generation)
    const { retirements } = await untilTold(rig)
    expect(retirements.map((one) => one.phase)).toEqual(['kept'])
    expect(rig.sandbox.isAlive(first.value)).toBe(true)

    put('half a k')
    await until(
      'the broken one is told',
      () => summary(rig),
      (one) => one.troubles.length > 0,
    )
    expect(await keyNow(rig)).toBe(second.value)
    put(first.value)
    await until(
      'the first one is handed out again',
      () => handOut(rig),
      ({ body }) => body.apiKey === first.value,
    )
    await untilTold(rig)
  })

  it('a foreign key planted in the local store: alarmed, never handed out, also after a restart; a rotation replaces it', async () => {
    const rig = await prepareRig({ policy: longOverlap })
    const service = await serveRig(rig)
    await untilReady(rig)
    const before = await keyNow(rig)
    const foreign = rig.sandbox.createServiceAccountKey({
      serviceAccount: rig.sandbox.other.serviceAccount,
      project: rig.sandbox.other.project,
    })
    await plant(rig, 'planted', foreign.value)
    const seen = new Set<string>()
    await until(
      'it is alarmed',
      async () => {
        seen.add(await keyNow(rig))
        return await summary(rig)
      },
      ({ troubles }) => troubles.some((one) => one.code === 'store_changed'),
    )
    await service.stop()
    await serveRig(rig)
    await untilReady(rig)
    seen.add(await keyNow(rig))
    // At first it is the last-known-good file that answers, which is told too.
    const { rotation } = await untilTold(rig, ['store_changed'])
    seen.add(await keyNow(rig))
    expect(rotation?.requestedBy).toBe('start')
    expect([...seen]).toEqual([before])

    const { id } = await rotate(rig, { reason: 'replace what was planted' })
    expect((await untilPromoted(rig, id)).outcome).toBe('promoted')
    const after = await keyNow(rig)
    expect([before, foreign.value]).not.toContain(after)
    await untilTold(rig)
    expect(rig.sandbox.isAlive(foreign.value)).toBe(true)
  }, 60_000)

  it('another key of ours in the local store is proven, taken up, and what it replaced is retired as usual', async () => {
    const rig = await prepareRig()
    await serveRig(rig)
    await untilReady(rig)
    const before = await keyNow(rig)
    const own = rig.sandbox.createServiceAccountKey()
    await plant(rig, 'by-hand', own.value)
    await until(
      'it is handed out',
      () => handOut(rig),
      ({ body }) => body.apiKey === own.value,
    )
    await untilAllDead(rig)
    expect(rig.sandbox.isAlive(before)).toBe(false)
    expect(rig.sandbox.isAlive(own.value)).toBe(true)
    const { id } = await rotate(rig)
    await untilPromoted(rig, id)
    // Keyturn did not make it, so it is not revoked unless somebody says so.
    expect(rig.sandbox.isAlive(own.value)).toBe(true)
    const { versions } = await summary(rig)
    const found = versions.find((one) => one.version === 'by-hand')
    expect((await runCli(rig, ['revoke', 'openai', found?.version ?? '', '--confirm', 'openai'])).code).toBe(
      0,
    )
    await until(
      'it is dead',
      () => rig.sandbox.isAlive(own.value),
      (alive) => !alive,
    )
  }, 90_000)
})
