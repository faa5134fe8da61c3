import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { CredentialSummary } from '../../src/api/types.ts'
import { type CliRun, runCli } from './cli.ts'
import { call, fastPolicy, prepareRig, type Rig, until } from './harness.ts'
import { serveRig } from './in-process.ts'

const names = ['by-hand', 'other', 'team-a', 'team-b', 'team-c']

/** Three of a team, the second of which must not be turned now; one of another; one that a person brings keys for. */
async function started(): Promise<Rig> {
  const rig = await prepareRig()
  const { sandbox, home } = rig
  const waits = Object.entries({ ...fastPolicy, overlap: '1h', drainLimit: '2h' })
  const hourMs = 3_600_000
  const at = (offsetMs: number): string => new Date(Date.now() + offsetMs).toISOString()
  const lines = names.flatMap((name) => [
    `  ${name}:`,
    '    store: { kind: local }',
    name === 'by-hand'
      ? `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`
      : `    issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount} }`,
    ...(name === 'team-b' ? [`    blackout: [{ from: ${at(-hourMs)}, until: ${at(hourMs)} }]`] : []),
    '    policy:',
    ...waits.map(([key, value]) => `      ${key}: ${value}`),
  ])
  writeFileSync(join(home, 'keyturn.yaml'), ['credentials:', ...lines, ''].join('\n'), { mode: 0o600 })
  await serveRig(rig)
  await until(
    'all but the one by hand have a key',
    () => summaries(rig),
    (all) => all.every(({ name, current }) => name === 'by-hand' || current !== null),
  )
  return rig
}

async function summaries(rig: Rig): Promise<readonly CredentialSummary[]> {
  return (await call<{ items: CredentialSummary[] }>(rig, '/v1/credentials')).body.items
}

async function generationsOf(rig: Rig): Promise<ReadonlyMap<string, number>> {
  return new Map((await summaries(rig)).map(({ name, generation }) => [name, generation]))
}

interface Told {
  readonly since: string
  readonly done: readonly string[]
  readonly failed: readonly { readonly name: string; readonly code: string; readonly fix: string }[]
  readonly notBegun: readonly string[]
  readonly skipped: readonly { readonly name: string; readonly why: string }[]
}

const told = ({ out }: CliRun): Told => JSON.parse(out) as Told

it('turns many in waves, leaves out what is in a blackout, and goes on with what is left', async () => {
  const rig = await started()
  const teams = ['team-a', 'team-b', 'team-c', 'other']
  const before = await generationsOf(rig)
  /** How often each was turned. */
  const turns = async (): Promise<readonly number[]> => {
    const now = await generationsOf(rig)
    return teams.map((name) => (now.get(name) ?? 0) - (before.get(name) ?? 0))
  }
  const first = await runCli(rig, ['rotate', '--all', '--match', 'team-*', '--wave', '1', '--json'])
  expect(first.code, first.err).toBe(0)
  const { since, done, failed, notBegun, skipped } = told(first)
  expect([done, failed, notBegun]).toEqual([['team-a', 'team-c'], [], []])
  expect(skipped).toEqual([
    { name: 'team-b', why: expect.stringMatching(/^in a blackout until 2.*--in-blackout/) },
  ])
  expect(await turns()).toEqual([1, 0, 1, 0])

  const again = await runCli(rig, ['rotate', '--all', '--since', since, '--in-blackout'])
  expect(again.code, again.err).toBe(0)
  expect(again.out).toMatch(/turned: 2 \(other, team-b\)/)
  expect(again.out).toMatch(/skipped: by-hand: its key comes from a person/)
  expect(again.out).toMatch(/skipped: team-a: done already/)
  expect(again.out).toMatch(/skipped: team-c: done already/)
  expect(await turns()).toEqual([1, 1, 1, 1])

  const alive = rig.sandbox.keys().filter(({ state }) => state === 'alive').length
  const rehearsed = await runCli(rig, ['rotate', '--all', '--rehearse', '--match', 'team-*', '--json'])
  expect(rehearsed.code, rehearsed.err).toBe(0)
  expect(told(rehearsed).done).toEqual(['team-a', 'team-b', 'team-c'])
  expect(rig.sandbox.keys().filter(({ state }) => state === 'alive')).toHaveLength(alive)
}, 90_000)
