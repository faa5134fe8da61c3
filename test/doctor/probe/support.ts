import { onTestFinished } from 'vitest'
import { Secret } from '../../../src/core/secret.ts'
import type { DoctorContext, DoctorOptions } from '../../../src/doctor/context.ts'
import type { Facts } from '../../../src/doctor/facts.ts'
import type { Finding } from '../../../src/doctor/finding.ts'
import { createFetch } from '../../../src/doctor/network/create-fetch.ts'
import { createNetwork } from '../../../src/doctor/network/create-network.ts'
import type { Reach } from '../../../src/doctor/network/reach.ts'
import { networkCheck } from '../../../src/doctor/probe/network-check.ts'
import { openIssuer } from '../../../src/issuers/index.ts'
import { type Knobs, type Sandbox, startSandbox } from '../../../src/sandbox/index.ts'
import { createSystem } from '../../../src/system.ts'
import { randomOf } from '../../core/fixtures.ts'
import { emptyFacts, type TestDoctor, testDoctor } from '../context.ts'

/**
 * A sandbox whose edges agree. It draws the same each time: four characters of a key are enough for the doctor to withhold
 * the text that they stand in, and once in some thousand draws they stand in an id.
 */
export async function openSandbox(knobs: Partial<Knobs> = {}, now?: () => number): Promise<Sandbox> {
  const settled = { activationMs: 0, revocationMs: 0, updateMs: 0, lastUsedLagMs: 0 }
  const draw = randomOf(1)
  const random = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(draw() * 256))
  const sandbox = await startSandbox({
    random,
    knobs: { ...settled, ...knobs },
    ...(now === undefined ? {} : { now }),
  })
  onTestFinished(() => sandbox.close())
  return sandbox
}

export const keyPlace = { kind: 'variable', name: 'OPENAI_API_KEY' } as const

/** What would be gathered for this key and this base URL, both of the environment. */
export function factsOf(given: {
  readonly key?: string | undefined
  readonly baseUrl?: string | undefined
  readonly more?: Partial<Facts>
}): Facts {
  const key = given.key === undefined ? undefined : { place: keyPlace, text: new Secret(given.key) }
  const place = { kind: 'variable', name: 'OPENAI_BASE_URL' } as const
  return {
    ...emptyFacts,
    key,
    keys: key === undefined ? [] : [key],
    baseUrl: given.baseUrl === undefined ? undefined : { value: given.baseUrl, place },
    ...given.more,
  }
}

/** A doctor on the real network, wherever `reach` sends the names. */
export function realDoctor(
  given: Partial<Omit<DoctorContext, 'options'>> & {
    readonly options?: Partial<DoctorOptions>
    readonly reach?: Reach
  } = {},
): TestDoctor {
  const { reach = {}, ...rest } = given
  const system = given.system ?? createSystem()
  return testDoctor({
    network: createNetwork(system, reach),
    openIssuer: ({ proxy, ...address }) =>
      openIssuer(
        { kind: 'manual', ...address },
        { system, log: () => undefined, fetch: createFetch({ ...reach, proxy }) },
      ),
    ...rest,
    system,
  })
}

export async function findingsOf(
  facts: Facts,
  doctor: TestDoctor = realDoctor(),
): Promise<readonly Finding[]> {
  return await networkCheck.run(facts, doctor)
}

export const codesOf = (findings: readonly Finding[]) => findings.map(({ code }) => code)

/** The names of the steps that ended, with how they ended. */
export function endsOf({ steps }: TestDoctor): Readonly<Record<string, string>> {
  const ended = steps.filter(({ state }) => state !== 'running')
  return Object.fromEntries(ended.map(({ name, state }) => [name, state]))
}
