import { request } from 'node:http'
import { expect, test } from 'vitest'
import { defaultKnobs, type Sandbox } from '../../src/sandbox/index.ts'
import { ask, open } from './support.ts'

async function control(sandbox: Sandbox, path: string, method = 'GET', body?: unknown) {
  const response = await fetch(`${sandbox.url}/_sandbox${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, json: JSON.parse(text) as Record<string, unknown> }
}

test('knobs are read, merged, replaced and reset over HTTP', async () => {
  const sandbox = await open({ knobs: { edges: 2 } })
  expect((await control(sandbox, '/knobs')).json['edges']).toBe(2)
  expect((await control(sandbox, '/knobs', 'PATCH', { hang: true })).json).toMatchObject({
    hang: true,
    edges: 2,
  })
  expect((await control(sandbox, '/knobs', 'PUT', { latencyMs: 1 })).json).toEqual({
    ...defaultKnobs,
    latencyMs: 1,
  })
  expect((await control(sandbox, '/knobs', 'DELETE')).json['edges']).toBe(2)
})

test.each([
  [{ activation: 5 }, /There is no knob "activation"\. Did you mean "activationMs"\?/],
  [{ zzz: 5 }, /^There is no knob "zzz"\.$/],
  [{ edges: 0 }, /"edges" must be a whole number from 1 to 16/],
  [{ billing: 'broke' }, /"billing" must be one of "credit_balance_exhausted"/],
  [{ revocationMs: [] }, /"revocationMs" must be milliseconds/],
  [{ faults: [{ kind: 'nonsense' }] }, /"faults" must be a list of faults whose kind is one of/],
  [{ faults: [{ kind: 'hang', when: 1 }] }, /without "when"/],
  [{ faults: [{ kind: 'hang', match: { path: '(' } }] }, /valid regular expression/],
  [{ faults: [{}] }, /have a kind/],
  [{ loseAnswers: { read: 1 } }, /counts by create, mint, update, delete/],
  [[], /must be a JSON object/],
])('%j is refused by name, and nothing changes', async (patch, message) => {
  const sandbox = await open()
  const before = sandbox.knobs()
  const answer = await control(sandbox, '/knobs', 'PATCH', patch)
  expect(answer.status).toBe(400)
  expect((answer.json['error'] as { message: string }).message).toMatch(message)
  expect(() => sandbox.set(patch as object)).toThrow(TypeError)
  expect(sandbox.knobs()).toEqual(before)
})

test('every default knob passes its own check', async () => {
  const sandbox = await open()
  sandbox.set(defaultKnobs)
  expect(sandbox.knobs()).toEqual(defaultKnobs)
})

test('state and requests tell everything but the keys, also while everything hangs', async () => {
  const sandbox = await open()
  const key = sandbox.createServiceAccountKey({ name: 'seen' })
  await ask(sandbox, '/models?x=1', { key: key.value })
  await ask(sandbox, '/models', { key: `not-${'a'.repeat(30)}` })
  sandbox.set({ hang: true })
  const state = await control(sandbox, '/state')
  const requests = await control(sandbox, '/requests')
  expect(state.json['keys']).toContainEqual(sandbox.keys().find((entry) => entry.id === key.id))
  expect(requests.json['requests']).toMatchObject([
    { path: '/v1/models', status: 200, keyId: key.id, edge: 0 },
    { path: '/v1/models', status: 401, keyId: null, edge: 1 },
  ])
  for (const text of [state.text, requests.text])
    for (const secret of [key.value, sandbox.adminKey()]) expect(text).not.toContain(secret.slice(12, 60))
})

test('a key can be taken away from outside', async () => {
  const sandbox = await open()
  const key = sandbox.createServiceAccountKey()
  expect((await control(sandbox, `/keys/${key.id}`, 'DELETE')).status).toBe(200)
  expect(sandbox.isAlive(key.id)).toBe(false)
  expect((await control(sandbox, '/keys/key_none', 'DELETE')).status).toBe(404)
  expect((await control(sandbox, '/nothing')).status).toBe(404)
})

test('a Host that is not this machine is refused', async () => {
  const sandbox = await open()
  const statusUnder = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${sandbox.url}/_sandbox/knobs`, { headers: { host } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  expect(await statusUnder('attacker.invalid')).toBe(403)
  expect(await statusUnder('localhost:1')).toBe(200)
  expect(await statusUnder('localhost.attacker.invalid')).toBe(403)
})

test('the request log is bounded', async () => {
  const sandbox = await open()
  for (let batch = 0; batch < 21; batch += 1)
    await Promise.all(Array.from({ length: 100 }, () => ask(sandbox, '/models')))
  expect(sandbox.requests()).toHaveLength(2_000)
})
