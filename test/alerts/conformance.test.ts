import { describe, expect, it } from 'vitest'
import { type AlertBook, emptyBook, type Firing, forgetOver, stepAlerts } from '../../src/core/alert-book.ts'
import type { Severity } from '../../src/core/alert-codes.ts'
import {
  claimDeliveries,
  type Delivery,
  type DeliveryOutcome,
  type DeliveryPolicy,
  isToldOfAll,
  settleDelivery,
} from '../../src/core/alert-deliveries.ts'
import { type AlertChannel, noticeOf, testNotice } from '../../src/core/alert-notice.ts'
import { canary, drivers, isSigned, open } from './drivers.ts'

const minute = 60_000
const policy: DeliveryPolicy = {
  channels: [
    {
      name: 'ops',
      severities: new Set<Severity>(['critical', 'warning']),
      takes: () => true,
      isQuiet: () => false,
    },
  ],
  remindMs: 24 * 60 * minute,
  perMinute: 60,
}

/** What means something to one receiver or another, or ends a line or a header. */
const hostileWords = [
  '<!channel> <!here> <@U024BE7LH> <https://evil.example/|Open in Keyturn>',
  '@all @here @eve@example.com',
  '[Open in Keyturn](https://evil.example/) ![x](https://evil.example/x.png) *all* ~all~ `all`',
  'one\r\nBcc: eve@example.com\r\n\r\ntwo',
  '%%% <a href="https://evil.example/">x</a> &lt;!channel&gt;',
]

function firing(name: string): Firing {
  return {
    id: `${name}/store_unusable`,
    code: 'store_unusable',
    credential: name,
    severity: 'warning',
    level: 10,
    summary: `The store refuses to read the key of ${name} <script>.`,
    fix: 'Give the role secretsmanager:GetSecretValue.',
    since: 0,
    seenAt: 0,
    holdMs: 0,
  }
}

/** The beat of the service, with its clock in the hands of the test and a real channel. */
class Beat {
  book: AlertBook = emptyBook
  now = Date.UTC(2026, 10, 26)
  firing: ReadonlyMap<string, Firing> = new Map()
  apps: readonly string[] = ['checkout']
  readonly outcomes: (DeliveryOutcome & { readonly id: string })[] = []
  readonly #channel: AlertChannel

  constructor(channel: AlertChannel) {
    this.#channel = channel
  }

  set(...alerts: readonly Firing[]): void {
    this.firing = new Map(alerts.map((one) => [one.id, one]))
  }

  async beat(afterMs = 0): Promise<Delivery | undefined> {
    this.now += afterMs
    const step = { installation: 'inst', groupMs: 1_000, clearMs: minute }
    const stepped = stepAlerts(this.book, this.firing, this.now, step)
    const withApps = {
      ...stepped,
      incidents: stepped.incidents.map((one) => ({ ...one, apps: this.apps })),
    }
    const claimed = claimDeliveries(withApps, this.now, policy, () => true)
    this.book = claimed.book
    for (const delivery of claimed.deliveries) {
      const notice = noticeOf(delivery, 'https://keyturn.example.com', this.now)
      const outcome = await this.#channel.deliver(notice)
      this.outcomes.push({ ...outcome, id: delivery.id })
      this.book = settleDelivery(this.book, delivery, outcome, this.now)
    }
    this.book = forgetOver(this.book, (one) => isToldOfAll(one, this.now, policy))
    return claimed.deliveries[0]
  }
}

