import { KeyturnError } from '../core/errors.ts'
import { type HttpOutcome, isWithoutTls } from './http-exchange.ts'

export interface VaultCall {
  /** What a policy has to allow: the capability and the path it is for. */
  readonly capability: 'create' | 'read' | 'update' | 'login'
  /** As a policy names it, e.g. `secret/data/team/openai`. */
  readonly path: string
  readonly address: string
  readonly namespace: string | undefined
}

/**
 * One of ours for an answer that is no success. Vault's own messages are left out: they can quote what was sent. What is
 * expected (a lost compare-and-swap, absence) was taken by the caller before.
 */
export function vaultError(outcome: HttpOutcome, call: VaultCall): KeyturnError {
  const what = `${call.capability} ${call.path} at ${call.address}${inNamespace(call)}`
  if (outcome.kind === 'none') return noAnswer(outcome, what, call)
  const { status, retryAfterMs, json } = outcome
  const asked = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (status === 403 || status === 401) return denied(what, call)
  if (status === 429)
    return new KeyturnError('store_throttled', `Vault throttled: ${what}.`, {
      fix: 'Nothing is to be done: it is tried again. Look at the rate limit quotas (vault list sys/quotas/rate-limit).',
      retryable: true,
      ...asked,
    })
  if (status === 413)
    return new KeyturnError('store_too_large', `Vault refused the size of ${what}.`, {
      fix: 'Revoke keys that nobody uses, and look at what else is in the document.',
    })
  if (status === 503)
    return unreachable(
      `Vault is sealed, starting or in maintenance (503): ${what}.`,
      'See whether it is sealed (vault status), and unseal it then (vault operator unseal).',
      asked,
    )
  if (status === 412 || status === 472 || status === 473)
    return unreachable(
      `A standby node of Vault cannot answer yet (${status}): ${what}.`,
      'Nothing is to be done: it is tried again.',
      asked,
    )
  if (status >= 500)
    return unreachable(
      `Vault failed (${status}): ${what}.`,
      `Look at the logs of Vault and of what is in front of it (vault status).`,
      asked,
    )
  if (status >= 300 && status <= 399)
    return new KeyturnError(
      'store_unreachable',
      `Vault redirected (${status}), which is not followed: ${what}.`,
      {
        fix: 'Configure the address of the active node, or of a load balancer that sends to it; check the address for a path.',
      },
    )
  if (!isVaultAnswer(json))
    return new KeyturnError('store_malformed', `The answer (${status}) was none that Vault gives: ${what}.`, {
      fix: 'Check the address, and whether a proxy answers in place of Vault.',
      retryable: true,
    })
  if (status === 404)
    return new KeyturnError('store_absent', `Vault has nothing mounted there: ${what}.`, {
      fix: 'Check the namespace and the mount: of the engine (vault secrets list), or of the login (vault auth list).',
    })
  return new KeyturnError('store_malformed', `Vault refused the request itself (${status}): ${what}.`, {
    fix: 'Check that the mount is a KV engine of version 2 (vault secrets list -detailed).',
  })
}

function noAnswer(
  outcome: Extract<HttpOutcome, { kind: 'none' }>,
  what: string,
  call: VaultCall,
): KeyturnError {
  const { failure, code } = outcome
  if (failure === 'too_large')
    return new KeyturnError('store_malformed', `The answer was larger than any of Vault: ${what}.`, {
      fix: 'Check the address, and whether a proxy answers in place of Vault.',
    })
  if (isWithoutTls(code))
    return unreachable(
      `What answered does not speak TLS as Vault would (${code}): ${what}.`,
      `Check the port of ${call.address}, and that Vault listens there with TLS and not in the clear.`,
    )
  if (failure === 'tls')
    return unreachable(
      `The certificate of Vault could not be trusted (${code}): ${what}.`,
      'Set caFile to the PEM of the authority that signed it, and use the name that is in it as address.',
    )
  return unreachable(
    `Vault gave no answer that tells the outcome (${code}): ${what}.`,
    `Check the network to ${call.address} (vault status -address=${call.address}).`,
  )
}

function denied(what: string, { capability, path, namespace }: VaultCall): KeyturnError {
  if (capability === 'login')
    return new KeyturnError('store_denied', `Vault refused the login: ${what}.`, {
      fix: 'Check role, mount and what Keyturn logs in with; whether it is bound to this machine, used up or over.',
    })
  return new KeyturnError('store_denied', `Vault refused ${what}.`, {
    fix: `${policyFix({ capability, path, namespace })} ${tokenFix}`,
  })
}

/** Vault has the same answer for a token that it does not know as for one that may not. */
export const tokenFix = 'Or the token is unknown or has expired (vault token lookup).'

/** One whole sentence: several of them are shown after one another. */
export function policyFix({
  capability,
  path,
  namespace,
}: Pick<VaultCall, 'capability' | 'path' | 'namespace'>): string {
  const inside = namespace === undefined ? '' : ` in the namespace ${namespace}`
  return `Allow it in the policy of the token${inside}: path "${path}" { capabilities = ["${capability}"] }.`
}

function unreachable(
  message: string,
  fix: string,
  asked: { readonly retryAfterMs?: number } = {},
): KeyturnError {
  return new KeyturnError('store_unreachable', message, { fix, retryable: true, ...asked })
}

function inNamespace({ namespace }: VaultCall): string {
  return namespace === undefined ? '' : `, namespace ${namespace}`
}

/** Every answer of Vault with a body is an object with `errors` or with a request's parts. */
export function isVaultAnswer(json: unknown): json is Readonly<Record<string, unknown>> {
  return (
    typeof json === 'object' && json !== null && ('errors' in json || 'request_id' in json || 'data' in json)
  )
}

/** Vault has no code for it (path_data.go of OpenBao 2.6.2, 2026-11-20), so its one message decides, among 400s only. */
export function isLostSwap(outcome: HttpOutcome): boolean {
  return (
    outcome.kind === 'answer' &&
    outcome.status === 400 &&
    errorsOf(outcome.json).some((text) => text.includes('check-and-set parameter did not match'))
  )
}

export function errorsOf(json: unknown): readonly string[] {
  if (!isVaultAnswer(json) || !Array.isArray(json['errors'])) return []
  return json['errors'].filter((each) => typeof each === 'string')
}
