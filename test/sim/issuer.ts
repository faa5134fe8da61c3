import type {
  ExpiryOutcome,
  IssuedKey,
  Issuer,
  ListOutcome,
  MintOutcome,
  MintRequest,
  PermissionFinding,
  RevokeOutcome,
} from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { Observation, TransportFailure } from '../../src/core/types.ts'
import type { Dice } from './dice.ts'
import { call, type Life, Weather } from './line.ts'
import type { CredentialOptions } from './options.ts'
import type { Sim } from './sim.ts'

/** In every secret of this world; must never be seen outside of stores and requests. */
export const canary = ['CaNaRy', 'kEePs', 'QuIeT'].join('')

export interface TrueKey {
  readonly keyId: string
  readonly name: string
  readonly secret: Secret
  readonly text: string
  readonly account: string
  readonly organization: string
  /** `keyturn` for minted ones. */
  readonly madeBy: 'keyturn' | 'person' | 'stranger'
  readonly createdAt: number
  readonly activeAt: readonly number[]
  expiresAt: number | undefined
  deletedAt: number | undefined
  deadAt: readonly number[]
  /** Who ended it. */
  endedBy?: string
  lastUsedAt: number | null
  /** What was answered to probes of Keyturn, in order. */
  readonly answers: { readonly at: number; readonly kind: 'good' | 'rejected' | 'other' }[]
}

/** What is wrong with the account for a while: no key can be blamed for it. */
export const conditions = [
  'insufficient_quota',
  'credit_balance_exhausted',
  'billing_hard_limit_reached',
  'account_deactivated',
  'ip_not_authorized',
  'no_organization',
  'rate_limited',
  'slow_down',
  'unclear_401',
  'no_key_sent',
  'invalid_issuer',
  'server_is_overloaded',
  'internal_500',
  'html_403',
  'html_200',
  'proxy_407',
  'bad_gateway',
  'missing_scope',
  'throttling_unclear',
] as const
export type Condition = (typeof conditions)[number]

const failures: readonly TransportFailure[] = ['dns', 'connect', 'tls', 'timeout', 'reset', 'redirect']

/** Where the keys of a credential are made, and by whose word. */
type Place = Pick<CredentialOptions, 'name' | 'account' | 'spareAccount' | 'policy'>

function accountFor({ account, spareAccount }: Place, spareFor: MintRequest['spareFor']): string {
  return spareFor === undefined || spareFor.serviceAccount === spareAccount ? account : spareAccount
}

export interface IssuerWitness {
  onMint(request: { readonly marker: string; readonly key: TrueKey; readonly credential: string }): void
  /** Before it takes effect. */
  onRevoke(request: { readonly key: TrueKey; readonly credential: string; readonly by: string }): void
}

export class SimIssuer {
  readonly keys: TrueKey[] = []
  readonly weather: Weather
  readonly adminWeather: Weather
  condition: Condition | undefined
  isAllowed = true
  /** Called at the next mint, and forgotten then. */
  onceMinted: (() => void) | undefined
  witness: IssuerWitness = { onMint: () => undefined, onRevoke: () => undefined }
  readonly #bySecret = new Map<string, TrueKey>()
  readonly #sim: Sim
  readonly #dice: Dice
  #drawn = 0
  #lastGlitchAt = Number.NEGATIVE_INFINITY

  constructor(sim: Sim) {
    this.#sim = sim
    this.#dice = sim.dice.stream('issuer')
    this.weather = new Weather(sim.options.faultRate)
    this.adminWeather = new Weather(sim.options.faultRate)
  }

