import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { errorIn, heldAnswer, json, open, send, startRig, until } from './harness.ts'

const chat = 'POST /v1/chat/completions'

describe('an answer that comes piece by piece', () => {
  it('has its head before its first piece, and every piece by itself, as soon as it is there', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { text } = send(rig)
    const response = await upstream
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' }).flushHeaders()
    await until(() => text().includes('\r\n\r\n'))
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*content-type: text\/event-stream\r\n[^]*\r\n\r\n$/)
    const headEnd = text().length
    let got = ''
    for (let count = 0; count < 50; count += 1) {
      const piece = `data: {"n":${count}}\n\n`
      response.write(piece)
      got += `${piece.length.toString(16)}\r\n${piece}\r\n`
      await until(() => text().length >= headEnd + got.length)
      expect(text().slice(headEnd)).toBe(got)
    }
    response.end()
    await until(() => text().endsWith('0\r\n\r\n'))
    expect(text().slice(headEnd)).toBe(`${got}0\r\n\r\n`)
  })

  it('begins with its own head, whatever the upstream says before', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) => {
      response.writeEarlyHints({ link: '</v1>; rel=preload' })
      response.writeProcessing()
      json(response, 200, { ok: true })
    }
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.text.match(/HTTP\/1\.1 \d+/g), answer.body]).toEqual([['HTTP/1.1 200'], '{"ok":true}'])
  })

  it('keeps pieces apart that arrive in one packet', async () => {
    const rig = await startRig()
    rig.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.socket?.cork()
      for (const piece of ['data: a\n\n', 'data: bb\n\n', 'data: ccc\n\n']) response.write(piece)
      response.end()
      response.socket?.uncork()
    }
    const answer = await rig.ask(chat, { body: '{}' })
    expect(answer.body).toBe('9\r\ndata: a\n\n\r\na\r\ndata: bb\n\n\r\nb\r\ndata: ccc\n\n\r\n0\r\n\r\n')
  })

  it('ends the call of OpenAI as soon as the caller is gone', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { socket, text } = send(rig)
    const response = await upstream
    response.writeHead(200).write('data: a\n\n')
    await until(() => text().includes('data: a'))
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()))
    socket.destroy()
    await closed
    expect(response.writableEnded).toBe(false)
  })

  it('ends it also while no answer has begun', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { socket } = send(rig)
    const response = await upstream
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()))
    socket.destroy()
    await closed
    expect(response.headersSent).toBe(false)
  })

  it('breaks off for the caller where it broke off: half of an answer never looks like a whole one', async () => {
    const rig = await startRig()
    for (const head of [{}, { 'content-length': '100' }]) {
      const upstream = heldAnswer(rig)
      const { text, closed } = send(rig)
      const response = await upstream
      response.writeHead(200, head).write('half')
      await until(() => text().includes('half'))
      response.socket?.destroy()
      await closed
      expect(text().endsWith('half') || text().endsWith('half\r\n')).toBe(true)
    }
  })

  it('breaks off with a reset where the caller speaks HTTP/1.0: to it, an end is the end of a whole answer', async () => {
    const rig = await startRig()
    const upstream = heldAnswer(rig)
    const { socket, text, closed } = open(rig.port)
    let failure: NodeJS.ErrnoException | undefined
    socket.on('error', (error) => (failure = error))
    socket.write(
      `GET /v1/models HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\n\r\n`,
    )
    const response = await upstream
    response.writeHead(200).write('half')
    await until(() => text().includes('half'))
    response.socket?.destroy()
    await closed
    expect(failure?.code).toBe('ECONNRESET')
  })

  it('waits for a slow reader, and keeps next to nothing of it in memory', async () => {
    const rig = await startRig()
    let written = 0
    const piece = Buffer.alloc(65_536, 'a')
    let response: ServerResponse | undefined
    rig.answer = (request, answer) => {
      request.resume()
      response = answer
      answer.writeHead(200)
      const pump = () => {
        while (written < 256 * 1_048_576) {
          written += piece.length
          if (!answer.write(piece)) {
            answer.once('drain', pump)
            return
          }
        }
        answer.end()
      }
      pump()
    }
    const { socket } = send(rig)
    socket.pause()
    // What the kernel and both ends buffer fills up; then nothing moves any more.
    let seen = -1
    await until(() => {
      const isStill = written === seen && response !== undefined && response.writableNeedDrain
      seen = written
      return isStill
    })
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(written).toBeLessThan(64 * 1_048_576)
    socket.destroy()
  })
})

