import { onTestFinished } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import type { ExchangeOutcome, Exchanger, Ledger } from '../../src/core/ports.ts'
import { Secret } from '../../src/core/secret.ts'
import type { CredentialEvent, Policy } from '../../src/core/types.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import { createFederatedService } from '../../src/engine/federated-service.ts'
import type { FederatedSetup } from '../../src/engine/federated-setup.ts'
import type { HandOut, RunningService } from '../../src/engine/service.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { policyOf } from '../core/fixtures.ts'
import { type FakeKey, ScriptedIssuer } from './scripted-issuer.ts'
import { VirtualTime } from './virtual-time.ts'
import type { Logged } from './world.ts'

export const canary = 'canary-of-a-token'

/** An exchange to script: each token it issues is one that the scripted issuer knows until it expires. */
export class ScriptedExchange {
  readonly issued: FakeKey[] = []
  calls = 0
  underWay = 0
  underWayMax = 0
  lifetimeMs = 3_600_000
  /** What is answered in place of a token. */
  failing: Exclude<ExchangeOutcome, { kind: 'issued' }> | undefined
  /** How a new token differs from one that works. */
  change: Partial<FakeKey> = {}
  latencyMs = 0
  /** It throws, which it never may. */
  isBroken = false
  isClosed = false
  readonly #time: VirtualTime
  readonly #issuer: ScriptedIssuer

  constructor(time: VirtualTime, issuer: ScriptedIssuer) {
    this.#time = time
    this.#issuer = issuer
  }

  asExchanger(): Exchanger {
    return {
      exchange: () => this.#exchange(),
      close: async () => {
        this.isClosed = true
      },
    }
  }

  async #exchange(): Promise<ExchangeOutcome> {
    this.calls += 1
    this.underWay += 1
    this.underWayMax = Math.max(this.underWayMax, this.underWay)
    try {
      return await this.#exchangeOnce()
    } finally {
      this.underWay -= 1
    }
  }

  async #exchangeOnce(): Promise<ExchangeOutcome> {
    if (this.isBroken) throw new Error('a fault of the driver')
    const { latencyMs, lifetimeMs } = this
    if (latencyMs > 0) await new Promise<void>((resolve) => void this.#time.after(latencyMs, resolve))
    if (this.failing !== undefined) return this.failing
    const number = this.issued.length + 1
    const secret = new Secret(['eyJhbGciOiJSUzI1NiJ9', `${canary}${number}`, 'signature'].join('.'))
    const expiresAt = this.#time.now() + lifetimeMs
    this.issued.push(this.#issuer.plant({ secret, expiresAt, ...this.change }))
    return { kind: 'issued', token: secret, lifetimeMs }
  }
}

export const away: ExchangeOutcome & { kind: 'no_answer' } = { kind: 'no_answer', failure: 'connect' }
export const declined: ExchangeOutcome & { kind: 'answer' } = {
  kind: 'answer',
  status: 401,
  isOAuth: true,
  code: 'invalid_subject_token',
}

/** A federated service in virtual time, over a ledger that outlives it. */
export class FederatedWorld {
  readonly time: VirtualTime
  readonly issuer: ScriptedIssuer
  readonly exchange: ScriptedExchange
  readonly events: CredentialEvent[] = []
  readonly logs: Logged[] = []
  readonly ledger: Ledger = openSqliteLedger({ path: ':memory:' })
  readonly #setup: Partial<FederatedSetup>
  readonly #policy: Partial<Policy>
  /** Every commit fails. */
  isLedgerDown = false
  #running: RunningService | undefined
  #held: { readonly secret: Secret; readonly over: Promise<undefined> } | undefined

  constructor(setup: Partial<FederatedSetup> = {}, policy: Partial<Policy> = {}, seed = 1) {
    this.time = new VirtualTime(seed)
    this.issuer = new ScriptedIssuer(this.time)
    this.exchange = new ScriptedExchange(this.time, this.issuer)
    this.#setup = setup
    this.#policy = policy
    onTestFinished(async () => {
      await this.stop()
      await this.ledger.close()
    })
  }

  /** Proofs of this token wait until the returned function is called. */
  holdProofsOf({ secret }: FakeKey): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#held = { secret, over: promise }
    return () => resolve(undefined)
  }

  #gated(): FederatedSetup['issuer'] {
    const issuer = this.issuer.asIssuer()
    return {
      baseUrl: issuer.baseUrl,
      verify: async (secret, expectation) => {
        if (this.#held?.secret.equals(secret) === true) await this.#held.over
        return issuer.verify(secret, expectation)
      },
    }
  }

  get service(): RunningService {
    if (this.#running === undefined) throw new Error('the service was started')
    return this.#running
  }

  async start(isAlive = true): Promise<RunningService> {
    const { ledger } = this
    const service = await createFederatedService({
      setups: [
        {
          name: 'openai',
          exchanger: this.exchange.asExchanger(),
          issuer: this.#gated(),
          expected: {},
          serviceAccount: 'svc_acct_1',
          refreshBufferMs: 1_200_000,
          policy: policyOf({ canMint: false, storeWritable: false, ...this.#policy }),
          ...this.#setup,
        },
      ],
      deps: {
        system: this.time,
        log: (level, message, fields) => void this.logs.push({ level, message, fields: fields ?? {} }),
        ledger: {
          ...ledger,
          commit: async (commit) => {
            if (this.isLedgerDown) throw new KeyturnError('ledger_unreachable', 'The disk is full.')
            return ledger.commit(commit)
          },
        },
        occurrences: createOccurrences(),
        owner: 'this-host',
        installation: 'inst1',
      },
      isAlive,
      version: '0.0.0',
      isSandbox: false,
    })
    service.onEvent((event) => void this.events.push(event))
    this.#running = service
    return service
  }

  async ready(): Promise<RunningService> {
    const service = await this.start()
    await this.time.until(() => this.given !== undefined, 60_000)
    return service
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    let isOver = false
    const stopping = running?.stop().finally(() => (isOver = true)) ?? Promise.resolve()
    if (running !== undefined) await this.time.until(() => isOver, 60_000, 100)
    await stopping
  }

  /** What is handed out, where anything is. */
  get given(): HandOut | undefined {
    const given = this.service.handOut('openai')
    return given?.kind === 'available' ? given : undefined
  }

  /** The current token as the issuer knows it. */
  get token(): FakeKey {
    const { given } = this
    const found = this.issuer.keys.find((one) => given !== undefined && one.secret.equals(given.secret))
    if (found === undefined) throw new Error('a token is handed out')
    return found
  }
}