describe.each(drivers)('the channel $kind', (driver) => {
  it('says what happened, who is affected, what to do, and where to look; and then that it is over', async () => {
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    beat.set(firing('openai'))
    await beat.beat()
    expect(beat.outcomes).toEqual([expect.objectContaining({ kind: 'delivered' })])
    const [opened] = receiver.taken
    if (opened === undefined) throw new Error('nothing arrived')
    const text = driver.text(opened)
    for (const part of [
      'The store refuses to read the key of openai',
      'checkout',
      'secretsmanager:GetSecretValue',
    ])
      expect(text).toContain(part)
    expect(opened.body.replaceAll(/=\r\n/g, '')).toContain('https://keyturn.example.com/credentials/openai')
    expect(driver.isEnd(opened)).toBe(false)
    beat.set()
    await beat.beat()
    await beat.beat(2 * minute)
    expect(receiver.taken).toHaveLength(2)
    const ended = receiver.taken[1]
    if (ended === undefined) throw new Error('no end arrived')
    expect(driver.isEnd(ended)).toBe(true)
    expect(driver.thread(ended)).toEqual(driver.thread(opened))
    expect(beat.book.incidents).toEqual([])
  })

  it('says that a part is over, and who still is affected, in the same thread and as no end of it', async () => {
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    beat.set(firing('one'), firing('other'))
    await beat.beat()
    beat.set(firing('other'))
    await beat.beat()
    await beat.beat(2 * minute)
    beat.set()
    await beat.beat()
    await beat.beat(2 * minute)
    const [opened, part, ended] = receiver.taken
    if (opened === undefined || part === undefined || ended === undefined) throw new Error('one is missing')
    expect(receiver.taken).toHaveLength(3)
    expect(driver.text(part)).toContain('Over for: one')
    expect(driver.whole(part)).toContain('still other')
    expect([opened, part, ended].map((one) => driver.isEnd(one))).toEqual([false, false, true])
    for (const one of [part, ended]) expect(driver.thread(one)).toEqual(driver.thread(opened))
  })

  it('makes of words that others chose no mention, no link, no header and no line of its own', async () => {
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    const words = hostileWords.join(' ')
    beat.set({ ...firing('openai'), summary: words, fix: words })
    beat.apps = ['@all', '<!channel>', 'check\r\nBcc: eve@example.com']
    await beat.beat()
    const [taken] = receiver.taken
    if (taken === undefined) throw new Error('nothing arrived')
    expect(driver.meant(taken)).toEqual([])
    expect(taken.headers['bcc']).toBeUndefined()
  })

  it('makes one message of many credentials with one cause', async () => {
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    beat.set(...Array.from({ length: 500 }, (_none, index) => firing(`app-${index}`)))
    await beat.beat()
    await beat.beat(minute)
    expect(receiver.taken).toHaveLength(1)
    expect(receiver.taken[0]?.body).toContain('500 credentials')
  })

  it('tries again what the receiver could not take, and it is taken once', async () => {
    const receiver = await driver.listen()
    receiver.behave({ status: 500 }, { status: 503, retryAfter: 120 }, { status: 202 })
    const beat = new Beat(await open(driver, receiver))
    beat.set(firing('openai'))
    for (let round = 0; round < 60; round++) await beat.beat(10_000)
    expect(beat.outcomes.map(({ kind }) => kind)).toEqual(['failed', 'failed', 'delivered'])
    expect(receiver.taken).toHaveLength(3)
    expect(new Set(receiver.taken.map((one) => JSON.stringify(driver.sameness(one)))).size).toBe(1)
  })

  it('tells of the whole of it once when the receiver is back after an outage', async () => {
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    await receiver.leave()
    beat.set(firing('openai'))
    for (let round = 0; round < 10; round++) await beat.beat(10_000)
    beat.set()
    for (let round = 0; round < 20; round++) await beat.beat(10_000)
    expect(beat.outcomes.every((one) => one.kind === 'failed' && !one.isPermanent && !one.isUnsure)).toBe(
      true,
    )
    await receiver.back()
    for (let round = 0; round < 40; round++) await beat.beat(10_000)
    expect(beat.outcomes.filter(({ kind }) => kind === 'delivered')).toHaveLength(1)
    // A pager is told of the beginning and the end, and shows both as one.
    expect(receiver.taken).toHaveLength(driver.kind === 'pagerduty' ? 2 : 1)
    const last = receiver.taken.at(-1)
    if (last === undefined) throw new Error('nothing arrived')
    expect(driver.isEnd(last)).toBe(true)
    expect(beat.book.incidents).toEqual([])
  })

  it('knows that what got no answer may have arrived, and says the same again', async () => {
    const receiver = await driver.listen()
    receiver.behave({ status: 'hang' }, { status: 202 })
    const beat = new Beat(await open(driver, receiver, { timeoutMs: 300 }))
    beat.set(firing('openai'))
    await beat.beat()
    expect(beat.outcomes[0]).toMatchObject({ kind: 'failed', isUnsure: true, isPermanent: false })
    // On a busy machine the next try may not be answered within its time either.
    const isTold = () => beat.outcomes.at(-1)?.kind === 'delivered'
    for (let round = 0; round < 60 && !isTold(); round++) await beat.beat(10_000)
    expect(isTold()).toBe(true)
    expect(new Set(receiver.taken.map((one) => JSON.stringify(driver.sameness(one)))).size).toBe(1)
  })

  it('says of what is refused for good that a person has to mend it, and leaves the receiver in peace', async () => {
    const receiver = await driver.listen()
    receiver.behave({ status: 404 })
    const beat = new Beat(await open(driver, receiver))
    beat.set(firing('openai'))
    for (let round = 0; round < 30; round++) await beat.beat(minute)
    expect(receiver.taken).toHaveLength(1)
    expect(beat.book.channels['ops']?.failure).toMatchObject({ isPermanent: true })
  })

  it('shows no secret, and nothing of what the receiver says', async () => {
    const receiver = await driver.listen()
    const channel = await open(driver, receiver, { timeoutMs: 300 })
    const beat = new Beat(channel)
    beat.set(firing('openai'))
    receiver.behave({ status: 404 })
    await beat.beat()
    receiver.behave({ status: 500 })
    await beat.beat(61 * minute)
    receiver.behave({ status: 'hang' })
    await beat.beat(61 * minute)
    await receiver.leave()
    await beat.beat(61 * minute)
    expect(beat.outcomes).toHaveLength(4)
    const said = JSON.stringify([beat.outcomes, beat.book, channel])
    expect(said).not.toContain(canary)
    expect(said).not.toContain('canary')
    // An instant has many digits, and some of them may be those of the port.
    expect(said).not.toMatch(new RegExp(`(?<!\\d)${receiver.port}(?!\\d)`))
  })

  it('sends a test', async () => {
    const receiver = await driver.listen()
    const channel = await open(driver, receiver)
    const notice = testNotice(
      'ops',
      { installation: 'inst', linkBase: undefined, unique: 'abc' },
      Date.UTC(2026, 10),
    )
    expect(await channel.deliver(notice)).toEqual({ kind: 'delivered' })
    expect(receiver.taken.map((one) => driver.text(one)).join(' ')).toContain('It arrived.')
    await channel.close()
  })
})

