import { expect, it } from 'vitest'
import { fingerprint } from '../../src/core/fingerprint.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { CredentialState } from '../../src/core/types.ts'
import { createKeyring, type Keyring } from '../../src/engine/keyring.ts'
import { recordWith, stateOf } from '../core/fixtures.ts'
import { settle } from './virtual-time.ts'
import { expectNoUnhandled, World } from './world.ts'

const text = (version: string): string => ['sk', 'svcacct', version.padEnd(40, 'x')].join('-')

class Rig {
  readonly world = new World()
  readonly values = new Map<string, string>()
  readonly loaded: string[] = []
  readonly reads: string[] = []
  isDown = false
  gate: Promise<void> | undefined
  state: CredentialState = stateOf([])
  readonly keyring: Keyring

  constructor() {
    const store: SecretStore = {
      ...this.world.store(),
      read: async (_ref, options) => {
        const version = options?.version ?? ''
        this.reads.push(version)
        await this.gate
        if (this.isDown) throw new Error('the store is down')
        const value = this.values.get(version)
        return value === undefined ? undefined : { version, secret: new Secret(value), meta: {} }
      },
    }
    const setups = new Map([['openai', this.world.setup('openai', { store })]])
    this.keyring = createKeyring(
      setups,
      this.world.deps(),
      { state: () => this.state },
      (name) => void this.loaded.push(name),
    )
  }

  /** Versions that stand in the store and in the state. */
  holds(...versions: readonly (readonly [string, 'current' | 'previous' | 'retired'])[]): void {
    for (const [version] of versions) this.values.set(version, text(version))
    this.state = stateOf(
      versions.map(([version, stage]) =>
        recordWith(version, { stage, fingerprint: fingerprint(new Secret(text(version)), this.world.time) }),
      ),
    )
  }
}

it('loads what may be handed out, tells it, and drops what is retired', async () => {
  const rig = new Rig()
  rig.holds(['a', 'current'], ['b', 'previous'])
  rig.keyring.follow(rig.state)
  await settle()
  expect(rig.keyring.peek('openai', 'a')?.equals(new Secret(text('a')))).toBe(true)
  expect(rig.loaded).toEqual(['openai', 'openai'])
  rig.holds(['a', 'current'], ['b', 'retired'])
  rig.keyring.follow(rig.state)
  expect(rig.keyring.peek('openai', 'b')).toBeUndefined()
})

it('a value that somebody wrote over a known version is never taken', async () => {
  const rig = new Rig()
  rig.holds(['a', 'current'])
  rig.values.set('a', text('planted'))
  expect(await rig.keyring.get('openai', 'a')).toBeUndefined()
  expect(rig.keyring.peek('openai', 'a')).toBeUndefined()
  expect(rig.world.logs.map((one) => one.level)).toEqual(['error'])
})

it('tries a store that is down again and again, ever more seldom, and stops when it answers', async () => {
  const rig = new Rig()
  rig.holds(['a', 'current'])
  rig.isDown = true
  rig.keyring.follow(rig.state)
  await rig.world.time.advance(10_000)
  const tries = rig.reads.length
  expect(tries).toBeGreaterThan(3)
  expect(tries).toBeLessThan(10)
  rig.isDown = false
  await rig.world.time.advance(30_000)
  expect(rig.keyring.peek('openai', 'a')).toBeDefined()
  expect(rig.world.time.waiting.all).toBe(0)
})

it('loads what the state began to want while it was loading something else', async () => {
  const rig = new Rig()
  rig.holds(['a', 'current'])
  let open: () => void = () => undefined
  rig.gate = new Promise((resolve) => (open = resolve))
  rig.keyring.follow(rig.state)
  rig.holds(['a', 'previous'], ['b', 'current'])
  rig.keyring.follow(rig.state)
  open()
  await settle()
  expect(rig.keyring.peek('openai', 'b')).toBeDefined()
})

it('asks once for what the store says is not there, until something changes', async () => {
  const rig = new Rig()
  rig.holds(['a', 'current'])
  rig.values.clear()
  rig.keyring.follow(rig.state)
  await rig.world.time.advance(60_000)
  expect(rig.reads).toEqual(['a'])
  rig.keyring.follow(rig.state)
  await settle()
  expect(rig.reads).toEqual(['a', 'a'])
})

it('once stopped it keeps no secret and no timer, whatever was under way', async () => {
  expectNoUnhandled()
  const rig = new Rig()
  rig.holds(['a', 'current'])
  let open: () => void = () => undefined
  rig.gate = new Promise((resolve) => (open = resolve))
  rig.keyring.follow(rig.state)
  rig.keyring.stop()
  open()
  await settle()
  rig.keyring.put('openai', 'a', new Secret(text('a')))
  rig.isDown = true
  rig.keyring.follow(rig.state)
  expect(rig.keyring.peek('openai', 'a')).toBeUndefined()
  expect(rig.world.time.waiting.all).toBe(0)
})

it('asks a store for few secrets at once, and for those it could not give at instants of their own', async () => {
  const names = Array.from({ length: 60 }, (_, index) => `app-${index}`)
  const world = new World({ names })
  let atOnce = 0
  let most = 0
  let isDown = true
  const again: number[] = []
  const store: SecretStore = {
    ...world.store(),
    async read(_ref, options) {
      atOnce += 1
      most = Math.max(most, atOnce)
      await new Promise<void>((resolve) => void world.time.after(20, resolve))
      atOnce -= 1
      again.push(world.time.now())
      if (isDown) throw new Error('the store is down')
      const version = options?.version ?? ''
      return { version, secret: new Secret(text(version)), meta: {} }
    },
  }
  const states = new Map(
    names.map((name) => {
      const known = {
        stage: 'current',
        fingerprint: fingerprint(new Secret(text(name)), world.time),
      } as const
      return [name, { ...stateOf([recordWith(name, known)]), name }]
    }),
  )
  const keyring = createKeyring(
    new Map(names.map((name) => [name, world.setup(name, { store })])),
    world.deps(),
    { state: (name) => states.get(name) ?? stateOf([]) },
    () => undefined,
  )
  for (const state of states.values()) keyring.follow(state)
  await world.time.advance(100)
  expect(most).toBe(16)
  await world.time.advance(10_000)
  isDown = false
  again.length = 0
  most = 0
  await world.time.advance(60_000)
  expect(names.every((name) => keyring.peek(name, name) !== undefined)).toBe(true)
  expect(most).toBeLessThanOrEqual(16)
  // Not in step, though they all failed in the same moment.
  expect(new Set(again).size).toBeGreaterThan(30)
  keyring.stop()
})
