import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CredentialAnswer, CredentialSummary, Problem, RotationSummary } from '../../src/api/types.ts'
import { redactKeys } from '../../src/core/key-shape.ts'
import { type Knobs, type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { freePort } from '../free-port.ts'

/** Waits that are short enough for tests and long enough that every phase is a real one. */
export const fastPolicy: Readonly<Record<string, string | number>> = {
  overlap: '500ms',
  quiet: '300ms',
  provingCount: 3,
  provingSettle: '200ms',
  activationGrace: '30s',
  phaseDeadline: '60s',
  retryBase: '50ms',
  retryMax: '500ms',
  verifyEvery: '1s',
  verifyCloselyEvery: '1s',
  verifyCloselyFor: '1s',
  deadProbes: 3,
  deadSpan: '200ms',
  storePoll: '1s',
}

export interface Rig {
  readonly sandbox: Sandbox
  readonly home: string
  readonly url: string
  readonly env: Readonly<Record<string, string>>
  /** Every line that the service logged, all starts together. */
  readonly logs: string[]
  appToken(): string
  operatorToken(): string
}

export interface RigOptions {
  readonly knobs?: Partial<Knobs>
  readonly policy?: Readonly<Record<string, string | number>>
  /** Lines of YAML in place of the openai issuer and the local store. */
  readonly credential?: readonly string[] | ((sandbox: Sandbox, home: string) => readonly string[])
  /** What stands under `audit` in the configuration. Default: replies wait longer for their rows than a machine stands still. */
  readonly audit?: string
  /** A sandbox that is there already; whoever made it closes it. */
  readonly sandbox?: Sandbox
}

/** A sandbox of OpenAI that outlives the service, a home, and a configuration that joins them; nothing of it is started yet. */
export async function prepareRig(options: RigOptions = {}): Promise<Rig> {
  // Loaded only here, so that the soak can use everything else without a runner of tests.
  const { onTestFinished } = await import('vitest')
  const sandbox =
    options.sandbox ?? (await startSandbox(options.knobs === undefined ? {} : { knobs: options.knobs }))
  const home = mkdtempSync(join(tmpdir(), 'keyturn-system-'))
  onTestFinished(async () => {
    if (options.sandbox === undefined) await sandbox.close()
    rmSync(home, { recursive: true, force: true })
  })
  return layRig(sandbox, home, options)
}

/** Writes the configuration into a home that whoever made it removes. */
export async function layRig(sandbox: Sandbox, home: string, options: RigOptions = {}): Promise<Rig> {
  const port = await freePort()
  writeFileSync(join(home, 'keyturn.yaml'), yamlFor(sandbox, home, options), { mode: 0o600 })
  const env = {
    KEYTURN_HOME: home,
    KEYTURN_CONFIG: join(home, 'keyturn.yaml'),
    KEYTURN_LISTEN: `127.0.0.1:${port}`,
    OPENAI_ADMIN_KEY: sandbox.adminKey(),
    PATH: process.env['PATH'] ?? '',
  }
  const token = (role: string): string => readFileSync(join(home, `${role}.token`), 'utf8').trim()
  return {
    sandbox,
    home,
    url: `http://127.0.0.1:${port}`,
    env,
    logs: [],
    // An operator may read what an app may; the service leaves his token in the home at its first start.
    appToken: () => token('operator'),
    operatorToken: () => token('operator'),
  }
}

function yamlFor(sandbox: Sandbox, home: string, options: RigOptions): string {
  const { policy = {}, credential, audit = '{ wait: 30s }' } = options
  const own = (typeof credential === 'function' ? credential(sandbox, home) : credential) ?? [
    'store: { kind: local }',
    `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 5s }`,
    `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
  ]
  const waits = Object.entries({ ...fastPolicy, ...policy }).map(([name, value]) => `      ${name}: ${value}`)
  return [
    'log: { level: debug, format: json }',
    `audit: ${audit}`,
    'credentials:',
    '  openai:',
    ...own.map((line) => `    ${line}`),
    '    policy:',
    ...waits,
    '',
  ].join('\n')
}

// ----------------------------------------------------------------- talking

export async function call<Answer>(
  rig: Rig,
  path: string,
  init: { readonly method?: string; readonly body?: unknown; readonly token?: string } = {},
): Promise<{ status: number; body: Answer; headers: Headers }> {
  const response = await fetch(rig.url + path, {
    method: init.method ?? 'GET',
    headers: {
      authorization: `Bearer ${init.token ?? rig.operatorToken()}`,
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  const text = await response.text()
  return { status: response.status, body: JSON.parse(text) as Answer, headers: response.headers }
}

export function handOut(
  rig: Rig,
): Promise<{ status: number; body: CredentialAnswer & Problem; headers: Headers }> {
  return call(rig, '/v1/credentials/openai')
}

export async function summaries(rig: Rig): Promise<readonly CredentialSummary[]> {
  return (await call<{ items: CredentialSummary[] }>(rig, '/v1/credentials')).body.items
}

export async function summary(rig: Rig): Promise<CredentialSummary> {
  const [only] = await summaries(rig)
  if (only === undefined) throw new Error('the service tells nothing of its credential')
  return only
}

export async function rotate(rig: Rig, body: Record<string, unknown> = {}): Promise<RotationSummary> {
  const answer = await call<RotationSummary & Problem>(rig, '/v1/credentials/openai/rotations', {
    method: 'POST',
    body,
  })
  if (answer.status >= 300) throw new Error(`${answer.status} ${answer.body.code}: ${answer.body.detail}`)
  return answer.body
}

/** Asks again and again until the claim holds; the time is bounded, and what was seen last is in the error, without its keys and tokens. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value> | Value,
  isSo: (value: Value) => boolean,
  withinMs = 20_000,
): Promise<Value> {
  const endsAt = performance.now() + withinMs
  let last: unknown
  for (;;) {
    // After a machine stood still until the time was up there is one more look.
    const isLast = performance.now() >= endsAt
    try {
      const value = await look()
      last = value
      if (isSo(value)) return value
    } catch (thrown) {
      last = thrown
    }
    if (isLast) break
    await breath()
  }
  const seen = JSON.stringify(last instanceof Error ? String(last) : last) ?? 'nothing'
  const shown = redactKeys(seen).replace(/kt_[a-z]+_[\w-]{8,}/g, '[redacted]')
  throw new Error(`not within ${withinMs} ms: ${what}; last seen: ${shown.slice(0, 2_000)}`)
}

/** Lets timers and sockets of this process have their turn. */
export function breath(): Promise<void> {
  const signal = AbortSignal.timeout(10)
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

export function untilReady(rig: Rig, withinMs = 20_000): Promise<unknown> {
  return until(
    'a key is handed out',
    () => handOut(rig),
    ({ status }) => status === 200,
    withinMs,
  )
}

/** The first key is handed out after one proof, on a fast machine before the slowest edge of OpenAI has heard of it. */
export function untilKnownEverywhere(sandbox: Sandbox): Promise<unknown> {
  const { activationMs } = sandbox.knobs()
  const slowestMs = typeof activationMs === 'number' ? activationMs : Math.max(...activationMs)
  return until(
    'every edge knows every key',
    () => Math.max(...sandbox.keys().map((key) => key.createdAt)),
    (newestAt) => Date.now() > newestAt + slowestMs,
  )
}

/** The rotation has promoted its key, and the old one is proven dead. */
export function untilTurned(rig: Rig, id: string, withinMs = 30_000): Promise<RotationSummary> {
  const look = async (): Promise<RotationSummary> =>
    (await call<RotationSummary>(rig, `/v1/credentials/openai/rotations/${id}`)).body
  return until(
    'the rotation ended and the old key is dead',
    look,
    ({ phase, retirement }) => phase === 'done' && (retirement === null || retirement.phase === 'dead'),
    withinMs,
  )
}

/** The rotation has ended; retirements of old keys may still be walking. */
export function untilPromoted(rig: Rig, id: string, withinMs = 30_000): Promise<RotationSummary> {
  const look = async (): Promise<RotationSummary> =>
    (await call<RotationSummary>(rig, `/v1/credentials/openai/rotations/${id}`)).body
  return until('the rotation ended', look, ({ phase }) => phase === 'done', withinMs)
}

/** No rotation runs any more, and every old key is proven dead. */
export function untilAllDead(rig: Rig, withinMs = 40_000): Promise<CredentialSummary> {
  return until(
    'every old key is proven dead',
    () => summary(rig),
    ({ rotation, retirements }) =>
      (rotation === null || rotation.phase === 'done') && retirements.every((one) => one.phase === 'dead'),
    withinMs,
  )
}

/**
 * Exactly these troubles are told, in this order; by default none. One look is not enough: a new key may be unknown to
 * an edge of OpenAI for a while, and what was told of the step before is there until the next look.
 */
export function untilTold(rig: Rig, codes: readonly string[] = []): Promise<CredentialSummary> {
  return until(
    `what is told is ${codes.join(', ') || 'no trouble'}`,
    () => summary(rig),
    ({ troubles }) => troubles.map((one) => one.code).join() === codes.join(),
  )
}

/** Keys of the service account that the source of truth still accepts. */
export function aliveKeys(sandbox: Sandbox): readonly string[] {
  return sandbox
    .keys()
    .filter((key) => key.kind === 'service_account' && key.state === 'alive')
    .map((key) => key.id)
}
