import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/client/create-client.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { identityAt, subject, type TestIdentity } from '../sandbox/identity.ts'
import { Canaries } from './canaries.ts'
import { runCli } from './cli.ts'
import { handOut, prepareRig, type Rig, summary, until, untilReady, untilTold } from './harness.ts'
import { serveRig } from './in-process.ts'

const secondSubject = `${subject}-second`

interface Place {
  readonly rig: Rig
  readonly identity: TestIdentity
  readonly canaries: Canaries
  /** Where the platform keeps the identity token. */
  readonly tokenFile: string
  /** What the platform does: another token in the place of the one before. */
  project(token: string): void
}

/** A sandbox with an identity provider, and a configuration without any stored key. */
async function prepare(tokenSeconds: number, policy = ''): Promise<Place> {
  const canaries = new Canaries()
  const sandbox = await startSandbox({
    random: canaries.random,
    knobs: { exchangeTokenSeconds: tokenSeconds },
  })
  onTestFinished(() => sandbox.close())
  const identity = identityAt(sandbox)
  const rig = await prepareRig({ sandbox })
  const tokenFile = join(rig.home, 'identity-token')
  const yaml = [
    'log: { level: debug, format: json }',
    'audit: { wait: 30s }',
    'credentials:',
    '  openai:',
    '    identity:',
    `      provider: ${identity.provider}`,
    `      serviceAccount: ${sandbox.serviceAccount}`,
    '      subjectToken: { file: identity-token }',
    `      tokenUrl: ${sandbox.tokenUrl}`,
    `      baseUrl: ${sandbox.baseUrl}`,
    policy,
    '',
  ]
  writeFileSync(join(rig.home, 'keyturn.yaml'), yaml.join('\n'))
  const project = (token: string): void => {
    canaries.add(token.split('.')[2] ?? '')
    writeFileSync(tokenFile, token)
  }
  project(identity.token())
  return { rig, identity, canaries, tokenFile, project }
}

/** By their ids: the sandbox's log is bounded, and an app that calls without a pause soon fills it. */
const exchanged = new Map<Rig, Set<string>>()
function exchanges(rig: Rig): number {
  const seen = exchanged.get(rig) ?? new Set()
  exchanged.set(rig, seen)
  for (const { path, status, requestId } of rig.sandbox.requests())
    if (path === '/oauth/token' && status === 200) seen.add(requestId)
  return seen.size
}

it('an app calls OpenAI without a failure while tokens of seconds come and go and the identity token is replaced', async () => {
  // Half of it is what an app may take to send what it has on a machine that stands still.
  const tokenSeconds = 12
  const place = await prepare(tokenSeconds)
  const { rig, identity, canaries } = place
  const { sandbox } = rig
  await serveRig(rig)
  await untilReady(rig)
  const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
  onTestFinished(() => client.close())
  const openai = new OpenAI({
    apiKey: client.getOpenAIKey,
    baseURL: sandbox.baseUrl,
    organization: null,
    project: null,
    maxRetries: 0,
  })
  const generations: number[] = []
  const call = async (): Promise<void> => {
    const { generation } = await client.getOpenAICredential()
    if (generation !== generations.at(-1)) generations.push(generation)
    await openai.chat.completions.create({
      model: 'gpt-5-mini',
      messages: [{ role: 'user', content: 'Say something.' }],
    })
  }
  while (exchanges(rig) < 2) await call()
  // From now on only who reads the file anew gets a token: the workload has become another.
  sandbox.mapIdentity({ provider: identity.provider, subject: secondSubject })
  sandbox.unmapIdentity({ provider: identity.provider, subject })
  place.project(identity.token({ sub: secondSubject }))
  while (exchanges(rig) < 4) await call()

  const refused = sandbox.requests().filter((one) => one.path.startsWith('/v1/chat') && one.status !== 200)
  expect(refused).toEqual([])
  expect(generations.length).toBeGreaterThanOrEqual(3)
  expect(generations).toEqual(generations.toSorted((a, b) => a - b))
  const { body } = await handOut(rig)
  expect(body).toMatchObject({ stage: 'current', verdict: 'valid' })
  expect(body.staleAfterSeconds).toBeLessThanOrEqual(tokenSeconds)
  expect(await untilTold(rig)).toMatchObject({ store: 'none', issuer: 'workload-identity' })

  const status = await runCli(rig, ['status', 'openai'])
  const verified = await runCli(rig, ['verify', 'openai'])
  const turned = await runCli(rig, ['rotate', 'openai', '--reason', 'to see it'])
  const back = await runCli(rig, ['rollback', 'openai'])
  expect([status.code, verified.code, turned.code, back.code]).toEqual([0, 0, 0, 1])
  expect(back.err).toMatch(/no stored key to go back to.*keyturn rotate openai/s)
  const ledger = ['ledger.db', 'ledger.db-wal'].map((name) => textOf(join(rig.home, name)))
  const texts = new Map([
    ['log', rig.logs.join('\n')],
    ['ledger', ledger.join('\n')],
    ['status', JSON.stringify([await summary(rig), sandbox.requests()])],
    ['cli', [status, verified, turned, back].flatMap((one) => [one.out, one.err]).join('\n')],
  ])
  expect(canaries.count).toBeGreaterThan(8)
  expect(canaries.search(texts)).toEqual([])
}, 120_000)

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