  make(change: Partial<TrueKey> & Pick<TrueKey, 'madeBy'>): TrueKey {
    const { issuer } = this.#sim.options
    const now = this.#sim.now()
    const isLate =
      change.madeBy === 'keyturn' && !this.#sim.isHealed && this.#dice.chance(issuer.lateActivation)
    const noise = Array.from({ length: 12 }, () => this.#dice.below(36).toString(36)).join('')
    const number = ++this.#drawn
    const text = ['sk', 'svcacct', `${noise}${number}${canary}${noise}`].join('-')
    const key: TrueKey = {
      keyId: `key_${number}`,
      name: `by hand ${number}`,
      text,
      secret: new Secret(text),
      account: 'svc_person',
      organization: 'org-ours',
      createdAt: now,
      activeAt: Array.from({ length: issuer.edges }, () =>
        isLate && this.#dice.chance(0.6) ? now + this.#dice.between(0, issuer.activationMs) : now,
      ),
      expiresAt: undefined,
      deletedAt: undefined,
      deadAt: Array.from({ length: issuer.edges }, () => Number.POSITIVE_INFINITY),
      lastUsedAt: null,
      answers: [],
      ...change,
    }
    this.keys.push(key)
    this.#bySecret.set(text, key)
    return key
  }

  find(secret: Secret): TrueKey | undefined {
    return this.#bySecret.get(secret.reveal())
  }

  byId(keyId: string): TrueKey | undefined {
    return this.keys.find((one) => one.keyId === keyId)
  }

  /** Every edge takes it, or one of them. */
  works(key: TrueKey, where: 'everywhere' | 'somewhere' | number = 'everywhere'): boolean {
    const now = this.#sim.now()
    if (key.expiresAt !== undefined && key.expiresAt <= now) return false
    const at = (edge: number): boolean => (key.activeAt[edge] ?? 0) <= now && now < (key.deadAt[edge] ?? 0)
    if (typeof where === 'number') return at(where)
    const edges = key.activeAt.map((_, edge) => at(edge))
    return where === 'everywhere' ? edges.every(Boolean) : edges.some(Boolean)
  }

  /** Neither deleted nor expired, whatever the edges believe. */
  exists(key: TrueKey): boolean {
    return key.deletedAt === undefined && (key.expiresAt === undefined || key.expiresAt > this.#sim.now())
  }

  end(key: TrueKey, by: string): void {
    if (key.deletedAt !== undefined) return
    const { issuer } = this.#sim.options
    const now = this.#sim.now()
    const isLate = !this.#sim.isHealed && this.#dice.chance(issuer.lateDeath)
    key.deletedAt = now
    key.endedBy = by
    key.deadAt = key.deadAt.map(() =>
      isLate ? now + this.#dice.between(0, issuer.deathMs) : now + (this.#dice.chance(0.3) ? 500 : 0),
    )
    this.#sim.story.tell('issuer', `${key.keyId} deleted by ${by}`)
  }

  /** The account itself is deleted, and made again under its id. */
  endAccount(account: string, by: string): void {
    for (const key of this.keys) if (key.account === account) this.end(key, by)
  }

  /** An app's request: refused or not, by one edge. The account's condition is no matter of keys. */
  use(key: TrueKey): boolean {
    const isGood = this.works(key, this.#dice.below(this.#sim.options.issuer.edges))
    if (isGood) key.lastUsedAt = this.#sim.now()
    return isGood
  }

  /** The Issuer port for one life of a replica. */
  portFor(life: Life, credential: Place): Issuer {
    const sim = this.#sim
    const dice = this.#dice
    const { isSelfMinting = false } = credential.policy
    const admin = <Result>(
      what: string,
      apply: () => Result,
      failure: (observation: Observation) => Result,
      how: { readonly isRepeatable: boolean; readonly lateMs: number },
    ): Promise<Result> => {
      const ask = (speaker: Secret | undefined): Promise<Result> =>
        call(sim, life, dice, {
          what: `${what} ${credential.name}`,
          weather: this.adminWeather,
          apply: () => (this.#hears(speaker) ? apply() : failure(unheard)),
          failure: (why) => failure(adminFailure(why)),
          ...how,
        })
      return isSelfMinting ? speakerFor(life, credential.name).then(ask) : ask(undefined)
    }
    const safe = { isRepeatable: true, lateMs: 30_000 }
    return {
      kind: 'openai',
      canMint: true,
      baseUrl: 'https://api.openai.com/v1',
      place: credential.account,
      verify: (secret, expected) =>
        call<readonly Observation[]>(sim, life, dice, {
          what: `verify ${credential.name}`,
          weather: this.weather,
          apply: () => [this.#answer(secret, expected.organization)],
          failure: (how) => [this.#useless(how)],
          isRepeatable: false,
          lateMs: 0,
        }),
      mint: ({ marker, expiresInSeconds, spareFor }) =>
        admin<MintOutcome>(
          'mint',
          () =>
            this.#mint({ marker, expiresInSeconds, credential, account: accountFor(credential, spareFor) }),
          (observation) =>
            isConclusive(observation) ? { kind: 'refused', observation } : { kind: 'unknown', observation },
          { isRepeatable: false, lateMs: sim.options.issuer.lateMintMs },
        ),
      list: () =>
        admin<ListOutcome>(
          'list',
          () => ({ kind: 'listed', keys: this.#listed([credential.account, credential.spareAccount]) }),
          (observation) => ({ kind: 'failed', observation }),
          { isRepeatable: false, lateMs: 0 },
        ),
      revoke: (keyId) =>
        admin<RevokeOutcome>(
          `revoke ${keyId}`,
          () => this.#revoke(keyId, { credential: credential.name, by: life.name, isSelfMinting }),
          (observation) => ({ kind: 'unknown', observation }),
          safe,
        ),
      // The expiry of an admin key is set once, when it is made.
      ...(isSelfMinting
        ? {}
        : {
            setExpiry: (keyId: string, seconds: number) =>
              admin<ExpiryOutcome>(
                `expire ${keyId} in ${seconds}`,
                () => this.#setExpiry(keyId, seconds, credential.name, life.name),
                (observation) => ({ kind: 'unknown', observation }),
                { isRepeatable: false, lateMs: 0 },
              ),
          }),
      check: () => {
        const place = { permission: 'api.management.write', resource: credential.account } as const
        const ask = (speaker: Secret | undefined): Promise<readonly PermissionFinding[]> =>
          call<readonly PermissionFinding[]>(sim, life, dice, {
            what: `check issuer ${credential.name}`,
            weather: this.adminWeather,
            apply: () => [
              { ...place, state: this.isAllowed && this.#hears(speaker) ? 'granted' : 'missing' },
            ],
            failure: () => [{ ...place, state: 'untested' }],
            isRepeatable: false,
            lateMs: 0,
          })
        return isSelfMinting ? speakerFor(life, credential.name).then(ask) : ask(undefined)
      },
      close: async () => undefined,
    }
  }

  #mint(request: {
    readonly marker: string
    readonly expiresInSeconds: number | undefined
    readonly credential: Place
    readonly account: string
  }): MintOutcome {
    const { marker, expiresInSeconds, credential, account } = request
    const now = this.#sim.now()
    const expiresAt = expiresInSeconds === undefined ? undefined : now + expiresInSeconds * 1_000
    const key = this.make({ madeBy: 'keyturn', name: marker, account, expiresAt })
    this.#sim.story.tell('issuer', `${key.keyId} minted for ${credential.name} on ${account}`)
    this.witness.onMint({ marker, key, credential: credential.name })
    this.onceMinted?.()
    this.onceMinted = undefined
    const { keyId, secret } = key
    return {
      kind: 'minted',
      keyId,
      secret,
      serviceAccount: account,
      createdAt: now,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    }
  }

  #listed(accounts: readonly string[]): readonly IssuedKey[] {
    const { listLagMs, tellsLastUse, lastUseLagMs } = this.#sim.options.issuer
    const now = this.#sim.now()
    const asOf = now - (this.#sim.isHealed ? 0 : this.#dice.between(0, listLagMs))
    const seen = this.keys.filter(
      (one) =>
        (accounts.includes(one.account) || one.madeBy === 'person') &&
        one.organization === 'org-ours' &&
        one.createdAt <= asOf &&
        (one.deletedAt === undefined || one.deletedAt > asOf),
    )
    return seen.map((one): IssuedKey => {
      const { lastUsedAt } = one
      const toldAt = lastUsedAt !== null && lastUsedAt > now - lastUseLagMs ? null : lastUsedAt
      return {
        keyId: one.keyId,
        name: one.name,
        redacted: `${one.text.slice(0, 18)}...${one.text.slice(-6)}`,
        owner: one.madeBy === 'person' ? 'user' : 'service_account',
        serviceAccount: one.account,
        createdAt: one.createdAt,
        ...(one.expiresAt === undefined ? {} : { expiresAt: one.expiresAt }),
        ...(tellsLastUse ? { lastUsedAt: toldAt === null ? null : Math.floor(toldAt / 1_000) * 1_000 } : {}),
      }
    })
  }

  /** Whether the admin key that speaks is one: of a credential whose keys make each other the one that it has. */
  #hears(speaker: Secret | undefined): boolean {
    if (speaker === undefined) return true
    const key = this.find(speaker)
    return key !== undefined && this.works(key, this.#dice.below(this.#sim.options.issuer.edges))
  }

  #revoke(
    keyId: string,
    {
      credential,
      by,
      isSelfMinting,
    }: { readonly credential: string; readonly by: string; readonly isSelfMinting: boolean },
  ): RevokeOutcome {
    const key = this.byId(keyId)
    const deletes = isSelfMinting ? 'always' : this.#sim.options.issuer.deletes
    const isRefused = deletes === 'refused' || (deletes === 'sometimes' && this.#dice.chance(0.5))
    if (key === undefined || key.deletedAt !== undefined) return { kind: 'gone' }
    if (isRefused) {
      const observation: Observation = { kind: 'answer', status: 403, isIssuers: true, requestId: 'req_1' }
      return { kind: 'refused', observation }
    }
    this.witness.onRevoke({ key, credential, by })
    this.end(key, by)
    return { kind: 'gone' }
  }

  #setExpiry(keyId: string, seconds: number, credential: string, by: string): ExpiryOutcome {
    const key = this.byId(keyId)
    const now = this.#sim.now()
    const isGone = key === undefined || !this.exists(key)
    if (isGone) {
      const observation: Observation = { kind: 'answer', status: 404, isIssuers: true, requestId: 'req_1' }
      return { kind: 'refused', observation }
    }
    if (seconds < 60) {
      this.witness.onRevoke({ key, credential, by })
      key.endedBy = by
      this.#sim.story.tell('issuer', `${key.keyId} made to expire by ${by}`)
    }
    key.expiresAt = now + seconds * 1_000
    return { kind: 'set', expiresAt: key.expiresAt }
  }

  #answer(secret: Secret, sent: string | undefined): Observation {
    const key = this.find(secret)
    const at = this.#sim.now()
    const edge = this.#dice.below(this.#sim.options.issuer.edges)
    const base = { kind: 'answer', isIssuers: true, requestId: 'req_1', probe: 'models' } as const
    const note = (kind: 'good' | 'rejected' | 'other'): void => void key?.answers.push({ at, kind })
    const isGlitch =
      !this.#sim.isHealed &&
      at - this.#lastGlitchAt > 120_000 &&
      this.#dice.chance(this.#sim.options.issuer.glitchRate)
    if (isGlitch) this.#lastGlitchAt = at
    if (key === undefined || !this.works(key, edge) || isGlitch) {
      note('rejected')
      return { ...base, status: 401, code: 'invalid_api_key', serverAt: at }
    }
    if (sent !== undefined && key.organization !== sent && this.#dice.chance(0.5)) {
      note('other')
      return { ...base, status: 401, code: 'mismatched_organization' }
    }
    const troubled = this.condition === undefined ? undefined : conditionAnswer(this.condition)
    if (troubled !== undefined) {
      const isGenuine = [
        'insufficient_quota',
        'credit_balance_exhausted',
        'billing_hard_limit_reached',
        'rate_limited',
        'slow_down',
        'missing_scope',
      ]
      note(isGenuine.includes(this.condition ?? '') ? 'good' : 'other')
      const told = troubled.kind === 'answer' && troubled.isIssuers ? { organization: key.organization } : {}
      return { ...troubled, ...told }
    }
    key.lastUsedAt = at
    note('good')
    return { ...base, status: 200, organization: key.organization }
  }

  #useless(how: 'timeout' | 'reset' | 'throttled' | 'error'): Observation {
    if (how === 'timeout' || how === 'reset') {
      const failure = how === 'timeout' ? 'timeout' : this.#dice.pick(failures)
      return { kind: 'no_answer', failure, probe: 'models' }
    }
    const odd = [
      'unclear_401',
      'no_key_sent',
      'server_is_overloaded',
      'internal_500',
      'html_403',
      'html_200',
      'proxy_407',
      'bad_gateway',
      'throttling_unclear',
    ] as const
    return conditionAnswer(this.#dice.pick(odd))
  }
}

/** What the issuer's driver does before anything is sent. Throws where there is no key that works. */
async function speakerFor(life: Life, name: string): Promise<Secret> {
  if (life.secretOf === undefined) throw new Error('a service lends before it runs')
  return life.secretOf(name, 'itself')
}

const unheard: Observation = {
  kind: 'answer',
  status: 401,
  isIssuers: true,
  code: 'invalid_api_key',
  requestId: 'req_1',
}

function adminFailure(how: 'timeout' | 'reset' | 'throttled' | 'error'): Observation {
  const base = { kind: 'answer', isIssuers: true, requestId: 'req_1' } as const
  if (how === 'throttled') return { ...base, status: 429, code: 'rate_limit_exceeded', retryAfterMs: 2_000 }
  if (how === 'error') return { ...base, status: 503 }
  return { kind: 'no_answer', failure: how }
}

/** A 429 and a 401 say that nothing was made; a 503 says nothing. */
function isConclusive(observation: Observation): boolean {
  return observation.kind === 'answer' && [401, 429].includes(observation.status)
}

function conditionAnswer(condition: Condition): Observation {
  const base = { kind: 'answer', isIssuers: true, requestId: 'req_1', probe: 'models' } as const
  const foreign = { kind: 'answer', isIssuers: false, probe: 'models' } as const
  switch (condition) {
    case 'insufficient_quota':
      return { ...base, status: 429, code: condition, type: condition }
    case 'credit_balance_exhausted':
    case 'billing_hard_limit_reached':
      return { ...base, status: 429, code: condition }
    case 'rate_limited':
      return { ...base, status: 429, code: 'rate_limit_exceeded', retryAfterMs: 3_000 }
    case 'slow_down':
      return { ...base, status: 503, code: condition }
    case 'throttling_unclear':
      return { ...base, status: 429 }
    case 'account_deactivated':
    case 'no_organization':
    case 'ip_not_authorized':
      return { ...base, status: condition === 'ip_not_authorized' ? 403 : 401, code: condition }
    case 'unclear_401':
      return { ...base, status: 401 }
    case 'no_key_sent':
      return { ...base, status: 401, hint: 'no_key_sent' }
    case 'invalid_issuer':
      return { ...base, status: 401, hint: 'invalid_issuer' }
    case 'missing_scope':
      return { ...base, status: 403, code: condition, missingScopes: ['api.model.read'] }
    case 'server_is_overloaded':
      return { ...base, status: 503, code: condition }
    case 'internal_500':
      return { ...base, status: 500 }
    case 'html_403':
      return { ...foreign, status: 403 }
    case 'html_200':
      return { ...foreign, status: 200 }
    case 'proxy_407':
      return { ...foreign, status: 407 }
    case 'bad_gateway':
      return { ...foreign, status: 502 }
  }
}
