import { KeyturnError } from '../core/errors.ts'
import { type HttpOutcome, isWithoutTls } from './http-exchange.ts'

export type KubernetesVerb = 'get' | 'list' | 'watch' | 'create' | 'update'

export interface KubernetesCall {
  readonly verb: KubernetesVerb
  readonly namespace: string
  readonly name: string
  readonly server: string
}

/**
 * One of ours for an answer that is no success, decided by status and `reason`. The API server's messages are left out:
 * admission webhooks write them, and may quote the object. Absence and conflicts were taken by the caller before.
 */
export function kubernetesError(outcome: HttpOutcome, call: KubernetesCall): KeyturnError {
  const what = `${call.verb} secrets ${call.namespace}/${call.name} at ${call.server}`
  if (outcome.kind === 'none') return noAnswer(outcome, what, call)
  const { status, retryAfterMs, json } = outcome
  const asked = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (status === 401)
    return new KeyturnError('store_denied', `Kubernetes did not take the credentials: ${what}.`, {
      fix: 'Give Keyturn a token that is not over (kubectl auth whoami).',
    })
  if (status === 403) return denied(what, call)
  if (status === 429)
    return new KeyturnError('store_throttled', `Kubernetes throttled: ${what}.`, {
      fix: 'Nothing is to be done: it is tried again.',
      retryable: true,
      ...asked,
    })
  if (status === 413)
    return new KeyturnError('store_too_large', `Kubernetes refused the size: ${what}.`, {
      fix: 'Revoke keys that nobody uses. They are listed by keyturn versions, and go with keyturn revoke.',
    })
  if (status >= 500)
    return unreachable(
      `Kubernetes failed (${status}): ${what}.`,
      'Look at the API server (kubectl get --raw /readyz?verbose).',
      asked,
    )
  if (status >= 300 && status <= 399)
    return new KeyturnError(
      'store_unreachable',
      `Kubernetes redirected (${status}), which is not followed: ${what}.`,
      {
        fix: 'Configure the address of the API server itself.',
      },
    )
  const reason = reasonOf(json)
  if (reason === undefined)
    return new KeyturnError(
      'store_malformed',
      `The answer (${status}) was none that Kubernetes gives: ${what}.`,
      {
        fix: 'Check the address of the API server, and whether a proxy answers in its place.',
        retryable: true,
      },
    )
  if (status === 404)
    return new KeyturnError('store_absent', `Kubernetes has no namespace ${call.namespace}: ${what}.`, {
      fix: `Configure the namespace that is there, or make it (kubectl create namespace ${call.namespace}).`,
    })
  return new KeyturnError(
    'store_malformed',
    `Kubernetes refused the object itself (${status}, ${reason}): ${what}.`,
    {
      fix: `See what it says, e.g. an admission webhook (kubectl -n ${call.namespace} annotate secret ${call.name} keyturn/try=1 --dry-run=server).`,
    },
  )
}

function denied(what: string, { verb, namespace, name }: KubernetesCall): KeyturnError {
  return new KeyturnError('store_denied', `Kubernetes refused ${what}.`, {
    fix: roleFix(verb, { namespace, name }),
  })
}

/** One whole sentence: several of them are shown after one another. */
export function roleFix(
  verb: KubernetesVerb,
  { namespace, name }: Pick<KubernetesCall, 'namespace' | 'name'>,
): string {
  const names = verb === 'create' ? '' : `, resourceNames: [${name}]`
  return `Allow it by a Role in ${namespace}: apiGroups: [""], resources: [secrets], verbs: [${verb}]${names}.`
}

function noAnswer(
  { failure, code }: Extract<HttpOutcome, { kind: 'none' }>,
  what: string,
  { server }: KubernetesCall,
): KeyturnError {
  if (failure === 'too_large')
    return new KeyturnError('store_malformed', `The answer was larger than any Secret: ${what}.`, {
      fix: 'Check the address of the API server, and whether a proxy answers in its place.',
    })
  if (isWithoutTls(code))
    return unreachable(
      `What answered does not speak TLS as the API server would (${code}): ${what}.`,
      `Check the port of ${server}, and that nothing answers there in the clear.`,
    )
  if (failure === 'tls')
    return unreachable(
      `The certificate of the API server could not be trusted (${code}): ${what}.`,
      'Check certificate-authority in the kubeconfig, or ca.crt of the service account.',
    )
  return unreachable(
    `Kubernetes gave no answer that tells the outcome (${code}): ${what}.`,
    `Check the network to ${server}.`,
  )
}

function unreachable(
  message: string,
  fix: string,
  asked: { readonly retryAfterMs?: number } = {},
): KeyturnError {
  return new KeyturnError('store_unreachable', message, { fix, retryable: true, ...asked })
}

/** Undefined where the answer is no Status of Kubernetes. */
export function reasonOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null || !('kind' in json) || json.kind !== 'Status')
    return undefined
  return 'reason' in json && typeof json.reason === 'string' && /^[A-Za-z]{1,60}$/.test(json.reason)
    ? json.reason
    : ''
}