it('a token that OpenAI takes back is replaced within the request of the app that saw it', async () => {
  const { rig } = await prepare(3_600, '    policy: { activationGrace: 0s }')
  const { sandbox } = rig
  sandbox.set({ revocationMs: 0 })
  await serveRig(rig)
  await untilReady(rig)
  const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
  onTestFinished(() => client.close())
  const openai = new OpenAI({ ...(await client.openAIOptions()), maxRetries: 0 })
  await openai.models.list()
  const taken = sandbox.keys().find((one) => one.kind === 'exchanged' && one.state === 'alive')
  sandbox.deleteKey(taken?.id ?? '')
  await openai.models.list()
  expect(exchanges(rig)).toBe(2)
}, 60_000)

it('with the exchange down apps keep the token to its end, and then it is said why there is none', async () => {
  const { rig } = await prepare(4)
  const { sandbox } = rig
  await serveRig(rig)
  await untilReady(rig)
  sandbox.set({ exchangeRefusal: 'access_denied' })
  const given = await until(
    'the token is over',
    () => handOut(rig),
    ({ status, body }) => status === 503 && body.code === 'no_verified_key',
  )
  expect(`${given.body.detail} ${given.body.fix}`).toMatch(
    /expired.*a policy forbids it.*policies at OpenAI/s,
  )
  sandbox.set({ exchangeRefusal: null })
  await until(
    'it is mended by itself',
    () => handOut(rig),
    ({ status }) => status === 200,
  )
}, 60_000)

it('without a service: ten thousand callers are one exchange, and the process ends by itself', async () => {
  const { rig } = await prepare(3_600)
  const entry = new URL('../../src/index.ts', import.meta.url).href
  const script = `
    import { getOpenAIKey } from '${entry}'
    const keys = await Promise.all(Array.from({ length: 10_000 }, () => getOpenAIKey()))
    process.stdout.write(String(new Set(keys).size))`
  const { KEYTURN_CONFIG, PATH } = rig.env
  const run = await new Promise<{ code: number | null; out: string; err: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { KEYTURN_CONFIG, PATH, NODE_NO_WARNINGS: '1' },
    })
    const read = { out: '', err: '' }
    child.stdout.on('data', (part: Buffer) => (read.out += part.toString()))
    child.stderr.on('data', (part: Buffer) => (read.err += part.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...read }))
  })
  expect(run).toEqual({ code: 0, out: '1', err: '' })
  expect(exchanges(rig)).toBe(1)
}, 90_000)
