import { chmod, lstat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import { createServer } from '../../src/server/server.ts'
import { readExposition } from './exposition.ts'
import {
  bearer,
  type Harness,
  openStream,
  problemOf,
  rawRequest,
  signerIn,
  startServer,
  temporaryFolder,
  until,
} from './harness.ts'

const path = '/v1/credentials/openai'

function throughSocket(socketPath: string, target: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: target, headers: bearer(token) }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end()
  })
}

async function another(harness: Harness, listen: Parameters<typeof createServer>[0]['listen']) {
  return createServer({
    service: harness.service,
    tokens: harness.tokens,
    signer: signerIn(harness.folder),
    listen,
    log: () => undefined,
    system: harness.system,
    version: '1.2.3',
    isSandbox: true,
  })
}

async function failureOf(work: Promise<unknown>): Promise<KeyturnError> {
  return work.then(
    () => {
      throw new Error('it did not fail')
    },
    (thrown: KeyturnError) => thrown,
  )
}

describe('stopping', () => {
  it('ends streams with a goodbye, answers long-polls, and lets requests finish', async () => {
    const harness = await startServer()
    const stream = await openStream(harness)
    await stream.received(1)
    const etag = (await harness.get(path)).headers.get('etag') ?? ''
    const polling = harness.get(`${path}?wait=60`, { 'if-none-match': etag })
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const rotate = harness.service.rotate.bind(harness.service)
    let isRotating = false
    harness.service.rotate = async (...request) => {
      isRotating = true
      await gate
      return rotate(...request)
    }
    const rotating = harness.send('POST', `${path}/rotations`, {})
    await until(() => isRotating)
    const stopping = harness.server.stop()
    const messages = await stream.received(2)
    expect(messages[1]).toMatchObject({ event: 'bye', data: { kind: 'bye', data: { reason: 'stopping' } } })
    expect(Number(messages[1]?.retry)).toBeGreaterThan(0)
    await until(() => stream.isEnded())
    expect((await polling).status).toBe(304)
    await expect(fetch(harness.url)).rejects.toThrow()
    release()
    const response = await rotating
    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toBe(`${path}/rotations/rotation-1`)
    await stopping
  })

  it('says on a connection that is still open that it is stopping, and closes it', async () => {
    const harness = await startServer()
    const socket = connect(harness.port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    const closed = new Promise((resolve) => socket.on('close', resolve))
    const head = `Host: localhost\r\nAuthorization: Bearer ${harness.app}\r\n`
    socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\nGET /readyz HTTP/1.1\r\nHost: localhost\r\nX-Part: `)
    await until(() => text.includes('apiKey'))
    const stopping = harness.server.stop()
    socket.write('done\r\n\r\n')
    await closed
    expect(text).toContain('HTTP/1.1 503')
    expect(text).toContain('"code":"stopping"')
    expect(text.toLowerCase()).toContain('connection: close')
    await stopping
  })

  it('destroys what has not finished in time, and stops twice without harm', async () => {
    const harness = await startServer({ limits: { stopMs: 50 } })
    harness.service.summary = () => new Promise(() => undefined)
    const hanging = harness.send('GET', '/v1/credentials').catch(() => 'cut off')
    const idle = connect(harness.port, '127.0.0.1')
    const closed = new Promise((resolve) => idle.on('close', resolve))
    await until(() => idle.readyState === 'open')
    await harness.get('/healthz')
    await harness.server.stop()
    await harness.server.stop()
    expect(await hanging).toBe('cut off')
    await closed
    expect(harness.logs.some((line) => line.includes('cut off'))).toBe(true)
  })

  it('does not wait for connections on which nothing was ever sent', async () => {
    const harness = await startServer()
    const idle = connect(harness.port, '127.0.0.1')
    const closed = new Promise((resolve) => idle.on('close', resolve))
    await until(() => idle.readyState === 'open')
    await harness.get('/healthz')
    await harness.server.stop()
    await closed
    expect(harness.logs).toEqual([])
  })
})

describe('listening', () => {
  it('names the address that is in use and says what to do', async () => {
    const harness = await startServer()
    const failure = await failureOf(another(harness, { kind: 'tcp', host: '127.0.0.1', port: harness.port }))
    expect(failure.code).toBe('address_in_use')
    expect(failure.message).toContain(`127.0.0.1:${harness.port}`)
    expect(failure.fix).toContain('KEYTURN_LISTEN')
  })

  it('says so where it cannot listen at all', async () => {
    const harness = await startServer()
    const failure = await failureOf(another(harness, { kind: 'tcp', host: '192.0.2.1', port: 0 }))
    expect([failure.code, failure.message]).toEqual(['config_invalid', expect.stringContaining('192.0.2.1')])
  })

  it('says that a folder is not there in which a Unix socket is to be', async () => {
    const harness = await startServer()
    const folder = join(await temporaryFolder(), 'none')
    const failure = await failureOf(another(harness, { kind: 'unix', path: join(folder, 'keyturn.sock') }))
    expect(failure.code).toBe('config_invalid')
    expect(failure.message).toMatch(/keyturn\.sock: there is no folder .*none\.$/)
    expect(failure.fix).toBe(`Make it first: mkdir -p -m 700 '${folder}'`)
  })

  it('answers on IPv6, and names it in the URL', async ({ skip }) => {
    const addresses = Object.values(networkInterfaces()).flatMap((of = []) =>
      of.map(({ address }) => address),
    )
    if (!addresses.includes('::1')) return skip('this machine has no IPv6, as most containers')
    const harness = await startServer({ listen: { kind: 'tcp', host: '::1', port: 0 } })
    expect(harness.url).toBe(`http://[::1]:${harness.port}`)
    expect((await harness.get(path)).status).toBe(200)
  })

  it('answers under the address of the connection where it listens on all of them', async () => {
    const harness = await startServer({ listen: { kind: 'tcp', host: '0.0.0.0', port: 0 } })
    expect(harness.url).toBe(`http://127.0.0.1:${harness.port}`)
    const answer = await rawRequest(
      harness.port,
      'GET /healthz HTTP/1.1\r\nHost: 192.0.2.7\r\nConnection: close\r\n\r\n',
    )
    expect(answer.status).toBe(421)
  })

  it('listens on a Unix socket that only its user may open', async () => {
    const socketPath = join(await temporaryFolder(), 'keyturn.sock')
    const harness = await startServer({ listen: { kind: 'unix', path: socketPath } })
    expect(harness.url).toBe(`unix:${socketPath}`)
    expect((await lstat(socketPath)).mode & 0o777).toBe(0o600)
    expect(await throughSocket(socketPath, path, harness.app)).toBe(200)
    expect(await throughSocket(socketPath, '/v1/credentials', harness.app)).toBe(200)
    expect(await throughSocket(socketPath, path, 'nonsense')).toBe(401)
    const failure = await failureOf(another(harness, { kind: 'unix', path: socketPath }))
    expect([failure.code, failure.message]).toEqual(['address_in_use', expect.stringContaining(socketPath)])
    await harness.server.stop()
    await expect(lstat(socketPath)).rejects.toThrow(/ENOENT/)
  })

  it('takes over a socket on which nobody listens any more, and leaves any other file alone', async () => {
    const folder = await temporaryFolder()
    const socketPath = join(folder, 'stale.sock')
    await leaveStaleSocket(socketPath)
    const harness = await startServer({ listen: { kind: 'unix', path: socketPath } })
    expect(await throughSocket(socketPath, path, harness.app)).toBe(200)
    const filePath = join(folder, 'precious')
    await writeFile(filePath, 'data')
    await chmod(filePath, 0o600)
    const failure = await failureOf(another(harness, { kind: 'unix', path: filePath }))
    expect(failure.code).toBe('address_in_use')
    expect((await lstat(filePath)).isFile()).toBe(true)
  })
})

describe('probes', () => {
  it('answers that the process turns, and whether credentials are ready, to anybody', async () => {
    const harness = await startServer()
    const health = await fetch(`${harness.url}/healthz`)
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }])
    const ready = await harness.send('GET', '/readyz')
    expect([ready.status, await ready.json()]).toEqual([200, harness.service.readiness()])
    harness.service.withdraw('openai')
    const unready = await harness.send('GET', '/readyz')
    expect([unready.status, await unready.json()]).toEqual([503, harness.service.readiness()])
    expect((await fetch(`${harness.url}/healthz`)).status).toBe(200)
  })

  it('answers for this replica alone where it is asked to: a key that nobody has keeps no replica out of service', async () => {
    const harness = await startServer()
    harness.service.withdraw('openai')
    const statusOf = async (path: string) => (await fetch(harness.url + path)).status
    expect(await statusOf('/readyz?scope=replica')).toBe(200)
    harness.service.leaveService()
    expect(await statusOf('/readyz?scope=replica')).toBe(503)
    const wrong = await fetch(`${harness.url}/readyz?scope=all`)
    expect(wrong.status).toBe(400)
    expect(await wrong.json()).toMatchObject({
      code: 'bad_request',
      fix: expect.stringContaining('scope=replica'),
    })
  })

  it('shows few metrics of low cardinality to operators only', async () => {
    const harness = await startServer()
    for (const name of ['openai', 'nope', 'x1', 'x2']) await harness.get(`/v1/credentials/${name}`)
    harness.service.withdraw('openai-prod')
    expect((await harness.get('/metrics')).status).toBe(403)
    const response = await harness.send('GET', '/metrics')
    const text = await response.text()
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text).toContain('keyturn_credential_ready{credential="openai"} 1')
    expect(text).toContain('keyturn_credential_ready{credential="openai-prod"} 0')
    expect(text).toContain('keyturn_credential_generation{credential="openai"} 1')
    expect(text).toMatch(/keyturn_credential_verified_age_seconds\{credential="openai"\} \d+/)
    expect(text).toContain('keyturn_http_requests_total{route="getCredential",status="200"} 1')
    expect(text).toContain('keyturn_http_requests_total{route="getCredential",status="404"} 3')
    expect(text).toContain('keyturn_event_streams 0')
    expect(text).toContain('keyturn_standby_ready{credential="openai"} 1')
    expect(text).not.toContain('keyturn_standby_ready{credential="openai-prod"}')
    expect(() => readExposition(text)).not.toThrow()
  })

  it('tells a person on / what runs here, and that it is a sandbox', async () => {
    const harness = await startServer()
    const response = await harness.send('GET', '/')
    expect(response.headers.get('content-type')).toContain('text/plain')
    expect(await response.text()).toMatch(/^Keyturn 1\.2\.3 \(sandbox/)
  })

  it('says that a route is not there, or does not take the method', async () => {
    const harness = await startServer()
    for (const missing of ['/v1/audit', '/v1', '/v1/credentials/openai/', '/v1/nope?x=1']) {
      const response = await harness.send('GET', missing)
      expect([response.status, (await problemOf(response)).code]).toEqual([404, 'not_found'])
    }
    const response = await harness.send('PUT', '/v1/tokens')
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  })
})

/** Binds a socket and leaves the file behind, as a process that was killed does. */
async function leaveStaleSocket(socketPath: string): Promise<void> {
  const { link, unlink, rename } = await import('node:fs/promises')
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  await link(socketPath, `${socketPath}.kept`)
  await new Promise((resolve) => server.close(resolve))
  await unlink(socketPath).catch(() => undefined)
  await rename(`${socketPath}.kept`, socketPath)
}
