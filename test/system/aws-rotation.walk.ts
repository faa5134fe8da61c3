import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createRotationHandler, type RotationHandler } from '../../src/main/aws-rotation.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { createDatabase, sharedPostgres } from '../postgres/database.ts'
import { startAwsFake } from '../stores/fakes/aws-fake.ts'
import { beginRotation } from '../stores/fakes/aws-fake-operations.ts'
import { fastPolicy, until } from './harness.ts'

const steps = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const
const name = 'prod/openai'
const arn = `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-a1b2c3`

/** The function as Lambda has it: composed from keyturn.yaml, with PostgreSQL, the real SDK, and the sandbox for OpenAI. */
async function world(change: { readonly ledger?: boolean; readonly schedule?: string } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-lambda-'))
  const [sandbox, fake, database] = await Promise.all([
    startSandbox(),
    startAwsFake(),
    sharedPostgres().then(createDatabase),
  ])
  onTestFinished(async () => {
    await Promise.all([sandbox.close(), fake.close(), database.drop()])
    rmSync(folder, { recursive: true, force: true })
  })
  const { user, password, host, port } = database.address
  fake.secrets.set(name, { versions: new Map(), tags: new Map() })
  fake.put(name, sandbox.createServiceAccountKey().value)
  const policy = Object.entries(fastPolicy).map(([key, value]) => `      ${key}: ${value}`)
  writeFileSync(
    join(folder, 'keyturn.yaml'),
    [
      ...(change.ledger === false ? [] : [`ledger: { kind: postgres, url: { env: LEDGER_URL } }`]),
      'log: { level: error }',
      'credentials:',
      '  openai:',
      '    store: { kind: aws-secrets-manager }',
      `    ref: ${name}`,
      `    schedule: ${change.schedule ?? 'none'}`,
      '    issuer:',
      '      kind: openai',
      `      baseUrl: ${sandbox.baseUrl}`,
      `      project: ${sandbox.project}`,
      `      serviceAccount: ${sandbox.serviceAccount}`,
      '    policy:',
      ...policy,
    ].join('\n'),
    { mode: 0o600 },
  )
  const env = {
    KEYTURN_CONFIG: join(folder, 'keyturn.yaml'),
    KEYTURN_HOME: join(folder, 'home'),
    LEDGER_URL: `postgres://${user}:${password}@${host}:${port}/${database.name}`,
    OPENAI_ADMIN_KEY: sandbox.adminKey(),
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIATEST',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.endpoint,
  }
  const handler = createRotationHandler({ env, cwd: folder })
  return { sandbox, fake, handler, folder }
}

const invoke = (handler: RotationHandler, step: string, token: string): Promise<void> =>
  handler(
    { Step: step, SecretId: arn, ClientRequestToken: token },
    { getRemainingTimeInMillis: () => 60_000 },
  )

function works(sandbox: Sandbox, key: string): Promise<boolean> {
  return fetch(`${sandbox.baseUrl}/models`, { headers: { authorization: `Bearer ${key}` } }).then(
    ({ ok }) => ok,
  )
}

describe('the function of Lambda', () => {
  it('turns the key through the four steps, twice, and its schedule ends the old one', async () => {
    const { sandbox, fake, handler } = await world()
    const secret = fake.secrets.get(name)
    const current = () =>
      [...(secret?.versions ?? [])].find(([, { labels }]) => labels.has('AWSCURRENT')) ?? ['', undefined]
    const keys: string[] = []
    for (let turn = 0; turn < 2; turn++) {
      const token = beginRotation(fake.secrets, name, randomUUID())
      for (const step of steps) {
        await invoke(handler, step, token)
        await invoke(handler, step, token)
      }
      const [held, version] = current()
      expect(held).toBe(token)
      keys.push(version?.text ?? '')
      expect(await works(sandbox, keys[turn] ?? '')).toBe(true)
    }
    // The overlap is a minute at least: for so long readers of AWS may be told of the old key.
    await until(
      'the old key is dead',
      async () => {
        await handler({ source: 'aws.events', 'detail-type': 'Scheduled Event' })
        return works(sandbox, keys[0] ?? '')
      },
      (isAlive) => !isAlive,
      180_000,
    )
    expect(await works(sandbox, keys[1] ?? '')).toBe(true)
  }, 240_000)

  it('says what is wrong with its configuration, and what to do', async () => {
    const token = randomUUID()
    const withoutLedger = await world({ ledger: false })
    await expect(invoke(withoutLedger.handler, 'createSecret', token)).rejects.toThrow(
      /names no ledger\. Configure one: ledger: \{ kind: postgres/,
    )
    const scheduled = await world({ schedule: '{ cron: "0 3 * * *" }' })
    await expect(invoke(scheduled.handler, 'createSecret', token)).rejects.toThrow(/Set schedule: none\./)
    const { handler, fake } = await world()
    const secret = fake.secrets.get(name)
    if (secret !== undefined) secret.isRotated = false
    await expect(
      handler({ Step: 'createSecret', SecretId: 'theirs', ClientRequestToken: token }),
    ).rejects.toThrow(/No credential of .* has its key in theirs/)
    await expect(invoke(handler, 'createSecret', token)).rejects.toThrow(/is not enabled/)
  })
})
