import type { KeyturnClientError } from '../client/errors.ts'
import type { OpenAICredential } from '../client/types.ts'
import type { Refusal } from './refusal.ts'

/**
 * All that the proxy says no with. Each sentence names the cause and ends in what to do; none repeats words of a caller
 * or of the upstream.
 */
export const misdirected: Refusal = {
  status: 421,
  code: 'forbidden',
  message:
    'The Host header names no address of this proxy. Use the address that it listens on, e.g. http://127.0.0.1:7422/v1.',
  isFinal: true,
}

export const browserRefused: Refusal = {
  status: 403,
  code: 'forbidden',
  message:
    'This request comes from a page in a browser, and the proxy answers none. Call it from a program, or from the server behind your page.',
  isFinal: true,
}

export const noToken: Refusal = {
  status: 401,
  code: 'unauthenticated',
  message:
    'There is no Keyturn token in this request. Give your Keyturn token as the API key (OPENAI_API_KEY, or `apiKey`); it travels as `Authorization: Bearer TOKEN`.',
  isFinal: true,
}

export const keyForToken: Refusal = {
  status: 401,
  code: 'unauthenticated',
  message:
    'What came as the API key is a key of OpenAI, and this proxy takes Keyturn tokens: it adds the key itself. Give your Keyturn token (kt_app_…) as the API key; an operator makes one with `keyturn token create`.',
  isFinal: true,
}

export const tokenElsewhere: Refusal = {
  status: 400,
  code: 'bad_request',
  message:
    'The Keyturn token stands in the address or in another header as well, which would go to OpenAI. Give it as the API key alone.',
  isFinal: true,
}

export const webSocketRefused: Refusal = {
  status: 501,
  code: 'bad_request',
  message:
    'The proxy passes on no WebSockets (/v1/realtime). Use the key itself for these: getOpenAIKey(), or keyturn exec.',
  isFinal: true,
  // Whoever asked for another protocol is not to go on with this one.
  headers: ['Connection', 'close'],
}

export const pathMalformed: Refusal = {
  status: 400,
  code: 'bad_request',
  message:
    'The path is not one that the proxy understands. Use the plain paths of the API, such as /v1/chat/completions: no encoded characters, no empty or dotted parts, no address before it.',
  isFinal: true,
}

export const pathUnknown: Refusal = {
  status: 404,
  code: 'not_found',
  message:
    'The proxy does not pass on this path. Let the base URL end in /v1; a path of the API that is missing is allowed with `keyturn proxy --allow NAME`.',
  isFinal: true,
}

export const pathForbidden: Refusal = {
  status: 403,
  code: 'forbidden',
  message: 'The proxy passes on nothing that administers. Keyturn looks after keys itself: see keyturn help.',
  isFinal: true,
}

export const methodRefused: Refusal = {
  status: 405,
  code: 'method_not_allowed',
  message: 'The proxy passes on GET, POST and DELETE. Use one of them.',
  isFinal: true,
  headers: ['Allow', 'GET, POST, DELETE'],
}

export const tunnelRefused: Refusal = {
  status: 405,
  code: 'method_not_allowed',
  message:
    'This is an endpoint of the API and no proxy for connections. Use its address as the base URL (OPENAI_BASE_URL), not as HTTPS_PROXY.',
  isFinal: true,
}

export const stopping: Refusal = {
  status: 503,
  code: 'stopping',
  message: 'The proxy is ending. Try again in a moment.',
  retryAfterSeconds: 1,
}

export const busy: Refusal = {
  status: 429,
  code: 'too_many_requests',
  message:
    'Too many requests are under way through the proxy. Try again in a moment, or raise --max-requests.',
  retryAfterSeconds: 1,
}

export const expectationRefused: Refusal = {
  status: 417,
  code: 'bad_request',
  message: 'The header Expect asks for what the proxy does not know. Leave it out, or send 100-continue.',
  isFinal: true,
}

export const codingRefused: Refusal = {
  status: 400,
  code: 'bad_request',
  message:
    'The header Transfer-Encoding names a coding that the proxy does not undo. Send the body as it is, with a length or in chunks; a compressed one is named in Content-Encoding.',
  isFinal: true,
}

export const notHttp: Refusal = {
  status: 400,
  code: 'bad_request',
  message:
    'This is not an HTTP request that the proxy understands. Speak HTTP/1.1, without TLS on this port.',
  isFinal: true,
}

