import { createHash, randomUUID } from 'node:crypto'
import type { Issuer, Ledger, SecretStore } from '../../src/core/ports.ts'
import { createService } from '../../src/engine/create-service.ts'
import { createOccurrences } from '../../src/engine/cron.ts'
import type { RunningService } from '../../src/engine/service.ts'
import { performRotationStep, type RotationParts, type RotationStep } from '../../src/hooks/aws-rotation.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { openAwsRotations } from '../../src/stores/aws-rotation.ts'
import { policyOf } from '../core/fixtures.ts'
import { ScriptedIssuer } from '../engine/scripted-issuer.ts'
import { beginRotation } from '../stores/fakes/aws-fake-operations.ts'
import { type AwsPlace, openAws, startAws } from '../stores/fakes/aws-place.ts'
import { shiftedSystem } from '../system/shifted-system.ts'

const ref = 'openai'

/** Everything takes milliseconds here that takes minutes elsewhere; the order of things is the same. */
const quickPolicy = policyOf({
  overlapMs: 60_000,
  quietMs: 0,
  provingCount: 2,
  provingSettleMs: 2,
  activationGraceMs: 5,
  retryBaseMs: 2,
  retryMaxMs: 20,
  deadSpanMs: 4,
  deadProbes: 2,
  rejectionGapMs: 1,
  // Nothing is to die by itself here that somebody should have ended.
  pendingExpirySeconds: 315_360_000,
})

/**
 * A secret of AWS with its rotation, OpenAI, and a ledger that functions share. Each call of the function is a process
 * of its own: it opens everything anew, and it may die at any call that it makes of anybody.
 */
export class RotationWorld {
  readonly clock = shiftedSystem()
  readonly issuer = new ScriptedIssuer(this.clock)
  readonly place: AwsPlace
  #ledger: Ledger = openSqliteLedger({ path: ':memory:' })
  readonly #left: (() => void)[] = []
  readonly #followers = new Set<(name: string) => void>()

  /** Of the document that has the key; undefined: the key is all there is. */
  readonly #field: string | undefined

  private constructor(place: AwsPlace, field: string | undefined) {
    this.place = place
    this.#field = field
    const { secret } = this.issuer.plant({ name: 'by hand' })
    place.fake.secrets.set(ref, { versions: new Map(), tags: new Map() })
    const text = secret.reveal()
    place.fake.put(ref, field === undefined ? text : JSON.stringify({ [field]: text }))
  }

  static async start(field?: string): Promise<RotationWorld> {
    return new RotationWorld(await startAws(), field)
  }

  async end(): Promise<void> {
    for (const leave of this.#left) leave()
    await this.#ledger.close()
    await this.place.end()
  }

  /** AWS's rotation of the secret begins; what of the one before is left is given up, as by its operator. */
  rotateSecret(): string {
    const { versions } = this.secret
    for (const { labels } of versions.values()) if (!labels.has('AWSCURRENT')) labels.delete('AWSPENDING')
    return beginRotation(this.place.fake.secrets, ref, randomUUID())
  }

  async loseLedger(): Promise<void> {
    await this.#ledger.close()
    this.#ledger = openSqliteLedger({ path: ':memory:' })
  }

  /** As AWS's own schedule: what is not complete is attempted again under its token, and nobody takes that away. */
  attemptAgain(): string {
    for (const [token, { labels }] of this.secret.versions)
      if (labels.has('AWSPENDING') && !labels.has('AWSCURRENT')) return token
    return beginRotation(this.place.fake.secrets, ref, randomUUID())
  }

  /** Somebody else's change of the same document, which AWS has current at once. */
  changeDocument(change: Readonly<Record<string, string>>): void {
    if (this.#field === undefined) return
    const document = JSON.parse(this.current.text) as object
    this.place.fake.put(ref, JSON.stringify({ ...document, ...change }))
  }

  /** Calls the function. `diesAt`: at so many calls of it to others it is gone, before or after the call was carried out. */
  async invoke(
    step: RotationStep | 'tick' | 'abort',
    token: string,
    death?: { readonly atCall: number; readonly isAfter: boolean },
  ): Promise<'done' | 'failed' | 'died'> {
    let calls = 0
    let die: () => void = () => undefined
    let isDead = false
    const died = new Promise<'died'>((resolve) => {
      die = () => {
        isDead = true
        resolve('died')
      }
    })
    const never = new Promise<never>(() => undefined)
    const mortal = <Port extends object>(port: Port): Port =>
      new Proxy(port, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key)
          if (typeof value !== 'function' || key === 'watch' || key === 'close') return value
          return async (...asked: unknown[]): Promise<unknown> => {
            if (isDead) return never
            const isLast = ++calls === death?.atCall
            if (isLast && !death.isAfter) {
              die()
              return never
            }
            const answer: unknown = await Reflect.apply(value, target, asked)
            if (isLast) die()
            return isDead ? never : answer
          }
        },
      })
    let service: RunningService | undefined
    const live = async (): Promise<'done' | 'failed'> => {
      const store = mortal(await this.#openStore())
      service = await this.#compose(store, mortal(this.issuer.asIssuer()), mortal(this.#sharedLedger()))
      const rotations = await openAwsRotations(
        { endpoint: this.place.fake.endpoint, region: 'eu-central-1', maxAttempts: 1 },
        this.place.context,
      )
      this.#left.push(() => rotations.close())
      const parts = mortal({
        look: () => rotations.look(ref),
        release: () => rotations.release(ref, token),
      })
      return this.#act(step, token, service, parts)
    }
    const outcome = await Promise.race([live(), died])
    if (outcome !== 'died') await Promise.race([service?.stop(), died])
    // Of a process that is gone nobody closes anything; the claim it had runs out.
    if (isDead) this.clock.forward(61_000)
    return outcome
  }

