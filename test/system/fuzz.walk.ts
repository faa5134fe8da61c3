import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { RotationSummary, TokenAnswer } from '../../src/api/types.ts'
import { type Knobs, startSandbox } from '../../src/sandbox/index.ts'
import type { OpenApi } from '../fuzz/document.ts'
import { type FuzzResult, fuzz } from '../fuzz/fuzz.ts'
import { Canaries } from './canaries.ts'
import { call, handOut, prepareRig, type Rig, rotate, untilPromoted, untilReady } from './harness.ts'
import { filesOf } from './keyed.ts'
import { spawnService } from './process.ts'

const calmRuns = 4_000
const stormRuns = 4_000
const perMood = 60

/** What OpenAI may be like, one after another. */
const moods: readonly Partial<Knobs>[] = [
  { errorStatus: 500 },
  {},
  { proxyPage: 401 },
  { resetMidAnswer: true },
  {},
  { throttle: true },
  { stripAuthorization: true },
  {},
  { redirectTo: 'http://127.0.0.1:1/' },
  { latencyMs: 200 },
]

const well: Partial<Knobs> = {
  errorStatus: null,
  proxyPage: null,
  resetMidAnswer: false,
  throttle: false,
  stripAuthorization: false,
  redirectTo: null,
  latencyMs: 0,
}

/** A whole service in a process of its own, asked as its OpenAPI document says and otherwise, while OpenAI fails in every way. */
it('answers as its document says, with no fault and no secret, in calm and in storm', {
  timeout: 600_000,
}, async () => {
  const canaries = new Canaries()
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-fuzz-'))
  const sandbox = await startSandbox({ random: canaries.random, stateFile: join(folder, 'sandbox.json') })
  onTestFinished(async () => {
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const rig = await prepareRig({ sandbox })
  await spawnService(rig)
  canaries.add(rig.operatorToken(), 'kt_op_')
  await untilReady(rig)

  const document = (await (await fetch(`${rig.url}/openapi.json`)).json()) as OpenApi
  const callers = await callersOf(rig, canaries)
  const values = await valuesOf(rig)
  const isLeaking = (text: string): boolean => canaries.search(new Map([['', text]])).length > 0
  const seed = Number(process.env['KEYTURN_FUZZ_SEED'] ?? randomInt(2 ** 31))
  process.stdout.write(`fuzz: KEYTURN_FUZZ_SEED=${seed}\n`)
  const common = {
    url: rig.url,
    document,
    callers,
    isLeaking,
    known: {
      values,
      skipped: { streamEvents: 'it has no end', revokeToken: 'it could end the token that the test needs' },
    },
  }
  // What is asked may well end every key there is; that is told, and is no fault.
  const calm = await fuzz({ ...common, seed, numRuns: calmRuns, allowedFaults: ['no_verified_key'] })
  const storm = await fuzz({
    ...common,
    seed: seed + 1,
    numRuns: stormRuns,
    allowedFaults: [
      'no_verified_key',
      'issuer_unreachable',
      'issuer_refused',
      'issuer_throttled',
      'issuer_denied',
      'issuer_malformed',
    ],
    between: (count) => {
      if (count % perMood === 0) sandbox.set({ ...well, ...moods[(count / perMood) % moods.length] })
    },
  })
  sandbox.set(well)
  report('calm', calm)
  report('storm', storm)
  expect((await handOut(rig)).status).toBeLessThan(504)

  // The logs, and every file that is not there to hold a secret.
  const files = filesOf(rig.home, /^(?:operator\.token|app\.token|signing-key\.pem)$/)
  const texts = new Map([['the log', rig.logs.join('\n')], ...files])
  expect(canaries.search(texts)).toEqual([])
  expect(rig.logs.filter((line) => /"code":"internal"|invariant broken/.test(line))).toEqual([])
})

async function callersOf(rig: Rig, canaries: Canaries) {
  const make = async (body: unknown): Promise<TokenAnswer> => {
    const { body: made } = await call<TokenAnswer>(rig, '/v1/tokens', { method: 'POST', body })
    canaries.add(made.token, made.token.slice(0, made.token.lastIndexOf('_') + 1))
    return made
  }
  const app = await make({ name: 'web', role: 'app', credentials: ['openai'] })
  const other = await make({ name: 'other', role: 'app', credentials: ['other'] })
  const revoked = await make({ name: 'revoked', role: 'operator' })
  await fetch(`${rig.url}/v1/tokens/${revoked.id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${rig.operatorToken()}` },
  })
  const operator = { name: 'an operator', authorization: `Bearer ${rig.operatorToken()}`, isKnown: true }
  return [
    operator,
    operator,
    { name: 'an app', authorization: `Bearer ${app.token}`, isKnown: true },
    { name: 'another app', authorization: `Bearer ${other.token}`, isKnown: true },
    { name: 'a revoked operator', authorization: `Bearer ${revoked.token}`, isKnown: false },
    { name: 'Basic', authorization: `Basic ${btoa(`:${rig.operatorToken()}`)}`, isKnown: false },
    { name: 'somebody without a token', authorization: undefined, isKnown: false },
  ]
}

async function valuesOf(rig: Rig): Promise<Readonly<Record<string, readonly string[]>>> {
  const before = (await handOut(rig)).body.version
  const { id } = await untilPromoted(rig, (await rotate(rig, { reason: 'to have one' })).id)
  const { body } = await call<{ items: RotationSummary[] }>(rig, '/v1/credentials/openai/rotations')
  return {
    name: ['openai', 'openai', 'openai', 'other'],
    id: [id, ...body.items.map((one) => one.id)],
    version: [before, (await handOut(rig)).body.version],
    instance: ['web-1'],
  }
}

function report(mood: string, { requests, seen }: FuzzResult): void {
  const statuses = new Map<number, number>()
  for (const each of seen.values())
    for (const [status, count] of each) statuses.set(status, (statuses.get(status) ?? 0) + count)
  const told = [...statuses]
    .sort(([left], [right]) => left - right)
    .map(([status, count]) => `${status}: ${count}`)
  process.stdout.write(`fuzz, ${mood}: ${requests} requests of ${seen.size} operations; ${told.join(', ')}\n`)
}
