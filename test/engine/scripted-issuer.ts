import type {
  Clock,
  ExpiryOutcome,
  IssuedKey,
  Issuer,
  ListOutcome,
  MintOutcome,
  MintRequest,
  RevokeOutcome,
} from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { Observation } from '../../src/core/types.ts'

export type IssuerCall = 'verify' | 'mint' | 'list' | 'revoke' | 'setExpiry' | 'check'

export interface FakeKey {
  readonly keyId: string
  readonly name: string
  readonly secret: Secret
  readonly serviceAccount: string
  readonly createdAt: number
  expiresAt: number | undefined
  /** Listed and accepted until it is deleted; `isRefused`: rejected all the same. */
  isDeleted: boolean
  isRefused: boolean
  lastUsedAt: number | null
  organization: string
}

const organization = 'org-ours'
export const noAnswer: Observation = { kind: 'no_answer', failure: 'timeout' }

/** An issuer in memory. Each call can be held back or be made to fail, before or after it has taken effect. */
export class ScriptedIssuer {
  readonly keys: FakeKey[] = []
  readonly calls: { readonly call: IssuerCall; readonly at: number }[] = []
  readonly #time: Clock
  readonly #kind: string
  readonly #held = new Map<IssuerCall, { readonly gate: Promise<void>; readonly open: () => void }>()
  readonly #broken = new Map<IssuerCall, 'before' | 'after' | 'throws'>()
  #drawn = 0
  readonly account: string
  isClosed = false
  tellsLastUse = true

  /** `kind`: what its keys say of themselves, `svcacct` or `admin`. */
  constructor(time: Clock, account = 'svc_1', kind = 'svcacct') {
    this.#time = time
    this.#kind = kind
    this.account = account
  }

  /** A key that somebody made by hand. */
  plant(change: Partial<FakeKey> = {}): FakeKey {
    const number = ++this.#drawn
    const key: FakeKey = {
      keyId: `key_${this.account}_${number}`,
      name: 'by hand',
      secret: new Secret(['sk', this.#kind, `${this.account}${number}`.padEnd(40, 'x')].join('-')),
      serviceAccount: this.account,
      createdAt: this.#time.now(),
      expiresAt: undefined,
      isDeleted: false,
      isRefused: false,
      lastUsedAt: null,
      organization,
      ...change,
    }
    this.keys.push(key)
    return key
  }

  /** Calls wait until the returned function is called. They have not taken effect yet. */
  hold(call: IssuerCall): () => void {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    this.#held.set(call, { gate, open })
    return () => {
      this.#held.delete(call)
      open()
    }
  }

  /** before: no answer, and it took no effect. after: it took effect, and the answer was lost. */
  breakCall(call: IssuerCall, how: 'before' | 'after' | 'throws' = 'before'): void {
    this.#broken.set(call, how)
  }

  mend(call: IssuerCall): void {
    this.#broken.delete(call)
  }

  count(call: IssuerCall): number {
    return this.calls.filter((one) => one.call === call).length
  }

  get alive(): readonly FakeKey[] {
    return this.keys.filter((one) => !one.isDeleted && !this.isExpired(one))
  }

  isExpired(key: FakeKey): boolean {
    return key.expiresAt !== undefined && key.expiresAt <= this.#time.now()
  }

  async #called(call: IssuerCall): Promise<'before' | 'after' | undefined> {
    this.calls.push({ call, at: this.#time.now() })
    await this.#held.get(call)?.gate
    const how = this.#broken.get(call)
    if (how === 'throws') throw new Error('the driver has a bug')
    return how
  }

  #keyOf(keyId: string): FakeKey | undefined {
    return this.keys.find((one) => one.keyId === keyId && !one.isDeleted)
  }

  asIssuer(): Issuer {
    return {
      kind: 'openai',
      canMint: true,
      baseUrl: 'https://api.openai.com/v1',
      place: this.account,
      verify: (secret) => this.#verify(secret),
      mint: (request) => this.#mint(request),
      list: () => this.#list(),
      revoke: (keyId) => this.#revoke(keyId),
      setExpiry: (keyId, seconds) => this.#setExpiry(keyId, seconds),
      check: async () => {
        await this.#called('check')
        return []
      },
      close: async () => {
        this.isClosed = true
      },
    }
  }

  async #verify(secret: Secret): Promise<readonly Observation[]> {
    if ((await this.#called('verify')) !== undefined) return [{ ...noAnswer, probe: 'models' }]
    const key = this.keys.find((one) => one.secret.equals(secret))
    const isGood = key !== undefined && !key.isDeleted && !key.isRefused && !this.isExpired(key)
    const answer = { kind: 'answer', isIssuers: true, requestId: 'req_1', probe: 'models' } as const
    return isGood
      ? [{ ...answer, status: 200, organization: key.organization }]
      : [{ ...answer, status: 401, code: 'invalid_api_key' }]
  }

  /** On the second of two accounts, or on the first where the key is on the second that a spare is for. */
  get spareAccount(): string {
    return `${this.account}_spare`
  }

  async #mint({ marker: name, expiresInSeconds: seconds, spareFor }: MintRequest): Promise<MintOutcome> {
    const how = await this.#called('mint')
    if (how === 'before') return { kind: 'unknown', observation: noAnswer }
    const now = this.#time.now()
    const expiresAt = seconds === undefined ? undefined : now + seconds * 1_000
    const isOnFirst = spareFor === undefined || spareFor.serviceAccount === this.spareAccount
    const account = isOnFirst ? this.account : this.spareAccount
    const key = this.plant({ name, createdAt: now, expiresAt, serviceAccount: account })
    if (how === 'after') return { kind: 'unknown', observation: noAnswer }
    const { keyId, secret, serviceAccount } = key
    const expiry = expiresAt === undefined ? {} : { expiresAt }
    return { kind: 'minted', keyId, secret, serviceAccount, createdAt: now, ...expiry }
  }

  async #list(): Promise<ListOutcome> {
    if ((await this.#called('list')) !== undefined) return { kind: 'failed', observation: noAnswer }
    const keys = this.alive.map(
      ({ keyId, name, secret, serviceAccount, createdAt, expiresAt, lastUsedAt }): IssuedKey => ({
        keyId,
        name,
        redacted: `${secret.reveal().slice(0, 20)}...${secret.reveal().slice(-4)}`,
        owner: 'service_account',
        serviceAccount,
        createdAt,
        ...(this.tellsLastUse ? { lastUsedAt } : {}),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      }),
    )
    return { kind: 'listed', keys }
  }

  async #revoke(keyId: string): Promise<RevokeOutcome> {
    const how = await this.#called('revoke')
    if (how === 'before') return { kind: 'unknown', observation: noAnswer }
    const key = this.#keyOf(keyId)
    if (key !== undefined) key.isDeleted = true
    return how === 'after' ? { kind: 'unknown', observation: noAnswer } : { kind: 'gone' }
  }

  async #setExpiry(keyId: string, seconds: number): Promise<ExpiryOutcome> {
    const how = await this.#called('setExpiry')
    if (how === 'before') return { kind: 'unknown', observation: noAnswer }
    const key = this.#keyOf(keyId)
    const expiresAt = this.#time.now() + seconds * 1_000
    if (key !== undefined) key.expiresAt = expiresAt
    return how === 'after' ? { kind: 'unknown', observation: noAnswer } : { kind: 'set', expiresAt }
  }
}
