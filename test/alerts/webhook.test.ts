import { describe, expect, it } from 'vitest'
import { openWebhook } from '../../src/alerts/webhook.ts'
import type { DeliveryOutcome } from '../../src/core/alert-deliveries.ts'
import { testNotice } from '../../src/core/alert-notice.ts'
import { Secret } from '../../src/core/secret.ts'
import { contextOf, isSigned } from './drivers.ts'
import { httpReceiver, type Taken } from './receivers.ts'

const [first, second] = ['a', 'b'].map((letter) => letter.repeat(24)) as [string, string]
const encoded = (text: string): string => `whsec_${Buffer.from(text).toString('base64')}`

async function signedWith(
  secret: string,
): Promise<{ readonly outcome: DeliveryOutcome; readonly taken: Taken[] }> {
  const receiver = await httpReceiver()
  const channel = openWebhook(
    {
      kind: 'webhook',
      url: async () => new Secret(`${receiver.url}/hook`),
      secret: async () => new Secret(secret),
    },
    contextOf(),
  )
  const notice = testNotice('ops', { installation: 'inst', linkBase: undefined, unique: 'a' }, 0)
  return { outcome: await channel.deliver(notice), taken: receiver.taken }
}

describe('the signature of a webhook', () => {
  it('is made with each of several secrets, one a line, so that a receiver may be turned to a new one in its own time', async () => {
    const { taken } = await signedWith(`${encoded(first)}\n${second}\n`)
    const [one] = taken
    if (one === undefined) throw new Error('nothing arrived')
    const signatures = String(one.headers['webhook-signature']).split(' ')
    expect(signatures).toHaveLength(2)
    const of = (signature: string | undefined): Taken => ({
      ...one,
      headers: { ...one.headers, 'webhook-signature': signature },
    })
    expect(isSigned(of(signatures[0]), Buffer.from(first))).toBe(true)
    expect(isSigned(of(signatures[1]), Buffer.from(second))).toBe(true)
    expect(isSigned(of(signatures[1]), Buffer.from(first))).toBe(false)
  })

  it.each([
    ['nothing behind its prefix', 'whsec_'],
    ['what is no base64 behind its prefix', `whsec_${'*'.repeat(40)}`],
    ['fewer than 16 bytes', encoded('a'.repeat(15))],
    ['fewer than 16 characters', 'a'.repeat(15)],
    ['a good one and a weak one', `${encoded(first)}\nweak`],
    ['more than three', [first, second, first, second].join('\n')],
  ])('is not made with %s, which anybody could forge', async (_what, secret) => {
    const { outcome, taken } = await signedWith(secret)
    expect(outcome).toMatchObject({
      kind: 'failed',
      isPermanent: true,
      summary: expect.stringMatching(/^The secret of the webhook .*openssl rand -base64 32/),
    })
    expect(taken).toEqual([])
    for (const line of secret.split('\n'))
      if (line.length > 6) expect(JSON.stringify(outcome)).not.toContain(line)
  })
})
