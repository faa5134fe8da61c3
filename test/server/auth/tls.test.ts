import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { noAccess } from '../../../src/core/access.ts'
import { createCertificateWay, namesOf } from '../../../src/server/auth/certificates.ts'
import { createEveryWay } from '../../../src/server/auth/every-way.ts'
import { createPolicyHolder } from '../../../src/server/auth/policy.ts'
import { createServer } from '../../../src/server/server.ts'
import { readTls } from '../../../src/server/tls.ts'
import { openTokenStore } from '../../../src/server/tokens.ts'
import { type Authority, type Issued, makeAuthority } from '../../stores/fakes/authority.ts'
import { createFakeService } from '../fake-service.ts'
import { shiftedSystem, signerIn, temporaryFolder, until } from '../harness.ts'

const host = { dns: ['localhost'], ips: [[127, 0, 0, 1]] as const }

async function start(clientCertificates: 'optional' | 'required' = 'optional') {
  const folder = await temporaryFolder()
  const system = shiftedSystem()
  const logs: string[] = []
  const log = (level: string, message: string): void => void logs.push(`${level} ${message}`)
  const authority = makeAuthority('servers')
  const clients = makeAuthority('clients')
  const paths = {
    cert: join(folder, 'cert.pem'),
    key: join(folder, 'key.pem'),
    clientCa: join(folder, 'clients.pem'),
  }
  const put = async (path: string, text: string): Promise<void> => {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }
  const server1 = authority.issue(host)
  await Promise.all([
    put(paths.cert, server1.cert),
    put(paths.key, server1.key),
    put(paths.clientCa, clients.cert),
  ])
  const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
  const app = await tokens.create({ name: 'web', credentials: ['openai'] })
  const policy = createPolicyHolder({
    ...noAccess,
    certificates: [
      {
        field: 'uri',
        pattern: 'spiffe://acme/ns/prod/sa/*',
        grants: [{ credentials: ['openai'], may: ['read'] }],
      },
      { field: 'dns', pattern: '*.batch.internal', grants: [{ credentials: ['openai'], may: ['operate'] }] },
      { field: 'cn', pattern: 'plain', grants: [{ credentials: ['openai'], may: ['read'] }] },
    ],
  })
  const certificates = createCertificateWay({ policy, system })
  const jwt = { authenticate: () => undefined, isLive: () => false }
  const server = await createServer({
    service: createFakeService(['openai', 'openai-prod'], []),
    tokens,
    authenticator: createEveryWay({ tokens, policy, jwt, certificates, isUnixSocket: false }),
    certificates,
    tls: { ...paths, clientCertificates, minVersion: 'TLSv1.2' },
    signer: signerIn(folder),
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    log,
    system,
    version: '1',
    isSandbox: true,
  })
  onTestFinished(async () => {
    await server.stop()
    await tokens.close()
  })
  const port = server.port ?? 0
  return { server, port, authority, clients, paths, put, logs, policy, tokens, system, app, log }
}

type World = Awaited<ReturnType<typeof start>>

interface Asking {
  readonly as?: Issued
  readonly token?: string
  readonly agent?: Agent
  readonly path?: string
  readonly ca?: Authority
}

function ask(world: World, asking: Asking = {}): Promise<number | string> {
  const { as, token, agent, path = '/v1/credentials/openai', ca = world.authority } = asking
  return new Promise((resolve) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: world.port,
        path,
        ca: ca.cert,
        agent: agent ?? false,
        ...as,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode ?? 0))
      },
    )
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    outgoing.end()
  })
}

