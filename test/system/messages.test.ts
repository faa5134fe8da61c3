import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { type CliRun, runCli } from './cli.ts'
import {
  aliveKeys,
  call,
  handOut,
  prepareRig,
  type Rig,
  summary,
  until,
  untilReady,
  untilTold,
} from './harness.ts'
import { serveRig } from './in-process.ts'
import { spawnService } from './process.ts'

/** One message with its fix, as the terminal has it; nothing of our insides, and nothing secret. */
function expectMessage(run: CliRun, says: RegExp, code = 1): void {
  expect(run.code).toBe(code)
  expect(run.out).toBe('')
  // The log of a service that got further than that is in JSON here.
  const message = run.err.replaceAll(/^\{.*\n/gm, '')
  expect(message).toMatch(/^error: /)
  expect(message.match(/^error: /gm)).toHaveLength(1)
  expect(message.match(/^fix: {3}\S/gm)).toHaveLength(1)
  expect(message).toMatch(says)
  expectPlain(run.err)
}

function expectPlain(text: string): void {
  expect(text).not.toMatch(/^\s+at .*:\d+/m)
  expect(text).not.toMatch(/\bsk-[A-Za-z0-9_-]{12,}/)
  expect(text).not.toMatch(/invariant broken|undefined|\[object/)
}

describe('keyturn serve says in one message why it does not start', () => {
  it('several mistakes in the configuration, each with its line', async () => {
    const rig = await prepareRig()
    const path = join(rig.home, 'bad.yaml')
    writeFileSync(
      path,
      'credentials:\n  openai:\n    stor: { kind: local }\n    policy: { overlap: 3 weeks }\n',
    )
    const run = await runCli(rig, ['serve', '--config', path])
    expectMessage(run, /bad\.yaml:3:5: .*Did you mean 'store'\?/)
    expect(run.err).toMatch(/bad\.yaml:4:24: .*overlap/)
  })

  it('a configuration that is named and is not there; none at all', async () => {
    const rig = await prepareRig()
    expectMessage(
      await runCli(rig, ['serve', '--config', join(rig.home, 'none.yaml')]),
      /there is no configuration file .*none\.yaml/,
    )
    const { KEYTURN_CONFIG: _config, KEYTURN_HOME: _home, ...env } = rig.env
    mkdirSync(join(rig.home, 'empty'))
    const run = await runCli(rig, ['serve'], { env, cwd: join(rig.home, 'empty') })
    expectMessage(run, /neither a keyturn\.yaml .* nor an OPENAI_API_KEY[^]*keyturn init[^]*npm start/)
  })

  it('a home that cannot be', async () => {
    const rig = await prepareRig()
    for (const home of [
      join(rig.home, 'keyturn.yaml'),
      join(rig.home, 'keyturn.yaml', 'below'),
      // No folder can be made there, which the system tells in an unusual way.
      '/proc/keyturn.yaml',
    ])
      expectMessage(
        await runCli(rig, ['serve'], { env: { ...rig.env, KEYTURN_HOME: home } }),
        /home folder .*keyturn\.yaml[^]*KEYTURN_HOME/,
      )
  })

  it('secrets and tokens that others may read, and a token file that is not whole', async () => {
    const rig = await prepareRig()
    mkdirSync(join(rig.home, 'secrets'))
    chmodSync(join(rig.home, 'secrets'), 0o755)
    expectMessage(await runCli(rig, ['serve']), /secrets \(mode 755\)[^]*chmod 700/)
    rmSync(join(rig.home, 'secrets'), { recursive: true })
    const tokens = join(rig.home, 'tokens.json')
    writeFileSync(tokens, '{}')
    chmodSync(tokens, 0o644)
    expectMessage(await runCli(rig, ['serve']), /tokens\.json is open to other users[^]*chmod 600/)
    chmodSync(tokens, 0o600)
    expectMessage(await runCli(rig, ['serve']), /tokens\.json/)
    expect(readFileSync(tokens, 'utf8')).toBe('{}')
    // A start that cannot succeed has minted nothing.
    expect(aliveKeys(rig.sandbox)).toEqual([])
  })

  it('a port that is taken, and a home in which another process works', async () => {
    const rig = await prepareRig()
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(Number(new URL(rig.url).port), '127.0.0.1', resolve))
    expectMessage(await runCli(rig, ['serve']), /listens on 127\.0\.0\.1:\d+ already[^]*KEYTURN_LISTEN/)
    await new Promise((resolve) => squatter.close(resolve))

    const service = await spawnService(rig)
    for (const command of ['serve', 'tick'])
      expectMessage(await runCli(rig, [command]), /Another Keyturn process works in/)
    // The one that works goes on.
    await untilReady(rig)
    await service.kill()
  })

  it('a ledger of a newer Keyturn, and a file that is no ledger: both are left as they are', async () => {
    const rig = await prepareRig()
    const path = join(rig.home, 'ledger.db')
    writeFileSync(path, 'These are my notes, which I would like to keep.')
    expectMessage(await runCli(rig, ['serve']), /ledger\.db is not a database/)
    expect(readFileSync(path, 'utf8')).toMatch(/^These are my notes/)
    rmSync(path)
    expect((await runCli(rig, ['tick'])).code).toBe(0)
    const database = new DatabaseSync(path)
    database.exec("INSERT INTO migrations (number, name, checksum) VALUES (99, 'later', 'x')")
    database.close()
    const before = readFileSync(path)
    for (const command of ['serve', 'tick'])
      expectMessage(
        await runCli(rig, [command]),
        /has schema 99, this Keyturn knows schemas up to \d+[^]*newer Keyturn/,
      )
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
  })

  it('a passphrase that is not set, an identity that is gone while there are secrets', async () => {
    const rig = await prepareRig({
      credential: () => ['store: { kind: local, passphrase: { env: NOT_SET } }'],
    })
    expectMessage(await runCli(rig, ['serve']), /NOT_SET/)
    const other = await prepareRig()
    expect((await runCli(other, ['tick'])).code).toBe(0)
    rmSync(join(other.home, 'secrets', 'identity.txt'))
    expectMessage(await runCli(other, ['serve']), /identity\.txt is missing, but .* has secrets[^]*backup/)
    expect(aliveKeys(other.sandbox)).toHaveLength(1)
  })
})

describe('commands say in one message what is wrong', () => {
  it('no service, a bad token, an expired one, an unknown credential', async () => {
    const rig = await prepareRig()
    const noToken = await runCli(rig, ['status'])
    expectMessage(noToken, /no operator token was found/)
    await serveRig(rig)
    await untilReady(rig)
    const env = { ...rig.env, KEYTURN_OPERATOR_TOKEN: `kt_op_${'x'.repeat(43)}` }
    expectMessage(await runCli(rig, ['status'], { env }), /token/)
    const created = await call<{ token: string }>(rig, '/v1/tokens', {
      method: 'POST',
      body: { name: 'brief', role: 'operator', expiresInSeconds: 1 },
    })
    const brief = { ...rig.env, KEYTURN_OPERATOR_TOKEN: created.body.token }
    await until(
      'it has expired',
      () => call(rig, '/v1/credentials', { token: created.body.token }),
      ({ status }) => status === 401,
    )
    expectMessage(await runCli(rig, ['status'], { env: brief }), /token/)
    for (const args of [
      ['status', 'nothing'],
      ['get', 'nothing'],
      ['rotate', 'nothing'],
      ['verify', 'nothing'],
    ])
      expectMessage(await runCli(rig, args), /nothing/)
    const asApp = await call<{ token: string }>(rig, '/v1/tokens', {
      method: 'POST',
      body: { name: 'app', role: 'app', credentials: ['openai'] },
    })
    const refused = await runCli(rig, ['rotate', 'openai'], {
      env: { ...rig.env, KEYTURN_OPERATOR_TOKEN: asApp.body.token },
    })
    expectMessage(refused, /operator/)
  }, 60_000)

  it('a service that is not there', async () => {
    const rig = await prepareRig()
    writeFileSync(join(rig.home, 'operator.token'), `kt_op_${'x'.repeat(43)}\n`, { mode: 0o600 })
    expectMessage(
      await runCli(rig, ['status']),
      /no Keyturn answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)[^]*keyturn serve/,
    )
  })
})

