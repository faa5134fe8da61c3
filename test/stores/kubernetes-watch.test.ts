import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Cancel, SecretStore } from '../../src/core/ports.ts'
import { type KubernetesPlace, startKubernetes } from './fakes/kubernetes-place.ts'
import { type ManualClock, manualClock } from './fakes/manual-clock.ts'
import { patientMs } from './fakes/system.ts'
import { waitFor } from './fakes/wait-for.ts'

let clock: ManualClock
let place: KubernetesPlace
let store: SecretStore
let changes: number
let cancel: Cancel

beforeEach(async () => {
  clock = manualClock()
  place = await startKubernetes(clock.system)
  store = await place.open()
  changes = 0
  place.fake.put('openai', { api_key: 'one' })
})
afterEach(() => place.end())

async function watch(): Promise<void> {
  cancel = store.watch?.('openai', () => {
    changes += 1
  }) as Cancel
  await attached()
}

const attached = () => waitFor(() => expect(place.fake.watching()).toBe(1))
const told = (count: number) => waitFor(() => expect(changes).toBe(count))
const count = (part: string): number => place.fake.requests.filter(({ line }) => line.includes(part)).length

/** Pauses of the watch go by the clock: time passes until the condition holds. */
function passingUntil(holds: () => void): Promise<void> {
  return waitFor(() => {
    clock.pass(1_000)
    holds()
  })
}

it('tells of each change of the one Secret, and of no other', async () => {
  await watch()
  place.fake.put('openai', { api_key: 'two' })
  await told(1)
  place.fake.put('another', { api_key: 'x' })
  place.fake.remove('openai')
  await told(2)
  place.fake.put('openai', { api_key: 'three' })
  await told(3)
})

it('goes on from the last state it was told, bookmarks included, when the server ends a watch', async () => {
  await watch()
  place.fake.bookmark()
  place.fake.put('openai', { api_key: 'two' })
  await told(1)
  place.fake.endWatches()
  await passingUntil(() => expect(count('watch=true')).toBeGreaterThan(1))
  await attached()
  place.fake.put('openai', { api_key: 'three' })
  await told(2)
  expect(count('fieldSelector')).toBe(count('watch=true') + 1)
})

it('lists anew where its state is too old, and tells what it missed', async () => {
  await watch()
  place.fake.fault(503, { on: (line) => line.includes('watch=true'), times: 3 })
  place.fake.endWatches()
  await waitFor(() => expect(place.fake.watching()).toBe(0))
  place.fake.put('openai', { api_key: 'two' })
  place.fake.compact()
  await passingUntil(() => expect(changes).toBe(1))
  await passingUntil(() => expect(place.fake.watching()).toBe(1))
  place.fake.put('openai', { api_key: 'three' })
  await told(2)
})

it('tries again ever more slowly where the server is in trouble', async () => {
  place.fake.fault(500, { on: (line) => line.includes('fieldSelector'), times: 6 })
  cancel = store.watch?.('openai', () => undefined) as Cancel
  const pauses: number[] = []
  for (let failure = 1; failure <= 6; failure += 1) {
    await waitFor(() => expect(count('fieldSelector')).toBe(failure))
    const pauseMs = await waitFor(() => {
      const [ms, ...others] = clock.pending()
      if (ms === undefined || others.length > 0 || ms === patientMs)
        throw new Error('the pause has not begun')
      return ms
    })
    pauses.push(pauseMs)
    clock.pass(pauseMs)
  }
  await attached()
  expect(pauses.at(-1)).toBeGreaterThan((pauses[0] ?? 0) * 4)
})

it('takes silence for a dead connection', async () => {
  await watch()
  clock.pass(270_000)
  await passingUntil(() => expect(count('watch=true')).toBe(2))
})

it('is told once that it may not watch, and asks rarely from then on', async () => {
  place.fake.deny('list openai')
  store.watch?.('openai', () => undefined)
  await waitFor(() => expect(place.context.warnings).toHaveLength(1))
  expect(place.context.warnings[0]).toContain('verbs: [list], resourceNames: [openai]')
  await waitFor(() => expect(Math.max(...clock.pending())).toBe(300_000))
  clock.pass(299_000)
  expect(count('fieldSelector')).toBe(1)
  clock.pass(1_000)
  await waitFor(() => expect(count('fieldSelector')).toBe(2))
  await waitFor(() => expect(clock.pending()).toContain(300_000))
  expect(place.context.warnings).toHaveLength(1)
})

it('takes a new token where the old one is refused', async () => {
  await watch()
  await place.newToken(true)
  place.fake.endWatches()
  await passingUntil(() => expect(place.fake.watching()).toBe(1))
  expect(place.context.warnings).toEqual([])
})

it('ends when it is called off, and with the store', async () => {
  await watch()
  cancel()
  await waitFor(() => expect(place.fake.watching()).toBe(0))
  place.fake.put('openai', { api_key: 'two' })
  store.watch?.('openai', () => undefined)
  await attached()
  await store.close()
  await waitFor(() => expect(place.fake.watching()).toBe(0))
  expect(changes).toBe(0)
  expect(clock.pending()).toEqual([])
})

it('leaves a name that Kubernetes does not take to the looks at it, and throws nothing', async () => {
  const end = store.watch?.('Good_Key', () => {
    changes += 1
  })
  end?.()
  expect(place.context.lines.filter((line) => line.includes('Good_Key is not watched'))).toHaveLength(1)
  expect(place.fake.requests).toEqual([])
  await expect(store.read('Good_Key')).rejects.toMatchObject({ code: 'bad_request' })
})
