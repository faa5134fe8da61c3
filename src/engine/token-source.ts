import { type ExchangeFailure, explainExchange, explainUnproven } from '../core/exchange-failure.ts'
import { refreshAt } from '../core/federation.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Hash, System, Telemetry } from '../core/ports.ts'
import { soundMeta } from '../core/sound-meta.ts'
import { type Belonging, type CredentialState, isAuthentic, type VersionRecord } from '../core/types.ts'
import { type CheckOutcome, checkedRecord, conclusive } from '../core/verification.ts'
import type { FederatedSetup } from './federated-setup.ts'
import { probe } from './probe.ts'
import type { IssuedToken } from './token-hand-out.ts'

/** A token that may be handed out, with its record, and whom the first one answered for. */
export interface ProvenToken {
  readonly kind: 'proven'
  readonly token: IssuedToken
  readonly record: VersionRecord
  readonly belonging: Belonging | undefined
}

/** Exchanges and proves; decides nothing about what is handed out. Whoever calls it does so one at a time. */
export interface TokenSource {
  /** One try: one exchange at most, one proof. */
  next(): Promise<ProvenToken | { readonly kind: 'failed'; readonly failure: ExchangeFailure }>
  /** The same with a token that nobody gets. */
  rehearse(): Promise<ExchangeFailure | undefined>
  /** What a probe compares with: whom the first token answered for, and this one's expiry. */
  known(record: VersionRecord): CredentialState
  forget(): void
}

export function createTokenSource({
  setup,
  system,
  telemetry,
  recorded,
}: {
  readonly setup: FederatedSetup
  readonly system: System & Hash
  readonly telemetry?: Telemetry | undefined
  readonly recorded: () => CredentialState
}): TokenSource {
  const { policy } = setup
  /** Issued and not proven yet, though nothing says that it never will be: the next try goes on with it. */
  let candidate: IssuedToken | undefined
  let belonging: Belonging | undefined

  async function obtain(): Promise<IssuedToken | ExchangeFailure> {
    const takenAt = system.now()
    const outcome = await setup.exchanger.exchange()
    if (outcome.kind !== 'issued') return explainExchange(outcome)
    const tenure = { takenAt, expiresAt: takenAt + outcome.lifetimeMs }
    const dueAt = refreshAt(tenure, setup.refreshBufferMs, system.fraction())
    return { secret: outcome.token, ...tenure, refreshAt: dueAt }
  }

  async function prove(
    token: IssuedToken,
  ): Promise<{ readonly record: VersionRecord; readonly check: CheckOutcome }> {
    const { takenAt, expiresAt, secret } = token
    const record: VersionRecord = {
      version: system.uuid(),
      stage: 'current',
      origin: 'exchanged',
      fingerprint: fingerprint(secret, system),
      meta: { serviceAccount: setup.serviceAccount, createdAt: takenAt, expiresAt },
      addedAt: takenAt,
    }
    const target = { secret, version: record.version }
    const check = await probe(setup, known(record), target, {
      system,
      ...(telemetry === undefined ? {} : { telemetry }),
    })
    const now = system.now()
    const context = { now, policy, fraction: system.fraction() }
    // Whom it answered for, and what of that is configured.
    const meta = soundMeta({ ...record.meta, ...check.belonging, ...belongingOf(setup.expected) })
    const noted = checkedRecord({ ...record, meta, promotedAt: now }, check, conclusive, {
      ...context,
      name: setup.name,
    })
    return { record: noted, check }
  }

  function known(record: VersionRecord): CredentialState {
    const state = recorded()
    const told = state.belonging ?? belonging
    return { ...state, ...(told === undefined ? {} : { belonging: told }), versions: [record] }
  }

  /** A rejection of a token that is seconds old may be an edge that does not know it yet; what is unknown may prove good. */
  function isHopeless({ takenAt }: IssuedToken, { verdict, isOurs }: CheckOutcome): boolean {
    if (verdict.kind === 'rejected') return system.now() >= takenAt + policy.activationGraceMs
    return isAuthentic(verdict.kind) && !isOurs
  }

  return {
    async next() {
      const usable = candidate !== undefined && candidate.refreshAt > system.now() ? candidate : undefined
      candidate = undefined
      const token = usable ?? (await obtain())
      if ('cause' in token) return { kind: 'failed', failure: token }
      const { record, check } = await prove(token)
      if (record.verifiedAt === undefined) {
        if (!isHopeless(token, check)) candidate = token
        return { kind: 'failed', failure: explainUnproven(check.verdict) }
      }
      belonging ??= recorded().belonging ?? check.belonging
      return { kind: 'proven', token, record, belonging }
    },
    async rehearse() {
      const token = await obtain()
      if ('cause' in token) return token
      const { record, check } = await prove(token)
      return record.verifiedAt === undefined ? explainUnproven(check.verdict) : undefined
    },
    known,
    forget() {
      candidate = undefined
    },
  }
}

function belongingOf({ organization, project }: Belonging): Belonging {
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}