describe('a key that cannot be handed out: the answer and status say why, and what to do', () => {
  const broken: readonly (readonly [string, (sandbox: Sandbox) => string, RegExp])[] = [
    [
      'mistyped',
      (sandbox) => {
        const { value } = sandbox.createUserKey()
        return value.slice(0, -1) + (value.endsWith('_') ? '-' : '_')
      },
      /does not accept this key: .*mistyped/,
    ],
    ['a placeholder', () => 'your-api-key-here', /placeholder/],
    ['an admin key', (sandbox) => sandbox.adminKey(), /admin key/],
    ['of another provider', () => ['sk', 'ant', 'a1'.repeat(40)].join('-'), /another provider's key/],
    [
      'in quotes',
      (sandbox) => `"${sandbox.createUserKey().value}"`,
      /can be no key: there is a quotation mark at position 1/,
    ],
    [
      'revoked',
      (sandbox) => {
        const key = sandbox.createUserKey()
        sandbox.deleteKey(key.id)
        return key.value
      },
      /revoked, deleted/,
    ],
  ]

  /** A key that was just revoked is refused by every edge: one that accepted it still would change what status says. */
  const known = { revocationMs: 0 }

  async function expectRefused(rig: Rig, says: RegExp): Promise<void> {
    const { body } = await until(
      'it says why',
      () => handOut(rig),
      (one) => one.status === 503 && says.test(one.body.detail),
    )
    expect(body.code).toBe('no_verified_key')
    expect(body.fix).toMatch(/^Put /)
    const status = await runCli(rig, ['status', 'openai'])
    expect(status.code).toBe(3)
    expect(status.out).toMatch(says)
    expect(status.out.match(/^ {2}fix: /gm)).toHaveLength(1)
    for (const text of [JSON.stringify(body), status.out, status.err]) {
      expectPlain(text)
      expect(text).not.toMatch(/keyturn (?:rotate|bring)/)
    }
    expectMessageOf(await runCli(rig, ['get', 'openai']))
    expect((await runCli(rig, ['verify', 'openai'])).code).not.toBe(0)
  }

  function expectMessageOf(run: CliRun): void {
    expectMessage(run, /openai/, 3)
  }

  it.each(broken)(
    '%s, in the environment',
    async (_name, make, says) => {
      const rig = await prepareRig({
        knobs: known,
        policy: { verifyEvery: '1s' },
        credential: (sandbox) => [
          'store: { kind: env }',
          `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
        ],
      })
      await serveRig(rig, { OPENAI_API_KEY: make(rig.sandbox) })
      await expectRefused(rig, says)
    },
    60_000,
  )

  it.each(broken)(
    '%s, in a file',
    async (_name, make, says) => {
      const rig = await prepareRig({
        knobs: known,
        policy: { verifyEvery: '1s' },
        credential: (sandbox) => [
          'store: { kind: file }',
          'ref: key.txt',
          `issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
        ],
      })
      writeFileSync(join(rig.home, 'key.txt'), `${make(rig.sandbox)}\n`, { mode: 0o600 })
      await serveRig(rig)
      await expectRefused(rig, says)
      // Put right by hand, it is taken up without a restart.
      const good = rig.sandbox.createUserKey()
      writeFileSync(join(rig.home, 'key.txt'), `${good.value}\n`, { mode: 0o600 })
      await untilReady(rig)
      expect((await handOut(rig)).body.apiKey).toBe(good.value)
      await untilTold(rig)
    },
    60_000,
  )
})

describe('keys cannot be minted: the answer and status say why, and what to do', () => {
  interface Place {
    readonly project?: string
    readonly account?: string
    readonly admin?: string
  }
  const wrong: readonly (readonly [string, (sandbox: Sandbox) => Place, RegExp, RegExp])[] = [
    [
      'the admin key is missing',
      () => ({ admin: '' }),
      /admin key is not in the variable OPENAI_ADMIN_KEY/,
      /Put an admin key .* into the variable/,
    ],
    [
      'the admin key is wrong',
      () => ({ admin: ['sk', 'admin', 'wrong'].join('-') }),
      /api\.management/,
      /does not accept the admin key/,
    ],
    [
      'the admin key may only read',
      (sandbox) => ({ admin: sandbox.createAdminKey({ scopes: ['api.management.read'] }).value }),
      /api\.management\.write/,
      /Give the admin key api\.management\.write/,
    ],
    [
      'the admin key is a project key',
      (sandbox) => ({ admin: sandbox.createUserKey().value }),
      /api\.management/,
      /admin key/,
    ],
    [
      'the project is the Default project',
      (sandbox) => ({ project: sandbox.defaultProject }),
      /project/,
      /Default project cannot hold service accounts/,
    ],
    [
      'there is no such project',
      () => ({ project: 'proj_nowhere' }),
      /proj_nowhere/,
      /no project proj_nowhere/,
    ],
    [
      'there is no such service account',
      () => ({ account: 'svc_acct_nowhere' }),
      /svc_acct_nowhere/,
      /no service account svc_acct_nowhere/,
    ],
  ]

  it.each(wrong)('%s', async (_name, placeOf, says, fix) => {
    let place: Place = {}
    const rig = await prepareRig({
      credential: (sandbox) => {
        place = placeOf(sandbox)
        return [
          'store: { kind: local }',
          `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${place.project ?? sandbox.project}, serviceAccount: ${place.account ?? sandbox.serviceAccount} }`,
        ]
      },
    })
    await serveRig(rig, place.admin === undefined ? {} : { OPENAI_ADMIN_KEY: place.admin })
    const { body } = await until(
      'it says why',
      () => handOut(rig),
      (one) => one.status === 503 && says.test(one.body.detail),
    )
    expect(body.fix).toMatch(fix)
    expect(body.fix).toMatch(/Then run: keyturn resume openai$/)
    await untilTold(rig, ['rotation_halted'])
    const status = await runCli(rig, ['status'])
    expect(status.code).toBe(3)
    expect(status.out).toMatch(fix)
    expectPlain(status.out + JSON.stringify(body))
    expect(aliveKeys(rig.sandbox)).toEqual([])
  })

  it('the project is archived later: the key that there is stays handed out as long as it works', async () => {
    const rig = await prepareRig()
    await serveRig(rig)
    await untilReady(rig)
    const before = (await handOut(rig)).body.apiKey
    const archived = await fetch(
      `${rig.sandbox.baseUrl}/organization/projects/${rig.sandbox.project}/archive`,
      {
        method: 'POST',
        headers: { authorization: `Bearer ${rig.sandbox.adminKey()}` },
      },
    )
    expect(archived.status).toBe(200)
    const started = await call(rig, '/v1/credentials/openai/rotations', { method: 'POST', body: {} })
    expect(started.status).toBe(202)
    const { rotation } = await until(
      'it halts',
      () => summary(rig),
      (one) => one.rotation?.phase === 'halted',
    )
    expect(rotation?.halt?.fix).not.toBe('')
    const { status, body } = await handOut(rig)
    if (status === 200) expect(body.apiKey).toBe(before)
    else expect(body.fix).not.toBe('')
  })
})

it('a cloud SDK that is not installed: one message with the command that installs it', async () => {
  const rig = await prepareRig({
    credential: () => ['store: { kind: aws-secrets-manager, region: eu-central-1 }'],
  })
  // Node resolves packages upwards from the source; a loader that knows no such package stands in for a missing one.
  const hook = join(rig.home, 'no-aws.mjs')
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module'
registerHooks({ resolve(specifier, context, next) {
  if (!specifier.startsWith('@aws-sdk/')) return next(specifier, context)
  throw Object.assign(new Error('Cannot find package ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' })
} })
`,
  )
  const run = await runCli(rig, ['serve'], { env: { ...rig.env, NODE_OPTIONS: `--import=${hook}` } })
  expectMessage(run, /@aws-sdk\/client-secrets-manager[^]*npm install @aws-sdk\/client-secrets-manager@3/)
  onTestFinished(() => rmSync(hook, { force: true }))
})
