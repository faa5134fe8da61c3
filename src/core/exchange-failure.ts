import type { ExchangeOutcome } from './ports.ts'
import type { TransportFailure, Verdict } from './types.ts'

/** Why there is no new token, for people and for the decision what to do next. */
export interface ExchangeFailure {
  /** Stable, for programs: one per row below. */
  readonly cause: string
  readonly summary: string
  readonly fix: string
  /** The issuer said no, conclusively; else it could not be asked, or did not answer as itself. */
  readonly isRefused: boolean
  readonly retryAfterMs?: number
}

type Failed = Exclude<ExchangeOutcome, { kind: 'issued' }>
type Answer = Extract<ExchangeOutcome, { kind: 'answer' }>
type Row = Omit<ExchangeFailure, 'retryAfterMs'> & {
  readonly codes?: readonly string[]
  readonly statuses?: readonly number[]
}

/** What a failed exchange means. Decides on codes first and on the status second, and quotes nobody. */
export function explainExchange(outcome: Failed): ExchangeFailure {
  switch (outcome.kind) {
    case 'no_subject':
      return { cause: 'subject_token_missing', isRefused: false, ...outcome.problem }
    case 'no_answer':
      return { cause: 'exchange_unreachable', isRefused: false, ...transport[outcome.failure] }
    case 'answer':
      return explainAnswer(outcome)
  }
}

/** The exchange worked, and the token that it gave could not be proven. */
export function explainUnproven(verdict: Verdict): ExchangeFailure {
  const isRejected = verdict.kind === 'rejected'
  return {
    cause: isRejected ? 'token_rejected' : verdict.cause,
    isRefused: verdict.kind !== 'unknown',
    summary: `The identity was exchanged, but the token could not be proven. ${verdict.summary}`,
    // What there is to do about a dead key is no help here: the next token is had without anybody.
    fix: isRejected
      ? 'Nothing to do at once: another token is tried. If it persists, look at the service account and its project at OpenAI.'
      : verdict.fix,
    ...(verdict.retryAfterMs === undefined ? {} : { retryAfterMs: verdict.retryAfterMs }),
  }
}

export const exchangeInterrupted: ExchangeFailure = {
  cause: 'stopping',
  isRefused: false,
  summary: 'Keyturn is stopping.',
  fix: 'Nothing to do.',
}

export const exchangeFault: ExchangeFailure = {
  cause: 'internal',
  isRefused: false,
  summary: 'The exchange failed by a fault of Keyturn.',
  fix: 'Please report it with the error in the log.',
}