describe('TLS', () => {
  it('is spoken, with tokens as over plain HTTP', async () => {
    const world = await start()
    expect(world.server.url).toBe(`https://127.0.0.1:${world.port}`)
    expect(await ask(world, { token: world.app.token })).toBe(200)
    expect(await ask(world)).toBe(401)
    expect(await ask(world, { ca: world.clients })).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })

  it('reads its files again when they change, and open connections live on', async () => {
    const world = await start()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const { token } = world.app
    expect(await ask(world, { token, agent })).toBe(200)
    const second = makeAuthority('others')
    const next = second.issue(host)
    await world.put(world.paths.key, next.key)
    await world.put(world.paths.cert, next.cert)
    await until(() => world.logs.some((line) => line.includes('was read again')))
    expect(await ask(world, { token, ca: second })).toBe(200)
    expect(await ask(world, { token })).not.toBe(200)
    expect(await ask(world, { token, agent })).toBe(200)
  })

  it('keeps what it has where the new files are no good, and says so once', async () => {
    const world = await start()
    const { token } = world.app
    await world.put(world.paths.cert, world.authority.issue(host).cert)
    await until(() => world.logs.some((line) => line.includes('cannot be used')))
    expect(await ask(world, { token })).toBe(200)
    await world.put(world.paths.cert, 'nothing')
    await until(() => world.logs.filter((line) => line.includes('cannot be used')).length === 2)
    expect(await ask(world, { token })).toBe(200)
    expect(world.logs.filter((line) => line.includes('cannot be used'))).toHaveLength(2)
  })

  it('takes no authorities for none, where Node would take the whole Web', async () => {
    const world = await start()
    for (const [index, nothing] of ['', '# nothing\n'].entries()) {
      await world.put(world.paths.clientCa, nothing)
      await until(() => world.logs.filter((line) => line.includes('cannot be used')).length === index + 1)
    }
    const as = world.clients.issue({ uris: ['spiffe://acme/ns/prod/sa/web'] })
    expect(await ask(world, { as })).toBe(200)
    const options = { ...world.paths, clientCertificates: 'optional', minVersion: 'TLSv1.2' } as const
    await expect(readTls(options)).rejects.toMatchObject({ code: 'config_invalid' })
  })

  it('does not start on files that do not fit together', async () => {
    const folder = await temporaryFolder()
    const system = shiftedSystem()
    const log = (): void => undefined
    const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
    onTestFinished(() => tokens.close())
    const authority = makeAuthority('servers')
    const cert = join(folder, 'cert.pem')
    const key = join(folder, 'key.pem')
    await writeFile(cert, authority.issue(host).cert)
    await writeFile(key, authority.issue(host).key)
    const starting = createServer({
      service: createFakeService(['openai'], []),
      tokens,
      tls: { cert, key, clientCertificates: 'optional', minVersion: 'TLSv1.2' },
      signer: signerIn(folder),
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      log,
      system,
      version: '1',
      isSandbox: true,
    })
    await expect(starting).rejects.toMatchObject({ code: 'config_invalid' })
  })

  it('is of version 1.2 at least', async () => {
    const world = await start()
    const socket = connect({
      port: world.port,
      host: '127.0.0.1',
      ca: world.authority.cert,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toMatch(/PROTOCOL|VERSION/)
  })
})

describe('a client certificate', () => {
  const uri = 'spiffe://acme/ns/prod/sa/web'

  it('lets in whom a rule names, with its grants', async () => {
    const world = await start()
    expect(await ask(world, { as: world.clients.issue({ uris: [uri] }) })).toBe(200)
    expect(await ask(world, { as: world.clients.issue({ cn: 'plain' }) })).toBe(200)
    const operator = world.clients.issue({ dns: ['One.Batch.Internal'] })
    expect(await ask(world, { as: operator })).toBe(403)
    expect(await ask(world, { as: operator, path: '/v1/credentials/openai/versions' })).toBe(200)
  })

  it.each<[string, (world: World) => Issued]>([
    ['of another authority', () => makeAuthority('clients').issue({ uris: [uri] })],
    ['of another name', ({ clients }) => clients.issue({ uris: ['spiffe://acme/ns/test/sa/web'] })],
    ['whose name goes on', ({ clients }) => clients.issue({ uris: [`${uri}/more`] })],
    ['with two labels for one star', ({ clients }) => clients.issue({ dns: ['a.b.batch.internal'] })],
    [
      'that has other names beside its common name',
      ({ clients }) => clients.issue({ cn: 'plain', dns: ['x'] }),
    ],
    ['that has expired', ({ clients }) => clients.issue({ uris: [uri] }, '200601')],
    ['with a name that holds two', ({ clients }) => clients.issue({ dns: [`x, URI:${uri}`] })],
  ])('%s lets in nobody, and a token beside it still counts', async (_what, issue) => {
    const world = await start()
    const as = issue(world)
    expect(await ask(world, { as })).toBe(401)
    expect(await ask(world, { as, token: world.app.token })).toBe(200)
  })

  it('does not make a bad token good', async () => {
    const world = await start()
    const as = world.clients.issue({ uris: [uri] })
    expect(await ask(world, { as, token: 'kt_app_bad' })).toBe(401)
  })

  it('is needed for every connection where it is required', async () => {
    const world = await start('required')
    // Which of these depends on whether the request is on its way when the server ends the connection.
    const cutOff = /ALERT|RESET|CLOSED|EPIPE/i
    expect(await ask(world, { token: world.app.token })).toMatch(cutOff)
    const stranger = makeAuthority('clients').issue({ uris: [uri] })
    expect(await ask(world, { as: stranger })).toMatch(cutOff)
    expect(await ask(world, { as: world.clients.issue({ uris: [uri] }) })).toBe(200)
  })

  it('counts no longer when the rule is gone, on an open connection and an open stream too', async () => {
    const world = await start()
    const as = world.clients.issue({ uris: [uri] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: world.authority.cert, ...as })
    onTestFinished(() => agent.destroy())
    expect(await ask(world, { agent })).toBe(200)
    const socket = await stream(world, as)
    world.policy.replace(noAccess)
    await once(socket, 'end')
    expect(await ask(world, { agent })).toBe(401)
  })

  it('counts no longer when its authority is gone, on a connection from before too', async () => {
    const world = await start()
    const as = world.clients.issue({ uris: [uri] })
    const socket = await stream(world, as)
    const others = makeAuthority('others')
    await world.put(world.paths.clientCa, others.cert)
    await once(socket, 'end')
    expect(await ask(world, { as })).toBe(401)
    expect(await ask(world, { as: others.issue({ uris: [uri] }) })).toBe(200)
  })

  it('counts no longer when its authority is gone, for a request that was under way then', async () => {
    const world = await start()
    const as = world.clients.issue({ uris: [uri] })
    const socket = connect({ port: world.port, host: '127.0.0.1', ca: world.authority.cert, ...as })
    onTestFinished(() => void socket.destroy())
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const begin = 'GET /v1/credentials/openai HTTP/1.1\r\nHost: localhost\r\n'
    socket.write(`${begin}\r\n${begin}`)
    await until(() => text.includes('HTTP/1.1 200'))
    await world.put(world.paths.clientCa, makeAuthority('others').cert)
    await until(() => world.logs.some((line) => line.includes('was read again')))
    socket.write('\r\n')
    await until(() => text.includes('HTTP/1.1 401'))
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'counts no longer by a session of before that is resumed, when its authority is gone: %s',
    async (version) => {
      const world = await start()
      const as = { ...world.clients.issue({ uris: [uri] }), minVersion: version, maxVersion: version }
      const first = await visit(world, as)
      expect(await visit(world, { ...as, session: first.session })).toMatchObject({
        status: '200',
        isResumed: true,
      })
      await world.put(world.paths.clientCa, makeAuthority('others').cert)
      await until(() => world.logs.some((line) => line.includes('was read again')))
      expect(await visit(world, { ...as, session: first.session })).toMatchObject({ status: '401' })
    },
  )

  it('is asked of nobody by a file that is not there, or holds a key in place of an authority', async () => {
    const { paths, clients, put } = await start()
    const tls = { ...paths, clientCertificates: 'optional', minVersion: 'TLSv1.2' } as const
    await put(paths.clientCa, clients.issue({ cn: 'x' }).key)
    await expect(readTls(tls)).rejects.toMatchObject({
      code: 'config_invalid',
      message: `There is no certificate in ${paths.clientCa}, which tls.clientCa names.`,
    })
    await expect(readTls({ ...tls, clientCa: `${paths.clientCa}.none` })).rejects.toMatchObject({
      fix: expect.stringContaining('correct the path'),
    })
  })

  it('of the service is said to have expired when it is put there too late', async () => {
    const world = await start()
    const { cert, key } = world.authority.issue(host)
    world.system.shiftMs += 40 * 365 * 86_400_000
    expect(world.logs.join()).not.toContain('has expired')
    await world.put(world.paths.key, key)
    await world.put(world.paths.cert, cert)
    await until(() => world.logs.some((line) => line.startsWith('error the certificate has expired')))
    await until(() =>
      world.logs.some((line) => line.startsWith('error the authorities of clients have expired')),
    )
  })

  it('counts until it ends, though the connection goes on', async () => {
    const world = await start()
    const as = world.clients.issue({ uris: [uri] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: world.authority.cert, ...as })
    onTestFinished(() => agent.destroy())
    expect(await ask(world, { agent })).toBe(200)
    world.system.shiftMs += 40 * 365 * 86_400_000
    expect(await ask(world, { agent })).toBe(401)
  })
})

/** One request on a connection of its own. */
async function visit(world: World, options: ConnectionOptions) {
  const socket = connect({ port: world.port, host: '127.0.0.1', ca: world.authority.cert, ...options })
  let session: Buffer | undefined
  let text = ''
  let isResumed = false
  socket.on('session', (given: Buffer) => {
    session = given
  })
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('secureConnect', () => {
    isResumed = socket.isSessionReused()
    socket.write('GET /v1/credentials/openai HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  })
  await once(socket, 'close')
  return { status: text.split(' ')[1], session, isResumed }
}

/** An event stream that has said hello. */
async function stream(world: World, as: Issued): Promise<TLSSocket> {
  const socket = connect({ port: world.port, host: '127.0.0.1', ca: world.authority.cert, ...as })
  onTestFinished(() => void socket.destroy())
  socket.write('GET /v1/credentials/openai/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await until(() => text.includes('event: hello'))
  return socket
}

describe('the names of a certificate', () => {
  it.each([
    ['DNS:a.example, URI:spiffe://x/y, IP Address:10.0.0.1', { uris: ['spiffe://x/y'], dns: ['a.example'] }],
    ['DNS:A.Example', { uris: [], dns: ['a.example'] }],
  ])('are told apart in %s', (subjectaltname, names) => {
    expect(namesOf({ subjectaltname, subject: { CN: 'x' } })).toEqual({ ...names, cn: undefined })
  })

  it.each(['DNS:"a, URI:spiffe://x"', 'DNS:a, b', 'DNS:'])(
    'are none where they could be others: %s',
    (line) => {
      expect(namesOf({ subjectaltname: line })).toBeUndefined()
    },
  )

  it('are the common name where there is no other, and only one of them', () => {
    expect(namesOf({ subject: { CN: 'x' } })?.cn).toBe('x')
    expect(namesOf({ subject: { CN: ['x', 'y'] } })?.cn).toBeUndefined()
  })
})
