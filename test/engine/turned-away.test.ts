import { describe, expect, it } from 'vitest'
import { auditedIssuer } from '../../src/audit/audited-issuer.ts'
import type { Issuer } from '../../src/core/ports.ts'
import type { Observation } from '../../src/core/types.ts'
import { createMemoryAudit } from '../audit/memory-audit.ts'
import { operator, World } from './world.ts'

const tooMany: Observation = {
  kind: 'answer',
  status: 429,
  isIssuers: true,
  code: 'rate_limit_exceeded',
  type: 'requests',
  requestId: 'req_1',
}

describe('a rotation that may not mint for longer than a process waits', () => {
  it('by the rate limit of the administration, goes on by itself, and counts no attempt', async () => {
    const world = new World()
    const own = world.issuer.asIssuer()
    let isThrottled = false
    let asked = 0
    const mint: NonNullable<Issuer['mint']> = async (request) => {
      asked += 1
      if (isThrottled || own.mint === undefined) return { kind: 'refused', observation: tooMany }
      return own.mint(request)
    }
    await world.ready({ setup: { issuer: { ...own, mint } } })
    isThrottled = true
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(300_000)
    // Ever more seldom: nobody is helped by more.
    expect(asked).toBeGreaterThan(5)
    expect(asked).toBeLessThan(15)
    await expectWaiting(world)
    isThrottled = false
    await world.walkRotation()
    const { rotation } = await world.state()
    expect(rotation).toMatchObject({ outcome: 'promoted', attempts: [{ number: 1, outcome: 'staged' }] })
    expect(world.issuer.alive).toHaveLength(2)
    expect(world.faults()).toEqual([])
  })

  it('is sent again only once the ledger no longer says that it was turned away: whoever takes over looks for the key', async () => {
    const world = new World()
    const own = world.issuer.asIssuer()
    const marks: (boolean | undefined)[] = []
    const mint: NonNullable<Issuer['mint']> = async (request) => {
      marks.push((await world.state()).rotation?.attempts.at(-1)?.isUnmade)
      if (marks.length < 3 || own.mint === undefined) return { kind: 'refused', observation: tooMany }
      return own.mint(request)
    }
    await world.ready({ setup: { issuer: { ...own, mint } } })
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    expect(marks).toEqual([undefined, false, false])
  })

  it('since its row cannot be written, asks nobody, and goes on by itself', async () => {
    const audit = createMemoryAudit()
    const world = new World()
    await world.ready({ setup: { issuer: auditedIssuer(world.issuer.asIssuer(), audit) } })
    audit.setAvailable(false)
    await world.service.rotate('openai', {}, operator)
    await world.time.advance(300_000)
    await expectWaiting(world)
    audit.setAvailable(true)
    await world.walkRotation()
    expect((await world.state()).rotation).toMatchObject({ outcome: 'promoted', attempts: [{ number: 1 }] })
    expect(world.issuer.count('mint')).toBe(1)
    const acts = audit.rows.filter(({ action }) => action === 'mint').map(({ outcome }) => outcome)
    expect(acts).toEqual(['asked', 'minted'])
    expect(world.faults()).toEqual([])
  })
})

async function expectWaiting(world: World): Promise<void> {
  const { rotation } = await world.state()
  expect(rotation).toMatchObject({ phase: 'minting', attempts: [{ number: 1, outcome: 'open' }] })
  expect(rotation?.formerAttempts).toBeUndefined()
  expect(world.issuer.count('mint')).toBe(0)
}
