import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { LeaseSummary, TokenAnswer } from '../../src/api/types.ts'
import { freePort } from '../free-port.ts'
import { visible } from './cli.ts'
import {
  aliveKeys,
  call,
  handOut,
  prepareRig,
  type Rig,
  rotate,
  until,
  untilAllDead,
  untilPromoted,
  untilReady,
} from './harness.ts'
import { spawnService } from './process.ts'
import { type Python, pythonWith } from './python.ts'
import { scrape } from './scrape.ts'

const rotations = 20
const inFlight = 12
const cli = fileURLToPath(new URL('run-cli.ts', import.meta.url))
const streams = fileURLToPath(new URL('streams.py', import.meta.url))

let python: Python
beforeAll(async () => {
  python = await pythonWith(['openai==3.57.0'])
  if (python.path === undefined) process.stdout.write(`Python is left out: ${python.reason}\n`)
}, 240_000)
afterAll(() => python.remove())

interface ProxyProcess {
  readonly pid: number
  readonly said: () => string
  /** SIGTERM; the exit code. */
  end(): Promise<number | null>
}

/** `keyturn proxy` as a process of its own, once it has said that it answers. */
async function spawnProxy(rig: Rig, args: readonly string[]): Promise<ProxyProcess> {
  const child = spawn(process.execPath, [cli, 'proxy', ...args, '--upstream', rig.sandbox.baseUrl], {
    cwd: rig.home,
    env: { PATH: rig.env['PATH'] ?? '', KEYTURN_URL: rig.url, NODE_NO_WARNINGS: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  await until('the proxy answers', () => text.includes('answers at') || child.exitCode !== null, Boolean)
  expect(text).toContain('answers at')
  return {
    pid: child.pid ?? 0,
    said: () => text,
    async end() {
      child.kill('SIGTERM')
      await exited
      return child.exitCode
    },
  }
}

interface Load {
  answered(): number
  stop(): Promise<readonly string[]>
}

/** The official SDK, as an app has it, without retries of its own. */
function nodeLoad(baseURL: string, apiKey: string): Load {
  const openai = new OpenAI({ apiKey, baseURL, organization: null, project: null, maxRetries: 0 })
  const failures: string[] = []
  let answered = 0
  let isStopping = false
  const work = async (): Promise<void> => {
    while (!isStopping) {
      try {
        const messages = [{ role: 'user' as const, content: 'Say something.' }]
        let text = ''
        for await (const chunk of await openai.chat.completions.create({
          model: 'gpt-6-luna',
          messages,
          stream: true,
        }))
          text += chunk.choices[0]?.delta.content ?? ''
        if (text === '') failures.push('an empty answer')
        answered += 1
      } catch (thrown) {
        failures.push(String(thrown).slice(0, 300))
      }
    }
  }
  const workers = Array.from({ length: inFlight }, work)
  return {
    answered: () => answered,
    async stop() {
      isStopping = true
      await Promise.all(workers)
      return failures
    },
  }
}

/** The official Python package in a process of its own; it tells what came of it at its end. */
function pythonLoad(path: string, baseURL: string, apiKey: string) {
  const child = spawn(path, [streams], {
    env: { PATH: process.env['PATH'] ?? '', OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await closed
  })
  return async (): Promise<{ readonly answered: number; readonly failures: readonly string[] }> => {
    child.stdin.end()
    await closed
    return JSON.parse(text) as { answered: number; failures: string[] }
  }
}

async function appToken(rig: Rig, name: string): Promise<TokenAnswer> {
  const body = { name, role: 'app', credentials: ['openai'] }
  return (await call<TokenAnswer>(rig, '/v1/tokens', { method: 'POST', body })).body
}

describe('through keyturn proxy', () => {
  it('the SDKs of Node and Python stream on through twenty rotations and an end of the service: no request fails, none is refused', async () => {
    const rig = await prepareRig({ knobs: { latencyMs: 5 }, policy: { overlap: '12s', quiet: '2s' } })
    let service = await spawnService(rig)
    await untilReady(rig)
    const [node, py] = [await appToken(rig, 'node-app'), await appToken(rig, 'python-app')]
    const port = await freePort()
    const proxy = await spawnProxy(rig, ['--listen', `127.0.0.1:${port}`])
    const baseURL = `http://127.0.0.1:${port}/v1`
    const load = nodeLoad(baseURL, node.token)
    onTestFinished(async () => void (await load.stop()))
    const endPython = python.path === undefined ? undefined : pythonLoad(python.path, baseURL, py.token)

    for (let count = 0; count < rotations; count += 1) {
      if (count === rotations / 2) {
        await service.kill()
        const before = load.answered()
        await until(
          'requests go on without the service',
          () => load.answered(),
          (now) => now > before + 200,
        )
        service = await spawnService(rig)
        await untilReady(rig)
      }
      const { id } = await rotate(rig, { reason: `turn ${count + 1}` })
      expect((await untilPromoted(rig, id)).outcome).toBe('promoted')
    }
    const { items: leases } = (await call<{ items: LeaseSummary[] }>(rig, '/v1/credentials/openai/leases'))
      .body
    await untilAllDead(rig)
    const failures = await load.stop()
    const inPython = await endPython?.()

    expect(failures).toEqual([])
    expect(load.answered()).toBeGreaterThan(rotations * inFlight)
    if (inPython !== undefined) {
      expect(inPython.failures).toEqual([])
      expect(inPython.answered).toBeGreaterThan(rotations * 8)
    }
    const refused = rig.sandbox
      .requests()
      .filter((one) => one.path.startsWith('/v1/chat') && one.status !== 200)
    expect(refused).toEqual([])
    expect(aliveKeys(rig.sandbox)).toHaveLength(1)
    // Each app has its own lease, under its own name, through one proxy.
    const ofProxy = leases.filter(({ instance }) => instance.startsWith('proxy-')).map(({ app }) => app)
    expect(ofProxy.sort()).toEqual(inPython === undefined ? ['node-app'] : ['node-app', 'python-app'])

    const key = (await handOut(rig)).body.apiKey
    const shown = proxy.said() + visible(proxy.pid)
    for (const secret of [key, node.token, py.token, rig.operatorToken()]) expect(shown).not.toContain(secret)
    expect(await proxy.end()).toBe(0)
  }, 240_000)

  it('a token that is revoked is refused within a second or so, though the key is known', async () => {
    const rig = await prepareRig()
    await spawnService(rig)
    await untilReady(rig)
    const token = await appToken(rig, 'short-lived')
    const port = await freePort()
    await spawnProxy(rig, ['--listen', `127.0.0.1:${port}`])
    const ask = async () =>
      (
        await fetch(`http://127.0.0.1:${port}/v1/models`, {
          headers: { authorization: `Bearer ${token.token}` },
        })
      ).status
    expect(await ask()).toBe(200)
    await until(
      'the proxy follows the service',
      () => scrape(rig),
      ({ samples }) => samples.some(({ name, value }) => name === 'keyturn_event_streams' && value >= 1),
    )
    await call(rig, `/v1/tokens/${token.id}`, { method: 'DELETE' }).catch(() => undefined)
    const revokedAt = performance.now()
    await until('the token is refused', ask, (status) => status === 401)
    process.stdout.write(`refused ${Math.round(performance.now() - revokedAt)} ms after it was revoked\n`)
  }, 60_000)

  it('curl streams over a Unix socket that only its user may open', async () => {
    const rig = await prepareRig()
    await spawnService(rig)
    await untilReady(rig)
    const path = join(rig.home, 'openai.sock')
    const proxy = await spawnProxy(rig, ['--listen', `unix:${path}`])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const body = JSON.stringify({
      model: 'gpt-6-luna',
      stream: true,
      messages: [{ role: 'user', content: 'Hi' }],
    })
    const args = [
      '-sSN',
      '--unix-socket',
      path,
      'http://localhost/v1/chat/completions',
      '-H',
      '@-',
      '-H',
      'Content-Type: application/json',
      '-d',
      body,
    ]
    const curl = spawn('curl', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    curl.stdin.end(`Authorization: Bearer ${rig.appToken()}\n`)
    let text = ''
    curl.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    await once(curl, 'close')
    expect(text).toMatch(/^data: \{[^]*data: \[DONE\]\n\n$/)
    expect(await proxy.end()).toBe(0)
  }, 60_000)
})
