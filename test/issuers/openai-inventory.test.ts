import { describe, expect, it } from 'vitest'
import { mintingIssuer, replying, sandbox, stub, stubbedIssuer } from './support.ts'

describe('an inventory', () => {
  it('has the keys of every project with their owners, and the admin keys', async () => {
    const place = await sandbox()
    const issuer = mintingIssuer(place)
    await issuer.mint({ marker: 'keyturn-1' })
    const inventory = await issuer.inventory?.()
    expect(inventory?.gaps).toEqual([])
    const found = inventory?.keys.find(({ name }) => name === 'keyturn-1')
    expect(found).toMatchObject({
      kind: 'project',
      project: { id: place.project },
      owner: 'service_account',
      serviceAccount: place.serviceAccount,
      ownerName: expect.any(String),
      lastUsedAt: null,
    })
    expect(found?.redacted).toMatch(/^sk-.*(\.\.\.|\*\*)/)
    expect(inventory?.keys.some(({ kind, ownerName }) => kind === 'admin' && ownerName !== undefined)).toBe(
      true,
    )
    const listed = await issuer.list()
    const ours = inventory?.keys.filter(({ project }) => project?.id === place.project) ?? []
    expect(listed.kind === 'listed' && listed.keys.length).toBe(ours.length)
  })

  it('says what it could not list', async () => {
    const place = await stub(replying(500, {}))
    const { keys, gaps } = (await stubbedIssuer(place).inventory?.()) ?? { keys: [], gaps: [] }
    expect(keys).toEqual([])
    expect(gaps.map(({ what }) => what)).toEqual([
      'the projects',
      'the keys of project proj_1',
      'the admin keys',
    ])
  })

  it('shows no value that is not redacted', async () => {
    const value = ['sk', 'proj', 'q9'.repeat(30)].join('-')
    const entry = { id: 'key_1', name: 'odd', redacted_value: value, owner: {} }
    const place = await stub(replying(200, { object: 'list', data: [entry], has_more: false }))
    const inventory = await stubbedIssuer(place).inventory?.()
    expect(inventory?.keys.length).toBeGreaterThan(0)
    expect(JSON.stringify(inventory)).not.toContain(value.slice(0, 20))
  })

  it('leaves out instants that are none', async () => {
    const late = { created_at: 1.8e15, last_used_at: 1e300, expires_at: -1 }
    const entry = { id: 'key_1', name: 'odd', redacted_value: 'sk-abc...def', owner: {}, ...late }
    const place = await stub(replying(200, { object: 'list', data: [entry], has_more: false }))
    const inventory = await stubbedIssuer(place).inventory?.()
    expect(inventory?.keys.length).toBeGreaterThan(0)
    for (const key of inventory?.keys ?? [])
      for (const field of ['createdAt', 'lastUsedAt', 'expiresAt']) expect(key).not.toHaveProperty(field)
  })
})
