import { type ExchangeFailure, exchangeFault, exchangeInterrupted } from '../core/exchange-failure.ts'
import {
  exchangeAlerted,
  keepFor,
  nextGeneration,
  retryDelayMs,
  tokenChecked,
  tokenLost,
  tokenTaken,
} from '../core/federation.ts'
import type { Cancel } from '../core/ports.ts'
import type { CredentialState, VersionRecord } from '../core/types.ts'
import { checkedRecord, conclusive, isSettled, newKeySpanMs, suspected } from '../core/verification.ts'
import type { Journal } from './federated-journal.ts'
import { type FederatedSetup, federatedLimits } from './federated-setup.ts'
import { probe } from './probe.ts'
import { isSame } from './resolver.ts'
import type { HandOut, NoHandOut } from './service.ts'
import { type EngineDeps, engineLimits } from './setup.ts'
import { type HeldToken, tokenHandOut } from './token-hand-out.ts'
import { createTokenSource, type ProvenToken } from './token-source.ts'

export interface ExchangeTrouble extends ExchangeFailure {
  readonly since: number
}

/**
 * Keeps one federated credential supplied: exchanges ahead of the expiry, one exchange at a time however many ask,
 * proves each token before it is handed out, checks it while it is in use, and drops it alone when it is rejected. The
 * value is nowhere but in memory.
 */
export interface TokenKeeper {
  readonly handOut: () => HandOut | NoHandOut
  readonly held: () => HeldToken | undefined
  /** What is wrong with the exchange now. */
  readonly trouble: () => ExchangeTrouble | undefined
  readonly nextExchangeAt: () => number
  /** Told after the hand-out was replaced by another object. */
  onHandOut(listener: () => void): Cancel
  /** Begins to work by itself. */
  start(): void
  /** Exchanges now, or waits for the exchange under way. Undefined: it succeeded. Never rejects. */
  exchange(asked: { readonly by: string; readonly why: string }): Promise<ExchangeFailure | undefined>
  /** Exchanges and proves a token that is handed out to nobody. */
  rehearse(): Promise<ExchangeFailure | undefined>
  /** Looks at the token that is handed out as soon as it may; a report's look begins a spell of close ones. */
  checkSoon(why: 'asked' | 'reported'): void
  /** Resolves when the claim holds, or after the time. */
  until(isSo: () => boolean, withinMs: number): Promise<void>
  stop(): Promise<void>
}

export interface KeeperOptions {
  readonly setup: FederatedSetup
  readonly deps: Pick<EngineDeps, 'system' | 'log' | 'telemetry'>
  readonly journal: Journal
  /** As the ledger has it; what is in memory goes before. */
  readonly recorded: () => CredentialState
}

const byItself = { by: 'schedule', why: 'the token before expires' } as const

