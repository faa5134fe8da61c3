import { describe, expect, it } from 'vitest'
import type { DoctorContext } from '../../../src/doctor/context.ts'
import { createSystem } from '../../../src/system.ts'
import {
  closedPort,
  connectProxy,
  forward,
  httpServer,
  namesHere,
  rawServer,
  tlsServer,
} from '../network/servers.ts'
import { codesOf, endsOf, factsOf, findingsOf, openSandbox, realDoctor } from './support.ts'

const lookup = namesHere('api.openai.com', 'llm.example.com', 'litellm')

/** OpenAI at its own name: the sandbox behind TLS that is trusted, unless said otherwise. */
async function openaiHere(change?: Parameters<typeof forward>[1]) {
  const sandbox = await openSandbox()
  const { port, authority } = await tlsServer(forward(sandbox.url, change))
  const key = sandbox.createServiceAccountKey().value
  const baseUrl = `https://api.openai.com:${port}/v1`
  const doctor = (given: Partial<DoctorContext> = {}) =>
    realDoctor({ reach: { lookup, trusted: [authority] }, ...given })
  return { sandbox, port, authority, key, facts: factsOf({ key, baseUrl }), doctor }
}

describe('OpenAI behind TLS', () => {
  it('is healthy: no finding, every layer passes, and nothing is waited for', async () => {
    const { facts, doctor } = await openaiHere()
    const waits: number[] = []
    const system = createSystem()
    const after: typeof system.after = (ms, callback) =>
      system.after(ms, () => {
        waits.push(ms)
        callback()
      })
    const healthy = doctor({ system: { ...system, after } })
    expect(await findingsOf(facts, healthy)).toEqual([])
    expect(waits).toEqual([])
    expect(endsOf(healthy)).toMatchObject({ dns: 'passed', connect: 'passed', tls: 'passed', http: 'passed' })
    expect(healthy.steps.filter(({ state }) => state === 'passed')[0]).toMatchObject({
      name: 'dns',
      about: 'api.openai.com',
    })
  })

  it('T20: a certificate of an inspecting box is named, and never gets the key', async () => {
    const authorizations: unknown[] = []
    const { port } = await tlsServer(
      (request, response) => {
        authorizations.push(request.headers.authorization)
        response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Blocked</title>')
      },
      { authority: 'Corp Inspection CA' },
    )
    const { key } = await openaiHere()
    const facts = factsOf({ key, baseUrl: `https://api.openai.com:${port}/v1` })
    const [finding, ...others] = await findingsOf(facts, realDoctor({ reach: { lookup } }))
    expect(others).toEqual([])
    expect(finding).toMatchObject({
      code: 'foreign_answer',
      fix: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    })
    expect(finding?.seen).toContain('certificate issuer Corp Inspection CA')
    expect(authorizations.filter((one) => one !== undefined)).toEqual([])
  })

  it('T20: a portal with a certificate that is trusted is told by its page', async () => {
    const { port, authority } = await tlsServer((_request, response) =>
      response
        .writeHead(200, { 'content-type': 'text/html', server: 'portal/1', via: '1.1 gate' })
        .end(`<html><title>Sign in to Airport Wi-Fi ${'!'.repeat(300)}</title>`),
    )
    const { key } = await openaiHere()
    const facts = factsOf({ key, baseUrl: `https://api.openai.com:${port}/v1` })
    const [finding, ...others] = await findingsOf(
      facts,
      realDoctor({ reach: { lookup, trusted: [authority] } }),
    )
    expect(others).toEqual([])
    expect(finding?.code).toBe('foreign_answer')
    expect(finding?.seen).toMatch(
      /Server portal\/1, Via 1\.1 gate, page “Sign in to Airport Wi-Fi !{1,60}”, certificate issuer Test Root/,
    )
  })

  it('T22: the page of the edge in front of OpenAI is a failure of OpenAI', async () => {
    const { port, authority } = await tlsServer((_request, response) =>
      response
        .writeHead(502, { server: 'cloudflare', 'cf-ray': 'abc-FRA' })
        .end('<title>Bad gateway</title>'),
    )
    const { key } = await openaiHere()
    const facts = factsOf({ key, baseUrl: `https://api.openai.com:${port}/v1` })
    const doctor = realDoctor({ reach: { lookup, trusted: [authority] } })
    expect(codesOf(await findingsOf(facts, doctor))).toEqual(['openai_failing'])
  })

  it('T21: a certificate of another name, or one that is over, fails at TLS for a server of one’s own', async () => {
    for (const about of [{ name: 'other.example.com' }, { name: 'llm.example.com', until: '210101' }]) {
      const { port, authority } = await tlsServer((_request, response) => response.end('{}'), about)
      const facts = factsOf({ key: 'abcdefghijkl', baseUrl: `https://llm.example.com:${port}/v1` })
      const doctor = realDoctor({ reach: { lookup, trusted: [authority] } })
      expect(await findingsOf(facts, doctor)).toMatchObject([{ code: 'tls_failed' }])
    }
  })

  it('T23: a certificate that is over only by the clock of this machine', async () => {
    const { facts, doctor } = await openaiHere()
    const healthy = doctor()
    const ahead = 40 * 365 * 86_400_000
    const system = { ...healthy.system, now: () => healthy.system.now() + ahead }
    const expired: DoctorContext['network'] = {
      ...healthy.network,
      tls: async (...asked) => {
        const attempt = await healthy.network.tls(...asked)
        if (attempt.kind !== 'done') return attempt
        const certificate = { ...attempt.answer.certificate, problem: 'CERT_HAS_EXPIRED' }
        return { ...attempt, answer: { ...attempt.answer, certificate } }
      },
    }
    expect(await findingsOf(facts, doctor({ network: expired, system }))).toMatchObject([
      { code: 'clock_skewed', severity: 'error', seen: expect.stringContaining('ahead of') },
    ])
  })
})

