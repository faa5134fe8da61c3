import type OpenAI from 'openai'
import { APIError } from 'openai'
import { describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { ask, open, START, sdk, virtualClock } from './support.ts'

const admin = (sandbox: Sandbox) => sdk(sandbox, 'unused').admin.organization

async function refusalOf(promise: PromiseLike<unknown>): Promise<[number | undefined, string]> {
  try {
    await promise
  } catch (error) {
    if (error instanceof APIError) return [error.status, error.message]
    throw error
  }
  throw new Error('It was not refused.')
}

async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const entry of pages) all.push(entry)
  return all
}

describe('projects', () => {
  test('are created, listed, renamed and archived', async () => {
    const sandbox = await open()
    const { projects } = admin(sandbox)
    const made = await projects.create({ name: 'New' })
    expect(made).toMatchObject({ status: 'active', archived_at: null, created_at: START / 1000 })
    expect((await projects.update(made.id, { name: 'Newer' })).name).toBe('Newer')
    const before = await collect(projects.list())
    await projects.archive(made.id)
    expect((await collect(projects.list())).length).toBe(before.length - 1)
    expect((await collect(projects.list({ include_archived: true }))).length).toBe(before.length)
    const create = projects.serviceAccounts.create(made.id, { name: 'late' })
    expect(await refusalOf(create)).toEqual([400, '400 Project Newer is archived'])
  })

  test('of another organisation do not exist for the caller', async () => {
    const sandbox = await open()
    expect((await refusalOf(admin(sandbox).projects.retrieve(sandbox.other.project)))[0]).toBe(404)
  })

  test('that are archived refuse their keys', async () => {
    const sandbox = await open()
    const { value } = sandbox.createServiceAccountKey()
    await admin(sandbox).projects.archive(sandbox.project)
    const answer = await ask(sandbox, '/models', { key: value })
    expect([answer.status, answer.json.error?.code]).toEqual([401, 'not_authorized_invalid_project'])
  })
})

describe('service accounts', () => {
  test('come with a key whose value is shown once', async () => {
    const sandbox = await open()
    const { serviceAccounts, apiKeys } = admin(sandbox).projects
    const made = await serviceAccounts.create(sandbox.project, { name: 'worker', expires_in_seconds: 60 })
    const value = made.api_key?.value ?? ''
    expect(value).toMatch(/^sk-svcacct-[\w-]{156}$/)
    expect(made.api_key?.expires_at).toBe(START / 1000 + 60)
    expect((await sdk(sandbox, value).models.list()).data.length).toBeGreaterThan(0)
    const again = await apiKeys.retrieve(made.api_key?.id ?? '', { project_id: sandbox.project })
    expect(JSON.stringify(again)).not.toContain(value)
    expect(again.redacted_value).toBe(`${value.slice(0, 8)}...${value.slice(-3)}`)
    expect(again.owner.service_account?.id).toBe(made.id)
  })

  test('without a key have no role, and cannot call models until they get one', async () => {
    const sandbox = await open()
    const { serviceAccounts } = admin(sandbox).projects
    const { id, role, api_key } = await serviceAccounts.create(sandbox.project, {
      name: 'bare',
      create_service_account_only: true,
    })
    expect([role, api_key]).toEqual(['none', null])
    const { value } = await serviceAccounts.apiKeys.create(id, { project_id: sandbox.project })
    expect((await ask(sandbox, '/models', { key: value })).status).toBe(403)
    await serviceAccounts.update(id, { project_id: sandbox.project, role: 'member' })
    expect((await ask(sandbox, '/models', { key: value })).status).toBe(200)
  })

  test('take their keys with them', async () => {
    const sandbox = await open()
    const { serviceAccounts } = admin(sandbox).projects
    const key = sandbox.createServiceAccountKey()
    const gone = await serviceAccounts.delete(sandbox.serviceAccount, { project_id: sandbox.project })
    expect(gone).toEqual({
      object: 'organization.project.service_account.deleted',
      id: sandbox.serviceAccount,
      deleted: true,
    })
    expect(sandbox.isAlive(key.id)).toBe(false)
    expect((await ask(sandbox, '/models', { key: key.value })).json.error?.code).toBe('invalid_api_key')
  })

  test('are refused twice under one name, in the Default project, and with contradictions', async () => {
    const sandbox = await open()
    const { serviceAccounts } = admin(sandbox).projects
    const create = (project: string, body: OpenAI.Admin.Organization.Projects.ServiceAccountCreateParams) =>
      refusalOf(serviceAccounts.create(project, body))
    expect((await create(sandbox.project, { name: 'app' }))[0]).toBe(400)
    expect((await create(sandbox.defaultProject, { name: 'x' }))[1]).toContain('Default project')
    const both = { name: 'x', create_service_account_only: true, expires_in_seconds: 5 }
    expect((await create(sandbox.project, both))[1]).toContain('must be null')
    expect((await create(sandbox.project, { name: 'x', expires_in_seconds: 0 }))[0]).toBe(400)
    expect((await create(sandbox.project, { name: 'x', expires_in_seconds: 31_536_001 }))[0]).toBe(400)
  })
})

