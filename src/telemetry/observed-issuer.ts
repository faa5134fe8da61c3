import type { ExchangeOutcome, Exchanger, Issuer, Telemetry, TracedOutcome } from '../core/ports.ts'
import type { Observation } from '../core/types.ts'

/** An issuer each of whose calls is counted, timed and traced. */
export function observedIssuer(issuer: Issuer, telemetry: Telemetry): Issuer {
  const mint = issuer.mint?.bind(issuer)
  const list = issuer.list?.bind(issuer)
  const inventory = issuer.inventory?.bind(issuer)
  const revoke = issuer.revoke?.bind(issuer)
  const setExpiry = issuer.setExpiry?.bind(issuer)
  const check = issuer.check?.bind(issuer)
  const run = <Result>(
    name: string,
    work: () => Promise<Result>,
    told: (result: Result) => TracedOutcome = () => ({ outcome: 'done' }),
  ): Promise<Result> => telemetry.run({ part: 'issuer', name }, work, told)
  return {
    ...issuer,
    verify: (...asked) =>
      run(
        'verify',
        () => issuer.verify(...asked),
        ([first]) => (first === undefined ? { outcome: 'nothing' } : seen(first)),
      ),
    ...(mint === undefined ? {} : { mint: (...asked) => run('mint', () => mint(...asked), cameOf) }),
    ...(list === undefined ? {} : { list: () => run('list', list, cameOf) }),
    ...(inventory === undefined ? {} : { inventory: () => run('inventory', inventory) }),
    ...(revoke === undefined ? {} : { revoke: (...asked) => run('revoke', () => revoke(...asked), cameOf) }),
    ...(setExpiry === undefined
      ? {}
      : { setExpiry: (...asked) => run('setExpiry', () => setExpiry(...asked), cameOf) }),
    ...(check === undefined ? {} : { check: (...asked) => run('check', () => check(...asked)) }),
  }
}

/** The same of what trades tokens. */
export function observedExchanger(exchanger: Exchanger, telemetry: Telemetry): Exchanger {
  return {
    exchange: () =>
      telemetry.run({ part: 'issuer', name: 'exchange' }, () => exchanger.exchange(), exchanged),
    close: () => exchanger.close(),
  }
}

function exchanged(outcome: ExchangeOutcome): TracedOutcome {
  if (outcome.kind === 'no_answer') return { outcome: outcome.failure }
  if (outcome.kind !== 'answer') return { outcome: outcome.kind }
  const { status, requestId } = outcome
  return { outcome: 'answered', status, ...(requestId === undefined ? {} : { requestId }) }
}

function cameOf(result: {
  readonly kind: string
  readonly requestId?: string
  readonly observation?: Observation
}): TracedOutcome {
  const { kind, requestId, observation } = result
  return {
    ...(observation === undefined ? {} : seen(observation)),
    ...(requestId === undefined ? {} : { requestId }),
    outcome: kind,
  }
}

function seen(observation: Observation): TracedOutcome {
  if (observation.kind === 'no_answer') return { outcome: observation.failure }
  const { status, requestId } = observation
  return { outcome: 'answered', status, ...(requestId === undefined ? {} : { requestId }) }
}
