import { describe, expect, it } from 'vitest'
import type { ApprovalSummary, List, TokenAnswer } from '../../src/api/types.ts'
import type { ApprovalRule } from '../../src/core/access.ts'
import { looksLikeKey } from '../../src/core/key-shape.ts'
import type { LedgerDocument } from '../../src/core/ports.ts'
import { isSamePerson, personsFor } from '../../src/server/approvals.ts'
import { createCaller, operatorGrants, socketPerson } from '../../src/server/auth/caller.ts'
import { bearer, type Harness, problemOf, startServer } from './harness.ts'

/** The documents of a ledger that several replicas share. As every ledger, it takes nothing that looks like a key. */
function documents() {
  const kept = new Map<string, LedgerDocument>()
  return {
    document: async (key: string) => kept.get(key),
    putDocument: async ({ key, value, revision }: { key: string; value: object; revision: number }) => {
      if (looksLikeKey(JSON.stringify(value))) throw new Error('a ledger holds no keys')
      if ((kept.get(key)?.revision ?? 0) !== revision) return false
      kept.set(key, { value: JSON.parse(JSON.stringify(value)) as unknown, revision: revision + 1 })
      return true
    },
  }
}

const rules: readonly ApprovalRule[] = [{ credentials: ['openai'], emergency: 2, revocation: 2 }]

interface World {
  readonly harness: Harness
  readonly ann: TokenAnswer
  readonly ben: TokenAnswer
}

async function world(shared = documents()): Promise<World> {
  const harness = await startServer({ approvals: { rules: () => rules, documents: shared } })
  // Made at the machine, each stands for a person of its own.
  const ann = await harness.tokens.create({ name: 'ann', role: 'operator' })
  const ben = await harness.tokens.create({ name: 'ben', role: 'operator' })
  return { harness, ann, ben }
}

const emergency = { mode: 'emergency', reason: 'found in a log' }

async function askedBy({ harness }: World, who: TokenAnswer, body: object = emergency): Promise<string> {
  const response = await harness.send('POST', '/v1/credentials/openai/rotations', body, bearer(who.token))
  const problem = await problemOf(response)
  expect([response.status, problem.code]).toEqual([409, 'approval_needed'])
  const id = /apr_[0-9a-f]+/.exec(problem.detail)?.[0] ?? ''
  expect(problem.fix).toContain(`keyturn approve openai ${id}`)
  return id
}

async function approve({ harness }: World, id: string, token: string): Promise<number> {
  return (await harness.send('POST', `/v1/credentials/openai/approvals/${id}`, undefined, bearer(token)))
    .status
}

async function waiting({ harness }: World): Promise<readonly ApprovalSummary[]> {
  const response = await harness.send('GET', '/v1/credentials/openai/approvals')
  return ((await response.json()) as List<ApprovalSummary>).items
}

