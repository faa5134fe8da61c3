import { resolve } from 'node:path'
import type { ConfigSources, StoreConfig } from './types.ts'

/**
 * The secret that a store and a ref mean, however they are spelled: without what says how it is reached (timeouts,
 * attempts, credentials) and how the key stands in it (format, field). What the configuration and the environment leave to
 * an SDK, such as a default region, is a place of its own; only the account may stay open.
 */
export interface Place {
  readonly key: string
  /** An AWS account or a Google Cloud project. Undefined: whichever Keyturn is in. */
  readonly account?: string
}

type Env = ConfigSources['env']
type StoreOf<Kind extends StoreConfig['kind']> = Extract<StoreConfig, { readonly kind: Kind }>

/** Several where one spelling can mean several; none for a memory store, each of which is one of its own. */
export function placesOf(store: StoreConfig, ref: string, env: Env): readonly Place[] {
  switch (store.kind) {
    case 'memory':
      return []
    case 'env':
      return [place(store.kind, [store.envFile, store.variable ?? ref])]
    case 'file':
      // It is only read, so two fields of one document do not get in each other's way.
      return [place(store.kind, [resolve(store.path, ref), store.field])]
    case 'local':
      return [place(store.kind, [resolve(store.folder), ref])]
    case 'module':
      return [place(store.kind, [resolve(store.path), JSON.stringify(store.options), ref])]
    case 'aws-secrets-manager':
      return awsPlaces(store, ref, env)
    case 'google-secret-manager':
      return [googlePlace(store, ref, env)]
    case 'azure-key-vault':
      // Names and hosts of Azure are the same in capitals.
      return [place(store.kind, [addressOf(store.vault), ref.toLowerCase()])]
    case 'vault':
      return [vaultPlace(store, ref, env)]
    case 'kubernetes':
      return [kubernetesPlace(store, ref, env)]
  }
}

/** Whether they may be one: an account that is not told may be any, and a project has an id and a number. */
export function isSamePlace(one: Place, other: Place): boolean {
  return one.key === other.key && (one.account === other.account || isOpen(one, other))
}

/** The same but for the account, of which it cannot be said. */
export function isOpen({ account: one }: Place, { account: other }: Place): boolean {
  if (one === undefined || other === undefined) return one !== other
  return isNumber(one) !== isNumber(other)
}

function isNumber(account: string): boolean {
  return /^\d+$/.test(account)
}

function place(kind: StoreConfig['kind'], parts: readonly (string | undefined)[], account?: string): Place {
  const key = JSON.stringify([kind, ...parts.map((part) => part ?? '')])
  return account === undefined ? { key } : { key, account }
}

/** AWS ends the name in a full ARN with a hyphen and six characters of its own, and also takes the ARN without them. */
const arnPattern = /^arn:[^:]+:secretsmanager:([^:]+):(\d+):secret:(.+?)(-[A-Za-z0-9]{6})?$/

function awsPlaces(store: StoreOf<'aws-secrets-manager'>, ref: string, env: Env): readonly Place[] {
  const given = store.endpoint ?? env['AWS_ENDPOINT_URL_SECRETS_MANAGER'] ?? env['AWS_ENDPOINT_URL']
  const endpoint = endpointOf(given, /\.amazonaws\.com(?:\.cn)?$/)
  const own = store.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION']
  const [, region, account, name, suffix] = arnPattern.exec(ref) ?? []
  if (name === undefined) return [place(store.kind, [endpoint, own, ref])]
  const names = suffix === undefined ? [name] : [name, name + suffix]
  const regions = new Set([region, own])
  return names.flatMap((each) =>
    [...regions].map((where) => place(store.kind, [endpoint, where, each], account)),
  )
}

const googlePattern = /^projects\/([^/]+)\/(?:locations\/([^/]+)\/)?secrets\/([^/]+)$/

function googlePlace(store: StoreOf<'google-secret-manager'>, ref: string, env: Env): Place {
  const endpoint = endpointOf(store.endpoint, /\.googleapis\.com$/)
  const [, project, location, id] = googlePattern.exec(ref) ?? []
  if (id !== undefined) return place(store.kind, [endpoint, location, id], project)
  const own = store.project ?? env['GOOGLE_CLOUD_PROJECT'] ?? env['GCLOUD_PROJECT']
  return place(store.kind, [endpoint, store.location, ref], own)
}

/** Namespaces are paths before the mount, and may be given as a part of it. */
function vaultPlace(store: StoreOf<'vault'>, ref: string, env: Env): Place {
  const fromEnv = (name: string): string | undefined =>
    env[`VAULT_${name}`]?.trim() || env[`BAO_${name}`]?.trim() || undefined
  const address = store.address ?? fromEnv('ADDR')
  const path = [store.namespace ?? fromEnv('NAMESPACE') ?? '', store.mount, ref].join('/')
  return place(store.kind, [
    address === undefined ? undefined : addressOf(address),
    path.replace(/\/+/g, '/').replace(/^\/|\/$/g, ''),
  ])
}

function kubernetesPlace(store: StoreOf<'kubernetes'>, ref: string, env: Env): Place {
  const inPod = env['KUBERNETES_SERVICE_HOST']
  const kubeconfig = store.kubeconfig ?? (inPod ? undefined : env['KUBECONFIG'])
  const cluster = kubeconfig === undefined ? [] : [kubeconfig, store.context]
  const [name = '', namespace = store.namespace] = ref.split('/').toReversed()
  return place(store.kind, [...cluster, '', namespace, name])
}

/** Nothing for the cloud's own hosts (a VPC's, a region's): they lead to the same secrets. */
function endpointOf(endpoint: string | undefined, own: RegExp): string | undefined {
  if (endpoint === undefined || !URL.canParse(endpoint)) return undefined
  return own.test(new URL(endpoint).hostname) ? undefined : addressOf(endpoint)
}

/** As URLs are compared: the host in small letters, no default port, no slash at the end. */
function addressOf(address: string): string {
  if (!URL.canParse(address)) return address
  const { origin, pathname } = new URL(address)
  return origin + pathname.replace(/\/+$/, '')
}
