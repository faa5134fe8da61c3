import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Usage } from '../../src/proxy/callers.ts'
import { type FilledFamily, type ProxyFamily, proxyFamilies } from '../../src/proxy/metrics.ts'
import { createMetricsServer } from '../../src/proxy/metrics-server.ts'
import { createTally } from '../../src/proxy/tally.ts'
import { loadExposition, metricsTypes } from '../../src/server/exposition.ts'
import { createHosts } from '../../src/server/hosts.ts'
import { heldAnswer, openAIKey, refuseKey, send, startRig, until, whole } from './harness.ts'

const chat = 'POST /v1/chat/completions'

/** `name{label="value"} 1`, as Prometheus reads it. */
async function linesOf(families: readonly FilledFamily[]): Promise<readonly string[]> {
  const { write } = await loadExposition()
  const text = await write(families, 'prometheus', () => Promise.resolve())
  return text.split('\n').filter((line) => line.startsWith('keyturn_proxy_'))
}

describe('the figures', () => {
  it('say which app used which key how often, by its name at Keyturn, and what is under way', async () => {
    const rig = await startRig()
    await rig.ask(chat, { body: '{}' })
    await rig.ask('GET /v1/nowhere')
    await rig.service.until(() => rig.service.streams.size === 1)
    const next = openAIKey()
    rig.answer = (incoming, response, arrived) => {
      if (incoming.headers.authorization === `Bearer ${next}`) whole(incoming, response, arrived)
      else incoming.on('end', () => refuseKey(response, rig.key)).resume()
    }
    rig.service.onReport = () => rig.service.turn({ apiKey: next, fingerprint: 'ba9876543210' })
    await rig.ask(chat, { body: '{}' })
    const upstream = heldAnswer(rig)
    send(rig)
    await upstream
    await until(() => JSON.stringify(rig.metrics()).includes('büro'))
    expect((await linesOf(rig.metrics())).toSorted()).toEqual([
      'keyturn_proxy_callers 1',
      'keyturn_proxy_key_refused_total{outcome="replaced"} 1',
      'keyturn_proxy_refused_total{code="not_found"} 1',
      'keyturn_proxy_requests_in_flight{app="büro",credential="openai"} 1',
      'keyturn_proxy_requests_total{app="büro",credential="openai",fingerprint="0123456789ab",status="2xx"} 1',
      'keyturn_proxy_requests_total{app="büro",credential="openai",fingerprint="0123456789ab",status="4xx"} 1',
      'keyturn_proxy_requests_total{app="büro",credential="openai",fingerprint="ba9876543210",status="2xx"} 1',
      'keyturn_proxy_upstream_failures_total 0',
    ])
  })

  it('keep the latest eight keys of a caller apart', () => {
    const usage: Usage = { active: 0, answers: new Map() }
    const tally = createTally()
    for (let key = 1; key <= 10; key += 1) tally.answered(usage, `key-${key}`, 200)
    tally.answered(usage, 'key-10', 429)
    expect([...usage.answers.keys()]).toEqual(Array.from({ length: 8 }, (_one, index) => `key-${index + 3}`))
    expect(usage.answers.get('key-10')).toEqual(
      new Map([
        ['2xx', 1],
        ['4xx', 1],
      ]),
    )
  })

  it('name nobody whom Keyturn has not let in, however many guess', async () => {
    const rig = await startRig()
    for (const guess of ['first', 'second']) {
      const answer = await rig.raw([
        'GET /v1/models HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer a-${guess}-token-that-nobody-made`,
        'Connection: close',
      ])
      expect(answer.status).toBe(401)
    }
    expect(await linesOf(rig.metrics())).toEqual([
      'keyturn_proxy_refused_total{code="unauthenticated"} 2',
      'keyturn_proxy_upstream_failures_total 0',
      'keyturn_proxy_callers 2',
    ])
  })

  it('of a caller that is forgotten stay', async () => {
    const rig = await startRig({ limits: { callersMax: 1 } })
    await rig.ask(chat, { body: '{}' })
    await rig.raw([
      'GET /v1/models HTTP/1.1',
      'Host: localhost',
      'Authorization: Bearer a-token-that-nobody-made',
      'Connection: close',
    ])
    const lines = await linesOf(rig.metrics())
    expect(lines.filter((line) => line.startsWith('keyturn_proxy_requests_total'))).toHaveLength(1)
    expect(lines).toContain('keyturn_proxy_callers 1')
  })

  it('stand in the documentation, each with its type and labels', () => {
    const page = readFileSync(new URL('../../docs/proxy.md', import.meta.url), 'utf8')
    for (const { name, type, labels, help } of Object.values<ProxyFamily>(proxyFamilies)) {
      const shown = labels.map((label) => `\`${label}\``).join(', ')
      expect(page).toContain(`| \`${name}\` | ${type} | ${shown} | ${help} |`)
    }
  })
})

describe('their address', () => {
  it.each([
    ['a scraper', 'GET', '/metrics', { host: 'localhost' }, 200],
    ['a probe', 'GET', '/healthz', { host: '127.0.0.1' }, 200],
    ['another path', 'GET', '/v1/models', { host: 'localhost' }, 404],
    ['another method', 'POST', '/metrics', { host: 'localhost' }, 405],
    ['another name that leads here', 'GET', '/metrics', { host: 'evil.example' }, 403],
    ['a page', 'GET', '/metrics', { host: 'localhost', origin: 'http://localhost' }, 403],
  ])('answers %s as it should', async (_who, method, path, headers, status) => {
    const server = createMetricsServer({
      hosts: createHosts({ listenHost: '127.0.0.1', allowedHosts: [] }),
      write: () => Promise.resolve({ type: metricsTypes.prometheus, text: 'keyturn_proxy_callers 0\n' }),
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const answered = await new Promise<number | undefined>((resolve) => {
      request({ port, host: '127.0.0.1', method, path, headers, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      }).end()
    })
    expect(answered).toBe(status)
  })
})
