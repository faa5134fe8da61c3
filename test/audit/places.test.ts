import { createHmac } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bodyOf, chained, genesis } from '../../src/audit/row.ts'
import { createSyslogSink } from '../../src/audit/syslog-sink.ts'
import { createWebhookSink } from '../../src/audit/webhook-sink.ts'
import { Secret } from '../../src/core/secret.ts'
import { read } from './journal-harness.ts'

const { line } = chained({ seq: 1, at: '2026-11-25T21:00:00.000Z', body: bodyOf(read(1)), prev: genesis })
const batch = { from: 1, through: 1, text: `${line}\n` }

interface Got {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function webhook(status: number, headers: Readonly<Record<string, string>> = {}) {
  const got: Got[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      got.push({ headers: request.headers, body })
      if (status > 0) response.writeHead(status, headers).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { got, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rows` }
}

const clock = { now: () => 1_795_640_000_000 }

describe('a webhook', () => {
  it('gets the very lines, with the token and a signature that can be checked', async () => {
    const { got, url } = await webhook(204)
    const secret = new Secret('a'.repeat(20))
    const sink = createWebhookSink({ url, clock, bearer: async () => secret, hmac: async () => secret })
    await sink.write(batch)
    const [{ headers, body } = { headers: {}, body: '' }] = got
    expect(body).toBe(batch.text)
    expect(headers['content-type']).toBe('application/x-ndjson')
    expect(headers.authorization).toBe(`Bearer ${'a'.repeat(20)}`)
    const mac = createHmac('sha256', 'a'.repeat(20)).update(`${clock.now()}.${body}`).digest('hex')
    expect(headers['keyturn-signature']).toBe(`t=${clock.now()},v1=${mac}`)
  })

  it.each([400, 401, 404, 429, 500, 503])('that answers %d did not take them', async (status) => {
    const { url } = await webhook(status)
    await expect(createWebhookSink({ url, clock }).write(batch)).rejects.toThrow(`status ${status}`)
  })

  it('that sends elsewhere did not take them, and elsewhere gets nothing', async () => {
    const elsewhere = await webhook(204)
    const { url } = await webhook(307, { location: elsewhere.url })
    await expect(createWebhookSink({ url, clock }).write(batch)).rejects.toThrow('status 307')
    expect(elsewhere.got).toEqual([])
  })

  it('that does not answer in time, or is not there, did not take them', async () => {
    const { url } = await webhook(0)
    await expect(createWebhookSink({ url, clock, timeoutMs: 50 }).write(batch)).rejects.toThrow(
      'no answer in time',
    )
    await expect(createWebhookSink({ url: 'http://127.0.0.1:1/', clock }).write(batch)).rejects.toThrow()
  })
})

describe('syslog', () => {
  const message = new RegExp(`^<110>1 2026-11-25T21:00:00\\.000Z \\S+ keyturn - read - \\{"seq":1`)

  it('gets each row as a message of RFC 5424, by UDP', async () => {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    onTestFinished(() => void socket.close())
    const received = new Promise<string>((resolve) =>
      socket.once('message', (bytes) => resolve(String(bytes))),
    )
    const sink = createSyslogSink({ address: `udp://127.0.0.1:${socket.address().port}` })
    await sink.write(batch)
    expect(await received).toMatch(message)
    expect(sink.isConfirming).toBe(false)
  })

  it('counts octets on a stream, and connects anew after it broke', async () => {
    const texts: string[] = []
    let onText = (): void => undefined
    const server = createTcpServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes) => {
        texts.push(String(bytes))
        socket.destroy()
        onText()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const sink = createSyslogSink({ address: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` })
    const first = new Promise<void>((resolve) => {
      onText = resolve
    })
    await sink.write(batch)
    await first
    const [length = '', ...rest] = (texts[0] ?? '').split(' ')
    expect(Number(length)).toBe(Buffer.byteLength(rest.join(' ')))
    expect(rest.join(' ')).toMatch(message)
    // The break may show at the first write after it: then those rows come again, as the journal does it.
    const second = new Promise<void>((resolve) => {
      onText = resolve
    })
    await sink.write(batch).catch(() => undefined)
    await sink.write(batch).catch(() => undefined)
    await sink.write(batch)
    await second
    expect(texts.length).toBeGreaterThan(1)
    await sink.close()
  })
})