export const requestTooSlow: Refusal = {
  status: 408,
  code: 'timeout',
  message: 'The request did not arrive in time. Send it at once.',
}

export function headerRepeated(name: string): Refusal {
  return {
    status: 400,
    code: 'bad_request',
    message: `The header ${name} must be there once. Leave the other one out.`,
    isFinal: true,
  }
}

export function credentialUnknown(served: readonly string[]): Refusal {
  return {
    status: 403,
    code: 'forbidden',
    message: `The proxy serves ${served.join(', ')}, and another credential was asked for. Ask for one of these, or start it with --credential NAME.`,
    isFinal: true,
  }
}

export function tooMuch(what: string, max: number): Refusal {
  return {
    status: 431,
    code: 'payload_too_large',
    message: `${what} is more than the proxy takes (${max}). Send less.`,
    isFinal: true,
  }
}

export function bodyTooLarge(bytesMax: number): Refusal {
  return {
    status: 413,
    code: 'payload_too_large',
    message: `The body is longer than the proxy takes (${bytesMax} bytes). Send a shorter one, or raise --max-body.`,
    isFinal: true,
  }
}

/** The service handed out a key for another place than the proxy sends to. */
export function elsewhere({ name, baseUrl }: OpenAICredential): Refusal {
  const { origin, pathname } = new URL(baseUrl)
  return {
    status: 503,
    code: 'config_invalid',
    message: `The key of ${name} is for ${origin}, and this proxy sends elsewhere. Start it with --upstream ${origin}${pathname.replace(/\/+$/, '')}, if that is where your requests shall go.`,
    isFinal: true,
  }
}

export function keyRefused({ name, version }: OpenAICredential, isPassing: boolean): Refusal {
  const why = isPassing
    ? 'the body was too long to be kept for a second try'
    : 'Keyturn has no other one that works right now'
  return {
    status: 503,
    code: 'no_verified_key',
    message: `OpenAI refused the key of ${name} (version ${version}), and ${why}. Keyturn was told of it; try again in a moment, and see keyturn status.`,
    retryAfterSeconds: 1,
  }
}

export function redirected(status: number): Refusal {
  return {
    status: 502,
    code: 'issuer_malformed',
    message: `The upstream answered with a redirect (${status}), which is not followed: it could lead the key elsewhere. Correct --upstream.`,
    isFinal: true,
  }
}

export function unreadable(status: number): Refusal {
  return {
    status: status >= 400 ? status : 502,
    code: status >= 500 ? 'issuer_unreachable' : 'issuer_refused',
    message: `The upstream refused the request (${status}) with words that cannot be looked through for the key, so they are withheld. Try again; where it stays so, look at what stands between the proxy and OpenAI.`,
  }
}

const slow: readonly string[] = [
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
]

export function upstreamFailed(error: Error): Refusal {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  const isSlow = slow.includes(code)
  return {
    status: isSlow ? 504 : 502,
    code: isSlow ? 'timeout' : 'issuer_unreachable',
    message: `The upstream ${isSlow ? 'did not answer in time' : 'cannot be reached, or broke off'} (${/^[A-Za-z_0-9]{1,40}$/.test(code) ? code : 'no reason given'}). Try again; where it stays so, check the network (HTTPS_PROXY too, where it is used) and --upstream.`,
  }
}

const statuses: Partial<Record<KeyturnClientError['code'], number>> = {
  unauthenticated: 401,
  forbidden: 403,
  not_found: 403,
  bad_request: 400,
  too_many_requests: 429,
}

/** Why there is no key for this caller. */
export function noKey(error: KeyturnClientError, from: string): Refusal {
  const status = statuses[error.code] ?? 503
  const isOfToken = status === 401 || status === 403
  return {
    status,
    code: error.code,
    message: isOfToken ? ofToken(error, from) : error.message,
    ...(isOfToken || status === 400
      ? { isFinal: true }
      : { retryAfterSeconds: Math.min(60, Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000))) }),
  }
}

/** The words of the client speak of variables that the caller of a proxy does not have. */
function ofToken({ code }: KeyturnClientError, name: string): string {
  if (code === 'unauthenticated')
    return 'Keyturn refused the token that came as the API key: it is wrong, expired or revoked. Give a good one; an operator makes it with `keyturn token create`.'
  return `The token that came as the API key is good, but not for the credential ${name}. Ask an operator for a token that may read it (keyturn token create NAME --credential ${name}).`
}
