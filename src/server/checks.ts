import type { IncomingMessage } from 'node:http'
import type { Operation } from '../api/operations.ts'
import type { Grant } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import { credentialNamePattern } from '../core/types.ts'
import type { Service } from '../engine/service.ts'
import { type Authenticator, type Found, isPending, isUnjudged, type Unjudged } from './auth/authenticator.ts'
import { type Caller, nobody } from './auth/caller.ts'
import { refuseBrowser } from './browsers.ts'
import { isForwarded, type Sources } from './forwarded.ts'
import type { Hosts } from './hosts.ts'
import type { ServerLimits } from './limits.ts'
import type { Refusal } from './problem.ts'
import type { Rates } from './rates.ts'

export interface ChecksOptions {
  readonly hosts: Hosts
  readonly sources: Sources
  readonly rates: Rates
  readonly limits: ServerLimits
  readonly auth: Authenticator
  readonly service: Pick<Service, 'names' | 'isInternal'>
}

export type Admission =
  | { readonly kind: 'admitted'; readonly caller: Caller }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly caller?: Caller }

/**
 * The checks of every request, always in this order, so that no answer tells more than the one before it allowed: URL,
 * headers, Host, who passed it on, browsers, size and type of the body, then who asks, how often, what they may do, and
 * only then what there is. (The size of the headers is checked by the parser, before any of this; the content of the body
 * by the handler, after it.)
 */
export interface Checks {
  /** What needs no knowledge of the route. */
  refuseTransport(request: IncomingMessage): Refusal | undefined
  /** A promise only where who asks cannot be told at once. */
  admit(
    request: IncomingMessage,
    operation: Operation,
    credential: string | undefined,
  ): Admission | Promise<Admission>
  /** The last of the checks, for whoever is known already: how often, what they may do, what there is. */
  judge(caller: Caller, operation: Pick<Operation, 'access' | 'isOnAny'>, credential?: string): Admission
  /** Who shows this token, in a form; refused as anywhere else where it is not good, or its holder asks too often. */
  identify(request: IncomingMessage, token: string): Promise<Admission>
  /** Who is signed in by this token: the same, without counting. */
  recognize(request: IncomingMessage, token: string): Promise<Caller | undefined>
  /** What somebody else has to be asked about first: counted as a failure of this address ahead, while it may go on trying. */
  refuseAttempt(request: IncomingMessage): KeyturnError | undefined
  /** It was none. */
  forgiveAttempt(request: IncomingMessage): void
}

export function createChecks(options: ChecksOptions): Checks {
  const { hosts, sources, rates, limits, auth, service } = options
  const names = new Set(service.names)
  /** An internal credential is not there for those who only read, nor on routes that hand out: whoever asks. */
  const isThere = (caller: Caller, { access }: Pick<Operation, 'access'>, credential: string): boolean => {
    if (!isKnown(names, credential) || !caller.sees(credential)) return false
    if (!service.isInternal(credential)) return true
    return (
      access !== 'read' &&
      access !== 'seen' &&
      (caller.may('operate', credential) || caller.may('audit', credential))
    )
  }
  /** Counted either way, so that whoever is not let in asks, and fills the audit, no more often than they may. */
  const refuseFailure = (request: IncomingMessage, found: Unjudged | undefined): KeyturnError =>
    rates.refuseFailure(addressOf(sources, request)) ??
    (found === undefined ? unauthenticated() : unverifiable(found))
  const judge: Checks['judge'] = (caller, operation, credential) => {
    const tooOften = rates.refuseCaller(caller.id)
    if (tooOften !== undefined) return { kind: 'refused', refusal: { error: tooOften } }
    const grants = grantsOf(operation.access)
    // Who holds the grant on nothing learns just that, of whatever name; who holds it somewhere, first whether they see it.
    if (grants !== undefined && !grants.some((grant) => caller.holds(grant)))
      return { kind: 'refused', refusal: { error: forbidden(grants) } }
    if (credential !== undefined && !isThere(caller, operation, credential))
      return { kind: 'refused', refusal: { error: noSuchCredential() } }
    const isHeld = operation.isOnAny === true
    if (grants !== undefined && !isHeld && !grants.some((grant) => caller.may(grant, credential)))
      return { kind: 'refused', refusal: { error: forbidden(grants) } }
    return { kind: 'admitted', caller }
  }
  const find = (request: IncomingMessage, authorization: string | undefined) =>
    auth.authenticate({
      authorization,
      socket: request.socket,
      address: () => addressOf(sources, request),
      isPassedOn: () => isForwarded(request.rawHeaders),
    })
  return {
    judge,
    async identify(request, token) {
      const caller = await find(request, `Bearer ${token}`)
      if (caller === undefined || isUnjudged(caller))
        return { kind: 'refused', refusal: { error: refuseFailure(request, caller) } }
      const tooOften = rates.refuseCaller(caller.id)
      return tooOften === undefined
        ? { kind: 'admitted', caller }
        : { kind: 'refused', refusal: { error: tooOften }, caller }
    },
    async recognize(request, token) {
      const caller = await find(request, `Bearer ${token}`)
      // Sent to the sign-in as whoever is nobody: a token will do there while the issuer is away.
      return isUnjudged(caller) ? undefined : caller
    },
    refuseAttempt: (request) => rates.refuseFailure(addressOf(sources, request)),
    forgiveAttempt: (request) => rates.forgiveFailure(addressOf(sources, request)),
    refuseTransport: (request) =>
      refuseUrl(request, limits) ??
      refuseHeaders(request, limits) ??
      refuseHost(request, hosts) ??
      refusalOf(sources.of(request)),
    admit(request, operation, credential) {
      const refusal =
        refuseBrowser(request, operation) ??
        refuseBodySize(request, limits) ??
        refuseBodyType(request, operation)
      if (refusal !== undefined) return { kind: 'refused', refusal }
      if (operation.access === 'open') return { kind: 'admitted', caller: nobody }
      const found = find(request, request.headers.authorization)
      const decide = (caller: Found): Admission =>
        caller === undefined || isUnjudged(caller)
          ? { kind: 'refused', refusal: { error: refuseFailure(request, caller) } }
          : { ...judge(caller, operation, credential), caller }
      return isPending(found) ? found.then(decide) : decide(found)
    },
  }
}

