import { type Change, recordOf } from '../../src/core/credential.ts'
import { assertState, assertSuccession } from '../../src/core/invariants.ts'
import { observeStore, type StoreReading } from '../../src/core/store-look.ts'
import type { CredentialState, Policy, VerdictKind, VersionRecord } from '../../src/core/types.ts'
import { recordCheck } from '../../src/core/verification.ts'
import { changeContext, namer, policyOf, startAt, verdictOf } from './fixtures.ts'

/** Looks and checks, one after another, each state checked. */
export class Watch {
  state: CredentialState
  now = startAt
  readonly told: string[] = []
  policy: Policy
  private readonly names = namer()

  constructor(state: CredentialState, rules: Policy = policyOf()) {
    this.state = state
    this.policy = rules
  }

  private take(change: Change): this {
    assertState(change.state)
    assertSuccession(this.state, change.state)
    for (const one of change.events)
      this.told.push(one.kind === 'alert' ? String(one.data['code']) : one.kind)
    this.state = change.state
    return this
  }

  look(reading: StoreReading): this {
    return this.take(observeStore(this.state, reading, changeContext(this.now, this.policy, this.names)))
  }

  sees(version: string, fingerprint = `f-${version}`): this {
    return this.look({ kind: 'read', version, fingerprint, meta: {} })
  }

  check(
    version: string,
    kind: VerdictKind,
    change: {
      readonly isOurs?: boolean
      readonly retryAfterMs?: number
      readonly rotationCanHelp?: boolean
    } = {},
  ): this {
    const { isOurs = true, ...rest } = change
    const check = { verdict: verdictOf(kind, rest), isOurs, belonging: undefined }
    return this.take(
      recordCheck(this.state, version, check, changeContext(this.now, this.policy, this.names)),
    )
  }

  wait(ms: number): this {
    this.now += ms
    return this
  }

  record(version: string): VersionRecord {
    const record = recordOf(this.state, version)
    if (record === undefined) throw new Error(`no version ${version}`)
    return record
  }
}

export const kill = (watch: Watch, version = 'a'): Watch =>
  watch.check(version, 'rejected').wait(policyOf().rejectionGapMs).check(version, 'rejected')