describe('keys of a service account', () => {
  test('are minted beside each other, and one dies without the others', async () => {
    const sandbox = await open()
    const { serviceAccounts, apiKeys } = admin(sandbox).projects
    const mint = (name: string) =>
      serviceAccounts.apiKeys.create(sandbox.serviceAccount, {
        project_id: sandbox.project,
        name,
        scopes: ['api.model.read'],
        expires_in_seconds: 600,
      })
    const [one, two] = [await mint('one'), await mint('two')]
    expect(one).toMatchObject({ name: 'one', expires_at: START / 1000 + 600 })
    const deleted = await apiKeys.delete(one.id, { project_id: sandbox.project })
    expect(deleted).toEqual({ object: 'organization.project.api_key.deleted', id: one.id, deleted: true })
    expect([sandbox.isAlive(one.value), sandbox.isAlive(two.value)]).toEqual([false, true])
    expect((await refusalOf(apiKeys.delete(one.id, { project_id: sandbox.project })))[0]).toBe(404)
    const names = await collect(apiKeys.list(sandbox.project, { owner_project_access: 'any' }))
    expect(names.map((key) => key.name)).toEqual(['two'])
  })

  test('are updated: lifetime counted from the call, scopes replaced, an expired one refused', async () => {
    const clock = virtualClock()
    const sandbox = await open({ now: clock.now })
    const { apiKeys } = admin(sandbox).projects
    const project_id = sandbox.project
    const { id, value } = sandbox.createServiceAccountKey({ scopes: ['api.model.read'] })
    expect((await refusalOf(apiKeys.update(id, { project_id })))[0]).toBe(400)
    clock.advance(10_000)
    const updated = await apiKeys.update(id, { project_id, expires_in_seconds: 60, scopes: [] })
    expect(updated.expires_at).toBe(START / 1000 + 70)
    expect((await ask(sandbox, '/responses', { key: value, body: { speed: 1 } })).status).toBe(400)
    const body = { expires_in_seconds: null }
    const path = `/organization/projects/${project_id}/api_keys/${id}`
    expect((await ask(sandbox, path, { key: sandbox.adminKey(), body })).status).toBe(400)
    clock.advance(60_000)
    expect((await refusalOf(apiKeys.update(id, { project_id, scopes: [] })))[1]).toContain('Expired')
  })

  test('follow the policies and the older behaviours', async () => {
    const sandbox = await open({ knobs: { maxKeyLifetimeSeconds: 3_600 } })
    const { serviceAccounts, apiKeys } = admin(sandbox).projects
    const project_id = sandbox.project
    const mint = (expires_in_seconds?: number) =>
      serviceAccounts.apiKeys.create(sandbox.serviceAccount, {
        project_id,
        ...(expires_in_seconds === undefined ? {} : { expires_in_seconds }),
      })
    expect((await refusalOf(mint()))[1]).toContain("requires 'expires_in_seconds'")
    expect((await refusalOf(mint(3_601)))[1]).toContain('at most 3600')
    const { id } = await mint(3_600)
    sandbox.set({
      refuseNewKeys: true,
      refuseDeleteServiceAccountKey: true,
      refuseKeyUpdate: true,
    })
    expect((await refusalOf(mint(60)))[0]).toBe(400)
    expect((await refusalOf(apiKeys.delete(id, { project_id })))[1]).toContain(
      'API keys cannot be deleted for service accounts, please delete the service account',
    )
    expect((await refusalOf(apiKeys.update(id, { project_id, expires_in_seconds: 1 })))[0]).toBe(404)
    for (const status of [400, 404] as const) {
      sandbox.set({ refuseNewKeys: false, refuseKeyOnExistingAccount: status })
      expect((await refusalOf(mint(60)))[0]).toBe(status)
    }
    expect(sandbox.isAlive(id)).toBe(true)
  })
})

