import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { CredentialAnswer, RotationSummary, VersionSummary } from '../../src/api/types.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { Canaries } from './canaries.ts'
import { type CliRun, runCli } from './cli.ts'
import { breath, handOut, prepareRig, type Rig, summary, until } from './harness.ts'
import { type ServiceProcess, spawnService } from './process.ts'
import type { OpenPlace, StorePlace } from './store-places.ts'

/** A service on one store, an operator with the command line, and everything that they print. */
export interface Stage {
  readonly place: StorePlace
  readonly sandbox: Sandbox
  readonly rig: Rig
  readonly canaries: Canaries
  /** What the command line printed, all runs together. */
  readonly printed: string[]
}

/** Short: the walk itself is what is looked at. Longer from the second start on: what is done within it takes its time. */
const shortOverlap = 'overlap: 500ms'
const longOverlap = 'overlap: 1h'

export async function prepareStage(
  open: OpenPlace,
  more: {
    readonly mirrors?: readonly StorePlace[]
    /** Of OpenAI. Default: the machine's. */
    readonly now?: () => number
  } = {},
): Promise<Stage> {
  const canaries = new Canaries()
  const { mirrors = [], now = Date.now } = more
  const sandbox = await startSandbox({ random: canaries.random, now })
  onTestFinished(() => sandbox.close())
  const place = await open()
  onTestFinished(() => place.end())
  for (const secret of [place, ...mirrors].flatMap((each) => each.secrets)) canaries.add(secret)
  const bare = await prepareRig({
    sandbox,
    credential: [
      `store: ${place.yaml}`,
      `ref: ${place.ref}`,
      `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 5s }`,
      `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
      `mirrors: [${mirrors.map(({ yaml, ref }) => `{ store: ${yaml}, ref: ${ref} }`).join(', ')}]`,
    ],
  })
  const env = Object.assign({}, ...[place, ...mirrors].map((each) => each.env)) as StorePlace['env']
  const rig: Rig = { ...bare, env: { ...bare.env, ...env } }
  return { place, sandbox, rig, canaries, printed: [] }
}

export async function keyturn(stage: Stage, ...args: readonly string[]): Promise<CliRun> {
  // The operator is at another desk: nothing of the store's environment is with him.
  const { env, home } = stage.rig
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => /^(?:KEYTURN_|PATH$)/.test(name)))
  const run = await runCli({ env: own, home }, args)
  stage.printed.push(run.out, run.err)
  expect(run.err).not.toMatch(/"code":"internal"|invariant broken|^ {4}at /m)
  return run
}

export async function keyturnJson<Answer>(stage: Stage, ...args: readonly string[]): Promise<Answer> {
  const { code, out, err } = await keyturn(stage, ...args, '--json')
  expect([0, 3], `keyturn ${args.join(' ')}: ${err}`).toContain(code)
  return JSON.parse(out) as Answer
}

export async function versionsOf(stage: Stage): Promise<readonly VersionSummary[]> {
  return (await keyturnJson<{ items: readonly VersionSummary[] }>(stage, 'versions', 'openai')).items
}

export async function handedOut(stage: Stage): Promise<CredentialAnswer> {
  const { status, body } = await handOut(stage.rig)
  expect(status, `${body.code}: ${body.detail}`).toBe(200)
  return body
}

/** Keys that were asked of the issuer, whatever became of them. */
export function mints({ sandbox }: Pick<Stage, 'sandbox'>): number {
  return sandbox
    .requests()
    .filter(({ method, path }) => method === 'POST' && /\/(?:service_accounts|api_keys)$/.test(path)).length
}

// ----------------------------------------------------------------- other readers

export interface Sight {
  readonly value: string
  /** By key id: how often OpenAI had said yes to it when the value was first seen. */
  readonly proofs: ReadonlyMap<string, number>
}

/** Looks at the store again and again as another reader of it does, and keeps each change of what it gets. */
export function watchReader({ place, sandbox }: Pick<Stage, 'place' | 'sandbox'>): {
  stop(): Promise<readonly Sight[]>
} {
  const sights: Sight[] = []
  let isStopped = false
  const look = async (): Promise<void> => {
    const value = await place.read()
    if (value === undefined || value === sights.at(-1)?.value) return
    const proofs = new Map<string, number>()
    for (const { keyId, path, status } of sandbox.requests())
      if (keyId !== null && path === '/v1/models' && status === 200)
        proofs.set(keyId, (proofs.get(keyId) ?? 0) + 1)
    sights.push({ value, proofs })
  }
  const watching = (async () => {
    while (!isStopped) {
      await look()
      await breath()
    }
    await look()
  })()
  onTestFinished(() => {
    isStopped = true
  })
  return {
    async stop() {
      isStopped = true
      await watching
      return sights
    },
  }
}

// ----------------------------------------------------------------- what an operator does

export interface Turn {
  readonly before: CredentialAnswer
  readonly after: CredentialAnswer
}

/**
 * `keyturn rotate --wait`, to the death of the old key. Where the store asks for a longer overlap than this test has, or the key is
 * not of Keyturn's making, the operator ends it by hand once the new key is out.
 */
export async function turnToDeath(stage: Stage): Promise<Turn> {
  const before = await handedOut(stage)
  const waiting = keyturn(stage, 'rotate', 'openai', '--wait')
  const walked = await until(
    'the new key is out',
    () => summary(stage.rig),
    ({ current, retirements }) =>
      current?.version !== before.version && retirements.some((one) => one.version === before.version),
    30_000,
  )
  const retirement = walked.retirements.find((one) => one.version === before.version)
  const leftMs = Date.parse(retirement?.overlapUntil ?? '') - Date.now()
  if (retirement?.phase === 'kept' || leftMs > 2_000) {
    const isMade = walked.versions.some((one) => one.version === before.version && one.origin === 'minted')
    expect(retirement?.phase).toBe(isMade ? 'draining' : 'kept')
    const revoked = await keyturn(
      stage,
      'revoke',
      'openai',
      before.version,
      '--reason',
      'nobody reads it',
      '--confirm',
      'openai',
    )
    expect(revoked.code, revoked.err).toBe(0)
  }
  const { code, out, err } = await waiting
  expect(code, out + err).toBe(0)
  await until(
    'the old key is proven dead',
    () => summary(stage.rig),
    ({ retirements }) => retirements.every((one) => one.version !== before.version || one.phase === 'dead'),
    30_000,
  )
  const after = await handedOut(stage)
  expect(after.fingerprint).not.toBe(before.fingerprint)
  expect(stage.sandbox.isAlive(before.apiKey)).toBe(false)
  expect(stage.sandbox.isAlive(after.apiKey)).toBe(true)
  return { before, after }
}

export async function promote(stage: Stage): Promise<Turn> {
  const before = await handedOut(stage)
  const { id } = await keyturnJson<RotationSummary>(stage, 'rotate', 'openai')
  await until(
    'the new key is out',
    () => summary(stage.rig),
    ({ rotation }) => rotation?.id === id && rotation.phase === 'done',
    30_000,
  )
  const after = await handedOut(stage)
  expect(after.version).not.toBe(before.version)
  return { before, after }
}

/** Service and store have the same key, and nothing is wrong. */
export async function expectEverywhere(stage: Stage, { apiKey, version }: CredentialAnswer): Promise<void> {
  expect((await handedOut(stage)).version).toBe(version)
  // A rollback is out before the store has it.
  const isSame = async (): Promise<boolean> => [apiKey, undefined].includes(await stage.place.read())
  await until('the store has it', isSame, Boolean)
  // A key may be younger than the slowest edge of OpenAI.
  await until(
    'nothing is wrong',
    () => summary(stage.rig),
    ({ troubles, current }) => troubles.length === 0 && current?.version === version,
  )
}

/** What `keyturn status` says to an operator agrees with it. */
export async function expectStatus(stage: Stage, { version, fingerprint }: CredentialAnswer): Promise<void> {
  const shown = await keyturn(stage, 'status', 'openai')
  expect([shown.code, shown.err]).toEqual([0, ''])
  expect(shown.out).toContain(`${fingerprint} (version ${version.slice(0, 8)}`)
  expect(shown.out).not.toContain('fix:')
}

/** SIGKILL, then a new process on the same home, store and configuration but for a longer overlap. */
export async function startAnew(
  stage: Stage,
  service: ServiceProcess,
  options: { readonly isLedgerLost?: boolean } = {},
): Promise<ServiceProcess> {
  await service.kill()
  const file = join(stage.rig.home, 'keyturn.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(shortOverlap, longOverlap))
  if (options.isLedgerLost === true)
    for (const tail of ['', '-wal', '-shm']) rmSync(join(stage.rig.home, `ledger.db${tail}`), { force: true })
  return await spawnService(stage.rig)
}

/** The store is away: apps have their key, the operator is told where and why and what to do; and then it is back. */
export async function expectOutagesSurvived(stage: Stage): Promise<void> {
  const held = await handedOut(stage)
  const content = await stage.place.read()
  for (const outage of stage.place.outages) {
    await outage.begin()
    const told = await until(
      `the trouble is told: ${outage.code}`,
      () => summary(stage.rig),
      ({ troubles }) => troubles.some((one) => one.code === outage.code),
      30_000,
    )
    const trouble = told.troubles.find((one) => one.code === outage.code)
    expect(`${trouble?.summary} ${trouble?.fix}`).toMatch(outage.says)
    expect(trouble?.fix).not.toBe('')
    const shown = await keyturn(stage, 'status', 'openai')
    // Not word for word: some say which request it was, and each look is another one.
    expect(shown.out).toMatch(outage.says)
    expect(shown.out).toContain(`fix: ${trouble?.fix}`)
    expect((await handedOut(stage)).apiKey).toBe(held.apiKey)
    await outage.end()
    if (content !== undefined && (await stage.place.read()) !== content) await stage.place.put?.(content)
    await until(
      `the trouble is over: ${outage.code}`,
      () => summary(stage.rig),
      ({ troubles }) => troubles.length === 0,
      30_000,
    )
    expect((await handedOut(stage)).apiKey).toBe(held.apiKey)
  }
}

/** Neither the service nor the command line printed a piece of a key, a token, or of what opens the store. */
export function expectNothingSecret({ canaries, rig, printed }: Stage): void {
  canaries.add(rig.operatorToken(), 'kt_')
  expect(canaries.count).toBeGreaterThan(1)
  const texts = new Map([
    ['the service', rig.logs.join('\n')],
    ['the command line', printed.join('\n')],
  ])
  expect(rig.logs.length).toBeGreaterThan(0)
  expect(canaries.search(texts)).toEqual([])
}