describe('a long body', () => {
  it('goes up as it comes, byte for byte, while the caller is still sending', async () => {
    const rig = await startRig({ limits: { bufferBytesMax: 1_000 } })
    const digest = createHash('sha256')
    const sent = createHash('sha256')
    let length = 0
    rig.answer = (request, response) => {
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        digest.update(chunk)
      })
      request.on('end', () => json(response, 200, { ok: true }))
    }
    const { socket, text } = open(rig.port)
    const total = 3_000_000
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: ${total}\r\n\r\n`,
    )
    for (let index = 0; index < 3; index += 1) {
      const piece = Buffer.alloc(1_000_000, String(index))
      sent.update(piece)
      socket.write(piece)
      await until(() => length === (index + 1) * 1_000_000)
    }
    await until(() => text().includes('{"ok":true}'))
    expect(digest.digest('hex')).toBe(sent.digest('hex'))
    expect(rig.arrived[0]?.headers['content-length']).toBe(String(total))
  })

  it('is held back where OpenAI takes nothing', async () => {
    const rig = await startRig()
    rig.answer = (request) => {
      request.pause()
    }
    const { socket } = open(rig.port)
    const total = 256 * 1_048_576
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: ${total}\r\n\r\n`,
    )
    const piece = Buffer.alloc(1_048_576)
    let taken = 0
    const pump = () => {
      taken += piece.length
      if (taken < total) socket.write(piece, pump)
    }
    socket.write(piece, pump)
    await until(() => rig.arrived.length === 1)
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(taken).toBeLessThan(64 * 1_048_576)
  })

  it('is answered also where OpenAI does not wait for its end', async () => {
    const rig = await startRig({ limits: { bufferBytesMax: 1_000 } })
    rig.answer = (_request, response) => json(response, 400, { error: { message: 'no', code: 'early' } })
    const { socket, text } = open(rig.port)
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: 100000\r\n\r\n{`,
    )
    await until(() => text().includes('early'))
    expect(text()).toMatch(/^HTTP\/1\.1 400/)
  })

  it('whose answer did not wait for its end is read to its end, and the connection goes on', async () => {
    const rig = await startRig({ limits: { bufferBytesMax: 1_000 } })
    rig.answer = (_request, response) => json(response, 200, { ok: true })
    const { socket, text } = open(rig.port)
    const lines = (line: string, length: number) =>
      `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: ${length}\r\n\r\n`
    socket.write(`${lines(chat, 500_000)}{`)
    await until(() => text().includes('{"ok":true}'))
    socket.write(Buffer.alloc(499_999, ' '))
    socket.write(lines('GET /v1/models', 0))
    await until(() => (text().match(/HTTP\/1\.1 200/g) ?? []).length === 2)
    expect(rig.arrived.map(({ url }) => url)).toEqual(['/v1/chat/completions', '/v1/models'])
  })

  it('waits for a word where the caller waits for one', async () => {
    const rig = await startRig()
    const { socket, text } = open(rig.port)
    socket.write(
      `${chat} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${rig.service.token}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`,
    )
    await until(() => text().startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
    socket.write('{}')
    await until(() => text().includes('{"ok":true}'))
    expect(rig.arrived[0]?.headers.expect).toBeUndefined()
  })
})

describe('the upstream', () => {
  it('that is not there is a 502 with the cause', async () => {
    const rig = await startRig()
    rig.service.restore({ baseUrl: 'http://127.0.0.1:9/v1' })
    const away = await startRig({ upstream: new URL('http://127.0.0.1:9/v1') })
    away.service.restore({ baseUrl: 'http://127.0.0.1:9/v1' })
    const answer = await away.ask('GET /v1/models')
    expect([answer.status, errorIn(answer).code]).toEqual([502, 'issuer_unreachable'])
    expect(errorIn(answer).message).toContain('ECONNREFUSED')
  })

  it('that never answers is a 504', async () => {
    const rig = await startRig({ limits: { upstreamTimeoutMs: 300 } })
    rig.answer = (request) => void request.resume()
    const answer = await rig.ask(chat, { body: '{}' })
    expect([answer.status, errorIn(answer).code]).toEqual([504, 'timeout'])
  })
})

describe('a stop', () => {
  it('lets requests under way end, takes no new ones, and leaves nothing open', async () => {
    const rig = await startRig({ limits: { drainMs: 10_000 } })
    const upstream = heldAnswer(rig)
    const { socket, text, closed } = send(rig)
    const response = await upstream
    response.writeHead(200, { 'content-length': '4' }).write('ha')
    await until(() => text().includes('ha'))
    const stopped = rig.stop()
    response.end('lf')
    await Promise.all([stopped, closed])
    expect(text().endsWith('half')).toBe(true)
    expect(socket.destroyed).toBe(true)
    expect((await rig.raw(['GET /v1/models HTTP/1.1', 'Host: localhost', 'Connection: close'])).status).toBe(
      0,
    )
  })

  it('ends what does not end by itself in time', async () => {
    const rig = await startRig({ limits: { drainMs: 100 } })
    rig.answer = (request) => void request.resume()
    const { closed } = send(rig)
    await until(() => rig.arrived.length === 1)
    await Promise.all([rig.stop(), closed])
    expect(rig.arrived).toHaveLength(1)
  })
})
