import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createSend } from '../../src/alerts/post.ts'
import type { DeliveryOutcome } from '../../src/core/alert-deliveries.ts'
import { patientMs } from './drivers.ts'
import { type Behaviour, httpReceiver } from './receivers.ts'

async function answered(behaviour: Behaviour) {
  const receiver = await httpReceiver()
  receiver.behave(behaviour)
  const outcome = await createSend(patientMs)({ url: new URL(`${receiver.url}/hook`), body: '{}' })
  return { receiver, outcome }
}

const hour = 3_600_000

describe('what a receiver answers', () => {
  it.each([
    ['text without end', 'endless'],
    ['ten megabytes', 'large'],
    ['a text that breaks off', 'cut'],
  ] as const)('counts by its status, whether it goes on as %s or not', async (_what, answer) => {
    const well = await answered({ status: 200, answer })
    expect(well.outcome).toEqual({ kind: 'delivered' })
    const refused = await answered({ status: 404, answer })
    expect(refused.outcome).toMatchObject({ kind: 'failed', isPermanent: true })
    expect(JSON.stringify(refused.outcome)).not.toContain('canary')
  })

  it('is not followed to another address, and says so', async () => {
    for (const status of [301, 302, 307, 308]) {
      const { receiver, outcome } = await answered({ status, answer: 'redirect' })
      expect(receiver.taken.map(({ path }) => path)).toEqual(['/hook'])
      expect(outcome).toMatchObject({
        kind: 'failed',
        isPermanent: true,
        summary: `it answered with status ${status}: redirects are not followed, write the address that it leads to`,
      })
      expect(JSON.stringify(outcome)).not.toContain('elsewhere')
    }
  })

  it.each<[string, string | number, number | undefined]>([
    ['a year', 31_536_000, hour],
    ['more than any number holds', '9'.repeat(400), hour],
    ['two minutes', 120, 120_000],
    ['what is no number', 'soon', undefined],
    ['less than nothing', '-5', undefined],
  ])('is waited for as long as it asks, at most an hour: %s', async (_what, retryAfter, expected) => {
    const { outcome } = await answered({ status: 429, retryAfter })
    expect((outcome as Extract<DeliveryOutcome, { kind: 'failed' }>).retryAfterMs).toBe(expected)
  })

  it('may name an instant instead, by its own clock', async () => {
    const inTen = new Date(Date.now() + 600_000).toUTCString()
    const { outcome } = await answered({ status: 503, retryAfter: inTen })
    const { retryAfterMs = 0 } = outcome as Extract<DeliveryOutcome, { kind: 'failed' }>
    expect(retryAfterMs).toBeGreaterThan(590_000)
    expect(retryAfterMs).toBeLessThanOrEqual(601_000)
    const past = await answered({ status: 503, retryAfter: 'Thu, 01 Jan 1970 00:00:00 GMT' })
    expect((past.outcome as typeof outcome & { retryAfterMs?: number }).retryAfterMs).toBe(0)
  })
})

describe('what cannot be sent', () => {
  it('says that a header cannot carry a secret of several lines, and shows none of it', async () => {
    const outcome = await createSend(1_000)({
      url: new URL('https://127.0.0.1:1/'),
      headers: { 'dd-api-key': 'line\r\nx-other: canary' },
      body: '{}',
    })
    expect(outcome).toEqual({
      kind: 'failed',
      summary: 'its secret has characters that no request can carry: keep the bare secret there, on one line',
      isPermanent: true,
      isUnsure: false,
    })
  })
})

describe('a receiver that does not speak HTTP', () => {
  it.each([
    ['closes at once', ''],
    ['speaks something else', 'SSH-2.0-OpenSSH_9.2\r\n'],
    [
      'wants to speak something else',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: canary\r\n\r\n',
    ],
    ['says nothing but headers, too many', `HTTP/1.1 200 OK\r\n${'x-canary: canary\r\n'.repeat(5_000)}`],
  ])('%s: that is a failure, of which nobody knows whether it arrived', async (_what, said) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end(said))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const outcome = await createSend(patientMs)({ url: new URL(`http://127.0.0.1:${port}/`), body: '{}' })
    expect(outcome).toMatchObject({ kind: 'failed', isPermanent: false, isUnsure: true })
    expect(JSON.stringify(outcome)).not.toContain('canary')
  })
})
