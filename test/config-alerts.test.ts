import { describe, expect, it } from 'vitest'
import { checkConfig } from '../src/config.ts'
import { assertValidCron, createOccurrences } from '../src/engine/cron.ts'

function check(lines: readonly string[]) {
  const text = [...lines, 'credentials:', '  openai: { store: { kind: local } }', ''].join('\n')
  return checkConfig({
    env: {},
    cwd: '/srv/app',
    readFile: (path) => (path === '/srv/app/keyturn.yaml' ? text : undefined),
    assertValidCron,
    occurrences: createOccurrences(),
  })
}

function problems(lines: readonly string[]): readonly string[] {
  const found = check(lines)
  return found.kind === 'invalid' ? found.problems.map(({ path, message }) => `${path}: ${message}`) : []
}

const channel = (text: string): readonly string[] => ['alerts:', '  channels:', `    ops: ${text}`]
const slack = 'kind: slack, url: { file: slack.url }'

describe('alerts in keyturn.yaml', () => {
  it('makes paths absolute and durations numbers, and longest lead times come first', () => {
    const found = check([
      'alerts:',
      '  linkBase: https://keyturn.example.com/',
      '  expiry: [1d, 14d]',
      '  channels:',
      `    ops: { ${slack}, severities: [critical], credentials: ['open*'] }`,
    ])
    if (found.kind !== 'valid') throw new Error(JSON.stringify(found))
    expect(found.config.alerts).toMatchObject({
      linkBase: 'https://keyturn.example.com',
      thresholds: { expiryLeadsMs: [14 * 86_400_000, 86_400_000] },
      channels: [
        {
          name: 'ops',
          severities: ['critical'],
          credentials: ['open*'],
          timeoutMs: 10_000,
          receiver: { kind: 'slack', url: { file: '/srv/app/slack.url' } },
        },
      ],
    })
    expect(found.warnings).toEqual([])
  })

  it.each([
    [
      'mail that would leave unencrypted',
      '{ kind: email, host: smtp.example.com, tls: none, from: a@b.c, to: [a@b.c] }',
      'alerts.channels.ops.tls: mail would leave this machine unencrypted',
    ],
    [
      'a mail server with its port in its name',
      '{ kind: email, host: "smtp.example.com:587", from: a@b.c, to: [a@b.c] }',
      'alerts.channels.ops.host: expected a host name without a port',
    ],
    [
      'an address of PagerDuty that takes no events',
      '{ kind: pagerduty, routingKey: { env: K }, url: "https://events.pagerduty.com" }',
      'alerts.channels.ops.url: expected the address that takes events, such as https://events.pagerduty.com/v2/enqueue',
    ],
    [
      'a site of Datadog with a path',
      '{ kind: datadog, apiKey: { env: K }, url: "https://app.datadoghq.eu/api/v1" }',
      'alerts.channels.ops.url: expected the site alone, such as https://api.datadoghq.eu',
    ],
    [
      'a user without a password',
      '{ kind: email, host: smtp.example.com, user: x, from: a@b.c, to: [a@b.c] }',
      'alerts.channels.ops: a user and a password are needed together',
    ],
    [
      'a sender that is no address',
      '{ kind: email, host: smtp.example.com, from: nobody, to: [a@b.c] }',
      'alerts.channels.ops.from: expected a mail address such as keyturn@example.com, found another text',
    ],
    [
      'a webhook over plain HTTP',
      '{ kind: webhook, url: http://hooks.example.com/x, secret: { env: S } }',
      'alerts.channels.ops.url: ',
    ],
    ['a kind that there is not', '{ kind: pager }', 'alerts.channels.ops.kind: expected a kind of channel'],
    [
      'a quiet time that is no cron expression',
      `{ ${slack}, quiet: [{ from: nonsense, for: 8h }] }`,
      'alerts.channels.ops.quiet[0].from: ',
    ],
  ])('refuses %s', (_what, written, expected) => {
    const found = problems(channel(written))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })

  it('never quotes an address that was pasted where its place belongs', () => {
    const address = ['https://hooks.slack.com/services', 'T0', 'x'.repeat(24)].join('/')
    const found = check(channel(`{ kind: slack, url: ${address} }`))
    expect(found.kind).toBe('invalid')
    expect(JSON.stringify(found)).not.toContain('x'.repeat(24))
  })

  it('warns of a channel that no credential reaches', () => {
    const found = check(channel(`{ ${slack}, credentials: ['team-*'] }`))
    if (found.kind !== 'valid') throw new Error(JSON.stringify(found))
    expect(found.warnings?.map(({ path }) => path)).toEqual(['alerts.channels.ops.credentials[0]'])
  })

  it.each([
    ['{ kind: email, host: smtp.example.com, port: 587, from: a@b.c, to: [a@b.c] }', true],
    ['{ kind: email, host: smtp.example.com, port: 465, tls: starttls, from: a@b.c, to: [a@b.c] }', true],
    ['{ kind: email, host: smtp.example.com, port: 2465, from: a@b.c, to: [a@b.c] }', false],
    ['{ kind: email, host: smtp.example.com, tls: starttls, from: a@b.c, to: [a@b.c] }', false],
  ])('warns of a port that mostly speaks the other kind of TLS: %s', (written, isWarned) => {
    const found = check(channel(written))
    if (found.kind !== 'valid') throw new Error(JSON.stringify(found))
    expect(found.warnings?.map(({ path }) => path)).toEqual(isWarned ? ['alerts.channels.ops.port'] : [])
  })
})
