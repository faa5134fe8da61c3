import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import type { CredentialAnswer } from '../../src/api/types.ts'
import { freePort } from '../free-port.ts'
import { until } from './harness.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('npm start, curl, npx keyturn rotate --wait: what the README promises, typed as it says', async () => {
  const home = mkdtempSync(join(tmpdir(), 'keyturn-start-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }))
  const port = await freePort()
  const foreign = `sk-${'x'.repeat(20)}`
  const env = {
    ...process.env,
    KEYTURN_HOME: home,
    KEYTURN_LISTEN: `127.0.0.1:${port}`,
    OPENAI_API_KEY: foreign,
    KEYTURN_URL: '',
    KEYTURN_CONFIG: '',
  }
  const service = run('npm', ['start'], env)
  onTestFinished(() => service.end())

  const token = await until(
    'an app token',
    () => (existsSync(join(home, 'app.token')) ? readFileSync(join(home, 'app.token'), 'utf8').trim() : ''),
    (text) => text !== '',
    30_000,
  )
  expect(statSync(join(home, 'app.token')).mode & 0o777).toBe(0o600)
  const get = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/v1/credentials/openai`, { headers: { authorization: `Bearer ${token}` } })
  await until(
    'a key',
    async () => (await get()).status,
    (status) => status === 200,
    30_000,
  )
  const first = (await (await get()).json()) as CredentialAnswer
  // The first key is out after one proof, and may be younger than the slowest edge of the sandbox; they take turns.
  await until(
    'all edges of OpenAI know the first key',
    async () => [await statusAtOpenAI(first), await statusAtOpenAI(first), await statusAtOpenAI(first)],
    (statuses) => statuses.every((status) => status === 200),
  )
  await until(
    'the greeting',
    () => service.output(),
    (text) => text.includes('npx keyturn rotate openai --wait'),
  )
  expect(service.output()).toMatch(/sandbox/i)
  expect(service.output()).toContain('OPENAI_API_KEY')
  expect(service.output()).not.toContain(foreign)

  const rotation = run('npx', ['keyturn', 'rotate', 'openai', '--wait'], env)
  expect(await rotation.exit, rotation.output()).toBe(0)
  expect(rotation.output()).toContain('dead')
  const second = (await (await get()).json()) as CredentialAnswer
  expect(second.fingerprint).not.toBe(first.fingerprint)
  expect(await statusAtOpenAI(second)).toBe(200)
  expect(await statusAtOpenAI(first)).toBe(401)
  for (const text of [service.output(), rotation.output()]) {
    expect(text).not.toContain(first.apiKey)
    expect(text).not.toContain(second.apiKey)
  }
}, 240_000)

async function statusAtOpenAI({ baseUrl, apiKey }: CredentialAnswer): Promise<number> {
  return (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${apiKey}` } })).status
}

interface Running {
  readonly output: () => string
  readonly exit: Promise<number | null>
  end(): Promise<void>
}

/** In a process group of its own: npm starts a shell that starts the service, and all of it has to end. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Running {
  const child = spawn(command, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  // Not `exit`: npm may be gone before what it started is, which writes into its home, and what it said last may still be on its way.
  const exit = once(child, 'close').then(([code]) => code as number | null)
  return {
    output: () => text,
    exit,
    async end() {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
      await exit
    },
  }
}
