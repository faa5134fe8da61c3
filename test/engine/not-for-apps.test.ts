import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { Secret } from '../../src/core/secret.ts'
import { openMemoryStore } from '../../src/stores/memory.ts'
import { hourMs, minuteMs } from '../core/fixtures.ts'
import { Mirror } from './mirror.ts'
import { operator, World } from './world.ts'

const policy = { overlapMs: hourMs, activationGraceMs: 0 }
const document = new Secret(
  JSON.stringify({ OPENAI_API_KEY: ['sk', 'a'.repeat(40)].join('-'), DB: 'hunter2' }),
)

function put(world: World, secret: Secret): void {
  world.content.delete('openai')
  openMemoryStore(
    { content: world.content, initial: { openai: { version: 'theirs', secret } } },
    { system: world.time },
  )
}

const texts: readonly (readonly [string, Secret, RegExp])[] = [
  ['a JSON document', document, /JSON document .*not a key alone/],
  ['a quoted key', new Secret(`"${['sk', 'b'.repeat(40)].join('-')}"`), /quotation mark at position 1/],
  ['a line of a .env', new Secret(`OPENAI_API_KEY=${['sk', 'b'.repeat(40)].join('-')}`), /a name and =/],
  ['a template', new Secret('<your key>'), /a placeholder/],
  ['an admin key', new Secret(['sk', 'admin', 'b'.repeat(40)].join('-')), /an admin key/],
]

describe('what can be no key', () => {
  for (const [what, secret, summary] of texts) {
    it(`${what} in the store is sent to nobody, and said`, async () => {
      const world = new World({ policy, isStocked: false })
      put(world, secret)
      await world.start()
      await world.time.advance(10 * minuteMs)
      expect(world.issuer.count('verify')).toBe(0)
      expect(world.issuer.count('mint')).toBe(0)
      const { troubles } = await world.service.summary('openai')
      expect(troubles[0]).toMatchObject({ code: 'store_malformed', summary: expect.stringMatching(summary) })
    })

    it(`${what} in a mirror is left alone, and said`, async () => {
      const world = new World({ policy: { ...policy, mirrors: ['aws/openai'] } })
      const mirror = new Mirror(world, 'aws/openai')
      await mirror.byHand(secret)
      await world.ready({ setup: { mirrors: [mirror.setup] } })
      await world.time.advance(10 * minuteMs)
      expect(mirror.current()?.secret.equals(secret)).toBe(true)
      expect(mirror.calls).not.toContain('promote')
      const { troubles, mirrors } = await world.service.summary('openai')
      expect(troubles[0]).toMatchObject({ code: 'mirror_behind', summary: expect.stringMatching(summary) })
      expect(mirrors[0]?.isInLine).toBe(false)
    })
  }

  for (const mode of ['normal', 'emergency'] as const)
    it(`a document is not written over by a rotation either (${mode})`, async () => {
      const world = new World({ policy })
      await world.ready()
      put(world, document)
      await world.service.rotate('openai', { mode, reason: 'the fix said so' }, operator)
      await world.walkRotation()
      const { rotation } = await world.state()
      expect(rotation?.halt).toMatchObject({
        reason: 'store_malformed',
        fix: expect.stringContaining('field'),
      })
      expect(world.content.get('openai')?.values.get('theirs')?.equals(document)).toBe(true)
      expect(world.issuer.count('mint')).toBe(0)
      expect(world.isHandedOut()).toBe(true)
    })
})

it('a store that will not have what was minted costs one key, which is revoked, and not three', async () => {
  const world = new World({ policy })
  const base = world.store()
  const denied = new KeyturnError('store_denied', 'Staging is not allowed.', { fix: 'Allow it.' })
  await world.ready({ setup: { store: { ...base, stage: () => Promise.reject(denied) } } })
  await world.service.rotate('openai', {}, operator)
  await world.walkRotation()
  const { rotation } = await world.state()
  expect(rotation?.halt).toMatchObject({
    reason: 'store_denied',
    summary: 'Staging is not allowed.',
    fix: 'Allow it. Then run: keyturn resume openai',
  })
  expect(world.issuer.count('mint')).toBe(1)
  await world.time.advance(minuteMs)
  expect(world.issuer.keys.map(({ isDeleted }) => isDeleted)).toEqual([false, true])
})

it('a first key that could not be made, and that a person put there then, is all there is to it', async () => {
  const world = new World({ policy, isStocked: false })
  const base = world.store()
  let isAbsent = true
  const check: typeof base.check = async (ref) => {
    if (isAbsent) throw new KeyturnError('store_absent', 'There is no such secret.', { fix: 'Make it.' })
    return base.check(ref)
  }
  await world.start({ setup: { store: { ...base, check } } })
  await world.time.until(() => world.events.some(({ data }) => data['code'] === 'rotation_halted'), minuteMs)
  isAbsent = false
  const key = world.issuer.plant()
  put(world, key.secret)
  await world.time.until(() => world.isHandedOut(), 5 * minuteMs)
  const { troubles, rotation } = await world.service.summary('openai')
  expect(troubles).toEqual([])
  expect(rotation).toMatchObject({ outcome: 'superseded', phase: 'done' })
  expect(world.issuer.count('mint')).toBe(0)
})
