import type { IncomingMessage } from 'node:http'
import type { Operation } from '../api/operations.ts'
import { KeyturnError } from '../core/errors.ts'
import { credentialNamePattern } from '../core/types.ts'
import type { Service } from '../engine/service.ts'
import type { Hosts } from './hosts.ts'
import type { ServerLimits } from './limits.ts'
import type { Refusal } from './problem.ts'
import type { Caller, TokenStore } from './tokens.ts'

export interface ChecksOptions {
  readonly hosts: Hosts
  readonly limits: ServerLimits
  readonly tokens: TokenStore
  readonly service: Pick<Service, 'names' | 'isInternal'>
}

export type Admission =
  | { readonly kind: 'admitted'; readonly caller: Caller }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/**
 * The checks of every request, always in this order, so that no answer tells more than the one before it allowed: URL,
 * Host, Origin, size and type of the body, then who asks, what they may do, and only then what there is. (The size of
 * the headers is checked by the parser, before any of this; the content of the body by the handler, after it.)
 */
export interface Checks {
  /** What needs no knowledge of the route. */
  refuseTransport(request: IncomingMessage): Refusal | undefined
  admit(request: IncomingMessage, operation: Operation, credential: string | undefined): Admission
}

/** Whoever asks where nobody is asked who they are. */
const nobody: Caller = { id: '', name: 'nobody', role: 'app', sees: () => false }

export function createChecks(options: ChecksOptions): Checks {
  const { hosts, limits, tokens, service } = options
  const names = new Set(service.names)
  /** What apps ask for is not there for an internal credential, whoever asks; what only operators do is. */
  const isOpenTo = ({ access }: Operation, credential: string): boolean =>
    access === 'operator' || !service.isInternal(credential)
  return {
    refuseTransport: (request) => refuseUrl(request, limits) ?? refuseHost(request, hosts),
    admit(request, operation, credential) {
      const refusal =
        refuseOrigin(request, operation) ?? refuseBodySize(request, limits) ?? refuseBodyType(request)
      if (refusal !== undefined) return { kind: 'refused', refusal }
      if (operation.access === 'open') return { kind: 'admitted', caller: nobody }
      const caller = tokens.authenticate(request.headers.authorization)
      if (caller === undefined) return { kind: 'refused', refusal: { error: unauthenticated() } }
      if (operation.access === 'operator' && caller.role !== 'operator')
        return { kind: 'refused', refusal: { error: forbidden() } }
      const isThere =
        credential === undefined ||
        (isKnown(names, credential) && caller.sees(credential) && isOpenTo(operation, credential))
      if (!isThere) return { kind: 'refused', refusal: { error: noSuchCredential() } }
      return { kind: 'admitted', caller }
    },
  }
}

/** The same words for a name that is not there and for one that the caller may not see. Echoes nothing. */
export function noSuchCredential(): KeyturnError {
  return new KeyturnError('not_found', 'There is no such credential, or this token may not read it.', {
    fix: 'GET /v1/credentials lists what this token may read.',
  })
}

export function unauthenticated(): KeyturnError {
  return new KeyturnError(
    'unauthenticated',
    'This needs a token that is known, not revoked and not expired.',
    {
      fix: 'Send `Authorization: Bearer <token>`; `keyturn token create` makes one.',
    },
  )
}

function forbidden(): KeyturnError {
  return new KeyturnError('forbidden', 'This needs an operator token.', {
    fix: 'Use an operator token; `keyturn token create --role operator` makes one.',
  })
}

function isKnown(names: ReadonlySet<string>, credential: string): boolean {
  return credentialNamePattern.test(credential) && names.has(credential)
}

function refuseUrl({ url = '' }: IncomingMessage, limits: ServerLimits): Refusal | undefined {
  // A whole address names a host of its own, beside the Host header that is checked. Only proxies are asked that way.
  if (!url.startsWith('/') && url !== '*')
    return {
      error: new KeyturnError('bad_request', 'The request line holds more than a path.', {
        fix: 'Ask Keyturn itself and not a proxy: check the settings of the HTTP client.',
      }),
    }
  if (url.length <= limits.urlCharsMax) return undefined
  return {
    error: new KeyturnError('bad_request', `The URL is longer than ${limits.urlCharsMax} characters.`, {
      fix: 'GET /openapi.json lists the routes.',
    }),
    status: 414,
  }
}

function refuseHost(request: IncomingMessage, hosts: Hosts): Refusal | undefined {
  const header = request.headersDistinct['host'] ?? []
  const [host] = header
  if (header.length !== 1 || host === undefined)
    return {
      error: new KeyturnError('bad_request', 'The request needs exactly one Host header.', {
        fix: 'Send the host of the URL as Host.',
      }),
    }
  if (hosts.allows(host, request.socket.localAddress)) return undefined
  return {
    error: new KeyturnError('forbidden', 'Keyturn does not answer under the name in the Host header.', {
      fix: 'Use localhost or the address it listens on, or add the name to allowedHosts in keyturn.yaml.',
    }),
    status: 421,
  }
}

function refuseOrigin(request: IncomingMessage, operation: Operation): Refusal | undefined {
  if (operation.isSecret !== true || request.headers.origin === undefined) return undefined
  return {
    error: new KeyturnError('forbidden', 'Requests from web pages get no secrets.', {
      fix: 'Ask from a server or the command line, without an Origin header.',
    }),
  }
}

function refuseBodySize(request: IncomingMessage, limits: ServerLimits): Refusal | undefined {
  const length = request.headers['content-length']
  if (length === undefined || Number(length) <= limits.bodyBytesMax) return undefined
  return { error: bodyTooLarge(limits) }
}

export function bodyTooLarge(limits: ServerLimits): KeyturnError {
  return new KeyturnError('payload_too_large', `The body is larger than ${limits.bodyBytesMax} bytes.`, {
    fix: 'Send less: the largest body that makes sense has a few hundred bytes.',
  })
}

const jsonType = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i

function refuseBodyType(request: IncomingMessage): Refusal | undefined {
  const { headers } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody) return undefined
  const isPlain = headers['content-encoding'] === undefined || headers['content-encoding'] === 'identity'
  return isPlain && jsonType.test(headers['content-type'] ?? '') ? undefined : { error: wrongType() }
}

export function wrongType(): KeyturnError {
  return new KeyturnError('unsupported_media_type', 'Bodies are JSON, in UTF-8, not compressed.', {
    fix: 'Send `Content-Type: application/json`.',
  })
}
