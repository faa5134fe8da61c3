import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { establish, newSecret, someMeta } from '../conformance/store-suite-support.ts'
import { openAws, startAws } from './fakes/aws-place.ts'
import { startAzure } from './fakes/azure-place.ts'
import { startGoogle } from './fakes/google-place.ts'
import { startKubernetes } from './fakes/kubernetes-place.ts'
import { startVault } from './fakes/vault-place.ts'

/** The table of docs/stores.md, `## What it costs`, is what comes of these prices and of the calls that drivers make. */
interface Measured {
  readonly store: SecretStore
  /** How many requests have arrived until now. */
  readonly requests: () => number
  /** What is kept and billed by the month, after a rotation. */
  readonly kept: () => number
  readonly end: () => Promise<void>
}

interface Priced {
  /** US dollars for 10,000 calls, and for each secret or version and month; published list prices, 2026-11-20. */
  readonly per10000: number
  readonly perKept: number
}

const ref = 'openai'
const replicas = [1, 50, 1_000]
const monthMs = 30 * 24 * 60 * 60_000
const measures: Readonly<
  Record<string, { readonly make: () => Promise<Measured>; readonly price?: Priced }>
> = {
  'aws-secrets-manager': {
    price: { per10000: 0.05, perKept: 0.4 },
    async make() {
      const place = await startAws()
      const { fake } = place
      fake.secrets.set(ref, { versions: new Map(), tags: new Map() })
      const store = await openAws(place)
      return {
        store,
        requests: () => fake.requests.length,
        kept: () => fake.secrets.size,
        end: () => place.end(),
      }
    },
  },
  'google-secret-manager': {
    price: { per10000: 0.03, perKept: 0.06 },
    async make() {
      const place = await startGoogle()
      const { fake } = place
      const kept = (): number =>
        [...fake.secrets.values()]
          .flatMap(({ versions }) => versions)
          .filter(({ state }) => state !== 'DESTROYED').length
      return { store: await place.open(), requests: () => fake.requests.length, kept, end: () => place.end() }
    },
  },
  'azure-key-vault': {
    price: { per10000: 0.03, perKept: 0 },
    async make() {
      const place = await startAzure()
      // The first request of each kind is answered with the challenge, which is not billed.
      const requests = (): number => place.fake.requests.filter(({ hasToken }) => hasToken).length
      return { store: await place.open(), requests, kept: () => 0, end: () => place.end() }
    },
  },
  vault: {
    async make() {
      const place = await startVault()
      const requests = (): number => place.fake.requests.length
      return { store: await place.open(), requests, kept: () => 0, end: () => place.end() }
    },
  },
  kubernetes: {
    async make() {
      const place = await startKubernetes()
      const requests = (): number => place.fake.requests.length
      return { store: await place.open(), requests, kept: () => 0, end: () => place.end() }
    },
  },
}

/** What one rotation asks of the store, from the check before it to the end of the old key. */
async function rotate(store: SecretStore): Promise<void> {
  const old = await store.read(ref)
  if (old === undefined) throw new Error('there is no key to turn')
  await store.check(ref)
  const version = randomUUID()
  await store.stage(ref, { version, secret: newSecret(), meta: someMeta, fence: 2 })
  await store.annotate(ref, version, someMeta)
  await store.promote(ref, { to: version, expectCurrent: old.version, fence: 2 })
  await store.read(ref)
  await store.retire(ref, { version: old.version, fence: 2 })
  await store.destroy(ref, old.version)
}

const section =
  /^## What it costs\n(.*?)(?=^## )/ms.exec(
    readFileSync(new URL('../../docs/stores.md', import.meta.url), 'utf8'),
  )?.[1] ?? ''

/** The cells of the line that begins with the store's name. */
function cellsOf(kind: string): readonly string[] {
  const line = section.split('\n').find((each) => each.startsWith(`| \`${kind}\` |`)) ?? expect.fail(kind)
  return line
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim())
}

const ending: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0)) await end()
})

it.each(Object.entries(measures))('%s costs what docs/stores.md says', async (kind, { make, price }) => {
  const { store, requests, kept, end } = await make()
  ending.push(end)
  const during = async (act: () => Promise<unknown>): Promise<number> => {
    const before = requests()
    await act()
    return requests() - before
  }
  await establish(store, ref)
  await rotate(store)
  // Not the first ones, which log in and look around.
  const poll = await during(() => store.read(ref))
  const rotation = await during(() => rotate(store))

  const [shownPoll, shownRotation, ...shown] = cellsOf(kind)
  expect(Number(shownPoll)).toBe(poll)
  expect(rotation).toBeLessThanOrEqual(Number(shownRotation))
  expect(rotation).toBeGreaterThan(Number(shownRotation) * 0.6)
  const polls = monthMs / pollMs()
  const expected = replicas.map((count) => {
    if (price === undefined) return `${((poll * count * 1_000) / pollMs()).toPrecision(2)}/s`
    return `$${((polls * poll * count * price.per10000) / 10_000 + kept() * price.perKept).toFixed(2)}`
  })
  expect(shown).toEqual(expected)
})

function pollMs(): number {
  const text = 'credentials: { openai: { store: { kind: memory } } }'
  const readFile = (path: string): string | undefined => (path.endsWith('keyturn.yaml') ? text : undefined)
  return loadConfig({ env: {}, cwd: '/srv', readFile }).credentials[0]?.policy.storePollMs ?? Number.NaN
}

it('the section names the poll interval that is the default', () => {
  expect(section).toContain(`\`storePoll\` (${pollMs() / 1_000} s)`)
})
