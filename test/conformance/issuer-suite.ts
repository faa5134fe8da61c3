import { describe, expect, it } from 'vitest'
import type { Issuer } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import { classify, isConclusiveRejection } from '../../src/core/verdict.ts'
import { assertCanMint, assertMints } from '../issuers/support.ts'

export type IssuerFault = 'hang' | 'server_error' | 'proxy_page' | 'redirect'

/** One issuer against a wire-level fake, fresh for each test. */
export interface IssuerUnderTest {
  readonly issuer: Issuer
  /** A key that works. */
  readonly good: Secret
  /** A key that was revoked, on every edge. */
  readonly dead: Secret
  /** From now on every request fails in this way. */
  readonly breakWith: (fault: IssuerFault) => void
  readonly isAlive: (secret: Secret) => boolean
}

/** In what issuers differ that speak the same API. */
export interface IssuerTraits {
  readonly canMint: boolean
  /** What the decisive probe is called. */
  readonly probe: string
  /** What is made here gets its expiry once and for all. */
  readonly canSetExpiry: boolean
  readonly owner: 'service_account' | 'user'
}

/** The issuer of each test, which gives the other side so long. */
type Make = (timeoutMs: number) => Promise<IssuerUnderTest>

/** Longer than any answer takes on a machine that is busy; and short, where none will come. */
const patientMs = 10_000
const hastyMs = 300
const patienceWith = (fault: IssuerFault): number => (fault === 'hang' ? hastyMs : patientMs)

/** What every issuer owes, whatever it stands for. The second half is for those that mint. */
export function issuerSuite(name: string, traits: boolean | IssuerTraits, make: Make): void {
  const isUsual = typeof traits === 'boolean'
  const { canMint, probe, canSetExpiry, owner }: IssuerTraits = isUsual
    ? { canMint: traits, probe: 'models', canSetExpiry: traits, owner: 'service_account' }
    : traits
  describe(`issuer ${name}`, () => {
    it('proves a key that works', async () => {
      const { issuer, good } = await make(patientMs)
      const [first] = await issuer.verify(good, {})
      expect(first).toMatchObject({ kind: 'answer', status: 200, isIssuers: true, probe })
    })

    it('reports a dead key so that it can be rejected, with one call only', async () => {
      const { issuer, dead } = await make(patientMs)
      const seen = await issuer.verify(dead, { scopes: ['api.responses.write'], models: ['gpt-5'] })
      expect(seen).toHaveLength(1)
      const [first] = seen
      expect(first !== undefined && isConclusiveRejection(classify(first))).toBe(true)
    })

    it.each([
      ['hang', 'timed_out'],
      ['server_error', 'issuer_failing'],
      ['proxy_page', 'foreign_refusal'],
      ['redirect', 'redirected'],
    ] as const)('concludes nothing when the issuer is out of reach: %s', async (fault, cause) => {
      const { issuer, good, breakWith } = await make(patienceWith(fault))
      breakWith(fault)
      const [first] = await issuer.verify(good, {})
      expect(first !== undefined && classify(first)).toMatchObject({ kind: 'unknown', cause })
    })

    it('sends nothing that no header can carry', async () => {
      const { issuer, good } = await make(patientMs)
      const [first] = await issuer.verify(new Secret(`${good.reveal()}\n`), {})
      expect(first).toEqual({ kind: 'no_answer', failure: 'unsendable', probe })
    })

    it('ends what is under way when it is closed, and starts nothing after', async () => {
      const { issuer, good, breakWith } = await make(patientMs)
      breakWith('hang')
      const running = issuer.verify(good, {})
      await issuer.close()
      const aborted = [{ kind: 'no_answer', failure: 'aborted', probe }]
      expect(await running).toEqual(aborted)
      expect(await issuer.verify(good, {})).toEqual(aborted)
    })

    it('says what it can do, and omits what it cannot', async () => {
      const { issuer } = await make(patientMs)
      expect(issuer.canMint).toBe(canMint)
      for (const method of ['mint', 'list', 'revoke', 'check'] as const)
        expect(issuer[method] !== undefined).toBe(canMint)
      expect(issuer.setExpiry !== undefined).toBe(canSetExpiry)
      expect(issuer.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/)
    })

    if (canMint) mintingSuite(make, owner)
    if (canSetExpiry) expirySuite(make)
  })
}

