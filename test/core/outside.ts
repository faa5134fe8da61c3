import { type Duty, dueAt } from '../../src/core/duties.ts'
import type { RotationEvent } from '../../src/core/rotation.ts'
import type { StoreReading } from '../../src/core/store-look.ts'
import type { CredentialState, Policy, VersionId } from '../../src/core/types.ts'
import { randomOf, startAt } from './fixtures.ts'

export interface IssuedKey {
  readonly keyId: string
  readonly marker: string
  readonly version: VersionId
  readonly isOurs: boolean
  readonly isMinted: boolean
  /** Edges may refuse it until then. */
  readonly activeAt: number
  expiresAt: number
  deletedAt: number | undefined
}

/** The issuer and the store of the model, and how likely they are to fail. */
export class Outside {
  now = startAt
  /** 0 is calm, 1 fails at everything that can fail. */
  faultRate = 0
  readonly keys = new Map<string, IssuedKey>()
  readonly stored = new Map<VersionId, string>()
  readonly retiredInStore = new Set<VersionId>()
  storeCurrent: VersionId | undefined
  readonly late: { at: number; readonly key: IssuedKey }[] = []
  protected readonly random: () => number
  protected readonly policy: Policy
  protected drawn = 0

  constructor(seed: number, policy: Policy) {
    this.random = randomOf(seed)
    this.policy = policy
  }

  protected fails(): boolean {
    return this.random() < this.faultRate
  }

  protected pick<T>(...choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.random() * choices.length)] ?? choices[0]
  }

  /** A key that a person made and put into the store. */
  plant(kind: 'ours' | 'foreign' | 'dead'): VersionId {
    const version = `found-${++this.drawn}`
    this.addKey(version, { marker: '', isOurs: kind !== 'foreign', isMinted: false })
    const keyId = this.stored.get(version)
    const key = keyId === undefined ? undefined : this.keys.get(keyId)
    if (kind === 'dead' && key !== undefined) key.deletedAt = this.now
    this.storeCurrent = version
    return version
  }

  protected addKey(
    version: VersionId,
    options: { readonly marker: string; readonly isOurs: boolean; readonly isMinted: boolean },
  ): IssuedKey {
    const key: IssuedKey = {
      keyId: `key-${++this.drawn}`,
      version,
      ...options,
      activeAt: options.isMinted && this.fails() ? this.now + 20_000 : this.now,
      expiresAt: options.isMinted
        ? this.now + this.policy.pendingExpirySeconds * 1_000
        : Number.MAX_SAFE_INTEGER,
      deletedAt: undefined,
    }
    this.keys.set(key.keyId, key)
    this.stored.set(version, key.keyId)
    return key
  }

  /** Somebody moves the store back to a version that it still holds. */
  restoreInStore(): void {
    const choices = [...this.stored.keys()].filter((one) => !this.retiredInStore.has(one))
    if (choices.length > 0) this.storeCurrent = this.pick(choices[0] ?? '', ...choices)
  }

  protected keyOf(version: VersionId): IssuedKey | undefined {
    const keyId = this.stored.get(version)
    return keyId === undefined ? undefined : this.keys.get(keyId)
  }

  protected isAlive(key: IssuedKey): boolean {
    return key.deletedAt === undefined && key.expiresAt > this.now
  }

  protected minted(marker: string): {
    readonly marker: string
    readonly isOurs: boolean
    readonly isMinted: boolean
  } {
    return { marker, isOurs: true, isMinted: true }
  }

  protected inspect(from: VersionId | undefined, to: VersionId): RotationEvent {
    if (this.fails()) return { kind: 'inspect_unknown' }
    if (this.storeCurrent === to) return { kind: 'inspected', finding: 'ours' }
    if (this.storeCurrent === from) return { kind: 'inspected', finding: 'unchanged' }
    const key = this.storeCurrent === undefined ? undefined : this.keyOf(this.storeCurrent)
    const isGood = key !== undefined && this.isAlive(key) && key.isOurs
    return { kind: 'inspected', finding: isGood ? 'adopted' : 'foreign' }
  }

  protected land(): void {
    for (const one of this.late.filter((late) => late.at <= this.now)) this.keys.set(one.key.keyId, one.key)
    this.late.splice(0, this.late.length, ...this.late.filter((late) => late.at > this.now))
  }

  protected readStore(): StoreReading {
    if (this.fails()) return { kind: 'failed', code: 'store_unreachable', summary: 'No.', fix: 'Wait.' }
    if (this.storeCurrent === undefined) return { kind: 'absent' }
    const keyId = this.stored.get(this.storeCurrent)
    const meta = keyId === undefined ? {} : { keyId }
    return { kind: 'read', version: this.storeCurrent, fingerprint: `f-${this.storeCurrent}`, meta }
  }
}

export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`the model objects: ${what}`)
}

const versionsMax = 60

export function assertBounds(state: CredentialState, policy: Policy): void {
  const { rotation } = state
  claim((rotation?.steps.length ?? 0) <= 60, 'steps are bounded')
  claim((rotation?.attempts.length ?? 0) <= policy.attemptsMax, 'attempts are bounded')
  claim(state.versions.length <= versionsMax, `versions are bounded (${state.versions.length})`)
  claim(state.retirements.length <= 80, 'retirements are bounded')
  claim(state.openAttempts.length <= 100, 'open attempts are bounded')
  for (const one of state.retirements) claim(one.steps.length <= 40, 'steps of retirements are bounded')
}

export function assertPlan(
  duties: readonly Duty[],
  state: CredentialState,
  policy: Policy,
  now: number,
): void {
  const lanes = duties.map((one) => one.lane)
  claim(new Set(lanes).size === lanes.length, 'one duty per lane')
  const due = dueAt(state, policy)
  claim(duties.length > 0 === due <= now, 'dueAt tells when there is something to do')
}
