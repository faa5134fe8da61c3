import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Secret } from '../../src/core/secret.ts'
import type { SecretOf } from '../../src/engine/lending.ts'
import type { RunningService } from '../../src/engine/service.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { ScriptedIssuer } from './scripted-issuer.ts'
import { operator, World, type WorldOptions } from './world.ts'

const internal = 'openai-admin'
const policy = { overlapMs: hourMs, activationGraceMs: 0 }

/** An app's credential whose issuer works with the key of an internal one, as main puts them together. */
class AdminWorld {
  readonly world: World
  readonly admins: ScriptedIssuer
  secretOf: SecretOf = () => Promise.reject(new Error('not lent yet'))
  /** The admin key that each call of the app's issuer was made with. */
  readonly usedBy: Secret[] = []

  constructor(options: Pick<WorldOptions, 'isStocked'> = {}) {
    this.world = new World({ policy, names: ['openai'], ...options })
    this.admins = new ScriptedIssuer(this.world.time, 'admins', 'admin')
    this.world.issuers.set(internal, this.admins)
  }

  async start(): Promise<RunningService> {
    const { world } = this
    const apps = world.issuer.asIssuer()
    const withAdminKey = async (): Promise<void> => void this.usedBy.push(await this.secretOf(internal))
    const issuer = {
      ...apps,
      check: async () => {
        await withAdminKey()
        return (await apps.check?.()) ?? []
      },
    }
    return world.start({
      setups: [
        world.setup('openai', { issuer, mintsWith: internal }),
        world.setup(internal, {
          isInternal: true,
          policy: { ...world.policy, isSelfMinting: true, expiryManaged: false },
        }),
      ],
      lend: (secretOf) => (this.secretOf = secretOf),
    })
  }

  async startedWithKeys(): Promise<RunningService> {
    this.world.stock(internal)
    const service = await this.start()
    await this.world.time.until(() => this.isWorking() && this.world.isHandedOut('openai'), 60_000)
    return service
  }

  isWorking(): boolean {
    return this.world.service.readiness().credentials.find((one) => one.name === internal)?.ready === true
  }

  async turn(name: string): Promise<void> {
    await this.world.service.rotate(name, {}, operator)
    await this.world.walkRotation(name)
  }

  async current(): Promise<Secret | undefined> {
    const { current } = await this.world.service.summary(internal)
    return this.admins.keys.find((key) => key.keyId === current?.keyId)?.secret
  }
}

describe('an internal credential', () => {
  it('is verified, turned and retired like any other, and handed out to nobody', async () => {
    const place = new AdminWorld()
    const service = await place.startedWithKeys()
    const told: string[] = []
    service.onHandOut((name) => told.push(name))
    await place.turn(internal)
    await place.turn(internal)
    await place.world.time.advance(3 * hourMs)
    const { retirements, isInternal, current } = await service.summary(internal)
    expect(isInternal).toBe(true)
    expect(retirements.map((one) => one.phase)).toEqual(['dead', 'kept'])
    expect(place.admins.alive.map((one) => one.keyId)).toContain(current?.keyId)
    expect(service.handOut(internal)).toBeUndefined()
    expect(told).not.toContain(internal)
    expect(place.world.faults()).toEqual([])
  })

  it('lends its verified key of the moment to the issuer that works with it', async () => {
    const place = new AdminWorld()
    await place.startedWithKeys()
    await place.turn('openai')
    await place.turn(internal)
    await place.turn('openai')
    const [before, after] = place.usedBy.slice(-2)
    const current = await place.current()
    expect(current !== undefined && after?.equals(current)).toBe(true)
    expect(current !== undefined && before?.equals(current)).toBe(false)
  })

  it('lends none that was not verified: what it waits for is said, and waited for', async () => {
    const place = new AdminWorld({ isStocked: false })
    const service = await place.start()
    await place.world.walkRotation('openai')
    const waiting = await service.summary('openai')
    expect(waiting.rotation?.halt).toMatchObject({
      reason: 'issuer_denied',
      summary: expect.stringContaining(`${internal} has none that works`),
      fix: expect.stringContaining(`keyturn bring ${internal}`),
    })
    expect(place.world.issuer.count('mint')).toBe(0)
    await expect(place.secretOf(internal)).rejects.toThrow(KeyturnError)
    const { secret } = place.admins.plant()
    await service.bring(internal, { apiKey: secretText(secret) }, operator)
    await place.world.time.until(() => place.world.isHandedOut('openai'), 5 * minuteMs)
    expect(await place.secretOf(internal)).toSatisfy((lent: Secret) => lent.equals(secret))
  })

  it('leaves alone what a person paused', async () => {
    const place = new AdminWorld({ isStocked: false })
    const service = await place.start()
    await place.world.walkRotation('openai')
    const { id = '' } = (await service.summary('openai')).rotation ?? {}
    await service.actOnRotation('openai', id, 'pause', operator)
    await service.bring(internal, { apiKey: secretText(place.admins.plant().secret) }, operator)
    await place.world.time.until(() => place.isWorking(), 5 * minuteMs)
    await place.world.time.advance(minuteMs)
    expect((await service.summary('openai')).rotation?.phase).toBe('halted')
  })

  it('does not make a process unready: apps have their keys', async () => {
    const place = new AdminWorld()
    const service = await place.start()
    await place.world.time.until(() => place.world.isHandedOut('openai'), minuteMs)
    expect(service.readiness()).toMatchObject({
      ready: true,
      credentials: [
        { name: 'openai', ready: true, isInternal: false },
        { name: internal, ready: false, isInternal: true },
      ],
    })
  })

  it.each([
    ['svcacct', /a key of a service account, where an admin key belongs/],
    ['proj', /a key of a project/],
    ['ant', /a key of another provider/],
  ])('sends no other kind of key anywhere: %s', async (kind, says) => {
    const place = new AdminWorld()
    const strangers = new ScriptedIssuer(place.world.time, 'strangers', kind)
    place.world.issuers.set(internal, strangers)
    place.world.stock(internal)
    const service = await place.start()
    await place.world.time.advance(5 * minuteMs)
    expect(strangers.count('verify')).toBe(0)
    const { troubles } = await service.summary(internal)
    expect(troubles[0]).toMatchObject({
      code: 'store_malformed',
      summary: expect.stringMatching(says),
      fix: expect.stringContaining('Put an admin key there'),
    })
  })

  it('takes no other kind from a person', async () => {
    const place = new AdminWorld()
    const service = await place.startedWithKeys()
    const stray = secretText(place.world.issuer.plant().secret)
    await expect(service.bring(internal, { apiKey: stray }, operator)).rejects.toThrow(/for apps/)
    const token = ['kt', 'app', 'x'.repeat(43)].join('_')
    await expect(service.bring(internal, { apiKey: token }, operator)).rejects.toThrow(/begin with sk-admin-/)
    const admin = secretText(place.admins.plant().secret)
    await expect(service.bring('openai', { apiKey: admin }, operator)).rejects.toThrow(/admin key/)
  })
})

/** As a person has it who brings it. */
function secretText(secret: Secret): string {
  return secret.reveal()
}
