import { expect, it } from 'vitest'
import { hourMs, minuteMs, randomOf } from '../core/fixtures.ts'
import { Mirror } from './mirror.ts'
import { expectNoUnhandled, operator, World } from './world.ts'

/** Whatever happens to two mirrors, and whatever people do meanwhile: it ends well, and no reader is left with a dead key. */

const ids = ['aws/openai', 'gcp/openai']
const policy = {
  mirrors: ids,
  overlapMs: 5 * minuteMs,
  activationGraceMs: 0,
  quietMs: 0,
  verifyEveryMs: hourMs,
  storePollMs: 2 * minuteMs,
  automaticPerDayMax: 20,
}

interface Played {
  readonly world: World
  readonly mirrors: readonly Mirror[]
  readonly random: () => number
  /** Deletions at the issuer that took a key from a mirror's readers though nobody had insisted. */
  readonly robbed: string[]
}

async function begin(seed: number): Promise<Played> {
  const world = new World({ policy, seed })
  const mirrors = ids.map((id) => new Mirror(world, id))
  const robbed: string[] = []
  const issuer = world.issuer.asIssuer()
  await world.ready({
    setup: {
      mirrors: mirrors.map(({ setup }) => setup),
      issuer: {
        ...issuer,
        async revoke(keyId) {
          const { retirements } = await world.state()
          const isInsisted = retirements.some((one) => one.keyId === keyId && one.isForced)
          for (const mirror of mirrors)
            if (mirror.key()?.keyId === keyId && !isInsisted) robbed.push(`${mirror.setup.id}: ${keyId}`)
          return (await issuer.revoke?.(keyId)) ?? { kind: 'gone' }
        },
      },
    },
  })
  return { world, mirrors, random: randomOf(seed), robbed }
}

type Act = (played: Played, mirror: Mirror) => Promise<void> | void

const acts: readonly Act[] = [
  ({ world }) => quietly(world.service.rotate('openai', {}, operator)),
  ({ world }) => quietly(world.service.rotate('openai', {}, operator)),
  ({ world }) => quietly(world.service.rotate('openai', { mode: 'emergency', reason: 'now' }, operator)),
  ({ world }) => void quietly(world.service.rollback('openai', {}, operator)),
  (_played, mirror) => mirror.away(),
  (_played, mirror) => mirror.back(),
  (_played, mirror) => mirror.back(),
  (_played, mirror) => {
    mirror.away()
    mirror.only = 'promote'
  },
  ({ world }, mirror) => mirror.byHand(world.issuer.plant().secret),
  ({ world }, mirror) => mirror.byHand(world.issuer.plant({ isRefused: true }).secret),
  ({ world }, mirror) => mirror.byHand(world.issuer.plant({ organization: 'org-theirs' }).secret),
  ({ world }) => world.issuer.breakCall('verify'),
  ({ world }) => world.issuer.mend('verify'),
  ({ world }) => world.time.advance(20 * minuteMs),
  ({ world }) => quietly(world.service.rotate('openai', { mode: 'rehearsal' }, operator)),
  (_played, mirror) => mirror.content.clear(),
  ({ world, mirrors }) => {
    const { secret } = world.issuer.plant({ isRefused: true })
    return Promise.all(mirrors.map((one) => one.byHand(secret))).then(() => undefined)
  },
  async ({ world }) => {
    const { rotation } = await world.state()
    if (rotation?.endedAt === undefined && rotation !== undefined)
      await quietly(world.service.actOnRotation('openai', rotation.id, 'pause', operator))
  },
  async ({ world }) => {
    const { rotation } = await world.state()
    if (rotation !== undefined)
      await quietly(world.service.actOnRotation('openai', rotation.id, 'resume', operator))
  },
]

/** What is refused is refused; what a person is told then is tested elsewhere. */
async function quietly(asked: Promise<unknown>): Promise<void> {
  await asked.then(
    () => undefined,
    () => undefined,
  )
}

async function settle({ world, mirrors }: Played): Promise<void> {
  world.issuer.mend('verify')
  for (const mirror of mirrors) {
    mirror.back()
    mirror.only = undefined
  }
  await world.time.advance(5 * minuteMs)
  await quietly(world.service.rotate('openai', { mode: 'emergency', reason: 'to end it' }, operator))
  await world.walkRotation()
  await world.time.advance(40 * minuteMs)
}

/** What a mirror keeps besides: nothing of a key that is dead at the issuer and that Keyturn made. */
function remains({ world, mirrors }: Played): readonly string[] {
  const dead = world.issuer.keys.filter((key) => key.isDeleted)
  return mirrors.flatMap((mirror) =>
    dead.filter((key) => mirror.holds(key)).map((key) => `${mirror.setup.id} ${key.keyId}`),
  )
}

it('ends with the same living key everywhere, and never takes a key from readers of a mirror', async () => {
  expectNoUnhandled()
  for (let seed = 1; seed <= 12; seed++) {
    const played = await begin(seed)
    const { world, mirrors, random, robbed } = played
    for (let round = 0; round < 4 + random() * 12; round++) {
      const act = acts[Math.floor(random() * acts.length)]
      const mirror = mirrors[Math.floor(random() * mirrors.length)]
      if (act !== undefined && mirror !== undefined) await act(played, mirror)
      await world.time.advance(Math.floor(random() * 3 * minuteMs))
    }
    await settle(played)
    const label = `seed ${seed}`
    expect(robbed, label).toEqual([])
    expect(world.isHandedOut(), label).toBe(true)
    const handed = world.content.get('openai')?.values.get(world.handedOut() ?? '')
    const key = world.issuer.keys.find((one) => handed?.equals(one.secret) === true)
    expect(key?.isDeleted, label).toBe(false)
    for (const mirror of mirrors) expect(mirror.key()?.keyId, `${label}, ${mirror.setup.id}`).toBe(key?.keyId)
    const { mirrors: shown, troubles } = await world.service.summary('openai')
    expect(
      shown.map((one) => one.isInLine),
      label,
    ).toEqual([true, true])
    expect(
      troubles.filter((one) => one.code.startsWith('mirror')),
      label,
    ).toEqual([])
    expect(remains(played), label).toEqual([])
    expect(world.faults(), label).toEqual([])
    mirrors[0]?.away()
    await world.time.advance(5 * minuteMs)
    expect(
      (await world.service.summary('openai')).mirrors.map((one) => one.isInLine),
      label,
    ).toEqual([false, true])
    await world.stop()
  }
})