describe('lists', () => {
  test('are paged with a checked limit, also while entries vanish between pages', async () => {
    const sandbox = await open()
    const made = Array.from({ length: 5 }, (_, index) =>
      sandbox.createServiceAccountKey({ name: `k${index}` }),
    )
    const { apiKeys } = admin(sandbox).projects
    const first = await apiKeys.list(sandbox.project, { limit: 2 })
    expect(first.data.map((key) => key.name)).toEqual(['k0', 'k1'])
    sandbox.deleteKey(made[1]?.id ?? '')
    const names: string[] = []
    for await (const key of first) names.push(key.name)
    expect(names).toEqual(['k0', 'k1', 'k2', 'k3', 'k4'])
    const key = sandbox.adminKey()
    for (const limit of ['0', '101', 'x'])
      expect(
        (await ask(sandbox, `/organization/projects/${sandbox.project}/api_keys?limit=${limit}`, { key }))
          .json.error?.param,
      ).toBe('limit')
    const path = `/organization/projects/${sandbox.project}/api_keys`
    expect((await ask(sandbox, `${path}?after=key_none`, { key })).status).toBe(400)
    const { json } = await ask(sandbox, `${path}?limit=2`, { key })
    expect(json).toMatchObject({
      object: 'list',
      first_id: made[0]?.id,
      last_id: made[2]?.id,
      has_more: true,
    })
  })

  test('of keys leave out those of people who left, unless asked for any', async () => {
    const sandbox = await open()
    sandbox.createUserKey({ name: 'here' })
    sandbox.createUserKey({ name: 'left', ownerAccess: 'inactive' })
    const { apiKeys } = admin(sandbox).projects
    const names = async (owner_project_access?: 'active' | 'inactive' | 'any') => {
      const query = owner_project_access === undefined ? {} : { owner_project_access }
      return (await collect(apiKeys.list(sandbox.project, query))).map((key) => key.name)
    }
    expect(await names()).toEqual(['here'])
    expect(await names('inactive')).toEqual(['left'])
    expect(await names('any')).toEqual(['here', 'left'])
  })
})

test('administrator keys are minted, listed, used and deleted', async () => {
  const sandbox = await open()
  const { adminAPIKeys, projects } = admin(sandbox)
  const made = await adminAPIKeys.create({ name: 'next', expires_in_seconds: 60 })
  expect(made.value).toMatch(/^sk-admin-[\w-]{124}$/)
  expect(made.owner).toMatchObject({ type: 'user', object: 'organization.user' })
  const next = sdk(sandbox, 'unused', { adminAPIKey: made.value }).admin.organization
  expect((await collect(next.adminAPIKeys.list({ order: 'desc' })))[0]?.id).toBe(made.id)
  expect((await adminAPIKeys.retrieve(made.id)).name).toBe('next')
  expect((await adminAPIKeys.delete(made.id)).deleted).toBe(true)
  expect((await refusalOf(next.projects.list()))[0]).toBe(401)
  expect((await collect(projects.list())).length).toBeGreaterThan(1)
})

test('a restricted administrator key reads or writes, not both', async () => {
  const sandbox = await open()
  const { value } = sandbox.createAdminKey({ scopes: ['api.management.read'] })
  const reader = sdk(sandbox, 'unused', { adminAPIKey: value }).admin.organization
  expect((await collect(reader.projects.list())).length).toBeGreaterThan(1)
  expect((await refusalOf(reader.projects.create({ name: 'x' })))[0]).toBe(403)
})

test('rate limits, the spend limit and the audit log can be read', async () => {
  const sandbox = await open({ knobs: { requestsPerMinute: 7, spendLimitAmount: 100 } })
  const { projects, spendLimit, auditLogs } = admin(sandbox)
  const rates = await collect(projects.rateLimits.listRateLimits(sandbox.project))
  expect(rates.every((rate) => rate.max_requests_per_1_minute === 7)).toBe(true)
  expect((await spendLimit.retrieve()).enforcement.status).toBe('inactive')
  sandbox.set({ billing: 'project_spend_limit_exceeded' })
  expect((await projects.spendLimit.retrieve(sandbox.project)).enforcement.status).toBe('enforcing')
  sandbox.set({ spendLimitAmount: null })
  expect((await refusalOf(spendLimit.retrieve()))[0]).toBe(404)

  const account = await projects.serviceAccounts.create(sandbox.project, { name: 'logged' })
  await projects.apiKeys.delete(account.api_key?.id ?? '', { project_id: sandbox.project })
  const types = async (query: OpenAI.Admin.Organization.AuditLogListParams) =>
    (await collect(auditLogs.list(query))).map((entry) => entry.type)
  expect(await types({})).toEqual(['api_key.deleted', 'api_key.created', 'service_account.created'])
  expect(await types({ event_types: ['api_key.deleted'] })).toEqual(['api_key.deleted'])
  expect(await types({ resource_ids: [account.id] })).toEqual(['service_account.created'])
  expect(await types({ effective_at: { gt: START / 1000 } })).toEqual([])
  const [deleted] = await collect(auditLogs.list({ limit: 1 }))
  expect(deleted?.['api_key.deleted']?.id).toBe(account.api_key?.id)
})
