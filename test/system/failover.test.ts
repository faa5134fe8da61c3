import OpenAI from 'openai'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/client/create-client.ts'
import type { CredentialEvent } from '../../src/core/types.ts'
import { openEmbedded } from '../../src/main.ts'
import {
  aliveKeys,
  call,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summary,
  until,
  untilPromoted,
  untilReady,
  untilTold,
} from './harness.ts'
import { serveRig } from './in-process.ts'

/** A key is replaced within this in an app that does nothing but call OpenAI. */
const promisedMs = 5_000

/** Edges that forget a deleted key one after another, the last of them a while later. */
const nasty = { revocationMs: [0, 300, 900], activationMs: [0, 40, 90] }
const longOverlap = { overlap: '1h', drainLimit: '2h', verifyEvery: '1m', verifyCloselyEvery: '30s' }

interface Told {
  readonly events: CredentialEvent[]
}

/** Everything that the service told on its stream, replayed from the beginning. */
async function toldBy(rig: Rig): Promise<Told> {
  const ending = new AbortController()
  const events: CredentialEvent[] = []
  const response = await fetch(`${rig.url}/v1/credentials/openai/events`, {
    headers: { authorization: `Bearer ${rig.operatorToken()}`, 'last-event-id': '0' },
    signal: ending.signal,
  })
  onTestFinished(() => ending.abort())
  const read = async (): Promise<void> => {
    let rest = ''
    for await (const chunk of response.body ?? []) {
      rest += Buffer.from(chunk).toString('utf8')
      const parts = rest.split('\n\n')
      rest = parts.pop() ?? ''
      for (const part of parts) {
        const data = /^data: (.*)$/m.exec(part)?.[1]
        if (data !== undefined) events.push(JSON.parse(data) as CredentialEvent)
      }
    }
  }
  read().catch(() => undefined)
  return { events }
}