describe('a dead network', () => {
  const key = 'abcdefghijkl'

  it('T21: a name that is not resolved', async () => {
    const doctor = realDoctor({ reach: { lookup: namesHere() } })
    expect(await findingsOf(factsOf({ key }), doctor)).toMatchObject([
      { code: 'dns_failed', seen: expect.stringContaining('ENOTFOUND') },
    ])
    expect(endsOf(doctor)).toEqual({
      dns: 'failed',
      connect: 'skipped',
      tls: 'skipped',
      http: 'skipped',
      auth: 'skipped',
    })
  })

  it('T21: a closed port', async () => {
    const doctor = realDoctor()
    const baseUrl = `http://127.0.0.1:${closedPort}/v1`
    expect(await findingsOf(factsOf({ key, baseUrl }), doctor)).toMatchObject([
      { code: 'connect_failed', seen: expect.stringContaining('ECONNREFUSED') },
    ])
    expect(endsOf(doctor)).toEqual({ dns: 'passed', connect: 'failed', http: 'skipped', auth: 'skipped' })
  })

  it('T21: nobody answers a connection, and the whole stays under 10 s', async () => {
    let at = 0
    const timeouts: number[] = []
    const dead = (timeoutMs: number) => {
      timeouts.push(timeoutMs)
      at += timeoutMs
      return Promise.resolve({ kind: 'failed', failure: 'timeout', tookMs: timeoutMs } as const)
    }
    const doctor = realDoctor({
      options: { stepTimeoutMs: 60_000 },
      network: {
        resolve: (_host, timeoutMs) => {
          at += 3_000
          timeouts.push(timeoutMs)
          return Promise.resolve({ kind: 'done', answer: { addresses: ['192.0.2.1'] }, tookMs: 3_000 })
        },
        connect: (_target, timeoutMs) => dead(timeoutMs),
        tls: (_target, timeoutMs) =>
          Promise.resolve({ kind: 'failed', failure: 'timeout', tookMs: timeoutMs }),
        request: (_request, timeoutMs) =>
          Promise.resolve({ kind: 'failed', failure: 'timeout', tookMs: timeoutMs }),
      },
    })
    const findings = await findingsOf(factsOf({}), { ...doctor, system: { ...doctor.system, now: () => at } })
    expect(findings).toMatchObject([
      { code: 'connect_failed', seen: expect.stringContaining('no answer within 6.0 s') },
    ])
    expect(timeouts).toEqual([9_000, 6_000])
    expect(at).toBeLessThan(10_000)
  })

  it('T21: somebody who accepts and never answers', async () => {
    const port = await rawServer((socket) => void socket.resume())
    const { network } = realDoctor()
    /** Patient until it is connected, since that may take a while on a busy machine, and then no more. */
    const impatient = () =>
      realDoctor({
        options: { stepTimeoutMs: 500 },
        network: {
          ...network,
          resolve: (host) => network.resolve(host, 9_000),
          connect: (target) => network.connect(target, 9_000),
        },
      })
    const doctor = impatient()
    expect(await findingsOf(factsOf({ key, baseUrl: `http://127.0.0.1:${port}/v1` }), doctor)).toMatchObject([
      { code: 'timed_out' },
    ])
    expect(endsOf(doctor)).toEqual({ dns: 'passed', connect: 'passed', http: 'failed', auth: 'skipped' })
    const secure = factsOf({ key, baseUrl: `https://127.0.0.1:${port}/v1` })
    const other = impatient()
    expect(codesOf(await findingsOf(secure, other))).toEqual(['tls_failed'])
  })

  it('T21: connections that are cut', async () => {
    const port = await rawServer((socket) => void socket.once('data', () => socket.resetAndDestroy()))
    expect(codesOf(await findingsOf(factsOf({ key, baseUrl: `http://127.0.0.1:${port}/v1` })))).toEqual([
      'connect_failed',
    ])
  })
})

