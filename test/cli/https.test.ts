import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, it, onTestFinished, vi } from 'vitest'
import { send } from '../../src/cli/http.ts'
import { sendingTo } from '../../src/cli/sending-to.ts'
import { findTarget, findToken } from '../../src/cli/target.ts'
import { makeAuthority } from '../stores/fakes/authority.ts'
import { fakeIo } from './fake-io.ts'

const authority = makeAuthority('servers')
const clients = makeAuthority('clients')

async function service() {
  const asked: { path: string | undefined; name: string | undefined }[] = []
  const options = {
    ...authority.issue({ ips: [[127, 0, 0, 1]] }),
    ca: clients.cert,
    requestCert: true,
    rejectUnauthorized: false,
  }
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket
    asked.push({
      path: request.url,
      name: socket.authorized ? socket.getPeerCertificate().subjectaltname : '',
    })
    if (request.url === '/moved') response.writeHead(307, { location: '/elsewhere' }).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const mine = clients.issue({ dns: ['ops.internal'] })
const files = { '/pki/ca.pem': authority.cert, '/pki/me.pem': mine.cert, '/pki/me.key': mine.key }
const call = { method: 'GET', path: '/healthz', token: 'kt_op_x' } as const

it('speaks HTTPS with an authority and a certificate of its own, and follows no redirect', async () => {
  const { url, asked } = await service()
  const env = {
    KEYTURN_URL: url,
    KEYTURN_CA_FILE: '/pki/ca.pem',
    KEYTURN_CLIENT_CERT_FILE: '/pki/me.pem',
    KEYTURN_CLIENT_KEY_FILE: '/pki/me.key',
  }
  const { address } = await findTarget(fakeIo({ env, files }))
  expect((await send(address, call)).status).toBe(200)
  expect((await send(address, { ...call, path: '/moved' })).status).toBe(307)
  expect(asked).toEqual([
    { path: '/healthz', name: 'DNS:ops.internal' },
    { path: '/moved', name: 'DNS:ops.internal' },
  ])
})

it('talks to nobody whose certificate is of an authority that it does not know, and says what to do', async () => {
  const { url, asked } = await service()
  const { address } = await findTarget(fakeIo({ env: { KEYTURN_URL: url }, files }))
  await expect(send(address, call)).rejects.toMatchObject({
    code: 'service_unreachable',
    fix: expect.stringContaining('KEYTURN_CA_FILE'),
  })
  expect(asked).toEqual([])
})

it('checks with the authority that is named, whatever the shell thinks of certificates', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { url, asked } = await service()
  const env = { KEYTURN_URL: url, KEYTURN_CA_FILE: '/pki/other.pem' }
  const { address } = await findTarget(fakeIo({ env, files: { '/pki/other.pem': clients.cert } }))
  await expect(send(address, call)).rejects.toMatchObject({ code: 'service_unreachable' })
  expect(asked).toEqual([])
})

it('says what does not fit where the certificate and the key to show are of two', async () => {
  const { url, asked } = await service()
  const { key } = clients.issue({ dns: ['another.internal'] })
  const env = {
    KEYTURN_URL: url,
    KEYTURN_CA_FILE: '/pki/ca.pem',
    KEYTURN_CLIENT_CERT_FILE: '/pki/me.pem',
    KEYTURN_CLIENT_KEY_FILE: '/pki/other.key',
  }
  const { address } = await findTarget(fakeIo({ env, files: { ...files, '/pki/other.key': key } }))
  await expect(send(address, call)).rejects.toMatchObject({
    code: 'file_unusable',
    fix: expect.stringContaining('KEYTURN_CLIENT_KEY_FILE'),
  })
  expect(asked).toEqual([])
})

it('shows what the files hold by then, where it goes on for long', async () => {
  const { url, asked } = await service()
  const now: Record<string, string> = { ...files }
  const env = {
    KEYTURN_URL: url,
    KEYTURN_CA_FILE: '/pki/ca.pem',
    KEYTURN_CLIENT_CERT_FILE: '/pki/me.pem',
    KEYTURN_CLIENT_KEY_FILE: '/pki/me.key',
  }
  const io = { ...fakeIo({ env }), readFile: (path: string) => now[path] }
  const { address } = await findTarget(io)
  const send = sendingTo(address, io)
  const ask = { url: new URL(url), method: 'GET', headers: {}, signal: new AbortController().signal } as const
  await send(ask)
  const next = clients.issue({ dns: ['next.internal'] })
  Object.assign(now, { '/pki/me.pem': next.cert, '/pki/me.key': next.key })
  await send(ask)
  expect(asked.map(({ name }) => name)).toEqual(['DNS:ops.internal', 'DNS:next.internal'])
})

it('looks for a service that speaks TLS by HTTPS', async () => {
  const text = 'tls: { cert: a, key: b }\ncredentials: { openai: { store: { kind: local } } }\n'
  const files = { '/srv/app/keyturn.yaml': text }
  const at = async (env: Record<string, string>) => (await findTarget(fakeIo({ env, files }))).address
  expect(await at({})).toMatchObject({ url: new URL('https://127.0.0.1:7420') })
  expect(await at({ KEYTURN_LISTEN: '0.0.0.0:7425' })).toMatchObject({
    url: new URL('https://127.0.0.1:7425'),
  })
})

it.each([
  ['a certificate without its key', { KEYTURN_CLIENT_CERT_FILE: '/pki/me.pem' }, 'usage'],
  ['a file that is not there', { KEYTURN_CA_FILE: '/pki/none.pem' }, 'file_unusable'],
])('refuses %s', async (_what, env, code) => {
  const io = fakeIo({ env: { KEYTURN_URL: 'https://localhost', ...env }, files })
  await expect(findTarget(io)).rejects.toMatchObject({ code })
})

it('needs no token where a certificate or the socket says who asks', async () => {
  const env = {
    KEYTURN_URL: 'https://localhost',
    KEYTURN_CLIENT_CERT_FILE: '/pki/me.pem',
    KEYTURN_CLIENT_KEY_FILE: '/pki/me.key',
  }
  const none = (more: Record<string, string>) => {
    const io = fakeIo({ env: more, files })
    return findTarget(io).then((target) => findToken(io, target, 'operator').value)
  }
  expect(await none(env)).toBe('')
  expect(await none({ KEYTURN_URL: 'unix:/run/k.sock' })).toBe('')
  const denied = (): never => {
    throw Object.assign(new Error('denied'), { code: 'EACCES' })
  }
  const io = { ...fakeIo({ env: { KEYTURN_URL: 'unix:/run/k.sock' } }), readFile: denied }
  expect(findToken(io, { home: '/srv', address: { kind: 'unix', path: '/run/k.sock' } }, 'app').value).toBe(
    '',
  )
  const address = { kind: 'url', url: new URL('http://127.0.0.1') } as const
  expect(() => findToken(io, { home: '/srv', address }, 'app')).toThrow('cannot be read')
  expect(await none({ ...env, KEYTURN_OPERATOR_TOKEN: 'kt_op_x' })).toBe('kt_op_x')
  await expect(none({ KEYTURN_URL: 'https://localhost' })).rejects.toMatchObject({ code: 'unauthenticated' })
})
