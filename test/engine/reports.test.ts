import { describe, expect, it } from 'vitest'
import { looksLikeKey } from '../../src/core/key-shape.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { operator, World } from './world.ts'

/** Short waits, so that an old key is dead within minutes. */
const policy = { overlapMs: minuteMs, quietMs: minuteMs }

async function turn(world: World, reason: string): Promise<string> {
  const { id } = await world.service.rotate('openai', { reason }, operator)
  await world.walkRotation()
  return id
}

async function untilDead(world: World): Promise<void> {
  let isDead = false
  await world.time.until(
    () => {
      void world.state().then(({ retirements }) => {
        isDead = retirements.every((one) => one.endedAt !== undefined)
      })
      return isDead
    },
    4 * hourMs,
    1_000,
  )
}

describe('a report', () => {
  it('tells the whole walk of a key, as it was seen at the store and the issuer', async () => {
    const world = new World({ policy })
    await world.ready()
    await turn(world, 'the first of ours')
    const id = await turn(world, 'quarterly')
    const running = await world.service.rotationReport('openai', id)
    expect(running).toMatchObject({ isFinal: false, rotation: { outcome: 'promoted' } })
    await untilDead(world)
    const report = await world.service.rotationReport('openai', id)
    expect(report).toMatchObject({
      installation: 'inst1',
      keyturn: '0.0.0',
      isFinal: true,
      remarks: [],
      rotation: { requestedBy: 'operator', reason: 'quarterly' },
    })
    const [retirement] = report.retirements
    expect(report.retirements).toHaveLength(1)
    expect(retirement).toMatchObject({ isProvenDead: true, rotation: id, key: report.rotation?.from })
    const steps = [...(report.rotation?.steps ?? []), ...(retirement?.steps ?? [])]
    const kinds = new Set(steps.map(({ evidence }) => evidence?.['kind']))
    for (const kind of ['asked', 'permissions', 'minted', 'verifications', 'expiry', 'promoted', 'read_back'])
      expect(kinds).toContain(kind)
    for (const kind of ['gate', 'retired', 'deleted', 'death', 'destroyed']) expect(kinds).toContain(kind)
    const gate = steps.find(({ evidence }) => evidence?.['kind'] === 'gate')?.evidence
    expect(gate).toMatchObject({ isListed: true, asked: ['memory: openai'] })
    expect(looksLikeKey(JSON.stringify(report))).toBe(false)
  })

  it('of any rotation that is kept stays whole, over many others and a restart', async () => {
    const world = new World({ policy })
    await world.ready()
    await turn(world, 'the first of ours')
    const id = await turn(world, 'the one in question')
    await untilDead(world)
    const { issuedAt: _then, ...before } = await world.service.rotationReport('openai', id)
    for (let round = 0; round < 21; round += 1) await turn(world, `later ${round}`)
    await untilDead(world)
    await turn(world, 'the last one')
    expect((await world.state()).retirements.some((one) => one.rotation === id)).toBe(false)
    await world.stop()
    await world.ready()
    const { issuedAt: _now, ...after } = await world.service.rotationReport('openai', id)
    expect(after).toEqual(before)
    const old = before.rotation?.from?.version ?? ''
    expect(await world.service.versionReport('openai', old)).toMatchObject({
      subject: 'retirement',
      isFinal: true,
      retirements: [{ rotation: id, isProvenDead: true }],
    })
  })

  it('of one key is found by its fingerprint and the beginning of its id as well', async () => {
    const world = new World({ policy })
    await world.ready()
    await turn(world, 'the first of ours')
    const id = await turn(world, 'quarterly')
    const { from } = (await world.service.rotationReport('openai', id)).rotation ?? {}
    if (from === null || from === undefined) throw new Error('it replaced a key')
    for (const text of [from.version, from.version.slice(0, 8), from.fingerprint ?? ''])
      expect((await world.service.versionReport('openai', text)).retirements[0]?.key).toEqual(from)
  })

  it('is refused for what is not known, with where to look', async () => {
    const world = new World({ policy })
    await world.ready()
    const current = world.handedOut() ?? ''
    for (const asked of [
      world.service.rotationReport('openai', 'nobody'),
      world.service.versionReport('openai', 'nobody'),
      world.service.versionReport('openai', current),
      world.service.rotationReport('nobody', 'nobody'),
    ])
      await expect(asked).rejects.toMatchObject({ code: 'not_found', fix: expect.any(String) })
  })
})
