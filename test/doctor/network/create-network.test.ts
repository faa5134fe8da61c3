import { describe, expect, it } from 'vitest'
import { bodyBytesMax, createNetwork } from '../../../src/doctor/network/create-network.ts'
import type { Network } from '../../../src/doctor/network.ts'
import { createSystem } from '../../../src/system.ts'
import { closedPort, connectProxy, httpServer, namesHere, rawServer, tlsServer } from './servers.ts'

const system = createSystem()
const lookup = namesHere('api.openai.com', 'somewhere.example.com')
const network = createNetwork(system, { lookup })
/** What takes milliseconds, on a machine that stands still meanwhile. */
const patientMs = 20_000
const get = (url: string) => ({ url, method: 'GET', headers: {} }) as const

function askAll(of: Network, host: string, port: number) {
  return Promise.all([
    of.connect({ host, port }, patientMs),
    of.tls({ host, port }, patientMs),
    of.request(get(`http://${host}:${port}/`), patientMs),
  ])
}

describe('the real network', () => {
  it('resolves names and addresses, and says what a name that is not there is', async () => {
    const real = createNetwork(system)
    expect(await real.resolve('127.0.0.1', patientMs)).toMatchObject({ answer: { addresses: ['127.0.0.1'] } })
    expect(await real.resolve('[::1]', patientMs)).toMatchObject({ answer: { addresses: ['::1'] } })
    expect(await network.resolve('nowhere.example.com', patientMs)).toMatchObject({
      kind: 'failed',
      failure: 'dns',
      detail: 'ENOTFOUND',
    })
  })

  it('asks the resolver of the system in a process that can be ended', async () => {
    const real = createNetwork(system)
    // No part of a name may be as long: that is seen without asking anybody.
    const impossible = `${'x'.repeat(70)}.example.com`
    expect(await real.resolve(impossible, patientMs)).toMatchObject({ kind: 'failed', failure: 'dns' })
    // Over as soon as the process runs: by the clock, it might have answered before.
    const after: typeof system.after = (_ms, callback) => {
      queueMicrotask(callback)
      return () => undefined
    }
    const hasty = createNetwork({ ...system, after })
    expect(await hasty.resolve(impossible, 1)).toMatchObject({ kind: 'failed', failure: 'timeout' })
  })

  it('ends a resolution that does not end', async () => {
    const slow = createNetwork(system, { lookup: () => undefined })
    expect(await slow.resolve('api.openai.com', 50)).toMatchObject({ kind: 'failed', failure: 'timeout' })
  })

  it('names a closed port in every layer', async () => {
    const port = closedPort
    for (const attempt of await askAll(network, '127.0.0.1', port))
      expect(attempt).toMatchObject({ kind: 'failed', failure: 'connect', detail: 'ECONNREFUSED' })
  })

  it('goes to the address that answers where a name has several', async () => {
    const port = await httpServer((_request, response) => response.end('here'))
    const both = createNetwork(system, {
      lookup: (_host, _options, callback) =>
        callback(null, [
          { address: '::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ]),
    })
    expect(await both.connect({ host: 'somewhere.example.com', port }, patientMs)).toMatchObject({
      kind: 'done',
      answer: { address: '127.0.0.1' },
    })
  })

  it('ends with somebody who accepts and says nothing, and closes its sockets', async () => {
    const closed: Promise<unknown>[] = []
    const port = await rawServer((socket) => {
      closed.push(new Promise((resolve) => socket.on('close', resolve)))
      socket.resume()
    })
    const [connected, tls, http] = await Promise.all([
      network.connect({ host: '127.0.0.1', port }, patientMs),
      network.tls({ host: '127.0.0.1', port }, 500),
      network.request(get(`http://127.0.0.1:${port}/`), 500),
    ])
    expect(connected).toMatchObject({ kind: 'done' })
    for (const attempt of [tls, http]) expect(attempt).toMatchObject({ kind: 'failed', failure: 'timeout' })
    await expect.poll(() => closed.length, { timeout: patientMs }).toBe(3)
    await Promise.all(closed)
  })

  it('ends with an answer that drips', async () => {
    const port = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n')
      socket.on('data', () => socket.write('x'))
    })
    const attempt = await network.request(get(`http://127.0.0.1:${port}/`), 500)
    expect(attempt).toMatchObject({ kind: 'failed', failure: 'timeout' })
  })

  it('says that the connection broke', async () => {
    const reset = await rawServer((socket) => void socket.once('data', () => socket.resetAndDestroy()))
    expect(await network.request(get(`http://127.0.0.1:${reset}/`), patientMs)).toMatchObject({
      kind: 'failed',
      failure: 'reset',
      detail: 'ECONNRESET',
    })
    const cut = await rawServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'))
    expect(await network.request(get(`http://127.0.0.1:${cut}/`), patientMs)).toMatchObject({
      kind: 'failed',
      failure: 'reset',
    })
  })

  it('says that it is no HTTP, or no TLS', async () => {
    const port = await rawServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'))
    expect(await network.request(get(`http://127.0.0.1:${port}/`), patientMs)).toMatchObject({
      kind: 'failed',
      detail: expect.stringMatching(/^HPE_/),
    })
    expect(await network.tls({ host: '127.0.0.1', port }, patientMs)).toMatchObject({
      kind: 'failed',
      failure: 'tls',
    })
  })

  it('keeps the beginning of an answer of 10 MB', async () => {
    const port = await httpServer((_request, response) => response.end(Buffer.alloc(10_000_000, 'a')))
    const attempt = await network.request(get(`http://127.0.0.1:${port}/`), patientMs)
    expect(attempt.kind === 'done' && attempt.answer.body.length).toBe(bodyBytesMax)
  })

  it('follows no redirect and keeps no cookie', async () => {
    const paths: (string | undefined)[] = []
    const port = await httpServer((request, response) => {
      paths.push(request.url)
      response
        .writeHead(302, {
          location: '/elsewhere',
          'set-cookie': 'session=1',
          'x-auth-token': 'a',
          server: 'portal',
        })
        .end()
    })
    const attempt = await network.request(get(`http://127.0.0.1:${port}/v1/models?a=b`), patientMs)
    expect(attempt).toMatchObject({ answer: { status: 302, headers: { server: 'portal' } } })
    expect(attempt.kind === 'done' && Object.keys(attempt.answer.headers).toSorted()).toEqual([
      'connection',
      'date',
      'location',
      'server',
      'transfer-encoding',
    ])
    expect(paths).toEqual(['/v1/models?a=b'])
  })
})

describe('TLS', () => {
  it('shows a certificate of a stranger, and sends him nothing', async () => {
    let count = 0
    const { port } = await tlsServer(
      (_request, response) => {
        count += 1
        response.end('{}')
      },
      { authority: 'Corp Inspection CA' },
    )
    expect(await network.tls({ host: 'api.openai.com', port }, patientMs)).toMatchObject({
      answer: {
        certificate: {
          issuer: 'Corp Inspection CA',
          subject: 'api.openai.com',
          problem: expect.stringMatching(
            /^(?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
          ),
        },
        protocol: 'TLSv1.3',
      },
    })
    const url = `https://api.openai.com:${port}/`
    expect(await network.request(get(url), patientMs)).toMatchObject({ kind: 'failed', failure: 'tls' })
    expect(count).toBe(0)
    const shown = await network.request({ ...get(url), acceptsAnyCertificate: true }, patientMs)
    expect(shown).toMatchObject({ answer: { status: 200 } })
  })

  it('never sends a key past a certificate that nobody looks at', async () => {
    expect(() =>
      network.request(
        {
          ...get('https://api.openai.com/'),
          headers: { authorization: 'Bearer x' },
          acceptsAnyCertificate: true,
        },
        patientMs,
      ),
    ).toThrow('no key is sent to somebody')
  })

  it('trusts what it is told to trust, for the name that it is for, while it is valid', async () => {
    const problemOf = async (about: { name?: string; until?: string }) => {
      const { port, authority } = await tlsServer((_request, response) => response.end('{}'), about)
      const trusting = createNetwork(system, { lookup, trusted: [authority] })
      const attempt = await trusting.tls({ host: 'api.openai.com', port }, patientMs)
      return attempt.kind === 'done' ? attempt.answer.certificate.problem : attempt
    }
    expect(await problemOf({})).toBeUndefined()
    expect(await problemOf({ name: 'other.example.com' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    expect(await problemOf({ until: '210101' })).toBe('CERT_HAS_EXPIRED')
  })
})

describe('a proxy', () => {
  it('is asked for a tunnel, with its login, and TLS goes through to the end', async () => {
    const { port: to, authority } = await tlsServer((_request, response) => response.end('{"a":1}'))
    const { port, asked, logins } = await connectProxy({ to })
    const trusting = createNetwork(system, { lookup, trusted: [authority] })
    const proxy = `http://ann:p%40ss@127.0.0.1:${port}`
    const url = 'https://api.openai.com/v1/models'
    expect(await trusting.request({ ...get(url), proxy }, patientMs)).toMatchObject({
      answer: { body: '{"a":1}' },
    })
    expect(await trusting.tls({ host: 'api.openai.com', port: 443, proxy }, patientMs)).toMatchObject({
      answer: { certificate: { issuer: 'Test Root' } },
    })
    expect(asked).toEqual(['api.openai.com:443', 'api.openai.com:443'])
    expect(logins[0]).toBe(`Basic ${Buffer.from('ann:p@ss').toString('base64')}`)
  })

  it.each([407, 403, 502])('that answers %i is a failure with that number', async (status) => {
    const { port } = await connectProxy({ status })
    const proxy = `http://127.0.0.1:${port}`
    expect(await network.request({ ...get('https://api.openai.com/'), proxy }, patientMs)).toMatchObject({
      kind: 'failed',
      failure: 'connect',
      detail: `PROXY_${status}`,
    })
  })

  it('that says nothing ends in time', async () => {
    const port = await rawServer((socket) => void socket.resume())
    const proxy = `http://127.0.0.1:${port}`
    expect(await network.request({ ...get('https://api.openai.com/'), proxy }, 80)).toMatchObject({
      kind: 'failed',
      failure: 'timeout',
    })
  })
})