/** Undefined where any grant, or none, will do. */
function grantsOf(access: Operation['access']): readonly Grant[] | undefined {
  if (access === 'open' || access === 'seen') return undefined
  return typeof access === 'string' ? [access] : access
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
      fix: 'Send `Authorization: Bearer <token>`, which apps have in KEYTURN_TOKEN or KEYTURN_TOKEN_FILE; `keyturn token create` makes one.',
    },
  )
}

/** Says the same of whatever token of this issuer it is: whether its claims would do is told to nobody. */
function unverifiable({ isAway, retryAfterMs }: Unjudged): KeyturnError {
  if (!isAway)
    return new KeyturnError(
      'too_many_requests',
      'This web token is not looked at yet: the key that signed it is not known and was asked for a moment ago, or too many bad ones came from this address.',
      { fix: 'Send it again after the time in Retry-After.', retryable: true, retryAfterMs },
    )
  return new KeyturnError(
    'caller_unverifiable',
    'Whose this web token is cannot be told now: the public keys of its issuer cannot be had.',
    {
      fix: 'Send it again in a moment. Where it stays so, the log of Keyturn says why they cannot be had.',
      retryable: true,
      retryAfterMs,
    },
  )
}

function forbidden(grants: readonly Grant[]): KeyturnError {
  return new KeyturnError(
    'forbidden',
    `This needs the grant ${grants.join(' or ')}, which the caller lacks here.`,
    {
      fix: 'Use an operator token (`keyturn token create --role operator`), or one with that grant.',
    },
  )
}

function refusalOf(source: ReturnType<Sources['of']>): Refusal | undefined {
  return 'refusal' in source ? source.refusal : undefined
}

function addressOf(sources: Sources, request: IncomingMessage): string {
  const source = sources.of(request)
  return 'address' in source ? source.address : ''
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

/** What is read as one must be one: of two tokens, a proxy in front may have looked at the other. */
function refuseHeaders(request: IncomingMessage, limits: ServerLimits): Refusal | undefined {
  if (request.rawHeaders.length > 2 * limits.headersMax)
    return {
      error: new KeyturnError('payload_too_large', `There are more than ${limits.headersMax} headers.`, {
        fix: 'Send fewer headers.',
      }),
      status: 431,
    }
  if ((request.headersDistinct['authorization'] ?? []).length <= 1) return undefined
  return {
    error: new KeyturnError('bad_request', 'The request has more than one Authorization header.', {
      fix: 'Send one, with one token.',
    }),
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

export const cloudEventsType = /^application\/cloudevents(?:-batch)?\+json\s*(?:;\s*charset="?utf-8"?\s*)?$/i
const jsonType = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i

function refuseBodyType(
  request: IncomingMessage,
  { takesCloudEvents = false }: Operation,
): Refusal | undefined {
  const { headers } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody) return undefined
  const isPlain = headers['content-encoding'] === undefined || headers['content-encoding'] === 'identity'
  const type = headers['content-type'] ?? ''
  const isTaken = jsonType.test(type) || (takesCloudEvents && cloudEventsType.test(type))
  return isPlain && isTaken ? undefined : { error: wrongType() }
}

export function wrongType(): KeyturnError {
  return new KeyturnError('unsupported_media_type', 'Bodies are JSON, in UTF-8, not compressed.', {
    fix: 'Send `Content-Type: application/json`.',
  })
}
