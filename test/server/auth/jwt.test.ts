import type { Socket } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { type JwtRule, noAccess } from '../../../src/core/access.ts'
import { isSamePerson } from '../../../src/server/approvals.ts'
import type { Found } from '../../../src/server/auth/authenticator.ts'
import type { Caller } from '../../../src/server/auth/caller.ts'
import { createJwtWay, type JwtWay } from '../../../src/server/auth/jwt.ts'
import { createKeySets } from '../../../src/server/auth/key-sets.ts'
import { createNearMisses } from '../../../src/server/auth/near-misses.ts'
import { createPolicyHolder } from '../../../src/server/auth/policy.ts'

const issuer = 'https://issuer.example'
const start = Date.UTC(2026, 0, 1)

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>
let pair: KeyPair
let other: KeyPair

beforeAll(async () => {
  ;[pair, other] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
})

const rule: JwtRule = {
  name: 'cluster',
  issuer,
  audience: ['keyturn'],
  algorithms: ['ES256'],
  claims: [{ claim: 'sub', patterns: ['system:serviceaccount:team-a:*'] }],
  nameClaim: 'sub',
  lifetimeMaxMs: 3_600_000,
  grants: [{ credentials: ['openai'], may: ['read'] }],
}

/** What a request from an address shows beside the token. */
function from(remoteAddress: string): { readonly socket: Socket } {
  return { socket: { remoteAddress } as Socket }
}

interface World {
  readonly way: JwtWay
  readonly policy: ReturnType<typeof createPolicyHolder>
  now: number
  /** What the issuer's address answers; an error where it is away. */
  answer: () => Promise<string>
  readonly asked: string[]
  readonly logs: string[]
  readonly ask: (token: string, address?: string) => Promise<Caller | undefined>
  /** `nobody`, or the name of a caller, or in how many milliseconds to come again, and whether the keys are away. */
  readonly told: (token: string, address?: string) => Promise<string>
}