export function createTokenKeeper({ setup, deps, journal, recorded }: KeeperOptions): TokenKeeper {
  const { system, log } = deps
  const { name, policy } = setup
  const listeners = new Set<() => void>()
  const watchers = new Set<() => void>()
  const source = createTokenSource({ setup, system, telemetry: deps.telemetry, recorded })
  let held: HeldToken | undefined
  let generation = recorded().generation
  let outage: { readonly since: number; readonly summary: string; readonly fix: string } | undefined
  /** How the last token ended, where none is handed out. */
  let endedBy = ''
  let trouble: ExchangeTrouble | undefined
  let failures = 0
  let exchangeAt = system.now()
  let replacedAt = Number.NEGATIVE_INFINITY
  let latestAt = system.now()
  let exchanging: Promise<ExchangeFailure | undefined> | undefined
  let checking: Promise<void> | undefined
  let isStarted = false
  let isStopped = false
  let cancelAlarm: Cancel = () => undefined
  const notYet = {
    since: system.now(),
    summary: `The workload identity of ${name} is being exchanged for a first token.`,
    fix: 'Try again in a moment; keyturn status shows what it waits for.',
  }
  let givenUntil = Number.POSITIVE_INFINITY
  let given: HandOut | NoHandOut = compose()

  // -------------------------------------------------------------- the alarm

  /** Everything that is due now is begun, and the alarm is set for what comes next. Called whenever anything changed. */
  function ring(): void {
    if (isStopped) return
    const now = system.now()
    mindClock(now)
    if (held !== undefined && held.expiresAt <= now) expire(now)
    if (isStarted && exchanging === undefined && exchangeAt <= now) void exchange(byItself)
    if (checking === undefined && (held?.record.nextCheckAt ?? Number.POSITIVE_INFINITY) <= now) check()
    if (givenUntil <= now) publish()
    for (const watcher of watchers) watcher()
    if (!isStarted) return
    cancelAlarm()
    const at = Math.min(
      exchanging === undefined ? exchangeAt : Number.POSITIVE_INFINITY,
      checking === undefined
        ? (held?.record.nextCheckAt ?? Number.POSITIVE_INFINITY)
        : Number.POSITIVE_INFINITY,
      held?.expiresAt ?? Number.POSITIVE_INFINITY,
      givenUntil,
    )
    const delayMs = Math.min(federatedLimits.alarmMs, Math.max(0, at - now))
    cancelAlarm = system.after(delayMs, ring, { background: true })
  }

  /** With a clock that was set back nobody knows when the token expires: another one is had. */
  function mindClock(now: number): void {
    const isSetBack = now < latestAt - engineLimits.setBackMs
    if (isSetBack) {
      exchangeAt = now
      replacedAt = Number.NEGATIVE_INFINITY
    }
    latestAt = isSetBack ? now : Math.max(now, latestAt)
  }

  // ------------------------------------------------------------ the exchange

  function exchange(asked: {
    readonly by: string
    readonly why: string
  }): Promise<ExchangeFailure | undefined> {
    exchanging ??= attempt(asked).finally(() => {
      exchanging = undefined
      ring()
    })
    return exchanging
  }

  async function attempt(asked: {
    readonly by: string
    readonly why: string
  }): Promise<ExchangeFailure | undefined> {
    try {
      const failure = await tryOnce(asked)
      return failure === undefined || isStopped ? failure : failed(failure)
    } catch (thrown) {
      log('error', 'an exchange failed by a fault of Keyturn', { credential: name, error: thrown })
      return failed(exchangeFault)
    }
  }

  async function tryOnce(asked: {
    readonly by: string
    readonly why: string
  }): Promise<ExchangeFailure | undefined> {
    const got = await source.next()
    if (isStopped) return exchangeInterrupted
    if (got.kind === 'failed') return got.failure
    take(got, asked)
    return undefined
  }

  function take(
    { token, record, belonging }: ProvenToken,
    asked: { readonly by: string; readonly why: string },
  ): void {
    const now = system.now()
    generation = nextGeneration(Math.max(generation, recorded().generation), now)
    const why = held === undefined ? 'the workload identity was exchanged and the token works' : asked.why
    held = { ...token, record, generation, isDead: false }
    const taken = { record, generation, belonging, by: asked.by, why }
    journal.write((state) => tokenTaken(state, taken, now))
    outage = undefined
    endedBy = ''
    trouble = undefined
    failures = 0
    // A token that lives for less than a pause causes no storm of exchanges either.
    exchangeAt = Math.max(token.refreshAt, now + policy.retryBaseMs)
    publish()
  }

  function failed(failure: ExchangeFailure): ExchangeFailure {
    const now = system.now()
    const isNews = trouble?.cause !== failure.cause
    trouble = { ...failure, since: trouble?.since ?? now }
    const delayMs = retryDelayMs(policy, failures, system.fraction())
    const askedMs = Math.min(failure.retryAfterMs ?? 0, policy.retryMaxMs * 5)
    exchangeAt = now + Math.max(delayMs, askedMs)
    failures += 1
    if (isNews)
      log('warn', 'no token could be had', {
        credential: name,
        cause: failure.cause,
        summary: failure.summary,
      })
    if (held?.isDead === true) endedBy = `OpenAI rejects the last token of ${name}. `
    if (held === undefined || held.isDead) lose(failure, now)
    else if (failures === federatedLimits.failuresAlerted) alert(failure, held.expiresAt, now)
    return failure
  }

  function alert({ summary, fix }: ExchangeFailure, expiresAt: number, now: number): void {
    const told = `${summary} The token that is handed out lives until ${new Date(expiresAt).toISOString()}.`
    journal.write((state) => exchangeAlerted(state, { code: 'exchange_failing', summary: told, fix }, now))
  }

  // ------------------------------------------------------- the end of a token

  function expire(now: number): void {
    const why = trouble?.summary ?? 'Another one is being asked for.'
    const fix = trouble?.fix ?? 'Try again in a moment; if it persists: keyturn status'
    endedBy = `The last token of ${name} has expired. `
    lose({ summary: why, fix }, now)
  }

  function lose(why: { readonly summary: string; readonly fix: string }, now: number): void {
    const { fix } = why
    const summary = `${endedBy}${why.summary}`
    const isSame = held === undefined && outage?.summary === summary
    const isRejected = held?.isDead === true
    const version = held?.record.version
    held = undefined
    outage = { since: outage?.since ?? now, summary, fix }
    if (!isSame) {
      generation = nextGeneration(Math.max(generation, recorded().generation), now)
      const lost = { version, isRejected, generation, summary, fix }
      journal.write((state) => tokenLost(state, lost, now))
    }
    publish()
  }

  // --------------------------------------------------------------- the checks

  function check(): void {
    checking = checkOnce()
      .catch((thrown: unknown) => {
        log('error', 'a token could not be checked', { credential: name, error: thrown })
        if (held !== undefined) noteCheckAt(held, system.now() + policy.verifyEveryMs)
      })
      .finally(() => {
        checking = undefined
        ring()
      })
  }

  async function checkOnce(): Promise<void> {
    const asked = held
    if (asked === undefined) return
    const { version } = asked.record
    const seen = await probe(setup, source.known(asked.record), { secret: asked.secret, version }, deps)
    const now = system.now()
    // Only the token that was asked about is judged: another one may have taken its place meanwhile.
    if (held === undefined || held.record.version !== version || isStopped) return
    const isNew = now < held.takenAt + policy.activationGraceMs
    const needed = isNew ? { ...conclusive, spanMs: newKeySpanMs } : conclusive
    const before = held.record
    const context = { now, policy, fraction: system.fraction() }
    const noted = checkedRecord(before, { ...seen, at: now }, needed, { ...context, name: setup.name })
    const isDead = isSettled(noted.rejections, needed)
    const { nextCheckAt: _over, ...dead } = noted
    held = { ...held, record: isDead ? dead : noted, isDead }
    const checked = { record: held.record, isNews: before.verdict?.kind !== noted.verdict?.kind }
    journal.write((state) => tokenChecked(state, checked, now))
    if (isDead) replace(held.record, now)
    publish()
  }

  /** The rejected one goes, and it alone. Where the next may be asked for at once, apps go from the one to the other. */
  function replace(record: VersionRecord, now: number): void {
    const mayAt = replacedAt + federatedLimits.rejectionGapMs
    log('warn', 'a token was rejected and is replaced', { credential: name, version: record.version })
    replacedAt = Math.max(now, mayAt)
    exchangeAt = replacedAt
    if (mayAt <= now) return
    endedBy = `OpenAI rejects the last token of ${name}. `
    const fix = 'Nothing to do: another token is asked for in a moment.'
    lose({ summary: 'Tokens are rejected one after another.', fix }, now)
  }

  function noteCheckAt(token: HeldToken, at: number): void {
    held = { ...token, record: { ...token.record, nextCheckAt: at } }
  }

  // ------------------------------------------------------------ what is given

  function publish(): void {
    const next = compose()
    if (isSame(given, next)) return
    given = next
    for (const listener of listeners) listener()
  }

  function compose(): HandOut | NoHandOut {
    const now = system.now()
    givenUntil =
      held === undefined ? Number.POSITIVE_INFINITY : keepFor(held, now, policy.staleAfterMs).untilAt
    return held === undefined
      ? { kind: 'unavailable', name, ...(outage ?? notYet), generation }
      : tokenHandOut(held, setup, now)
  }

  return {
    handOut() {
      // A machine that slept wakes up with a token that is over, before any alarm has rung.
      if (held !== undefined && held.expiresAt <= system.now()) ring()
      return given
    },
    held: () => held,
    trouble: () => trouble,
    nextExchangeAt: () => exchangeAt,
    onHandOut(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start() {
      isStarted = true
      ring()
    },
    exchange,
    rehearse: () => source.rehearse(),
    checkSoon(why) {
      if (held === undefined || held.isDead) return
      const { record } = held
      const now = system.now()
      // Ten thousand reports of one outage are one look a second.
      const isSpell = record.suspectUntil !== undefined && record.suspectUntil > now + 59_000
      if (why === 'asked') noteCheckAt(held, now)
      else if (!isSpell) held = { ...held, record: { ...record, ...suspected(record, now) } }
      ring()
    },
    until(isSo, withinMs) {
      return new Promise((resolve) => {
        const end = (): void => {
          watchers.delete(look)
          cancel()
          resolve()
        }
        const look = (): void => {
          if (isSo()) end()
        }
        const cancel = system.after(withinMs, end, { background: true })
        watchers.add(look)
        look()
      })
    },
    async stop() {
      isStopped = true
      cancelAlarm()
      await Promise.allSettled([exchanging, checking])
      held = undefined
      source.forget()
    },
  }
}
