import type OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { mintingIssuer, replying, sandbox, stub, stubbedIssuer } from './support.ts'

type Projects = OpenAI['admin']['organization']['projects']
type CreatedKey = Awaited<ReturnType<Projects['serviceAccounts']['apiKeys']['create']>>
type CreatedAccount = Awaited<ReturnType<Projects['serviceAccounts']['create']>>
type ProjectKey = Awaited<ReturnType<Projects['apiKeys']['retrieve']>>
type DeletedKey = Awaited<ReturnType<Projects['apiKeys']['delete']>>
type MintBody = Omit<Parameters<Projects['serviceAccounts']['apiKeys']['create']>[1], 'project_id'>
type UpdateBody = Omit<Parameters<Projects['apiKeys']['update']>[1], 'project_id'>

const value = ['sk', 'svcacct', 'x'.repeat(40)].join('-')
const key = {
  id: 'key_1',
  created_at: 1_763_640_000,
  name: 'keyturn-1',
  object: 'organization.project.service_account.api_key',
  value,
  expires_at: null,
} satisfies CreatedKey
const account = {
  id: 'svc_acct_2',
  api_key: { ...key, name: 'Secret Key' },
  created_at: 1_763_640_000,
  name: 'keyturn-1',
  object: 'organization.project.service_account',
  role: 'member',
} satisfies CreatedAccount
const projectKey = {
  id: 'key_1',
  created_at: 1_763_640_000,
  last_used_at: null,
  name: 'keyturn-1',
  object: 'organization.project.api_key',
  owner: {
    type: 'service_account',
    service_account: { id: 'svc_acct_1', created_at: 1, name: 'app', role: 'member' },
  },
  owner_project_access: 'active',
  redacted_value: 'r',
  expires_at: null,
} satisfies ProjectKey
const deleted = {
  id: 'key_1',
  deleted: true,
  object: 'organization.project.api_key.deleted',
} satisfies DeletedKey
const mintBody = { name: 'keyturn-1', scopes: ['api.model.read'], expires_in_seconds: 60 } satisfies MintBody
const updateBody = { expires_in_seconds: 60 } satisfies UpdateBody

describe('answers and bodies in the types of the official SDK', () => {
  it('are understood when a key is minted on an account', async () => {
    const place = await stub(replying(200, key))
    const request = { marker: 'keyturn-1', scopes: ['api.model.read'], expiresInSeconds: 60 }
    expect((await stubbedIssuer(place).mint(request)).kind).toBe('minted')
    expect(JSON.parse(place.seen[0]?.body ?? '')).toEqual(mintBody)
  })

  it('are understood when an account is made for a key', async () => {
    const place = await stub(replying(200, account))
    const issuer = stubbedIssuer(place, { mode: 'new_service_account' })
    expect(await issuer.mint({ marker: 'keyturn-1' })).toMatchObject({
      kind: 'minted',
      serviceAccount: 'svc_acct_2',
    })
  })

  it('are understood when keys are listed, changed and deleted', async () => {
    const listing = await stub(replying(200, { object: 'list', data: [projectKey], has_more: false }))
    expect(await stubbedIssuer(listing).list()).toMatchObject({
      kind: 'listed',
      keys: [{ keyId: 'key_1', serviceAccount: 'svc_acct_1', lastUsedAt: null }],
    })
    const deleting = await stub(replying(200, deleted))
    expect(await stubbedIssuer(deleting).revoke('key_1')).toMatchObject({ kind: 'gone' })
    await stubbedIssuer(deleting).setExpiry('key_1', 60)
    expect(JSON.parse(deleting.seen.at(-1)?.body ?? '')).toEqual(updateBody)
  })

  it('hold for the sandbox, whose answers are held against the same types', async () => {
    const place = await sandbox()
    expect((await mintingIssuer(place).mint({ marker: 'keyturn-1' })).kind).toBe('minted')
  })
})