/** Figures for whoever reads the output. */
function print(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function handedOutKey(rig: Rig): Promise<string> {
  return (await handOut(rig)).body.apiKey
}

async function deleteCurrent(rig: Rig): Promise<void> {
  const { current } = await summary(rig)
  rig.sandbox.deleteKey(current?.keyId ?? '')
}

describe('the current key is deleted at OpenAI during the overlap', () => {
  it('an app through the official SDK has the previous key in time; an alert, one rotation by itself, and nothing comes back', async () => {
    const rig = await prepareRig({ knobs: nasty, policy: longOverlap })
    await serveRig(rig)
    await untilReady(rig)
    const first = await handedOutKey(rig)
    const { id } = await rotate(rig)
    await untilPromoted(rig, id)
    const second = await handedOutKey(rig)
    expect(second).not.toBe(first)

    const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
    onTestFinished(() => client.close())
    const openai = new OpenAI({
      apiKey: client.getOpenAIKey,
      baseURL: rig.sandbox.baseUrl,
      organization: null,
      project: null,
      maxRetries: 0,
      fetch: client.withKeyRefresh(globalThis.fetch),
    })
    await openai.models.list()
    expect(await client.getOpenAIKey()).toBe(second)
    const stream = await toldBy(rig)

    await deleteCurrent(rig)
    const from = performance.now()
    let failures = 0
    await until(
      'the app has another key and it works',
      async () => {
        await openai.models.list().catch(() => (failures += 1))
        return await client.getOpenAIKey()
      },
      (key) => key !== second && rig.sandbox.isAlive(key),
      promisedMs * 2,
    )
    const tookMs = Math.round(performance.now() - from)
    print(`a deleted current key was replaced in the app after ${tookMs} ms; ${failures} failed requests`)
    expect(tookMs).toBeLessThan(promisedMs)
    await openai.models.list()

    await until(
      'a rotation by itself has ended',
      () => summary(rig),
      ({ rotation }) => rotation?.requestedBy === 'failover' && rotation.phase === 'done',
    )
    const { rotation, current, versions } = await untilTold(rig)
    expect(rotation?.outcome).toBe('promoted')
    const third = await handedOutKey(rig)
    expect(third).not.toBe(first)
    expect(third).not.toBe(second)
    expect(rig.sandbox.isAlive(third)).toBe(true)
    const dead = versions.find((one) => one.withdrawnAt !== null)
    expect(dead?.version).not.toBe(current?.version)
    expect(stream.events.some((one) => one.kind === 'alert' && one.data['code'] === 'key_rejected')).toBe(
      true,
    )
    expect(stream.events.filter((one) => one.kind === 'promoted').map((one) => one.data['by'])).toEqual(
      expect.arrayContaining(['failover']),
    )

    // What was withdrawn stays out, whoever asks for it: the rollback proves it first.
    const refused = await call<{ code: string }>(rig, '/v1/credentials/openai/rollbacks', {
      method: 'POST',
      body: { to: dead?.version },
    })
    expect(refused.status).toBe(409)
    expect(refused.body.code).toBe('version_not_live')
  }, 60_000)

  it('plain HTTP: a report is answered with the generation of the key that has taken over', async () => {
    const rig = await prepareRig({ knobs: nasty, policy: longOverlap })
    await serveRig(rig)
    await untilReady(rig)
    const first = await handedOutKey(rig)
    await untilPromoted(rig, (await rotate(rig)).id)
    const { body: before } = await handOut(rig)

    await deleteCurrent(rig)
    const from = performance.now()
    const report = { version: before.version, status: 401, code: 'invalid_api_key' }
    const told = await until(
      'the report is answered with another version',
      () =>
        call<{ generation: number; version: string }>(rig, '/v1/credentials/openai/reports', {
          method: 'POST',
          body: report,
        }),
      ({ body }) => body.version !== before.version,
      promisedMs * 2,
    )
    const tookMs = Math.round(performance.now() - from)
    print(`plain HTTP: reported, failed over and told after ${tookMs} ms`)
    expect(tookMs).toBeLessThan(promisedMs)
    expect(told.body.generation).toBeGreaterThan(before.generation)
    expect((await handOut(rig)).body.apiKey).toBe(first)
  })

  it('nobody reports anything: the service finds out by itself at the next check', async () => {
    const rig = await prepareRig({
      knobs: nasty,
      policy: { ...longOverlap, verifyEvery: '1s', verifyCloselyEvery: '1s' },
    })
    await serveRig(rig)
    await untilReady(rig)
    const first = await handedOutKey(rig)
    await untilPromoted(rig, (await rotate(rig)).id)
    await deleteCurrent(rig)
    await until(
      'the previous key is handed out',
      () => handOut(rig),
      ({ body }) => body.apiKey === first,
      promisedMs,
    )
  })

  it('again and again: rotations that nobody asked for are bounded a day, and the last live key stays handed out', async () => {
    const rig = await prepareRig({
      knobs: { activationMs: 0 },
      policy: {
        ...longOverlap,
        verifyEvery: '1s',
        verifyCloselyEvery: '1s',
        automaticPerDay: 2,
        activationGrace: '0s',
      },
    })
    await serveRig(rig)
    await untilReady(rig)
    // The first key was an automatic rotation too; one more is left for today.
    for (let turn = 0; turn < 2; turn++) await untilPromoted(rig, (await rotate(rig)).id)
    for (let round = 0; round < 3; round++) {
      const dead = await handedOutKey(rig)
      await deleteCurrent(rig)
      await until(
        'another key is handed out',
        () => handOut(rig),
        ({ status, body }) => status === 200 && body.apiKey !== dead,
      )
      await until(
        'nothing is under way',
        () => summary(rig),
        ({ rotation }) => rotation === null || rotation.phase === 'done',
      )
    }
    const { body } = await call<{ items: { requestedBy: string }[] }>(rig, '/v1/credentials/openai/rotations')
    expect(body.items.filter((one) => one.requestedBy === 'failover')).toHaveLength(1)
    expect((await handOut(rig)).status).toBe(200)
    expect(rig.sandbox.isAlive((await handOut(rig)).body.apiKey)).toBe(true)
  }, 60_000)
})

describe('the only key is deleted at OpenAI', () => {
  it('where keys can be minted: an emergency by itself, and the app goes on with the new key', async () => {
    const rig = await prepareRig({
      knobs: { ...nasty, activationMs: 0 },
      policy: { verifyEvery: '1m', verifyCloselyEvery: '30s', activationGrace: '0s' },
    })
    await serveRig(rig)
    await untilReady(rig)
    const only = await handedOutKey(rig)
    const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
    onTestFinished(() => client.close())
    const openai = new OpenAI({ ...(await client.openAIOptions()), maxRetries: 0 })
    await openai.models.list()

    await deleteCurrent(rig)
    const from = performance.now()
    await until(
      'the app has another key',
      async () => {
        await openai.models.list().catch(() => undefined)
        return client.getOpenAIKey()
      },
      (key) => key !== only && rig.sandbox.isAlive(key),
    )
    const tookMs = Math.round(performance.now() - from)
    print(`the only key was deleted: the app has the one minted in an emergency after ${tookMs} ms`)
    expect(tookMs).toBeLessThan(promisedMs)
    await openai.models.list()
    const { rotation } = await summary(rig)
    expect(rotation).toMatchObject({ mode: 'emergency', requestedBy: 'failover' })
    await until(
      'it has ended',
      () => summary(rig),
      (one) => one.rotation?.phase === 'done',
    )
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
    await untilTold(rig)
  })

  it('with keys that a person brings: 503 says to bring one, the app drops the dead one, and bringing one helps', async () => {
    const rig = await prepareRig({
      policy: { verifyEvery: '1s', verifyCloselyEvery: '1s', activationGrace: '0s' },
      credential: (sandbox) => [
        'store: { kind: local }',
        `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
        `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
      ],
    })
    await serveRig(rig)
    const none = await until(
      'there is no key yet',
      () => handOut(rig),
      ({ body }) => body.fix?.includes('keyturn bring') === true,
    )
    expect(none.status).toBe(503)
    const made = rig.sandbox.createUserKey()
    expect(
      (await call(rig, '/v1/credentials/openai/versions', { method: 'POST', body: { apiKey: made.value } }))
        .status,
    ).toBe(201)
    await untilReady(rig)
    const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
    onTestFinished(() => client.close())
    expect(await client.getOpenAIKey()).toBe(made.value)

    rig.sandbox.deleteKey(made.id)
    const { body } = await until(
      'nothing is handed out',
      () => handOut(rig),
      ({ status, body: { code } }) => status === 503 && code === 'no_verified_key',
    )
    expect(body.code).toBe('no_verified_key')
    expect(body.fix).toBe('Bring a working key: keyturn bring openai < key.txt')
    await until(
      'the app no longer gets the dead key',
      () => client.getOpenAIKey().catch((error: { code?: string }) => error.code),
      (key) => key === 'no_verified_key',
    )
    const { rotation, troubles } = await summary(rig)
    expect(rotation?.requestedBy).not.toBe('failover')
    expect(troubles[0]).toMatchObject({ code: 'no_verified_key', fix: body.fix })

    const next = rig.sandbox.createUserKey()
    expect(
      (await call(rig, '/v1/credentials/openai/versions', { method: 'POST', body: { apiKey: next.value } }))
        .status,
    ).toBe(201)
    await until(
      'the app has the new key',
      () => client.getOpenAIKey(),
      (key) => key === next.value,
    )
    await untilTold(rig)
  }, 60_000)

  it('from the environment: 503 says to change it where it is, and names no command that cannot help', async () => {
    const rig = await prepareRig({
      policy: { verifyEvery: '1s', verifyCloselyEvery: '1s' },
      credential: (sandbox) => [
        'store: { kind: env }',
        `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
      ],
    })
    const key = rig.sandbox.createUserKey()
    await serveRig(rig, { OPENAI_API_KEY: key.value })
    await untilReady(rig)
    rig.sandbox.deleteKey(key.id)
    const { body } = await until(
      'nothing is handed out',
      () => handOut(rig),
      ({ status, body: { code } }) => status === 503 && code === 'no_verified_key',
    )
    expect(body.code).toBe('no_verified_key')
    expect(body.fix).toMatch(/Put a working key where the store/)
    expect(JSON.stringify(await summary(rig))).not.toMatch(/keyturn (rotate|bring)/)
  })

  it('in an app’s own process: the same, and a .env that is changed by hand helps without a restart', async () => {
    const rig = await prepareRig({
      policy: { verifyEvery: '1s', verifyCloselyEvery: '1s' },
      credential: (sandbox, home) => [
        `store: { kind: env, envFile: ${home}/app.env }`,
        `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
      ],
    })
    const { writeFileSync } = await import('node:fs')
    const write = (value: string): void =>
      writeFileSync(`${rig.home}/app.env`, `OPENAI_API_KEY=${value}\n`, { mode: 0o600 })
    const key = rig.sandbox.createUserKey()
    write(key.value)
    const embedded = await openEmbedded({ credential: 'openai', env: rig.env, cwd: rig.home })
    onTestFinished(() => embedded.stop())
    const now = (): string => {
      const given = embedded.handOut()
      return given?.kind === 'available' ? given.secret.reveal() : `unavailable: ${given?.fix ?? ''}`
    }
    await until('it has the key', now, (text) => text === key.value)
    rig.sandbox.deleteKey(key.id)
    const fix = await until('it has none', now, (text) => text.startsWith('unavailable'))
    expect(fix).not.toMatch(/keyturn (rotate|bring)/)
    const next = rig.sandbox.createUserKey()
    write(next.value)
    await until('it has the new key', now, (text) => text === next.value)
  })
})

it('the only key is dead and no other can be minted: the rotation halts, and 503 says why and what to do', async () => {
  const rig = await prepareRig({
    knobs: { activationMs: 0 },
    policy: { verifyEvery: '1s', verifyCloselyEvery: '1s', activationGrace: '0s' },
  })
  await serveRig(rig)
  await untilReady(rig)
  rig.sandbox.set({ refuseNewKeys: true })
  await deleteCurrent(rig)
  const { body } = await until(
    'the refusal is told to apps',
    () => handOut(rig),
    (one) => one.status === 503 && /refused to make a key/.test(one.body.detail),
  )
  expect(body.fix).not.toContain('is minting')
  expect(body.fix).not.toBe('')
  const { troubles } = await untilTold(rig, ['no_verified_key', 'rotation_halted'])
  expect(troubles[0]?.fix).toBe(body.fix)

  rig.sandbox.set({ refuseNewKeys: false })
  const { rotation } = await summary(rig)
  await call(rig, `/v1/credentials/openai/rotations/${rotation?.id}/resume`, { method: 'POST' })
  await untilReady(rig)
  await untilTold(rig)
})

it('one edge that lies once withdraws nothing and starts nothing', async () => {
  const rig = await prepareRig({
    knobs: { activationMs: 0 },
    policy: { ...longOverlap, verifyEvery: '1s', verifyCloselyEvery: '1s', activationGrace: '0s' },
  })
  await serveRig(rig)
  await untilReady(rig)
  await untilPromoted(rig, (await rotate(rig)).id)
  const key = await handedOutKey(rig)
  const { generation } = (await handOut(rig)).body
  for (let lie = 0; lie < 3; lie++) {
    rig.sandbox.set({ faults: [{ kind: 'invalid_api_key', match: { path: 'models' }, times: 1 }] })
    await until(
      'the lie was told',
      () => rig.sandbox.knobs().faults.length,
      (left) => left === 0,
    )
    // A valid verdict may be that of before the lie, which is not noted yet: a second one then would be the second in a row.
    const toldAt = Date.now()
    await until(
      'the key proves itself again',
      () => handOut(rig),
      ({ body }) => body.verdict === 'valid' && Date.parse(body.verifiedAt) > toldAt,
    )
  }
  const after = (await handOut(rig)).body
  expect(after.apiKey).toBe(key)
  expect(after.generation).toBe(generation)
  expect((await summary(rig)).rotation?.requestedBy).toBe('operator-of-this-home')
})
