import { expect, it } from 'vitest'
import { httpReceiver } from '../alerts/receivers.ts'
import { aliveKeys, until, untilReady } from './harness.ts'
import { serveRig } from './in-process.ts'
import { tellingRig } from './telling-rig.ts'

interface Told {
  readonly type: string
  readonly data: {
    readonly code: string
    readonly incident: string
    readonly isOver: boolean
    readonly happened: readonly string[]
    readonly fixes: readonly string[]
    readonly link: string
  }
}

const codes = new Set(['failover', 'key_rejected', 'no_verified_key'])

it('tells a webhook that the key was revoked at OpenAI, what to do, and that it is over', async () => {
  const receiver = await httpReceiver()
  const rig = await tellingRig(receiver.url, [
    'linkBase: https://keyturn.example.com',
    'momentary: 5s',
    'resolveAfter: 1s',
    'groupWithin: 1s',
  ])
  const secret = ['alerts', 'canary', '0123456789abcdef'].join('-')
  await serveRig(rig, { ALERTS_SECRET: secret })
  await untilReady(rig)
  const [key] = aliveKeys(rig.sandbox)
  rig.sandbox.deleteKey(key ?? '')
  const told = (): readonly Told[] =>
    receiver.taken.map(({ body }) => JSON.parse(body) as Told).filter(({ data }) => codes.has(data.code))
  await until(
    'it is told',
    async () => told(),
    (all) => all.length > 0,
  )
  const [first] = told()
  expect(first?.type).toBe('alert.opened')
  expect(first?.data.happened[0]).toContain('openai')
  expect(first?.data.fixes).not.toEqual([])
  expect(first?.data.link).toBe('https://keyturn.example.com/credentials/openai')
  await until(
    'all that was told is over',
    async () => told(),
    (all) =>
      all.every(({ data }) => all.some((one) => one.data.incident === data.incident && one.data.isOver)),
    60_000,
  )
  const all = JSON.stringify([receiver.taken.map(({ body }) => body), rig.logs])
  expect(all).not.toContain(secret)
}, 120_000)