  async #act(
    step: RotationStep | 'tick' | 'abort',
    token: string,
    service: RunningService,
    parts: Pick<RotationParts, 'look' | 'release'>,
  ): Promise<'done' | 'failed'> {
    try {
      if (step === 'tick') await service.tick()
      else if (step === 'abort') {
        const { rotation } = await service.summary(ref)
        await service.actOnRotation(ref, rotation?.id ?? '', 'abort', { name: 'ann' })
        await service.tick()
      } else
        await performRotationStep(
          { kind: 'step', step, secret: ref, token },
          {
            ...parts,
            steer: (request) => service.steer(ref, { ...request, by: 'aws', withinMs: 60_000 }),
            verifyCurrent: async () => void (await service.verify(ref, { name: 'aws' })),
          },
        )
      return 'done'
    } catch {
      return 'failed'
    }
  }

  async #openStore(): Promise<SecretStore> {
    // What fails here fails by itself: nothing is waited for in vain.
    const options = { maxAttempts: 1, requestTimeoutMs: 20_000, connectionTimeoutMs: 20_000 }
    const field = this.#field
    return openAws(this.place, field === undefined ? options : { ...options, format: 'json', field })
  }

  async #compose(store: SecretStore, issuer: Issuer, ledger: Ledger): Promise<RunningService> {
    const hash = { sha256Hex: (text: string) => createHash('sha256').update(text).digest('hex') }
    return createService({
      setups: [
        {
          name: ref,
          ref,
          store,
          mirrors: [],
          issuer,
          expected: { organization: 'org-ours' },
          mintScopes: [],
          policy: quickPolicy,
          schedule: undefined,
        },
      ],
      deps: {
        system: { ...this.clock.system, ...hash },
        log: () => undefined,
        ledger: { ...ledger, close: async () => undefined },
        occurrences: createOccurrences(),
        owner: randomUUID(),
        installation: 'inst1',
      },
      patienceMs: 50,
      version: '0.0.0',
      isSandbox: false,
      close: [],
    })
  }

  /** As PostgreSQL, which tells each process of what the others did. */
  #sharedLedger(): Ledger {
    const ledger = this.#ledger
    return {
      ...ledger,
      commit: async (commit) => {
        const outcome = await ledger.commit(commit)
        for (const tell of this.#followers) tell(commit.state.name)
        return outcome
      },
      watch: (onChange) => {
        this.#followers.add(onChange)
        return () => void this.#followers.delete(onChange)
      },
    }
  }

  get secret() {
    const found = this.place.fake.secrets.get(ref)
    if (found === undefined) throw new Error('the secret is there')
    return found
  }

  /** What readers of AWS get. */
  get current(): { readonly token: string; readonly text: string; readonly key: string } {
    for (const [token, { labels, text = '' }] of this.secret.versions)
      if (labels.has('AWSCURRENT')) return { token, text, key: this.#keyIn(text) }
    throw new Error('something is current')
  }

  #keyIn(text: string): string {
    if (this.#field === undefined) return text
    return String((JSON.parse(text) as Readonly<Record<string, unknown>>)[this.#field])
  }

  isAlive(text: string): boolean {
    return this.issuer.alive.some(({ secret, isRefused }) => secret.reveal() === text && !isRefused)
  }
}
