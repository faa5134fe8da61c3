import type { TransportFailure } from './types.ts'

const causesMax = 6

const failureOfCode: Readonly<Record<string, TransportFailure>> = {
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ECONNREFUSED: 'connect',
  EHOSTUNREACH: 'connect',
  EHOSTDOWN: 'connect',
  ENETUNREACH: 'connect',
  ENETDOWN: 'connect',
  EADDRNOTAVAIL: 'connect',
  EACCES: 'connect',
  EPERM: 'connect',
  ETIMEDOUT: 'connect',
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_SOCKET: 'reset',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  EPROTO: 'tls',
  CERT_HAS_EXPIRED: 'tls',
  CERT_NOT_YET_VALID: 'tls',
  HOSTNAME_MISMATCH: 'tls',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'too_large',
  UND_ERR_HEADERS_OVERFLOW: 'too_large',
  HPE_HEADER_OVERFLOW: 'too_large',
  ABORT_ERR: 'aborted',
  UND_ERR_ABORTED: 'aborted',
}

/**
 * Which step failed, from the codes along the chain of causes: `fetch` says no more than `fetch failed`, and undici keeps
 * the reason below it. Messages are never looked at. What names no step counts as a connection that broke.
 */
export function transportFailure(thrown: unknown): TransportFailure {
  return explainFailure(thrown).failure
}

/** The same with the code that said so, in the words of the operating system or of TLS: `ENOTFOUND`, `CERT_HAS_EXPIRED`. */
export function explainFailure(thrown: unknown): {
  readonly failure: TransportFailure
  readonly detail?: string
} {
  const queue: unknown[] = [thrown]
  for (let seen = 0; seen < causesMax && queue.length > 0; seen += 1) {
    const error = queue.shift()
    if (typeof error !== 'object' || error === null) continue
    const { code, name, cause, errors } = error as Record<string, unknown>
    const failure = typeof code === 'string' ? failureOf(code) : undefined
    if (failure !== undefined) return { failure, detail: String(code) }
    if (name === 'AbortError') return { failure: 'aborted' }
    if (name === 'TimeoutError') return { failure: 'timeout' }
    queue.push(cause)
    // Several addresses were tried (happy eyeballs): they usually failed alike, so the first speaks for all.
    if (Array.isArray(errors)) queue.push(errors[0])
  }
  return { failure: 'reset' }
}

function failureOf(code: string): TransportFailure | undefined {
  const known = Object.hasOwn(failureOfCode, code) ? failureOfCode[code] : undefined
  if (known !== undefined) return known
  return /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA)/.test(code)
    ? 'tls'
    : undefined
}
