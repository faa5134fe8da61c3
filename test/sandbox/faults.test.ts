import { connect } from 'node:net'
import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai'
import { describe, expect, test } from 'vitest'
import type { Knobs, Sandbox } from '../../src/sandbox/index.ts'
import { ask, chatBody, open, responseBody, sdk, virtualClock } from './support.ts'

async function ready(knobs: Partial<Knobs> = {}) {
  const clock = virtualClock()
  const sandbox = await open({ now: clock.now, knobs })
  const { id, value: key } = sandbox.createServiceAccountKey()
  return { sandbox, clock, id, key, client: sdk(sandbox, key) }
}

const projectsOf = (sandbox: Sandbox) => sdk(sandbox, 'unused').admin.organization.projects

describe('instead of OpenAI', () => {
  test.each([200, 401, 403, 502] as const)(
    'a proxy page with status %s and no request id',
    async (status) => {
      const { sandbox, key } = await ready({ proxyPage: status })
      const answer = await ask(sandbox, '/models', { key })
      expect(answer.status).toBe(status)
      expect(answer.headers.get('content-type')).toContain('text/html')
      expect(answer.headers.has('x-request-id')).toBe(false)
      expect(answer.headers.has('www-authenticate')).toBe(status === 401)
    },
  )

  test('a redirect to elsewhere', async () => {
    const { sandbox, key } = await ready({ redirectTo: 'http://elsewhere.invalid/' })
    const answer = await ask(sandbox, '/models', { key })
    expect([answer.status, answer.headers.get('location')]).toEqual([302, 'http://elsewhere.invalid/'])
  })

  test('silence, until the caller gives up', async () => {
    const { sandbox, key } = await ready({ hang: true })
    const client = sdk(sandbox, key, { timeout: 50 })
    await expect(client.models.list()).rejects.toThrow(APIConnectionTimeoutError)
    expect(sandbox.requests().at(-1)?.status).toBeUndefined()
  })

  test.each(['reset', 'reset_midway', 'truncated', 'not_json'] as const)('%s', async (kind) => {
    const { sandbox, key } = await ready({ faults: [{ kind, times: 2 }] })
    await expect(ask(sandbox, '/models', { key })).rejects.toThrow(Error)
    await expect(ask(sandbox, '/models', { key })).rejects.toThrow(Error)
    expect((await ask(sandbox, '/models', { key })).status).toBe(200)
  })

  test.each(['reset_midway', 'truncated'] as const)('a stream that ends early: %s', async (kind) => {
    const { sandbox, key } = await ready({ faults: [{ kind }] })
    const body = { ...chatBody, stream: true }
    await expect(ask(sandbox, '/chat/completions', { key, body })).rejects.toThrow(Error)
  })

  test('time, which passes before the answer', async () => {
    const { sandbox, key } = await ready({ latencyMs: 30 })
    const began = performance.now()
    await ask(sandbox, '/models', { key })
    expect(performance.now() - began).toBeGreaterThanOrEqual(25)
  })
})

describe('faults are aimed', () => {
  test('by path, method, key and edge, and count down', async () => {
    const { sandbox, key, id } = await ready()
    const other = sandbox.createServiceAccountKey().value
    const kind = 'server_error'
    const status = async (secret: string, path = '/models') =>
      (await ask(sandbox, path, { key: secret, headers: { 'x-sandbox-edge': '1' } })).status
    sandbox.set({ faults: [{ kind, match: { keyId: id } }] })
    expect([await status(key), await status(other)]).toEqual([500, 200])
    sandbox.set({ faults: [{ kind, match: { path: '/models/.+' } }] })
    expect([await status(key), await status(key, '/models/gpt-5')]).toEqual([200, 500])
    sandbox.set({ faults: [{ kind, match: { method: 'POST' } }] })
    expect(await status(key)).toBe(200)
    sandbox.set({ faults: [{ kind, edge: 2 }] })
    expect(await status(key)).toBe(200)
    sandbox.set({ faults: [{ kind, edge: 1, times: 1 }] })
    expect([await status(key), await status(key)]).toEqual([500, 200])
    expect(sandbox.knobs().faults).toEqual([])
    sandbox.set({ hang: true })
    sandbox.reset()
    expect(await status(key)).toBe(200)
  })
})