describe('the key', () => {
  it('goes to no server in the clear but on this machine', async () => {
    const seen: unknown[] = []
    const port = await httpServer((request, response) => {
      seen.push(request.headers.authorization)
      response.end('{"object":"list","data":[]}')
    })
    const key = 'abcdefghijkl'
    const doctor = realDoctor({ reach: { lookup } })
    expect(await findingsOf(factsOf({ key, baseUrl: `http://litellm:${port}/v1` }), doctor)).toEqual([])
    expect(seen).toEqual([undefined])
    await findingsOf(factsOf({ key, baseUrl: `http://127.0.0.1:${port}/v1` }), doctor)
    expect(seen).toContain(`Bearer ${key}`)
  })

  it('follows no redirect', async () => {
    const seen: (string | undefined)[] = []
    const elsewhere = await httpServer((request, response) => {
      seen.push(request.url)
      response.end('{}')
    })
    const port = await httpServer((_request, response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${elsewhere}/v1/models` }).end(),
    )
    const [finding] = await findingsOf(
      factsOf({ key: 'abcdefghijkl', baseUrl: `http://127.0.0.1:${port}/v1` }),
    )
    expect(finding).toMatchObject({ code: 'foreign_answer' })
    expect(finding?.seen).toContain(`redirects to 127.0.0.1:${elsewhere}`)
    expect(seen).toEqual([])
  })
})

describe('a proxy of the environment', () => {
  it('is gone over, and is nothing to tell where it works', async () => {
    const { port: to, facts, doctor } = await openaiHere()
    const { port, asked } = await connectProxy({ to })
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` }
    expect(await findingsOf(facts, doctor({ env }))).toEqual([])
    expect(asked.length).toBeGreaterThan(3)
    expect(new Set(asked)).toEqual(new Set([`api.openai.com:${to}`]))
  })

  it('is left out where NO_PROXY says so', async () => {
    const { facts, doctor } = await openaiHere()
    const { port, asked } = await connectProxy({ status: 502 })
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}`, no_proxy: 'localhost, .openai.com' }
    expect(await findingsOf(facts, doctor({ env }))).toEqual([])
    expect(asked).toEqual([])
  })

  it('T21: that does not answer is named with its variable, and that it goes without', async () => {
    const { facts, doctor } = await openaiHere()
    const port = closedPort
    const env = { https_proxy: `http://ann:hunter22@127.0.0.1:${port}`, ALL_PROXY: 'http://other:1' }
    const findings = await findingsOf(facts, doctor({ env }))
    expect(findings).toMatchObject([
      { code: 'proxy_failed', place: { kind: 'variable', name: 'https_proxy' } },
    ])
    expect(findings[0]?.seen.replace(/after \d+\.\d s/, 'after N s')).toBe(
      `The proxy 127.0.0.1:${port} (https_proxy, which wins over ALL_PROXY) does not answer: ECONNREFUSED after N s. Without it the address answers.`,
    )
    expect(JSON.stringify(findings)).not.toContain('hunter22')
  })

  it('T21: that wants a login', async () => {
    const { facts, doctor } = await openaiHere()
    const { port } = await connectProxy({ status: 407 })
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` }
    expect(await findingsOf(facts, doctor({ env }))).toMatchObject([
      { code: 'proxy_failed', fix: `export HTTPS_PROXY=http://USER:PASSWORD@127.0.0.1:${port}` },
    ])
  })

  it('T19: that takes the key away is proven by going without it', async () => {
    const { sandbox, authority, key, facts, doctor } = await openaiHere()
    const stripping = await tlsServer(
      forward(sandbox.url, (headers) => delete headers.authorization),
      { authority: 'Corp Inspection CA' },
    )
    const { port } = await connectProxy({ to: stripping.port })
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` }
    const both = doctor({ env })
    const trusting = realDoctor({ env, reach: { lookup, trusted: [authority, stripping.authority] } })
    expect(codesOf(await findingsOf(facts, both))).toEqual(['foreign_answer'])
    const findings = await findingsOf(facts, trusting)
    expect(findings).toMatchObject([
      { code: 'authorization_stripped', place: { kind: 'variable', name: 'HTTPS_PROXY' } },
    ])
    expect(findings[0]?.seen).toContain('Without it the key arrives.')
    expect(JSON.stringify(findings)).not.toContain(key.slice(20, 40))
  })

  it('that is no address is told of, and the rest is seen straight', async () => {
    const { facts, doctor } = await openaiHere()
    const env = { HTTPS_PROXY: 'not an address' }
    expect(codesOf(await findingsOf(facts, doctor({ env })))).toEqual(['proxy_failed'])
    const socks = { ALL_PROXY: 'socks5://127.0.0.1:1080' }
    expect(await findingsOf(facts, doctor({ env: socks }))).toEqual([])
  })
})

describe('a gateway of one’s own', () => {
  /** Speaks the API, and gives its requests no id. */
  async function gateway(status: number, body: unknown) {
    const authorizations: (string | undefined)[] = []
    const { port, authority } = await tlsServer(
      (request, response) => {
        authorizations.push(request.headers.authorization)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      },
      { name: 'llm.example.com' },
    )
    const doctor = realDoctor({ reach: { lookup, trusted: [authority] } })
    const facts = factsOf({ key: 'abcdefghijkl', baseUrl: `https://llm.example.com:${port}/v1` })
    return { doctor, facts, authorizations }
  }

  it('is healthy where it lists models in its own way, or lists none', async () => {
    const list = await gateway(200, { object: 'list', data: [] })
    expect(await findingsOf(list.facts, list.doctor)).toEqual([])
    expect(endsOf(list.doctor)).toMatchObject({ auth: 'passed' })
    expect(list.authorizations).toContain('Bearer abcdefghijkl')
    const none = await gateway(404, { error: 'no such route' })
    expect(await findingsOf(none.facts, none.doctor)).toEqual([])
  })

  it('that refuses the key is named as the one who does', async () => {
    const { facts, doctor } = await gateway(401, { error: { message: 'who are you' } })
    expect(await findingsOf(facts, doctor)).toMatchObject([
      { code: 'key_unknown', seen: expect.stringContaining('HTTP 401 from llm.example.com') },
    ])
  })
})
