import { Agent, get } from 'node:http'
import { describe, expect, test } from 'vitest'
import { ask, open, START, sdk, virtualClock } from './support.ts'

const project = (id: string) => ({ project_id: id })

async function lagging(knobs: Record<string, unknown>) {
  const clock = virtualClock()
  const sandbox = await open({ now: clock.now, knobs })
  /** What each of the three edges says about a key, in order. */
  const statuses = async (key: string) => {
    const all: number[] = []
    for (let edge = 0; edge < 3; edge += 1)
      all.push((await ask(sandbox, '/models', { key, headers: { 'x-sandbox-edge': String(edge) } })).status)
    return all
  }
  return { clock, sandbox, statuses }
}

describe('edges learn at their own pace', () => {
  test('of a new key', async () => {
    const { clock, sandbox, statuses } = await lagging({ activationMs: [0, 100, 5_000] })
    const { serviceAccounts } = sdk(sandbox, 'unused').admin.organization.projects
    const { value } = await serviceAccounts.apiKeys.create(sandbox.serviceAccount, project(sandbox.project))
    expect(await statuses(value)).toEqual([200, 401, 401])
    clock.advance(100)
    expect(await statuses(value)).toEqual([200, 200, 401])
    clock.advance(4_900)
    expect(await statuses(value)).toEqual([200, 200, 200])
  })

  test('of a deletion, while the truth is known at once', async () => {
    const { clock, sandbox, statuses } = await lagging({ revocationMs: [0, 2_000, 9_000] })
    const key = sandbox.createServiceAccountKey()
    const { apiKeys } = sdk(sandbox, 'unused').admin.organization.projects
    await apiKeys.delete(key.id, project(sandbox.project))
    expect(sandbox.isAlive(key.value)).toBe(false)
    expect(await statuses(key.value)).toEqual([401, 200, 200])
    clock.advance(2_000)
    expect(await statuses(key.value)).toEqual([401, 401, 200])
    clock.advance(7_000)
    expect(await statuses(key.value)).toEqual([401, 401, 401])
  })

  test('of new scopes and a new expiry', async () => {
    const { clock, sandbox, statuses } = await lagging({ updateMs: [0, 60_000, 900_000] })
    const key = sandbox.createServiceAccountKey()
    const { apiKeys } = sdk(sandbox, 'unused').admin.organization.projects
    await apiKeys.update(key.id, { ...project(sandbox.project), scopes: ['api.files.read'] })
    expect(await statuses(key.value)).toEqual([403, 200, 200])
    clock.advance(60_000)
    expect(await statuses(key.value)).toEqual([403, 403, 200])
    await apiKeys.update(key.id, { ...project(sandbox.project), scopes: [], expires_in_seconds: 1 })
    clock.advance(1_000)
    expect(await statuses(key.value)).toEqual([401, 403, 200])
    clock.advance(900_000)
    expect(await statuses(key.value)).toEqual([401, 401, 401])
  })

  test('of the last use, which the list shows late', async () => {
    const { clock, sandbox } = await lagging({ lastUsedLagMs: 10_000 })
    const key = sandbox.createServiceAccountKey()
    const { apiKeys } = sdk(sandbox, 'unused').admin.organization.projects
    const shown = async () => (await apiKeys.retrieve(key.id, project(sandbox.project))).last_used_at
    await ask(sandbox, '/models', { key: key.value })
    expect(await shown()).toBeNull()
    clock.advance(8_000)
    await ask(sandbox, '/models', { key: key.value })
    clock.advance(2_000)
    expect(await shown()).toBe(START / 1000)
    clock.advance(8_000)
    expect(await shown()).toBe(START / 1000 + 8)
    expect(sandbox.keys().find((entry) => entry.id === key.id)?.lastUsedAt).toBe(START + 8_000)
  })

  test('of lists, which miss a new key and still hold a deleted one', async () => {
    const { clock, sandbox } = await lagging({ listLagMs: 1_000 })
    const { serviceAccounts, apiKeys } = sdk(sandbox, 'unused').admin.organization.projects
    const { id } = await serviceAccounts.apiKeys.create(sandbox.serviceAccount, project(sandbox.project))
    const count = async () => (await apiKeys.list(sandbox.project)).data.length
    expect(await count()).toBe(0)
    clock.advance(1_000)
    expect(await count()).toBe(1)
    sandbox.deleteKey(id)
    expect(await count()).toBe(1)
    clock.advance(1_000)
    expect(await count()).toBe(0)
  })
})

test('a key that was used thousands of times still tells its last use, near enough for any lag', async () => {
  const { clock, sandbox } = await lagging({ lastUsedLagMs: 100_000 })
  const key = sandbox.createServiceAccountKey()
  for (let use = 0; use < 500; use += 1) {
    await ask(sandbox, '/models', { key: key.value })
    clock.advance(1_000)
  }
  const { apiKeys } = sdk(sandbox, 'unused').admin.organization.projects
  const shown = (await apiKeys.retrieve(key.id, project(sandbox.project))).last_used_at ?? 0
  expect(shown).toBeLessThanOrEqual(START / 1000 + 400)
  expect(shown).toBeGreaterThan(START / 1000 + 350)
})

test('requests take turns at the edges, or a connection stays with its edge', async () => {
  const sandbox = await open()
  const { value: key } = sandbox.createServiceAccountKey()
  for (let turn = 0; turn < 6; turn += 1) await ask(sandbox, '/models', { key })
  expect(sandbox.requests().map((request) => request.edge)).toEqual([0, 1, 2, 0, 1, 2])
  sandbox.set({ routing: 'connection' })
  const edgesOver = async (agent: Agent) => {
    const before = sandbox.requests().length
    for (let turn = 0; turn < 3; turn += 1)
      await new Promise((resolve, reject) => {
        get(`${sandbox.baseUrl}/models`, { agent }, (response) => response.resume().on('end', resolve)).on(
          'error',
          reject,
        )
      })
    agent.destroy()
    return new Set(
      sandbox
        .requests()
        .slice(before)
        .map((request) => request.edge),
    ).size
  }
  expect(await edgesOver(new Agent({ keepAlive: false }))).toBe(3)
  expect(await edgesOver(new Agent({ keepAlive: true, maxSockets: 1 }))).toBe(1)
})