describe('lost answers', () => {
  test.each(['reset', 'server_error', 'proxy_page', 'hang'] as const)('of a mint, by %s', async (form) => {
    const { sandbox } = await ready({ loseAnswers: { mint: 1 }, loseAnswersBy: form })
    const before = sandbox.keys().length
    const callers = new AbortController()
    const mint = (options = {}) =>
      projectsOf(sandbox).serviceAccounts.apiKeys.create(
        sandbox.serviceAccount,
        { project_id: sandbox.project, name: 'marker' },
        { timeout: 20_000, ...options },
      )
    const made = () => sandbox.keys().filter((key) => key.name === 'marker')
    const lost = expect(mint({ signal: callers.signal })).rejects.toThrow(APIError)
    if (form === 'hang') {
      // Whoever gave up by the clock could do so before the request had arrived.
      while (made().length === 0) await new Promise((resolve) => setImmediate(resolve))
      callers.abort()
    }
    await lost
    expect(made()).toHaveLength(1)
    expect(sandbox.keys()).toHaveLength(before + 1)
    expect((await mint()).value).toBeTypeOf('string')
    expect(sandbox.knobs().loseAnswers).toEqual({ mint: 0 })
  })

  test('of a deletion and of an update', async () => {
    const { sandbox, id } = await ready({ loseAnswers: { delete: 1, update: 1 } })
    const { apiKeys } = projectsOf(sandbox)
    const project_id = sandbox.project
    await expect(apiKeys.update(id, { project_id, expires_in_seconds: 60 })).rejects.toThrow(APIError)
    expect(sandbox.keys().find((key) => key.id === id)?.expiresAt).toBeTypeOf('number')
    await expect(apiKeys.delete(id, { project_id })).rejects.toThrow(APIError)
    expect(sandbox.isAlive(id)).toBe(false)
  })

  test('a refused write uses up none', async () => {
    const { sandbox } = await ready({ loseAnswers: { mint: 1 }, refuseNewKeys: true })
    const { serviceAccounts } = projectsOf(sandbox)
    const mint = serviceAccounts.apiKeys.create(sandbox.serviceAccount, { project_id: sandbox.project })
    await expect(mint).rejects.toMatchObject({ status: 400 })
    expect(sandbox.knobs().loseAnswers).toEqual({ mint: 1 })
  })

  test('a late mint fails for the caller and lands later', async () => {
    const { sandbox, clock } = await ready({ lateMints: 1, lateMintMs: 60_000 })
    const { serviceAccounts, apiKeys } = projectsOf(sandbox)
    const project_id = sandbox.project
    const mint = serviceAccounts.apiKeys.create(sandbox.serviceAccount, { project_id, name: 'late' })
    await expect(mint).rejects.toThrow(APIConnectionError)
    const names = async () => (await apiKeys.list(sandbox.project)).data.map((key) => key.name)
    clock.advance(59_999)
    expect(await names()).not.toContain('late')
    clock.advance(1)
    expect(await names()).toContain('late')
    expect(sandbox.keys().find((key) => key.name === 'late')?.state).toBe('alive')
  })

  test('a late deletion leaves the key alive for a while', async () => {
    const { sandbox, clock, id } = await ready({
      faults: [{ kind: 'apply_late', ms: 1_000, match: { method: 'DELETE' } }],
    })
    const deletion = projectsOf(sandbox).apiKeys.delete(id, { project_id: sandbox.project })
    await expect(deletion).rejects.toThrow(APIConnectionError)
    expect(sandbox.isAlive(id)).toBe(true)
    clock.advance(999)
    expect(sandbox.isAlive(id)).toBe(true)
    clock.advance(1)
    expect(sandbox.isAlive(id)).toBe(false)
    const second = sandbox.createServiceAccountKey().id
    const late = projectsOf(sandbox).apiKeys.delete(second, { project_id: sandbox.project })
    await expect(late).rejects.toThrow(APIConnectionError)
    sandbox.deleteKey(second)
    expect(sandbox.isAlive(second)).toBe(false)
  })
})

describe('closing', () => {
  test('writes a slow stream to its end and cuts what hangs', async () => {
    const { sandbox, client, key } = await ready({ streamChunks: 100, streamChunkDelayMs: 60_000 })
    const stream = await client.responses.create({ ...responseBody, stream: true })
    const types: string[] = []
    const hung: Promise<unknown>[] = []
    for await (const event of stream) {
      types.push(event.type)
      if (event.type === 'response.created') {
        sandbox.set({ hang: true })
        hung.push(expect(ask(sandbox, '/models', { key })).rejects.toThrow(Error))
        while (sandbox.requests().length < 2) await new Promise((resolve) => setImmediate(resolve))
        hung.push(sandbox.close())
      }
    }
    await Promise.all(hung)
    expect(types.at(-1)).toBe('response.completed')
    await expect(ask(sandbox, '/models', { key })).rejects.toThrow(Error)
    await sandbox.close()
  })

  test('survives callers that leave in the middle of a stream', async () => {
    const { sandbox, client, key } = await ready({ streamChunks: 1_000, streamChunkDelayMs: 1 })
    const stream = await client.responses.create({ ...responseBody, stream: true })
    for await (const event of stream) if (event.type === 'response.output_text.delta') break
    expect((await ask(sandbox, '/models', { key })).status).toBe(200)
    await sandbox.close()
  })

  test('does not wait for connections that never send a request', async () => {
    const { sandbox } = await ready()
    const { hostname, port } = new URL(sandbox.url)
    const socket = connect(Number(port), hostname)
    await new Promise((resolve) => {
      socket.once('connect', resolve)
    })
    const ended = new Promise((resolve) => {
      socket.once('close', resolve)
      socket.once('error', resolve)
    })
    await sandbox.close()
    await ended
  })
})