describe('what is particular', () => {
  const driverOf = (kind: string) => drivers.find((one) => one.kind === kind) ?? drivers[0]

  it('signs webhooks as the standard says, so that any library of it can check them', async () => {
    const driver = driverOf('webhook')
    if (driver === undefined) throw new Error('there is a webhook')
    const receiver = await driver.listen()
    const beat = new Beat(await open(driver, receiver))
    beat.set(firing('openai'))
    await beat.beat()
    const [taken] = receiver.taken
    if (taken === undefined) throw new Error('nothing arrived')
    expect(isSigned(taken, Buffer.from(canary, 'base64'))).toBe(true)
    expect(isSigned({ ...taken, body: `${taken.body} ` }, Buffer.from(canary, 'base64'))).toBe(false)
  })

  it('sends no mail where the server offers no TLS and it is asked for', async () => {
    const driver = driverOf('email')
    if (driver === undefined) throw new Error('there is mail')
    const receiver = await driver.listen()
    const strict = {
      ...driver,
      options: () => ({ ...driver.options(receiver), tls: 'starttls' as const }),
    } as typeof driver
    const beat = new Beat(await open(strict, receiver))
    beat.set(firing('openai'))
    await beat.beat()
    expect(beat.outcomes[0]).toMatchObject({ kind: 'failed', isPermanent: true })
    expect(receiver.taken).toEqual([])
  })

  it('says what is missing where a secret is not there, or is no address', async () => {
    const driver = driverOf('slack')
    if (driver === undefined) throw new Error('there is Slack')
    const receiver = await driver.listen()
    const beat = new Beat(
      await open(
        {
          ...driver,
          options: () => ({
            kind: 'slack',
            url: async () => {
              throw new Error(canary)
            },
          }),
        },
        receiver,
      ),
    )
    beat.set(firing('openai'))
    await beat.beat()
    expect(beat.outcomes[0]).toMatchObject({ kind: 'failed', isPermanent: true })
    expect(JSON.stringify(beat.outcomes)).not.toContain(canary)
  })
})
