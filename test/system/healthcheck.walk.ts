import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { makeCertificate } from '../stores/fakes/certificate.ts'

const script = fileURLToPath(new URL('../../deploy/image/healthcheck.js', import.meta.url))

/** The exit code of what the image asks itself with. */
async function check(env: Readonly<Record<string, string>>): Promise<number | null> {
  const child = spawn(process.execPath, [script], { env: { NODE_NO_WARNINGS: '1', ...env }, stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keyturn-health-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function listening(server: Server, place: string | number): Promise<number> {
  if (typeof place === 'string') server.listen(place)
  else server.listen(place, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const answering =
  (status: number): RequestListener =>
  ({ url }, response) => {
    response.writeHead(url === '/healthz' ? status : 404).end()
  }

it('is well where /healthz says so, on whatever address the service listens', async () => {
  const port = await listening(createServer(answering(200)), 0)
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${port}` })).toBe(0)
  expect(await check({ KEYTURN_LISTEN: `0.0.0.0:${port}` })).toBe(0)
  const socket = join(folder(), 'keyturn.sock')
  await listening(createServer(answering(200)), socket)
  expect(await check({ KEYTURN_LISTEN: `unix:${socket}` })).toBe(0)
})

it('is not well where something else is said, or nothing', async () => {
  const port = await listening(createServer(answering(503)), 0)
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${port}` })).toBe(1)
  const silent = await listening(
    createServer(() => undefined),
    0,
  )
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${silent}` })).toBe(1)
  expect(await check({ KEYTURN_LISTEN: `unix:${join(folder(), 'none.sock')}` })).toBe(1)
  expect(await check({ KEYTURN_LISTEN: 'nonsense' })).toBe(1)
})

it('asks a service with TLS, and shows a certificate where one is wanted', async () => {
  const own = makeCertificate('keyturn')
  const client = makeCertificate('health')
  const options = { ...own, ca: client.cert, requestCert: true }
  const open = await listening(createTlsServer({ ...options, rejectUnauthorized: false }, answering(200)), 0)
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${open}` })).toBe(0)
  const closed = await listening(createTlsServer({ ...options, rejectUnauthorized: true }, answering(200)), 0)
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${closed}` })).toBe(1)
  const place = folder()
  writeFileSync(join(place, 'cert.pem'), client.cert)
  writeFileSync(join(place, 'key.pem'), client.key, { mode: 0o600 })
  const shown = {
    KEYTURN_CLIENT_CERT_FILE: join(place, 'cert.pem'),
    KEYTURN_CLIENT_KEY_FILE: join(place, 'key.pem'),
  }
  expect(await check({ KEYTURN_LISTEN: `127.0.0.1:${closed}`, ...shown })).toBe(0)
})
