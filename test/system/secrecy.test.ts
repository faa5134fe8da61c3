import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { Canaries } from './canaries.ts'
import { type CliRun, runCli, visible } from './cli.ts'
import {
  fastPolicy,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  summaries,
  summary,
  until,
  untilAllDead,
  untilPromoted,
  untilReady,
} from './harness.ts'
import { plant } from './plant.ts'
import { spawnService } from './process.ts'

/** What a user asks for to see a secret. */
const answersWithSecrets = [/^GET \/v1\/credentials\/openai$/, /^POST \/v1\/tokens$/]

/** Everything that anybody but the rightful app could read, by the place where it was found. */
class Watched {
  readonly texts = new Map<string, string>()
  readonly canaries: Canaries
  readonly rig: Rig

  constructor(canaries: Canaries, rig: Rig) {
    this.canaries = canaries
    this.rig = rig
  }

  note(where: string, text: string): void {
    this.texts.set(where, (this.texts.get(where) ?? '') + text)
  }

  async http(
    method: string,
    path: string,
    init: { readonly body?: string; readonly headers?: Record<string, string>; readonly token?: string } = {},
  ): Promise<string> {
    const response = await fetch(this.rig.url + path, {
      method,
      headers: {
        authorization: `Bearer ${init.token ?? this.rig.operatorToken()}`,
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...init.headers,
      },
      ...(init.body === undefined ? {} : { body: init.body }),
    })
    const text = await response.text()
    expect([500, 501, 502], `${method} ${path.slice(0, 40)}`).not.toContain(response.status)
    const isShown = answersWithSecrets.some((one) => one.test(`${method} ${path}`)) && response.status < 300
    this.note(`${method} ${path.slice(0, 60)} head`, JSON.stringify([...response.headers]))
    if (!isShown) this.note(`${method} ${path.slice(0, 60)} body`, text)
    return text
  }

  async cli(
    args: readonly string[],
    options: {
      readonly stdin?: string
      readonly isArgumentSecret?: boolean
      readonly isResultSecret?: boolean
    } = {},
  ): Promise<CliRun> {
    const run = await runCli(this.rig, args, options.stdin === undefined ? {} : { stdin: options.stdin })
    expect(run.err).not.toMatch(/"code":"internal"|invariant broken|^ {4}at /m)
    const name = `keyturn ${args[0]} ${args[1]}`.slice(0, 24)
    this.note(`${name} stderr`, run.err)
    if (options.isResultSecret !== true) this.note(`${name} stdout`, run.out)
    if (options.isArgumentSecret !== true) this.note(`${name} /proc`, run.shown)
    return run
  }

  /** Follows the stream for as long as the service stands. */
  stream(): void {
    const read = async (): Promise<void> => {
      const response = await fetch(`${this.rig.url}/v1/credentials/openai/events`, {
        headers: { authorization: `Bearer ${this.rig.operatorToken()}`, 'last-event-id': '0' },
      })
      for await (const chunk of response.body ?? [])
        this.note('event stream', Buffer.from(chunk).toString('utf8'))
    }
    // It breaks when the service is killed, which is part of the walk.
    read().catch(() => undefined)
  }

  /** All files but those that are there to hold a secret. */
  files(root: string, except: RegExp): void {
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const path = join(root, name)
      if (statSync(path).isFile() && !except.test(name))
        this.note(`file ${name}`, readFileSync(path, 'latin1'))
    }
  }
}

const secretFiles = /^(?:operator\.token|app\.token|signing-key\.pem)$/
const hasty = Object.entries({ ...fastPolicy, overlap: '2s' })
  .map(([name, value]) => `${name}: ${value}`)
  .join(', ')

