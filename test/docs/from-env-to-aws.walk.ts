import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startSandbox } from '../../src/sandbox/index.ts'
import { freePort } from '../free-port.ts'
import { type AwsFake, startAwsFake } from '../stores/fakes/aws-fake.ts'
import { repository } from './pages.ts'
import { openTerminal } from './terminal.ts'
import { commandsOf } from './typed-commands.ts'

const app = `fetch(process.env.OPENAI_BASE_URL + '/models', {
  headers: { authorization: 'Bearer ' + process.env.OPENAI_API_KEY },
}).then((answer) => console.log('OpenAI says ' + answer.status))
`

/** The key that every reader of the secret gets. */
function currentIn({ secrets }: AwsFake): string | undefined {
  const versions = [...(secrets.get('openai/api-key')?.versions.values() ?? [])]
  return versions.find((one) => one.labels.has('AWSCURRENT'))?.text
}

it('docs/tasks/from-env-to-aws.md, typed as it stands there, ends with a turned key in AWS', async () => {
  const sandbox = await startSandbox()
  const aws = await startAwsFake()
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-from-env-'))
  const old = sandbox.createServiceAccountKey().value
  writeFileSync(join(folder, '.env'), `OPENAI_API_KEY=${old}\n`, { mode: 0o600 })
  writeFileSync(join(folder, 'app.js'), app)
  const terminal = openTerminal(folder, {
    PATH: process.env['PATH'],
    HOME: folder,
    NO_COLOR: '1',
    NODE_NO_WARNINGS: '1',
    KEYTURN_LISTEN: `127.0.0.1:${await freePort()}`,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL: aws.endpoint,
    OPENAI_BASE_URL: sandbox.baseUrl,
  })
  onTestFinished(async () => {
    await terminal.close()
    await Promise.all([aws.close(), sandbox.close()])
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const statusOf = async (key: string | undefined): Promise<number> =>
    (await fetch(`${sandbox.baseUrl}/models`, { headers: { authorization: `Bearer ${key}` } })).status

  let fingerprint = ''
  const ran: string[] = []
  for (const written of commandsOf('docs/tasks/from-env-to-aws.md')) {
    const line = written
      .replace('proj_abc', sandbox.project)
      .replace('svc_acct_abc', sandbox.serviceAccount)
      .replace('FINGERPRINT', fingerprint)
    if (line.startsWith('npm install keyturn ')) {
      install(folder)
      continue
    }
    const asked = line.startsWith('read -rs') ? [sandbox.adminKey()] : []
    const { code, output } = await terminal.type(line, ...asked)
    expect(code, `${line}\n${terminal.output()}`).toBe(0)
    if (line.endsWith('&')) await terminal.seen('Keyturn serves openai')
    if (line.includes(' bring ')) {
      fingerprint = /key ([0-9a-f]{12}) is handed out/.exec(output)?.[1] ?? ''
      expect(currentIn(aws)).toBe(old)
    }
    if (line.includes(' rotate ')) {
      expect(output).toContain('the old key was kept, not revoked')
      expect(currentIn(aws)).not.toBe(old)
      expect([await statusOf(currentIn(aws)), await statusOf(old)]).toEqual([200, 200])
    }
    if (line.includes('app.js')) expect(output).toContain('OpenAI says 200')
    ran.push(line)
  }
  expect(ran.length).toBe(7)

  await expect.poll(() => statusOf(old), { timeout: 30_000 }).toBe(401)
  expect(await statusOf(currentIn(aws))).toBe(200)
  expect(readFileSync(join(folder, '.env'), 'utf8')).toContain(old)
  for (const key of [old, currentIn(aws) ?? '', sandbox.adminKey()])
    expect(terminal.output()).not.toContain(key)
}, 120_000)

/** What npm puts there, without asking a registry: test/packed installs the real package from its tarball. */
function install(folder: string): void {
  const bin = join(folder, 'node_modules', '.bin')
  mkdirSync(bin, { recursive: true })
  const cli = join(repository, 'test', 'system', 'run-cli.ts')
  writeFileSync(join(bin, 'keyturn'), `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`)
  chmodSync(join(bin, 'keyturn'), 0o755)
}