describe('an emergency that needs two persons', () => {
  it('waits for the second, and is done once, as it was asked for', async () => {
    const here = await world()
    const { service } = here.harness
    const id = await askedBy(here, here.ann)
    expect(service.rotationsStarted).toEqual([])
    expect(await waiting(here)).toMatchObject([
      { id, act: 'emergency', requestedBy: 'ann', reason: 'found in a log', isCompromised: false },
    ])
    expect(await approve(here, id, here.ben.token)).toBe(202)
    expect(service.rotationsStarted).toEqual([emergency])
    expect(await approve(here, id, here.ben.token)).toBe(404)
    expect(await waiting(here)).toEqual([])
  })

  it('is done once where two approve at the same time, at two replicas', async () => {
    const shared = documents()
    const [one, other] = [await world(shared), await world(shared)]
    const id = await askedBy(one, one.ann)
    // A token of the one is not known at the other, as where each had its own file.
    await one.harness.tokens.revoke('none')
    const third = await one.harness.tokens.create({ name: 'cem', role: 'operator' })
    const statuses = await Promise.all([
      approve(one, id, one.ben.token),
      approve(one, id, third.token),
      approve(one, id, one.ben.token),
    ])
    expect(statuses.filter((status) => status === 202)).toHaveLength(1)
    expect(one.harness.service.rotationsStarted).toHaveLength(1)
    expect(await waiting(other)).toEqual([])
  })

  it('is not approved by who asked, by another token of theirs, or by one that they made', async () => {
    const here = await world()
    const { tokens } = here.harness
    const again = await tokens.create({ name: 'ann', role: 'operator' })
    const made = await here.harness.send(
      'POST',
      '/v1/tokens',
      { name: 'somebody', role: 'operator' },
      bearer(here.ann.token),
    )
    const somebody = (await made.json()) as TokenAnswer
    const id = await askedBy(here, here.ann)
    for (const { token } of [here.ann, again, somebody]) expect(await approve(here, id, token)).toBe(409)
    // Nor the other way round.
    const theirs = await askedBy(here, somebody, { ...emergency, isCompromised: true, confirm: 'openai' })
    expect(await approve(here, theirs, here.ann.token)).toBe(409)
    expect(here.harness.service.rotationsStarted).toEqual([])
  })

  it('is not approved by whom Ann rotated the token of Ben away from', async () => {
    const here = await world()
    const turned = await here.harness.send(
      'POST',
      '/v1/tokens/rotations',
      { name: 'ben' },
      bearer(here.ann.token),
    )
    const { token } = (await turned.json()) as TokenAnswer
    const id = await askedBy(here, here.ann)
    expect(await approve(here, id, token)).toBe(409)
    expect(await approve(here, id, here.ben.token)).toBe(202)
  })

  it('needs the grant: apps and strangers neither see nor approve what waits', async () => {
    const here = await world()
    const id = await askedBy(here, here.ann)
    expect(await approve(here, id, here.harness.app)).toBe(403)
    expect(await approve(here, id, 'x')).toBe(401)
    const auditor = await here.harness.tokens.create({ name: 'a', credentials: ['*'], grants: ['audit'] })
    const seen = await here.harness.get('/v1/credentials/openai/approvals', bearer(auditor.token))
    expect(seen.status).toBe(200)
    expect(await approve(here, id, auditor.token)).toBe(403)
  })

  it('is neither asked for nor approved over the socket, where one person could be two', async () => {
    const shared = documents()
    const here = await world(shared)
    const id = await askedBy(here, here.ann)
    const socket = createCaller({
      id: 'socket',
      name: 'socket',
      person: socketPerson,
      kind: 'socket',
      grants: operatorGrants,
    })
    const authenticator = { authenticate: () => socket, isLive: () => true, onChange: () => () => undefined }
    const approvals = { rules: () => rules, documents: shared }
    const over = await startServer({ approvals, authenticator })
    const paths = [`approvals/${id}`, 'rotations', 'versions/version-1/revocations']
    for (const path of paths) {
      const body = path === 'rotations' ? emergency : {}
      const answer = await over.send('POST', `/v1/credentials/openai/${path}`, body)
      expect([path, answer.status]).toEqual([path, 403])
    }
    expect(over.service.rotationsStarted).toEqual([])
    expect(await waiting(here)).toHaveLength(1)
    // Nor with a token that was made or turned there: by Ann, as well as by anybody.
    const helper = await here.harness.tokens.create({ name: 'helper', role: 'operator' }, socket)
    const turned = await here.harness.tokens.rotate({ name: 'ben' }, socket)
    for (const { token } of [helper, turned]) expect(await approve(here, id, token)).toBe(403)
    expect(await approve(here, id, here.ben.token)).toBe(202)
  })

  it('waits also where the reason quotes the key that leaked, which is not kept', async () => {
    const here = await world()
    const key = ['sk', 'proj', 'A1b2'.repeat(20)].join('-')
    await askedBy(here, here.ann, {
      mode: 'emergency',
      reason: `pushed ${key} to a repository`,
      confirm: key.slice(0, 60),
    })
    const [one] = await waiting(here)
    expect(one?.reason).toBe('pushed [redacted] to a repository')
  })

  it.each([
    ['rotations', { mode: 'emergency', isCompromised: true }],
    ['versions/version-1/revocations', { evenIfLast: true, confirm: 'openai-prod' }],
  ])(
    'is no reason for a second one to come where the first did not type the name: %s',
    async (path, body) => {
      const here = await world()
      const answer = await here.harness.send(
        'POST',
        `/v1/credentials/openai/${path}`,
        body,
        bearer(here.ann.token),
      )
      expect([answer.status, (await problemOf(answer)).code]).toEqual([409, 'confirmation_needed'])
      expect(await waiting(here)).toEqual([])
    },
  )

  it('is asked for once: the same once more is the same, another is another', async () => {
    const here = await world()
    const id = await askedBy(here, here.ann)
    expect(await askedBy(here, here.ben, { reason: 'again', mode: 'emergency' })).toBe(id)
    expect(await askedBy(here, here.ann, { ...emergency, inBlackout: true })).not.toBe(id)
    expect(await waiting(here)).toHaveLength(2)
  })

  it('waits no longer than a quarter of an hour, and not when who asked is let in no more', async () => {
    const here = await world()
    const late = await askedBy(here, here.ann)
    here.harness.system.shiftMs += 900_000
    expect(await approve(here, late, here.ben.token)).toBe(404)
    const id = await askedBy(here, here.ann)
    await here.harness.tokens.revoke(here.ann.id)
    expect(await approve(here, id, here.ben.token)).toBe(409)
    expect(here.harness.service.rotationsStarted).toEqual([])
    const withdrawn = await here.harness.send('DELETE', `/v1/credentials/openai/approvals/${id}`)
    expect(withdrawn.status).toBe(204)
    expect(await waiting(here)).toEqual([])
  })

  it('takes nobody up on more than a few of them, and is not held up by who asks for many', async () => {
    const here = await world()
    for (let index = 0; index < 5; index += 1)
      await askRevocation(here, `version-${index}`).then(({ status }) => expect(status).toBe(409))
    expect((await askRevocation(here, 'version-6')).status).toBe(429)
    const again = await here.harness.tokens.create({ name: 'ann', role: 'operator' })
    expect((await askRevocation({ ...here, ann: again }, 'version-7')).status).toBe(429)
    await askedBy(here, here.ben)
  })

  it('concerns no other credential, and no rotation of the usual kind', async () => {
    const { harness, ann } = await world()
    const other = await harness.send(
      'POST',
      '/v1/credentials/openai-prod/rotations',
      emergency,
      bearer(ann.token),
    )
    expect(other.status).toBe(202)
    const usual = await harness.send('POST', '/v1/credentials/openai/rotations', {}, bearer(ann.token))
    expect(usual.status).toBe(202)
  })
})

