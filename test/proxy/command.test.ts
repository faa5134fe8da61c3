import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import { fakeIo } from '../cli/fake-io.ts'
import { startRig } from './harness.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-proxy-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The same service on a Unix socket. */
async function relay(url: string, path: string): Promise<Server> {
  const port = Number(new URL(url).port)
  const server = createServer((socket) => {
    const other = connect(port, '127.0.0.1')
    for (const [one, end] of [
      [socket, other],
      [other, socket],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => end.destroy())
    }
    socket.pipe(other)
    other.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => void server.close())
  return server
}

describe('keyturn proxy', () => {
  it('passes requests on until a signal, for a service on a Unix socket too, and says where it answers', async () => {
    const rig = await startRig()
    const home = folder()
    await relay(rig.service.url, join(home, 'keyturn.sock'))
    const io = fakeIo({ env: { KEYTURN_URL: `unix:${join(home, 'keyturn.sock')}` } })
    const { baseUrl } = rig.service.answer()
    const ended = run(
      ['proxy', '--listen', '127.0.0.1:0', '--metrics', '127.0.0.1:0', '--upstream', baseUrl, '--json'],
      io,
    )
    await io.seen('}')
    const { url, metrics, upstream } = JSON.parse(io.out()) as Record<'url' | 'metrics' | 'upstream', string>
    expect(upstream).toBe(baseUrl)
    const answer = await fetch(`${url}/models`, { headers: { authorization: `Bearer ${rig.service.token}` } })
    expect([answer.status, await answer.json()]).toEqual([200, { ok: true }])
    expect(await (await fetch(`${metrics}/metrics`)).text()).toMatch(
      /^keyturn_proxy_requests_total\{.*\} 1$/m,
    )
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
    expect(io.out() + io.err()).not.toContain(rig.service.token)
  })

  it('listens on a Unix socket that only its user may open', async () => {
    const path = join(folder(), 'openai.sock')
    const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:9' } })
    const ended = run(['proxy', '--listen', `unix:${path}`], io)
    await io.seen('answers at')
    expect(io.out()).toContain(`unix:${path}`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    io.signal('SIGINT')
    expect(await ended).toBe(0)
  })

  it('opens nothing where its process cannot be closed to debuggers', async () => {
    const io = {
      ...fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:9' } }),
      harden: () => Promise.reject(new KeyturnError('config_invalid', 'A debugger is listening.')),
    }
    expect(await run(['proxy', '--listen', '127.0.0.1:0'], io)).toBe(1)
    expect([io.out(), io.err()]).toEqual(['', expect.stringContaining('A debugger is listening.')])
  })

  it('goes over the proxy that Node is told of, with the key inside of the tunnel alone', async () => {
    const heads: string[] = []
    const way = createServer((socket) => {
      socket.once('data', (chunk) => {
        heads.push(chunk.toString('latin1'))
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      })
    })
    await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void way.close())
    const { port } = way.address() as AddressInfo
    const rig = await startRig()
    rig.service.restore({ baseUrl: 'https://openai.example/v1' })
    const io = fakeIo({
      env: {
        KEYTURN_URL: rig.service.url,
        NODE_USE_ENV_PROXY: '1',
        HTTPS_PROXY: `http://me:word@127.0.0.1:${port}`,
      },
    })
    const ended = run(
      ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'https://openai.example/v1', '--json'],
      io,
    )
    await io.seen('}')
    const { url } = JSON.parse(io.out()) as { url: string }
    const answer = await fetch(`${url}/models`, { headers: { authorization: `Bearer ${rig.service.token}` } })
    const text = await answer.text()
    expect([answer.status, text]).toEqual([502, expect.stringContaining('HTTPS_PROXY')])
    expect(heads).toEqual([
      expect.stringMatching(/^CONNECT openai\.example:443 HTTP\/1\.1\r\n[^]*proxy-authorization: Basic /),
    ])
    expect(heads[0] + text + io.out() + io.err()).not.toContain(rig.key)
    expect(text + io.out() + io.err()).not.toContain('word')
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
  })

  it('refuses a proxy of a kind that it does not speak before it listens', async () => {
    const io = fakeIo({
      env: {
        KEYTURN_URL: 'http://127.0.0.1:9',
        NODE_USE_ENV_PROXY: '1',
        HTTPS_PROXY: 'socks5://me:word@127.0.0.1:1',
      },
    })
    expect(await run(['proxy', '--listen', '127.0.0.1:0'], io)).toBe(1)
    expect(io.err()).toContain('HTTPS_PROXY')
    expect(io.err()).not.toContain('word')
  })

  it('says which option names the address that is taken', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void taken.close())
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`
    for (const [option, args] of [
      ['--listen', []],
      ['--metrics', ['--listen', '127.0.0.1:0']],
    ] as const) {
      const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:9' } })
      expect(await run(['proxy', ...args, option, address], io)).toBe(1)
      expect(io.err()).toMatch(
        new RegExp(`${address} already[^]*another address with ${option}, as in ${option} `),
      )
    }
  })

  it.each([
    ['an address of others', ['--listen', '0.0.0.0:7422'], '--listen'],
    ['an address that is none', ['--listen', 'here'], '--listen'],
    ['metrics for others', ['--metrics', '192.0.2.1:1'], '--metrics'],
    ['an upstream without encryption', ['--upstream', 'http://api.openai.com/v1'], '--upstream'],
    ['an upstream with a user', ['--upstream', 'https://me:word@api.openai.com/v1'], '--upstream'],
    ['an upstream of another kind', ['--upstream', 'file:///etc/passwd'], '--upstream'],
    ['a name that is none', ['--credential', 'Open AI'], '--credential'],
    ['what administers', ['--allow', 'organization'], '--allow'],
    ['a path that is none', ['--allow', '../x'], '--allow'],
    ['no requests', ['--max-requests', '0'], '--max-requests'],
    ['a body of words', ['--max-body', 'long'], '--max-body'],
    ['a time without a unit', ['--timeout', '30'], '--timeout'],
    ['a time that no timer takes', ['--timeout', '30d'], '--timeout'],
    ['an age of nothing', ['--stale-after', '0s'], '--stale-after'],
  ])('refuses %s before it listens, and names the option', async (_what, args, option) => {
    const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:9' } })
    expect(await run(['proxy', ...args], io)).toBe(2)
    expect(io.err()).toContain(option)
    expect(io.err()).not.toContain('word')
  })

  it('says which option to change where something else listens there', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const io = fakeIo({ env: { KEYTURN_URL: 'http://127.0.0.1:9' } })
    expect(await run(['proxy', '--listen', `127.0.0.1:${port}`], io)).toBe(1)
    expect(io.err()).toContain('--listen 127.0.0.1:0')
  })
})
