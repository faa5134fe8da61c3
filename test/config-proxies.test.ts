import { describe, expect, it } from 'vitest'
import { parseProxy } from '../src/config/networks.ts'
import { loadConfig } from '../src/config.ts'

const file = (text: string) =>
  loadConfig({
    env: { KEYTURN_CONFIG: '/etc/keyturn.yaml' },
    cwd: '/',
    readFile: () => `${text}\ncredentials: { openai: { store: { kind: local } } }\n`,
  })

describe('trustedProxies', () => {
  it('is nobody unless it is said', () => {
    expect(file('').trustedProxies).toEqual([])
  })

  it('takes addresses, networks and the socket', () => {
    expect(file("trustedProxies: [10.0.0.0/8, '2001:db8::/32', 127.0.0.1, unix]").trustedProxies).toEqual([
      { address: '10.0.0.0', bits: 8 },
      { address: '2001:db8::', bits: 32 },
      { address: '127.0.0.1', bits: 32 },
      'unix',
    ])
  })

  it.each([
    '',
    'proxy.internal',
    '10.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/8/8',
    '::/129',
    '*',
    'UNIX',
  ])('takes no %j', (text) => {
    expect(parseProxy(text)).toBeUndefined()
  })
})

it('rateLimits are on unless they are raised, and each has a default', () => {
  expect(file('rateLimits: { burst: 5 }').rateLimits).toEqual({
    requestsPerSecond: 2_000,
    burst: 5,
    failuresPerMinute: 60,
  })
})
