import { describe, expect, it } from 'vitest'
import type { Secret } from '../../src/core/secret.ts'
import { openMemoryStore } from '../../src/stores/memory.ts'
import { minuteMs } from '../core/fixtures.ts'
import { operator, World } from './world.ts'

const nobodyListens = (): boolean => false
const compromised = { mode: 'emergency', isCompromised: true, reason: 'leaked' } as const

/** Two credentials that hold one key, and a third that does not. */
async function shared(): Promise<World> {
  const world = new World({ names: ['openai', 'openai-eval', 'openai-other'] })
  const held = await world.store().read('openai')
  put(world, 'openai-eval', held?.secret)
  await world.ready()
  return world
}

function put(world: World, name: string, secret: Secret | undefined): void {
  if (secret === undefined) throw new Error('there is a key to share')
  world.content.delete(name)
  const initial = { [name]: { version: `copy-${name}`, secret, meta: {} } }
  openMemoryStore({ content: world.content, initial }, { system: world.time })
}

describe('the blast radius', () => {
  it('names who holds the key, who is silent and who listens, when it was last used, and who else has it', async () => {
    const world = await shared()
    world.service.touchLease({ name: 'openai', instance: 'web-1', app: 'billing', generation: 1 })
    await world.service.leases('openai')
    await world.time.advance(11 * minuteMs)
    world.service.touchLease({ name: 'openai', instance: 'web-2', app: 'billing', generation: 1 })
    const key = world.issuer.keys[0]
    if (key !== undefined) key.lastUsedAt = world.time.now() - minuteMs
    const radius = await world.service.blastRadius('openai', undefined, (_app, one) => one === 'web-2')
    expect(radius).toMatchObject({
      credential: 'openai',
      version: 'first-openai',
      isCurrent: true,
      keyId: key?.keyId,
      lastUse: 'told',
      sharedWith: ['openai-eval'],
      mirrors: [],
      spare: null,
    })
    expect(radius.lastUsedAt).toBe(new Date(world.time.now() - minuteMs).toISOString())
    expect(radius.holders).toMatchObject([
      { app: 'billing', instance: 'web-1', generation: 1, isSilent: true, isListening: false },
      { app: 'billing', instance: 'web-2', generation: 1, isSilent: false, isListening: true },
    ])
  })

  it('of an older key counts those who have not moved on, and names what is handed out instead', async () => {
    const world = new World()
    await world.ready()
    await world.service.rotate('openai', {}, operator)
    await world.walkRotation()
    world.service.touchLease({ name: 'openai', instance: 'late', app: 'batch', generation: 1 })
    world.service.touchLease({ name: 'openai', instance: 'moved', app: 'batch', generation: 2 })
    const radius = await world.service.blastRadius('openai', 'first-openai', nobodyListens)
    expect(radius.holders.map(({ instance }) => instance)).toEqual(['late'])
    expect(radius).toMatchObject({
      isCurrent: false,
      spare: { version: world.handedOut(), stage: 'current' },
    })
    const current = await world.service.blastRadius('openai', undefined, nobodyListens)
    expect(current.spare).toMatchObject({ version: 'first-openai', stage: 'previous' })
  })

  it('is told as far as it can be while the issuer does not answer', async () => {
    const world = new World()
    await world.ready()
    world.issuer.breakCall('list', 'throws')
    const radius = await world.service.blastRadius('openai', undefined, nobodyListens)
    expect(radius).toMatchObject({ lastUse: 'unknown', lastUsedAt: null, holders: [] })
  })
})

describe('a compromised key', () => {
  it('is revoked only for whoever typed the name', async () => {
    const world = new World()
    await world.ready()
    for (const confirm of [undefined, 'yes', 'openai-eval']) {
      const request = { ...compromised, ...(confirm === undefined ? {} : { confirm }) }
      await expect(world.service.rotate('openai', request, operator)).rejects.toMatchObject({
        code: 'confirmation_needed',
        fix: expect.stringContaining('blast-radius'),
      })
    }
    expect((await world.state()).rotation).toBeUndefined()
  })

  it('that other credentials hold: each is told with its fix, hands it out until it is turned, and never again then', async () => {
    const world = await shared()
    await world.service.rotate('openai', { ...compromised, confirm: 'openai' }, operator)
    const told = world.events.filter(
      ({ kind, data }) => kind === 'alert' && data['code'] === 'key_compromised',
    )
    expect(told.map(({ credential }) => credential)).toEqual(['openai-eval'])
    expect(told[0]?.data['fix']).toBe('Turn it now: keyturn rotate openai-eval --emergency --compromised')
    const { troubles } = await world.service.summary('openai-eval')
    expect(troubles.map(({ code }) => code)).toContain('key_compromised')
    expect((await world.service.summary('openai-other')).troubles).toEqual([])
    expect(world.isHandedOut('openai-eval')).toBe(true)

    await world.service.rotate('openai-eval', { mode: 'emergency', reason: 'told so' }, operator)
    await world.walkRotation('openai-eval')
    const after = await world.service.summary('openai-eval')
    expect(after.troubles.map(({ code }) => code)).not.toContain('key_compromised')
    expect(after.versions.find(({ version }) => version === 'copy-openai-eval')?.isCompromised).toBe(true)
    await expect(
      world.service.rollback('openai-eval', { to: 'copy-openai-eval' }, operator),
    ).rejects.toMatchObject({ code: 'version_not_live' })
  })
})