function askRevocation({ harness, ann }: World, version: string): Promise<Response> {
  const path = `/v1/credentials/openai/versions/${version}/revocations`
  return harness.send('POST', path, { reason: 'leaked' }, bearer(ann.token))
}

it('lets a revocation wait for the second person, and revokes what was asked for', async () => {
  const here = await world()
  const response = await askRevocation(here, 'version-1')
  expect(response.status).toBe(409)
  const [one] = await waiting(here)
  expect(one).toMatchObject({ act: 'revocation', version: 'version-1', requestedBy: 'ann', reason: 'leaked' })
  const revoked: unknown[] = []
  const [version] = await here.harness.service.versions('openai')
  Object.assign(here.harness.service, {
    revoke: async (...asked: readonly unknown[]) => {
      revoked.push(asked)
      return version
    },
  })
  expect(await approve(here, one?.id ?? '', here.ben.token)).toBe(202)
  expect(revoked).toEqual([['openai', 'version-1', { reason: 'leaked' }, { name: 'ann with ben' }]])
})

describe('how many persons', () => {
  const act = (isCompromised: boolean) =>
    ({ kind: 'emergency', request: { mode: 'emergency', isCompromised } }) as const

  it('is the most that a rule asks for, and of a compromised key what a revocation asks for too', () => {
    const some: readonly ApprovalRule[] = [
      { credentials: ['a'], emergency: 1, revocation: 1 },
      { credentials: ['*'], emergency: 1, revocation: 2 },
    ]
    expect(personsFor(some, 'a', act(false))).toBe(1)
    expect(personsFor(some, 'a', act(true))).toBe(2)
    expect(personsFor(some, 'a', { kind: 'revocation', version: 'v', request: {} })).toBe(2)
    expect(personsFor([], 'a', act(true))).toBe(1)
  })

  it('are one where the name or the maker of the one is that of the other', () => {
    const same = (one: [string, string], other: [string, string]): boolean =>
      isSamePerson({ name: one[0], person: one[1] }, { name: other[0], person: other[1] })
    expect(same(['a', 'a'], ['b', 'b'])).toBe(false)
    expect(same(['a', 'a'], ['a', 'x'])).toBe(true)
    expect(same(['a', 'a'], ['b', 'a'])).toBe(true)
    expect(same(['a', 'm'], ['b', 'm'])).toBe(true)
  })
})