function explainAnswer(answer: Answer): ExchangeFailure {
  const { isOAuth, code, status, retryAfterMs } = answer
  const byCode = isOAuth ? rows.find((row) => code !== undefined && row.codes?.includes(code)) : undefined
  const byStatus = rows.find((row) => row.statuses?.includes(status) && (isOAuth || !row.isRefused))
  const { codes: _codes, statuses: _statuses, ...meaning } = byCode ?? byStatus ?? otherRow(answer)
  return { ...meaning, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

function otherRow({ status, isOAuth }: Answer): Row {
  if (status >= 500) return unavailable
  return isOAuth ? refusedOtherwise : foreign
}

const unavailable: Row = {
  cause: 'exchange_unavailable',
  isRefused: false,
  summary: 'OpenAI’s token exchange is out of order.',
  fix: 'Nothing to do: it is asked again. If it persists, look at OpenAI’s status page.',
}

const refusedOtherwise: Row = {
  cause: 'exchange_refused',
  isRefused: true,
  summary: 'OpenAI declined the token exchange.',
  fix: 'Compare identity.provider, identity.serviceAccount and the provider’s mapping at OpenAI with this workload.',
}

const foreign: Row = {
  cause: 'exchange_foreign',
  isRefused: false,
  summary: 'What answered the token exchange is not OpenAI: a proxy, a gateway, or another address.',
  fix: 'Check identity.tokenUrl, and that this machine reaches it without a page in between.',
}

/**
 * `invalid_subject_token` and `invalid_grant` are the codes that OpenAI's SDK names (openai 7.55, November 2026); the others
 * are those of RFC 6749 and RFC 8693. ASSUMPTION: a service account that is disabled and a policy that forbids answer
 * with one of the codes, or the status, of the third row.
 */
const rows: readonly Row[] = [
  {
    cause: 'subject_token_refused',
    codes: ['invalid_subject_token', 'invalid_token'],
    isRefused: true,
    summary: 'OpenAI did not accept the identity token of this workload.',
    fix: 'Check that it has not expired, and that its issuer, audience and signing keys are those of the identity provider at OpenAI (identity.provider).',
  },
  {
    cause: 'mapping_unknown',
    codes: ['invalid_grant', 'invalid_target'],
    isRefused: true,
    summary: 'The identity token is good, but OpenAI maps it to no such service account.',
    fix: 'Check identity.provider and identity.serviceAccount, and the mapping of the provider: it must name this workload (the token’s subject).',
  },
  {
    cause: 'service_account_refused',
    codes: ['unauthorized_client', 'access_denied'],
    statuses: [403],
    isRefused: true,
    summary: 'OpenAI gives this workload no token: the service account is disabled, or a policy forbids it.',
    fix: 'Look at the service account, its project, and the organisation’s policies at OpenAI.',
  },
  {
    cause: 'client_unknown',
    codes: ['invalid_client'],
    isRefused: true,
    summary: 'OpenAI does not know the client or the identity provider that was named.',
    fix: 'Check identity.provider, and identity.clientId if one is set.',
  },
  {
    cause: 'exchange_misunderstood',
    codes: ['invalid_request', 'unsupported_grant_type', 'unsupported_token_type', 'invalid_scope'],
    isRefused: true,
    summary: 'OpenAI did not take the token exchange as it was asked for.',
    fix: 'Check identity.tokenUrl and identity.tokenType (jwt or id); if both are right, please report it.',
  },
  {
    cause: 'exchange_throttled',
    codes: ['slow_down', 'rate_limit_exceeded'],
    statuses: [429],
    isRefused: false,
    summary: 'OpenAI’s token exchange is asked too often.',
    fix: 'Nothing to do: it is asked again later. Many replicas with very short tokens can be the reason.',
  },
  { ...unavailable, codes: ['temporarily_unavailable', 'server_error'] },
  {
    cause: 'exchange_malformed',
    statuses: [200, 201],
    isRefused: false,
    summary: 'The token exchange was answered with something that is no usable token.',
    fix: 'Check identity.tokenUrl: it must be OpenAI’s token exchange.',
  },
]

const check = 'Check identity.tokenUrl, DNS, proxy and firewall between here and OpenAI.'

const transport: Readonly<Record<TransportFailure, { readonly summary: string; readonly fix: string }>> = {
  dns: { summary: 'The name of the token exchange was not found.', fix: check },
  connect: { summary: 'The token exchange cannot be connected to.', fix: check },
  tls: {
    summary: 'The certificate of the token exchange is not trusted here.',
    fix: 'Check the clock and the trusted authorities (NODE_EXTRA_CA_CERTS), and whether a proxy inspects TLS.',
  },
  timeout: {
    summary: 'The token exchange did not answer in time.',
    fix: `${check} Or raise identity.timeout.`,
  },
  reset: { summary: 'The connection to the token exchange broke.', fix: check },
  redirect: {
    summary: 'The token exchange answered with a redirect, which is never followed.',
    fix: 'Set identity.tokenUrl to the address itself.',
  },
  too_large: { summary: 'The token exchange answered with more than a token can be.', fix: check },
  aborted: { summary: 'The token exchange was broken off.', fix: 'Nothing to do: it is asked again.' },
  unsendable: {
    summary: 'The identity token holds characters that no token has.',
    fix: 'Check what identity.subjectToken names: the token alone, without quotes or a name before it.',
  },
}