it('no piece of any key or token is in a log, an answer, an event, a metric, a file, an output or a process list', async () => {
  const canaries = new Canaries()
  const sandboxFolder = mkdtempSync(join(tmpdir(), 'keyturn-sandbox-'))
  const sandbox = await startSandbox({
    random: canaries.random,
    stateFile: join(sandboxFolder, 'sandbox.json'),
  })
  onTestFinished(async () => {
    await sandbox.close()
    rmSync(sandboxFolder, { recursive: true, force: true })
  })
  const prepared = await prepareRig({
    sandbox,
    policy: { overlap: '2s' },
    credential: () => [
      'store: { kind: local }',
      `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 1s, adminKey: { store: { kind: local }, policy: { ${hasty} } } }`,
      `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
    ],
  })
  // The admin key is brought: what a person puts into the environment is seen there.
  const { OPENAI_ADMIN_KEY: _adminKey, ...env } = prepared.env
  const rig: Rig = { ...prepared, env }

  const watched = new Watched(canaries, rig)
  let service = await spawnService(rig)
  canaries.add(rig.operatorToken(), 'kt_op_')
  watched.note('serve /proc', visible(service.pid))
  watched.stream()
  await watched.cli(['bring', 'openai-admin'], { stdin: sandbox.adminKey() })
  await untilReady(rig)

  await turns(watched)
  await adminKeys(watched)
  await refusals(watched, sandbox)
  await commands(watched, sandbox)
  await outages(watched, sandbox)

  // Killed in the middle, and started again.
  await rotate(rig, { reason: 'to be interrupted' })
  await service.kill()
  service = await spawnService(rig)
  watched.note('serve /proc', visible(service.pid))
  watched.stream()
  await plants(watched, sandbox)
  await untilAllDead(rig)
  await answers(watched)
  await service.kill()

  watched.note('log', rig.logs.join('\n'))
  watched.files(rig.home, secretFiles)
  watched.files(sandboxFolder, /^$/)
  for (const name of [
    'file ledger.db',
    'file ledger.db-wal',
    'file tokens.json',
    'file sandbox.json',
    'log',
    'event stream',
  ])
    expect(watched.texts.get(name)?.length, `${name} was looked through`).toBeGreaterThan(100)
  expect(canaries.count).toBeGreaterThan(25)
  expect(canaries.search(watched.texts)).toEqual([])
  // What OpenAI says of a key echoes its ends; none of its sentences goes anywhere.
  for (const [where, text] of watched.texts)
    expect(text.includes('Incorrect API key provided'), where).toBe(false)
}, 300_000)

/** Rotations to the end, a failover, a rollback, a rehearsal, an emergency, a halt. */
async function turns({ rig }: Watched): Promise<void> {
  for (const body of [
    {},
    { mode: 'rehearsal' },
    { mode: 'emergency', isCompromised: true, confirm: 'openai' },
  ]) {
    await untilPromoted(rig, (await rotate(rig, body)).id)
  }
  const failed = await summary(rig)
  rig.sandbox.deleteKey(failed.current?.keyId ?? '')
  await until(
    'failed over',
    () => summary(rig),
    ({ current }) => current?.version !== failed.current?.version,
  )
  await until(
    'nothing is under way',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'done',
  )
  rig.sandbox.set({ refuseNewKeys: true })
  await rotate(rig)
  await until(
    'it halts',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'halted',
  )
  rig.sandbox.set({ refuseNewKeys: false })
}

/** The admin key turns too, twice: the second old one is Keyturn's own, and dies. Nobody gets any of them. */
async function adminKeys(watched: Watched): Promise<void> {
  const { rig } = watched
  for (let turn = 0; turn < 2; turn++) {
    await watched.http('POST', '/v1/credentials/openai-admin/rotations', { body: '{}' })
    await until(
      'the admin key has turned',
      async () => (await summaries(rig)).find((one) => one.isInternal),
      (one) => one?.rotation?.phase === 'done' && one.retirements.length > turn,
    )
  }
  for (const args of [
    ['get', 'openai-admin'],
    ['bring', 'openai-admin'],
    ['status', 'openai-admin', '--json'],
  ])
    await watched.cli(args, { stdin: rig.sandbox.createUserKey().value })
  for (const path of ['', '/events', '/leases', '/versions', '/rotations'])
    await watched.http('GET', `/v1/credentials/openai-admin${path}`)
}

/** Everything a clumsy or hostile caller can send, keys in the wrong places included. */
async function refusals(watched: Watched, sandbox: Sandbox): Promise<void> {
  const admin = sandbox.createAdminKey().value
  // A key of today, and one as short as they were until 2024: what is too long for an id hides what an id would show.
  const short = `sk-${sandbox.createUserKey().value.slice(8, 56).replaceAll(/[-_]/g, '0')}`
  watched.canaries.add(short, 'sk-')
  for (const key of [sandbox.createUserKey().value, short]) await misplaced(watched, key, admin)
}

async function misplaced(watched: Watched, key: string, admin: string): Promise<void> {
  const versions = '/v1/credentials/openai/versions'
  for (const body of [
    JSON.stringify({ apiKey: admin }),
    JSON.stringify({ apiKey: `${key}"` }),
    JSON.stringify({ apiKey: ` ${key}\n` }),
    JSON.stringify({ apiKey: [key] }),
    JSON.stringify({ [key]: 'x' }),
    JSON.stringify(key),
    `{"apiKey": "${key}`,
    `{"apiKey": ${key}}`,
    `apiKey=${key}`,
  ])
    await watched.http('POST', versions, { body })
  for (const path of [
    `/v1/credentials/${key}`,
    `/${key}`,
    `/v1/credentials/openai?wait=${key}`,
    `/v1/credentials/openai?${key}=1`,
    `${versions}/${key}/revocations`,
    `/v1/credentials/openai/rotations/${key}`,
  ])
    await watched.http(path.includes('revocations') ? 'POST' : 'GET', path)
  await watched.http('GET', '/v1/credentials', { token: key })
  await watched.http('GET', '/v1/credentials', { token: admin })
  for (const name of [
    'if-none-match',
    'keyturn-instance',
    'keyturn-generation-in-flight',
    'last-event-id',
    'idempotency-key',
    'x-api-key',
    'origin',
    'host-of',
  ])
    await watched.http('GET', '/v1/credentials', { headers: { [name]: key } })
  await watched.http('GET', '/v1/credentials/openai', { headers: { 'keyturn-instance': key } })
  await watched.http('POST', '/v1/credentials/openai/rotations', {
    body: '{}',
    headers: { 'idempotency-key': key },
  })
  await watched.http('POST', '/v1/credentials/openai/rollbacks', { body: JSON.stringify({ to: key }) })
  await watched.http('POST', '/v1/credentials/openai/reports', {
    body: JSON.stringify({ version: key, status: 401, code: key, requestId: key }),
  })
  await watched.http('POST', '/v1/tokens', {
    body: JSON.stringify({ name: key, role: 'app', credentials: ['*'] }),
  })
  await watched.http('POST', '/v1/tokens', {
    body: JSON.stringify({ name: 'x', role: key, credentials: [key] }),
  })
  await watched.http('DELETE', `/v1/tokens/${key}`)
  await watched.http('DELETE', `/v1/credentials/openai/leases/${key}`)
}

/** The command line, with keys where they belong and where they do not. */
async function commands(watched: Watched, sandbox: Sandbox): Promise<void> {
  const { rig, canaries } = watched
  const stray = sandbox.createUserKey().value
  await watched.cli(['abort', 'openai'])
  await until(
    'the halted one has ended',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'done',
  )
  await watched.cli(['get', 'openai'], { isResultSecret: true })
  for (const args of [
    ['status'],
    ['status', 'openai'],
    ['status', 'openai', '--json'],
    ['versions', 'openai'],
    ['verify', 'openai'],
    ['token', 'list'],
    ['config', 'check'],
  ])
    await watched.cli(args)
  const token = await watched.cli(['token', 'create', 'reader'], { isResultSecret: true })
  canaries.add(token.out.trim(), 'kt_app_')
  for (const stdin of [
    stray.slice(0, 40),
    `"${stray}"`,
    `Bearer ${stray}`,
    `OPENAI_API_KEY=${stray}`,
    sandbox.adminKey(),
    sandbox.createServiceAccountKey({
      serviceAccount: sandbox.other.serviceAccount,
      project: sandbox.other.project,
    }).value,
  ])
    await watched.cli(['bring', 'openai'], { stdin })
  await watched.cli(['abort', 'openai'])
  for (const args of [
    ['bring', 'openai', stray],
    ['get', stray],
    ['revoke', 'openai', stray],
    ['rollback', 'openai', '--to', stray],
    [stray],
    ['rotate', 'openai', `--${stray}`],
    ['rotate', 'openai', '--rehearse', '--reason', `found ${stray} in a log`],
  ])
    await watched.cli(args, { isArgumentSecret: true })
  await until(
    'nothing is under way',
    () => summary(rig),
    ({ rotation }) => rotation?.phase === 'done' || rotation?.phase === 'halted',
  )
  await watched.cli(['abort', 'openai'])
  await watched.cli(['rotate', 'openai', '--wait'])
  await watched.cli(['rollback', 'openai'])
}

/** OpenAI in all its bad moods: each of its answers is read, and none is passed on. */
async function outages(watched: Watched, sandbox: Sandbox): Promise<void> {
  for (const knobs of [
    { proxyPage: 401 },
    { errorStatus: 500 },
    { hang: true },
    { resetMidAnswer: true },
    { account: 'account_deactivated' },
    { network: 'ip_not_authorized' },
  ] as const) {
    sandbox.set(knobs)
    await watched.cli(['verify', 'openai'])
    sandbox.reset()
  }
  await watched.cli(['verify', 'openai'])
}

/** Somebody else writes into the store: a key of another organisation, and then the right one again. */
async function plants(watched: Watched, sandbox: Sandbox): Promise<void> {
  const { rig } = watched
  await until(
    'nothing is under way',
    () => summary(rig),
    // Nor does a retirement write to the store between the look of whoever plants and the write.
    ({ rotation, retirements }) =>
      (rotation?.phase === 'done' || rotation?.phase === 'halted') &&
      retirements.every(({ endedAt }) => endedAt !== null),
    40_000,
  )
  const foreign = sandbox.createServiceAccountKey({
    serviceAccount: sandbox.other.serviceAccount,
    project: sandbox.other.project,
  })
  await plant(rig, 'planted', foreign.value)
  await until(
    'the alarm is told',
    () => summary(rig),
    ({ troubles }) => troubles.some((one) => one.code === 'store_changed'),
  )
  expect((await handOut(rig)).body.version).not.toBe('planted')
  await untilPromoted(rig, (await rotate(rig, { reason: 'replace what was planted' })).id)
}

/** Every answer that there is to get. */
async function answers(watched: Watched): Promise<void> {
  for (const path of [
    '/',
    '/healthz',
    '/readyz',
    '/openapi.json',
    '/metrics',
    '/v1/credentials',
    '/v1/credentials/openai',
    '/v1/credentials/openai/versions',
    '/v1/credentials/openai/rotations',
    '/v1/credentials/openai/leases',
    '/v1/tokens',
    '/v1/signing-key',
  ])
    await watched.http('GET', path)
  await reports(watched)
  await watched.http('POST', '/v1/credentials/openai/verifications')
}

/** The report of every rotation there was, as it is signed and as it is read. */
async function reports(watched: Watched): Promise<void> {
  const list = await watched.http('GET', '/v1/credentials/openai/rotations')
  const { items } = JSON.parse(list) as { readonly items: readonly { readonly id: string }[] }
  expect(items.length).toBeGreaterThan(5)
  for (const { id } of items) {
    const path = `/v1/credentials/openai/rotations/${id}/report`
    const { payload } = JSON.parse(await watched.http('GET', path)) as { readonly payload: string }
    watched.note('signed payloads', Buffer.from(payload, 'base64url').toString())
    await watched.http('GET', path, { headers: { accept: 'text/plain' } })
  }
  // The private half of what they are signed with.
  const pem = readFileSync(join(watched.rig.home, 'signing-key.pem'), 'latin1')
  watched.canaries.add(pem.split('\n')[1] ?? '')
}
