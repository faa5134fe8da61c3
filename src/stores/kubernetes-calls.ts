import { isRecord } from '../core/json.ts'
import type { StoreContext } from './context.ts'
import { createExchange, type HttpOutcome } from './http-exchange.ts'
import { nodeFetch, type StoreResponse } from './http-transport.ts'
import type { KubernetesAccess } from './kubernetes-access.ts'
import { type KubernetesCall, type KubernetesVerb, kubernetesError, reasonOf } from './kubernetes-errors.ts'

/** A Secret as the API server has it; what Keyturn does not know of is kept as it is. */
export interface SecretObject {
  readonly [field: string]: unknown
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly resourceVersion: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly data: Readonly<Record<string, string>>
  readonly isImmutable: boolean
}

export interface Place {
  readonly namespace: string
  readonly name: string
}

/** The calls of Kubernetes that the driver makes: one attempt each, and each throws only KeyturnErrors. */
export interface KubernetesCalls {
  get(place: Place): Promise<SecretObject | undefined>
  /** Undefined: there is one by now. */
  create(place: Place, object: Readonly<Record<string, unknown>>): Promise<SecretObject | undefined>
  /** Undefined: it was changed or removed since `object` was read. */
  replace(place: Place, object: Readonly<Record<string, unknown>>): Promise<SecretObject | undefined>
  /** Whether the verb is allowed; undefined where the API server does not say. */
  isAllowed(place: Place, verb: KubernetesVerb): Promise<boolean | undefined>
  /** The state of the list, and of the one Secret in it where it is there. */
  list(place: Place): Promise<{ readonly listVersion: string; readonly version: string | undefined }>
  /** Events as lines of JSON, for as long as the signal and the server let it. */
  watch(
    place: Place,
    since: string,
    options: { readonly seconds: number; readonly signal: AbortSignal },
  ): Promise<StoreResponse>
  close(): void
}

export function openKubernetesCalls(
  access: KubernetesAccess,
  requestTimeoutMs: number,
  context: StoreContext,
): KubernetesCalls {
  const fetch = context.fetch ?? nodeFetch
  const exchange = createExchange(fetch, context.system)

  const attempt = async (
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body: Readonly<Record<string, unknown>> | undefined,
  ): Promise<HttpOutcome> => {
    const { token, tls } = await access.credentials()
    return exchange.send({
      method,
      url: access.server + path,
      timeoutMs: requestTimeoutMs,
      tls,
      headers: headersFor(token?.reveal(), body !== undefined),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }
  /** 401: the token may have been replaced since it was read. */
  const send = async (
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<HttpOutcome> => {
    const outcome = await attempt(method, path, body)
    if (outcome.kind !== 'answer' || outcome.status !== 401) return outcome
    access.refused()
    return attempt(method, path, body)
  }
  const callFor = (verb: KubernetesVerb, { namespace, name }: Place): KubernetesCall => ({
    verb,
    namespace,
    name,
    server: access.server,
  })

  return {
    async get(place) {
      const outcome = await send('GET', pathOf(place))
      if (isReason(outcome, 404, 'NotFound')) return undefined
      return secretOrThrow(outcome, callFor('get', place))
    },
    async create(place, object) {
      const outcome = await send('POST', pathOf({ ...place, name: '' }), object)
      if (isReason(outcome, 409, 'AlreadyExists')) return undefined
      return secretOrThrow(outcome, callFor('create', place))
    },
    async replace(place, object) {
      const outcome = await send('PUT', pathOf(place), object)
      if (isReason(outcome, 409, 'Conflict') || isReason(outcome, 404, 'NotFound')) return undefined
      return secretOrThrow(outcome, callFor('update', place))
    },
    async isAllowed({ namespace, name }, verb) {
      const named = verb === 'create' ? {} : { name }
      const outcome = await send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { namespace, verb, resource: 'secrets', ...named } },
      })
      if (outcome.kind === 'answer' && (outcome.status === 403 || outcome.status === 404)) return undefined
      const status =
        outcome.kind === 'answer' && outcome.status === 201 ? fieldsIn(outcome.json, 'status') : undefined
      if (status === undefined) throw kubernetesError(outcome, callFor(verb, { namespace, name }))
      return status['allowed'] === true
    },
    async list(place) {
      const outcome = await send('GET', `${pathOf({ ...place, name: '' })}?${selectorOf(place)}`)
      const listVersion =
        outcome.kind === 'answer' && outcome.status === 200
          ? fieldsIn(outcome.json, 'metadata')?.['resourceVersion']
          : undefined
      if (outcome.kind !== 'answer' || typeof listVersion !== 'string')
        throw kubernetesError(outcome, callFor('list', place))
      const items: unknown = isRecord(outcome.json) ? outcome.json['items'] : undefined
      const version = Array.isArray(items) ? fieldsIn(items[0], 'metadata')?.['resourceVersion'] : undefined
      return { listVersion, version: typeof version === 'string' ? version : undefined }
    },
    async watch(place, since, { seconds, signal }) {
      const query = `${selectorOf(place)}&watch=true&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${encodeURIComponent(since)}`
      const open = async (): Promise<StoreResponse> => {
        const { token, tls } = await access.credentials()
        return fetch(`${access.server}${pathOf({ ...place, name: '' })}?${query}`, {
          method: 'GET',
          headers: headersFor(token?.reveal(), false),
          signal,
          redirect: 'manual',
          tls,
        })
      }
      const response = await open()
      if (response.status !== 401) return response
      access.refused()
      return open()
    },
    close: () => exchange.close(),
  }
}

function headersFor(token: string | undefined, hasBody: boolean): Readonly<Record<string, string>> {
  return {
    accept: 'application/json',
    'user-agent': 'keyturn',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(hasBody ? { 'content-type': 'application/json' } : {}),
  }
}

function pathOf({ namespace, name }: Place): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets${name === '' ? '' : `/${encodeURIComponent(name)}`}`
}

function selectorOf({ name }: Place): string {
  return `fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`
}

function isReason(outcome: HttpOutcome, status: number, reason: string): boolean {
  return outcome.kind === 'answer' && outcome.status === status && reasonIs(outcome.json, reason)
}

/** A namespace that is not there is NotFound as well when something is to be made in it. */
function reasonIs(json: unknown, reason: string): boolean {
  return reasonOf(json) === reason && fieldsIn(json, 'details')?.['kind'] !== 'namespaces'
}

function secretOrThrow(outcome: HttpOutcome, call: KubernetesCall): SecretObject {
  const json =
    outcome.kind === 'answer' && outcome.status >= 200 && outcome.status <= 299 ? outcome.json : undefined
  const metadata = fieldsIn(json, 'metadata')
  const resourceVersion = metadata?.['resourceVersion']
  if (
    !isRecord(json) ||
    metadata === undefined ||
    typeof resourceVersion !== 'string' ||
    json['kind'] !== 'Secret'
  )
    throw kubernetesError(outcome, call)
  return {
    ...json,
    metadata: { ...metadata, resourceVersion, annotations: textsIn(metadata, 'annotations') },
    data: textsIn(json, 'data'),
    isImmutable: json['immutable'] === true,
  }
}

function textsIn(fields: unknown, name: string): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const [key, value] of Object.entries(fieldsIn(fields, name) ?? {}))
    if (typeof value === 'string') texts[key] = value
  return texts
}

function fieldsIn(value: unknown, name: string): Readonly<Record<string, unknown>> | undefined {
  const inner = isRecord(value) ? value[name] : undefined
  return isRecord(inner) ? inner : undefined
}
