import { Agent, get } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createApps } from '../../src/server/apps.ts'
import type { Authenticator } from '../../src/server/auth/authenticator.ts'
import { createCaller } from '../../src/server/auth/caller.ts'
import { createVisitors } from '../../src/server/visitors.ts'
import { bearer, type Harness, rawRequest, startServer } from './harness.ts'

const good = { host: 'localhost', authorization: 'Bearer good' }

function setup() {
  const clock = { now: 0 }
  const judged: (string | undefined)[] = []
  let isLive = true
  let tell: () => void = () => undefined
  const auth: Authenticator = {
    authenticate({ authorization }) {
      judged.push(authorization)
      if (authorization !== good.authorization || !isLive) return undefined
      return createCaller({ id: 'a', name: 'a', kind: 'token', grants: [] })
    },
    isLive: () => isLive,
    onChange(listener) {
      tell = listener
      return () => undefined
    },
  }
  const visitors = createVisitors({
    auth,
    hosts: { allows: (host) => host === 'localhost' },
    clock,
    apps: createApps(),
  })
  const socket = { remoteAddress: '192.0.2.1' } as Socket
  return {
    visitors,
    socket,
    clock,
    judged,
    change: () => tell(),
    end: () => {
      isLive = false
    },
  }
}

describe('who asks again over the same connection', () => {
  it('is not judged again while host and token are the same', () => {
    const { visitors, socket, judged } = setup()
    const visitor = visitors.admit(socket, good)
    expect(visitor).toMatchObject({ caller: { id: 'a' }, source: '192.0.2.1' })
    expect(visitors.admit(socket, { ...good })).toBe(visitor)
    expect(judged).toEqual(['Bearer good'])
  })

  it.each([
    ['another token', { ...good, authorization: 'Bearer other' }],
    ['no token', { ...good, authorization: undefined }],
    ['another host', { ...good, host: 'evil.example' }],
  ])('is judged by what it shows: %s', (_what, shown) => {
    const { visitors, socket } = setup()
    visitors.admit(socket, good)
    expect(visitors.admit(socket, shown)).toBeUndefined()
    expect(visitors.admit(socket, good)).toBeDefined()
  })

  it('is judged again over another connection, after any change, and with each tick of the clock', () => {
    const { visitors, socket, clock, judged, change } = setup()
    visitors.admit(socket, good)
    visitors.admit({} as Socket, good)
    expect(judged).toHaveLength(2)
    change()
    visitors.admit(socket, good)
    expect(judged).toHaveLength(3)
    clock.now += 1_000
    visitors.admit(socket, good)
    expect(judged).toHaveLength(4)
  })

  it('is nobody as soon as it is no longer live, though nothing changed and no time has passed', () => {
    const { visitors, socket, end } = setup()
    visitors.admit(socket, good)
    end()
    expect(visitors.admit(socket, good)).toBeUndefined()
  })
})

/** Asks over one connection that is kept. */
function keptConnection({ server }: Harness) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const ports = new Set<number | undefined>()
  const ask = (token: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const url = new URL('/v1/credentials/openai', server.url)
      get(url, { agent, headers: bearer(token) }, (response) => {
        ports.add(response.socket.localPort)
        response.resume().on('end', () => resolve(response.statusCode))
      }).on('error', reject)
    })
  return { ask, ports }
}

it('refuses a token that was revoked, has expired or is another, on a connection where one was good before', async () => {
  const harness = await startServer()
  const { ask, ports } = keptConnection(harness)
  const brief = await harness.tokens.create({
    name: 'brief',
    role: 'app',
    credentials: ['openai'],
    expiresInSeconds: 60,
  })
  expect(await ask(harness.app)).toBe(200)
  expect(await ask(harness.other)).toBe(404)
  expect(await ask(harness.app)).toBe(200)
  await harness.tokens.revoke(harness.appId)
  expect(await ask(harness.app)).toBe(401)
  expect(await ask(brief.token)).toBe(200)
  harness.system.shiftMs = 60_000
  expect(await ask(brief.token)).toBe(401)
  expect(ports.size).toBe(1)
})

it('judges each of the requests that come in one packet by what it shows itself', async () => {
  const harness = await startServer()
  const request = (...headers: readonly string[]) =>
    ['GET /v1/credentials/openai HTTP/1.1', 'Host: localhost', ...headers, '', ''].join('\r\n')
  const good = `Authorization: Bearer ${harness.app}`
  const all = [
    request(good),
    request('authorization: Bearer kt_app_wrong'),
    request(good.toUpperCase().replace(harness.app.toUpperCase(), harness.app)),
    request(`AUTHORIZATION: Bearer ${harness.other}`),
    request(),
    request(good),
    request(good, 'authorization: Bearer kt_app_wrong', 'Connection: close'),
  ]
  const { text } = await rawRequest(Number(new URL(harness.server.url).port), all.join(''))
  const statuses = Array.from(text.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status))
  expect(statuses).toEqual([200, 401, 200, 404, 401, 200, 400])
})