const marker = () => `keyturn-${crypto.randomUUID()}`

async function openedBy(make: Make, timeoutMs = patientMs) {
  const place = await make(timeoutMs)
  assertMints(place.issuer)
  return { ...place, issuer: place.issuer }
}

function mintingSuite(make: Make, owner: IssuerTraits['owner']): void {
  const opened = () => openedBy(make)

  it('mints a key that works, is found by its marker, and dies when it is revoked', async () => {
    const place = await opened()
    const name = marker()
    const minted = await place.issuer.mint({ marker: name, expiresInSeconds: 3_600 })
    if (minted.kind !== 'minted') throw new Error('expected a key')
    expect((await place.issuer.verify(minted.secret, {}))[0]).toMatchObject({ status: 200 })
    const listed = await place.issuer.list()
    if (listed.kind !== 'listed') throw new Error('expected a list')
    const found = listed.keys.filter((key) => key.name === name)
    expect(found).toMatchObject([{ keyId: minted.keyId, owner }])
    expect(found[0]?.serviceAccount).toBe(minted.serviceAccount)
    expect(minted.serviceAccount !== undefined).toBe(owner === 'service_account')
    expect(found[0]?.expiresAt).toBe(minted.expiresAt)
    expect(await place.issuer.revoke(minted.keyId)).toMatchObject({ kind: 'gone' })
    expect(place.isAlive(minted.secret)).toBe(false)
    expect(place.isAlive(place.good)).toBe(true)
  })

  it('finds a key gone that was revoked before, and says so again', async () => {
    const place = await opened()
    const minted = await place.issuer.mint({ marker: marker() })
    if (minted.kind !== 'minted') throw new Error('expected a key')
    await place.issuer.revoke(minted.keyId)
    expect(await place.issuer.revoke(minted.keyId)).toMatchObject({ kind: 'gone' })
  })

  it.each(['hang', 'server_error', 'proxy_page', 'redirect'] as const)(
    'knows nothing when the issuer is out of reach: %s',
    async (fault) => {
      const place = await openedBy(make, patienceWith(fault))
      place.breakWith(fault)
      expect((await place.issuer.mint({ marker: marker() })).kind).toBe('unknown')
      expect((await place.issuer.list()).kind).toBe('failed')
      expect((await place.issuer.revoke('key_1')).kind).toBe('unknown')
      if (place.issuer.setExpiry !== undefined)
        expect((await place.issuer.setExpiry('key_1', 60)).kind).toBe('unknown')
      const states = (await place.issuer.check()).map((finding) => finding.state)
      expect(states.every((state) => state === 'untested')).toBe(true)
    },
  )

  it('finds its permissions granted', async () => {
    const place = await opened()
    const findings = await place.issuer.check()
    expect(findings.length).toBeGreaterThan(1)
    expect(findings.filter((finding) => finding.state !== 'granted')).toEqual([])
  })
}

function expirySuite(make: Make): void {
  it('changes the expiry and confirms it', async () => {
    const place = await openedBy(make)
    assertCanMint(place.issuer)
    const minted = await place.issuer.mint({ marker: marker(), expiresInSeconds: 600 })
    if (minted.kind !== 'minted') throw new Error('expected a key')
    const outcome = await place.issuer.setExpiry(minted.keyId, 86_400)
    if (outcome.kind !== 'set') throw new Error('expected it to be set')
    const listed = await place.issuer.list()
    const key = listed.kind === 'listed' && listed.keys.find((one) => one.keyId === minted.keyId)
    expect(key && key.expiresAt).toBe(outcome.expiresAt)
  })
}