async function world(rules: readonly JwtRule[] = [rule]): Promise<World> {
  const policy = createPolicyHolder({ ...noAccess, jwt: rules })
  const asked: string[] = []
  const logs: string[] = []
  const keySet = await keySetOf({ one: pair })
  const log = (level: string, message: string): void => void logs.push(`${level} ${message}`)
  const self: World = {
    policy,
    now: start,
    asked,
    logs,
    answer: async () => keySet,
    way: undefined as unknown as JwtWay,
    ask: async (token, address = '10.0.0.1') => {
      const found = await self.way.authenticate(`Bearer ${token}`, from(address))
      return found?.kind === 'unjudged' ? undefined : found
    },
    told: async (token, address = '10.0.0.1') =>
      wordOf(await self.way.authenticate(`Bearer ${token}`, from(address))),
  }
  const system = { now: () => self.now }
  const getText = async (url: string): Promise<string> => {
    asked.push(url)
    return url.endsWith('/openid-configuration')
      ? JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` })
      : self.answer()
  }
  const keys = createKeySets({ getText, readFile: async () => self.answer(), system, log })
  return Object.assign(self, { way: createJwtWay({ policy, keys, system, log }) })
}

function wordOf(found: Found): string {
  if (found === undefined) return 'nobody'
  return found.kind === 'unjudged' ? `${found.isAway ? 'away' : 'wait'} ${found.retryAfterMs}` : found.name
}

async function keySetOf(keys: Readonly<Record<string, KeyPair>>): Promise<string> {
  const all = Object.entries(keys).map(async ([kid, one]) => ({
    ...(await exportJWK(one.publicKey)),
    kid,
    alg: 'ES256',
  }))
  return JSON.stringify({ keys: await Promise.all(all) })
}

interface Made {
  readonly claims?: JWTPayload
  readonly kid?: string
  readonly key?: KeyPair
  readonly at?: number
}

function make({ claims = {}, kid = 'one', key = pair, at = start }: Made = {}): Promise<string> {
  const seconds = Math.floor(at / 1_000)
  const all = {
    iss: issuer,
    aud: 'keyturn',
    sub: 'system:serviceaccount:team-a:web',
    iat: seconds,
    exp: seconds + 600,
    ...claims,
  }
  return new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid }).sign(key.privateKey)
}

describe('a web token', () => {
  it('lets in whom the rule names, with its grants and a name that can be shown', async () => {
    const { ask, asked } = await world()
    const caller = await ask(await make())
    expect(caller).toMatchObject({
      kind: 'jwt',
      name: 'cluster/system:serviceaccount:team-a:web',
      person: expect.stringMatching(/^jwt_[0-9a-f]{32}$/),
    })
    expect([caller?.may('read', 'openai'), caller?.may('operate', 'openai')]).toEqual([true, false])
    expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`, `${issuer}/keys`])
  })

  const seconds = start / 1_000
  it.each<[string, JWTPayload]>([
    ['another issuer', { iss: 'https://issuer.example/' }],
    ['another audience', { aud: 'openai' }],
    ['no audience', { aud: undefined as unknown as string }],
    ['another namespace', { sub: 'system:serviceaccount:team-b:web' }],
    ['a name that goes on behind the pattern', { sub: 'system:serviceaccount:team-a:web:x' }],
    ['no subject', { sub: undefined as unknown as string }],
    ['an end that has passed', { exp: seconds - 31 }],
    ['no end', { exp: undefined as unknown as number }],
    ['no beginning', { iat: undefined as unknown as number }],
    ['a beginning in the future', { iat: seconds + 31 }],
    ['a time from which on it counts', { nbf: seconds + 31 }],
    ['a life longer than allowed', { exp: seconds + 3_601 }],
    ['an end that is no number', { exp: 'never' as unknown as number }],
  ])('with %s is nobody, and costs no key', async (_what, claims) => {
    const { ask, asked } = await world()
    expect(await ask(await make({ claims }))).toBeUndefined()
    expect(asked).toEqual([])
  })

  it('counts within the leeway of thirty seconds, on both sides', async () => {
    const { ask } = await world()
    expect(await ask(await make({ claims: { exp: seconds - 29 } }))).toBeDefined()
    expect(await ask(await make({ claims: { nbf: seconds + 29, iat: seconds + 29 } }))).toBeDefined()
  })

  it('with a signature of another, or none, or one made with the public key, is nobody', async () => {
    const { ask } = await world()
    const good = await make()
    const [header = '', payload = '', signature = ''] = good.split('.')
    const headerOf = (said: object): string => Buffer.from(JSON.stringify(said)).toString('base64url')
    const secret = Buffer.from(JSON.stringify(await exportJWK(pair.publicKey)))
    const symmetric = await new SignJWT({
      iss: issuer,
      aud: 'keyturn',
      sub: 'system:serviceaccount:team-a:web',
      iat: seconds,
      exp: seconds + 600,
    })
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(secret)
    const forged = [
      await make({ key: other }),
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${headerOf({ alg: 'none' })}.${payload}.`,
      `${headerOf({ alg: 'none' })}.${payload}.${signature}`,
      symmetric,
      `${header}.${payload}`,
      'a.b.c',
      `${good}.x`,
    ]
    for (const token of forged) expect(await ask(token)).toBeUndefined()
    expect(await ask(good)).toBeDefined()
  })

  it('is judged by the first rule that fits, and claims may be lists', async () => {
    const groups: JwtRule = {
      ...rule,
      name: 'people',
      claims: [{ claim: 'groups', patterns: ['admins'] }],
      nameClaim: 'email',
      grants: [{ credentials: ['*'], may: ['operate'] }],
    }
    const { ask } = await world([groups, rule])
    const claims = { groups: ['users', 'admins'], email: 'ann@acme.example' }
    expect((await ask(await make({ claims })))?.name).toBe('people/ann@acme.example')
    expect((await ask(await make({ claims: { groups: ['users'] } })))?.name).toMatch(/^cluster/)
    // Whoever the claim does not name is nobody, not somebody without a name.
    expect(await ask(await make({ claims: { groups: ['admins'] } }))).toBeUndefined()
  })
})

it('is one person by whatever rule, audience and name: who has two tokens of an issuer is not two', async () => {
  const admins: JwtRule = { ...rule, name: 'admins', audience: ['admin'], nameClaim: 'email' }
  const { ask } = await world([rule, admins])
  const [one, other] = [
    await ask(await make()),
    await ask(await make({ claims: { aud: 'admin', email: 'web@acme.example' } })),
  ]
  const somebody = await ask(await make({ claims: { sub: 'system:serviceaccount:team-a:api' } }))
  expect([one?.name, other?.name]).toEqual([
    'cluster/system:serviceaccount:team-a:web',
    'admins/web@acme.example',
  ])
  if (one === undefined || other === undefined || somebody === undefined) throw new Error('they are let in')
  expect(isSamePerson(one, other)).toBe(true)
  expect(isSamePerson(one, somebody)).toBe(false)
})

describe('a caller who was let in', () => {
  it('is remembered for a minute, at once and without another look at the signature', async () => {
    const here = await world()
    const token = await make()
    const first = await here.ask(token)
    here.now += 59_000
    const again = here.way.authenticate(`Bearer ${token}`, from(''))
    expect(again).toBe(first)
    here.now += 2_000
    expect(here.way.authenticate(`Bearer ${token}`, from(''))).toBeInstanceOf(Promise)
  })

  it('is never remembered beyond the end of the token', async () => {
    const here = await world()
    const token = await make({ claims: { exp: seconds() + 20 } })
    const caller = await here.ask(token)
    here.now += 20_000 + 30_000
    expect(await here.ask(token)).toBeUndefined()
    expect(caller !== undefined && here.way.isLive(caller)).toBe(false)
  })

  it('is forgotten at once when the rules change, whether or not they still name them', async () => {
    const here = await world()
    const token = await make()
    const caller = await here.ask(token)
    expect(caller !== undefined && here.way.isLive(caller)).toBe(true)
    const narrower = { ...rule, grants: [{ credentials: ['openai'], may: ['audit'] as const }] }
    here.policy.replace({ ...noAccess, jwt: [narrower] })
    expect(caller !== undefined && here.way.isLive(caller)).toBe(false)
    expect((await here.ask(token))?.may('read', 'openai')).toBe(false)
    here.policy.replace(noAccess)
    expect(await here.ask(token)).toBeUndefined()
  })

  it('is judged by the rules that count when the signature has been looked at', async () => {
    const here = await world()
    const asking = here.ask(await make())
    here.policy.replace(noAccess)
    expect(await asking).toBeUndefined()
  })

  const seconds = (): number => start / 1_000
})

describe('keys', () => {
  it('are fetched once, however many tokens come at the same time', async () => {
    const { ask, asked } = await world()
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        make({ claims: { sub: `system:serviceaccount:team-a:w${index}` } }),
      ),
    )
    const callers = await Promise.all(tokens.map((token) => ask(token)))
    expect(callers.every((caller) => caller !== undefined)).toBe(true)
    expect(asked).toHaveLength(2)
  })

  it('that are not known are asked for, and by strangers at most every thirty seconds', async () => {
    const here = await world()
    await here.ask(await make())
    const before = here.asked.length
    for (const kid of ['x', 'y', 'z']) await here.ask(await make({ kid }))
    expect(here.asked.length).toBe(before)
    here.now += 30_000
    const rotated = await keySetOf({ one: pair, two: other })
    here.answer = async () => rotated
    expect(await here.ask(await make({ kid: 'two', key: other, at: here.now }))).toBeDefined()
  })

  it('count on while the issuer is away, for a day and no longer, and are fresh again after', async () => {
    const here = await world()
    await here.ask(await make())
    const good = here.answer
    here.answer = async () => Promise.reject(new Error('away'))
    for (const hours of [1, 12, 23]) {
      here.now = start + hours * 3_600_000
      expect(await here.ask(await make({ at: here.now }))).toBeDefined()
    }
    here.now = start + 24 * 3_600_000
    expect(await here.ask(await make({ at: here.now }))).toBeUndefined()
    here.answer = good
    here.now += 30_000
    expect(await here.ask(await make({ at: here.now }))).toBeDefined()
  })

  it('that cannot be had are no failure of who asks, and are asked for again only after a while', async () => {
    const here = await world()
    const good = here.answer
    here.answer = async () => Promise.reject(new Error('away'))
    for (let index = 0; index < 25; index += 1)
      expect(
        await here.ask(await make({ claims: { sub: `system:serviceaccount:team-a:w${index}` } })),
      ).toBeUndefined()
    expect(here.asked).toHaveLength(2)
    here.answer = good
    here.now += 30_000
    expect(await here.ask(await make({ at: here.now }))).toBeDefined()
  })

  it('are not taken from a document that names another issuer', async () => {
    const lying: JwtRule = { ...rule, issuer: 'https://liar.example' }
    const { ask, asked, logs } = await world([lying])
    expect(await ask(await make({ claims: { iss: 'https://liar.example' } }))).toBeUndefined()
    expect(asked).toEqual(['https://liar.example/.well-known/openid-configuration'])
    expect(logs.join()).toContain('cannot be had')
  })
})

/** The issuer does not answer, and as many tokens of it as may be looked at wait; until what is returned is called. */
async function hang(here: World): Promise<() => Promise<void>> {
  const { answer } = here
  let go: (keySet: string) => void = () => undefined
  const answered = new Promise<string>((resolve) => (go = resolve))
  here.answer = () => answered
  const [header, payload] = (await make()).split('.')
  const waiting = Array.from({ length: 1_000 }, (_, index) =>
    here.ask(`${header}.${payload}.signed-${index}`, `10.1.${index >> 8}.${index & 255}`),
  )
  await vi.waitUntil(() => here.asked.length === 2)
  return async () => {
    go(await answer())
    await Promise.all(waiting)
  }
}

describe('who cannot be judged now', () => {
  const name = 'cluster/system:serviceaccount:team-a:web'
  const away = async (): Promise<string> => Promise.reject(new Error('away'))

  it('is asked to come again when the keys of the issuer may be asked for again', async () => {
    const here = await world()
    const good = here.answer
    here.answer = away
    expect(await here.told(await make())).toBe('away 5000')
    here.now += 2_000
    expect(await here.told(await make())).toBe('away 3000')
    here.answer = good
    here.now += 3_000
    expect(await here.told(await make())).toBe(name)
  })

  it('learns nothing of which claims would do: any token of the issuer is told the same, and no other', async () => {
    const here = await world()
    here.answer = away
    await here.told(await make())
    const asked = here.asked.length
    for (const claims of [{}, { aud: 'openai' }, { sub: 'root' }, { exp: start / 1_000 - 31 }])
      for (const key of [pair, other]) expect(await here.told(await make({ claims, key }))).toBe('away 5000')
    for (const iss of [`${issuer}/`, 'https://other.example'])
      expect(await here.told(await make({ claims: { iss } }))).toBe('nobody')
    // Whoever asks in between makes nobody ask the issuer.
    here.now += 5_000
    expect(await here.told(await make({ claims: { sub: 'root' } }))).toBe('away 0')
    expect(here.asked).toHaveLength(asked)
  })

  it('has a key of which the issuer may list nothing yet, and is nobody once it was asked', async () => {
    const here = await world()
    await here.ask(await make())
    const unknown = await make({ kid: 'x', key: other })
    expect(await here.told(unknown)).toBe('wait 30000')
    expect(await here.told(await make({ kid: 'y', claims: { sub: 'root' } }))).toBe('wait 30000')
    expect(await here.told(await make({ claims: { sub: 'root' } }))).toBe('nobody')
    expect(here.asked).toHaveLength(2)
    here.now += 30_000
    expect(await here.told(unknown)).toBe('nobody')
    expect(here.asked).toHaveLength(4)
    expect(await here.told(await make())).toBe(name)
  })

  it('has a key that is not known while the issuer is away', async () => {
    const here = await world()
    await here.ask(await make())
    here.answer = away
    here.now += 31_000
    const unknown = { kid: 'x', key: other, at: here.now }
    expect(await here.told(await make(unknown))).toBe('away 30000')
    // Still so for whoever comes while it may not be asked again.
    here.now += 1_000
    expect(await here.told(await make(unknown))).toBe('away 29000')
    expect(await here.told(await make({ ...unknown, claims: { sub: 'root' } }))).toBe('away 29000')
    expect(await here.told(await make({ at: here.now }))).toBe(name)
  })

  it('asks no more often for keys that hang than for those that fail at once', async () => {
    const here = await world()
    here.answer = async () => {
      here.now += 10_000
      throw new Error('timeout')
    }
    expect(await here.told(await make())).toBe('away 5000')
    expect(await here.told(await make({ claims: { jti: 'b' } }))).toBe('away 5000')
    expect(here.asked).toHaveLength(2)
  })

  it('is nobody where the first answer of the issuer has no such key', async () => {
    const here = await world()
    expect(await here.told(await make({ kid: 'x', key: other }))).toBe('nobody')
  })

  it('is told apart by the signature, whatever the claims say', async () => {
    const { told } = await world()
    const claims = { kind: 'unjudged', retryAfterMs: 1 }
    expect(await told(await make({ claims }))).toBe(name)
    expect(await told(await make({ claims, key: other }))).toBe('nobody')
  })

  it('comes from an address of bad signatures, or is one too many', async () => {
    const here = await world()
    for (let index = 0; index < 20; index += 1)
      await here.ask(await make({ key: other, claims: { jti: String(index) } }))
    const neighbour = { claims: { jti: 'new' } }
    expect(await here.told(await make(neighbour))).toBe('wait 3000')
    expect(await here.told(await make({ claims: { sub: 'root' } }))).toBe('wait 3000')
    expect(await here.told(await make(neighbour), '10.0.0.2')).toBe(name)
    const slow = await world()
    const end = await hang(slow)
    expect(await slow.told(await make())).toBe('wait 3000')
    expect(slow.asked).toHaveLength(2)
    // When those are done there is room again.
    await end()
    expect(await slow.told(await make(), '10.0.0.2')).toBe(name)
  })

  it('waits for nobody because another issuer hangs', async () => {
    const iss = 'https://another.example'
    const here = await world([rule, { ...rule, name: 'another', issuer: iss, jwksFile: 'keys.json' }])
    const { answer } = here
    const end = await hang(here)
    here.answer = answer
    expect(await here.told(await make({ claims: { iss } }))).toBe(name.replace('cluster', 'another'))
    expect(await here.told(await make())).toBe('wait 3000')
    await end()
  })
})

it('looks at no more than a few bad signatures of one address, and lets others and the remembered go on', async () => {
  const here = await world()
  const good = await make()
  await here.ask(good, '10.0.0.9')
  const forge = (index: number): Promise<string> =>
    make({ key: other, claims: { sub: `system:serviceaccount:team-a:f${index}` } })
  const looked = async (token: string, address: string): Promise<boolean> => {
    const found = here.way.authenticate(`Bearer ${token}`, from(address))
    const isLooked = found instanceof Promise
    await found
    return isLooked
  }
  const each: boolean[] = []
  for (let index = 0; index < 30; index += 1) each.push(await looked(await forge(index), '10.0.0.9'))
  expect(each.filter((isLooked) => isLooked)).toHaveLength(20)
  expect(here.way.authenticate(`Bearer ${good}`, from('10.0.0.9'))).toBeDefined()
  expect(await looked(await forge(31), '10.0.0.8')).toBe(true)
  here.now += 3_000
  expect(await looked(await forge(32), '10.0.0.9')).toBe(true)
  expect(await looked(await forge(33), '10.0.0.9')).toBe(false)
})

it('holds up nobody for the bad signatures of a neighbour whose token was good before', async () => {
  const here = await world()
  const good = await make()
  await here.ask(good)
  for (let minute = 0; minute < 5; minute += 1) {
    here.now += 61_000
    for (let index = 0; index < 25; index += 1)
      await here.ask(
        await make({ key: other, at: here.now, claims: { sub: `system:serviceaccount:team-a:f${index}` } }),
      )
    expect(await here.ask(good)).toBeDefined()
  }
})

describe('a token that nearly fits', () => {
  const claims = { iss: issuer, aud: 'keyturn', sub: 'x', iat: start / 1_000, exp: start / 1_000 + 60 }

  it.each([
    ['a slash too many', { ...claims, iss: `${issuer}/` }, /differ by a slash/],
    ['another audience', { ...claims, aud: ['vault'] }, /another audience/],
    ['no end', { ...claims, exp: undefined }, /no exp/],
    ['a life too long', { ...claims, exp: claims.exp + 7_200 }, /longer than lifetimeMax/],
  ])('is told to the operator once until the rules change: %s', (_what, said, why) => {
    const lines: unknown[] = []
    const misses = createNearMisses((level, _message, fields) => void lines.push([level, fields?.['why']]))
    misses.note([rule], said)
    misses.note([rule], said)
    expect(lines).toEqual([['warn', expect.stringMatching(why)]])
    misses.forget()
    misses.note([rule], said)
    expect(lines).toHaveLength(2)
  })

  it('is not told of other issuers, nor of other workloads of this one', () => {
    const lines: unknown[] = []
    const misses = createNearMisses((level) => void lines.push(level))
    for (const said of [claims, { ...claims, iss: 'https://other.example' }, { ...claims, iss: 7 }])
      misses.note([rule], said)
    expect(lines).toEqual([])
  })

  it('is seen by whoever looks at requests', async () => {
    const { ask, logs } = await world([{ ...rule, issuer: `${issuer}/` }])
    const token = await new SignJWT({ sub: 'x' })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(issuer)
      .setAudience('keyturn')
      .setIssuedAt(start / 1_000)
      .setExpirationTime(start / 1_000 + 60)
      .sign(pair.privateKey)
    expect(await ask(token)).toBeUndefined()
    expect(logs).toEqual(['warn a web token was nearly taken'])
  })
})
