import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { KeyturnError } from '../core/errors.ts'
import { isRecord } from '../core/json.ts'
import { isLoopbackHost } from '../core/loopback.ts'
import { Secret } from '../core/secret.ts'
import { resolvePath, type StoreContext } from './context.ts'
import { fileError } from './files.ts'
import type { StoreTls } from './http-transport.ts'
import { readSmallFile } from './small-file.ts'

export interface KubernetesAccessOptions {
  /** Path of a kubeconfig. Default: the pod's service account, then KUBECONFIG. */
  readonly kubeconfig?: string
  /** A context of the kubeconfig. Default: its current one. */
  readonly context?: string
  /** Where the pod's service account is mounted. Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccountFolder?: string
}

/** Where the API server is, and who Keyturn is to it. */
export interface KubernetesAccess {
  /** Without a slash at the end. */
  readonly server: string
  /** Where names without a namespace are. */
  readonly namespace: string
  /** Read afresh at most once a minute, and at once after `refused`: the kubelet replaces tokens before they end. */
  credentials(): Promise<{ readonly token?: Secret; readonly tls: StoreTls }>
  refused(): void
}

const rereadMs = 60_000
const fileBytesMax = 262_144

export async function openAccess(
  options: KubernetesAccessOptions,
  context: StoreContext,
): Promise<KubernetesAccess> {
  const { env } = context
  if (options.kubeconfig !== undefined) return fromKubeconfig(options.kubeconfig, options, context)
  const host = env['KUBERNETES_SERVICE_HOST']
  if (host) return inCluster(host, env['KUBERNETES_SERVICE_PORT'] || '443', options, context)
  const path = env['KUBECONFIG']
  if (path) return fromKubeconfig(path, options, context)
  throw new KeyturnError(
    'config_missing',
    'Nothing says where the Kubernetes API is for the kubernetes store.',
    {
      fix: 'Run Keyturn in a pod with a service account, or set kubeconfig in the store configuration.',
    },
  )
}

// ------------------------------------------------------------------ in a pod

async function inCluster(
  host: string,
  port: string,
  { serviceAccountFolder }: KubernetesAccessOptions,
  context: StoreContext,
): Promise<KubernetesAccess> {
  const folder = serviceAccountFolder ?? '/var/run/secrets/kubernetes.io/serviceaccount'
  const namespace = await needed(join(folder, 'namespace'), context)
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim(),
    ...kept(context, async () => ({
      token: tokenIn(await needed(join(folder, 'token'), context), join(folder, 'token')),
      tls: { ca: await needed(join(folder, 'ca.crt'), context) },
    })),
  }
}

function kept(
  { system }: StoreContext,
  read: () => ReturnType<KubernetesAccess['credentials']>,
): Pick<KubernetesAccess, 'credentials' | 'refused'> {
  let readAt = Number.NEGATIVE_INFINITY
  let held: ReturnType<KubernetesAccess['credentials']> | undefined
  const forget = (): void => {
    held = undefined
  }
  return {
    credentials() {
      if (held === undefined || system.now() - readAt >= rereadMs) {
        readAt = system.now()
        const reading = read()
        held = reading
        reading.catch(() => {
          if (held === reading) forget()
        })
      }
      return held
    },
    refused: forget,
  }
}

async function needed(path: string, context: StoreContext): Promise<string> {
  const text = await readSmallFile(path, fileBytesMax, context.system)
  if (text !== undefined && text.trim() !== '') return text
  throw new KeyturnError('store_denied', `There is nothing in ${path}, which Kubernetes puts into pods.`, {
    fix: 'Give the pod a service account, and leave automountServiceAccountToken on.',
  })
}

function tokenIn(text: string, where: string): Secret {
  const token = text.trim()
  if (/^[\x21-\x7e]+$/.test(token)) return new Secret(token)
  throw new KeyturnError('store_denied', `There is no token for Kubernetes in ${where}.`, {
    fix: `Put one into ${where}.`,
  })
}

// ------------------------------------------------------------------ kubeconfig

type Fields = Readonly<Record<string, unknown>>

async function fromKubeconfig(
  given: string,
  options: KubernetesAccessOptions,
  context: StoreContext,
): Promise<KubernetesAccess> {
  const path = resolvePath(context, given)
  const text = await readSmallFile(path, fileBytesMax, context.system)
  if (text === undefined)
    throw new KeyturnError('config_missing', `There is no kubeconfig ${path}.`, {
      fix: 'Set kubeconfig to the path of one file; several, as KUBECONFIG may name them, are not merged.',
    })
  const invalid = (what: string, fix: string): KeyturnError =>
    new KeyturnError('config_invalid', `The kubeconfig ${path} ${what}.`, { fix })
  const config = await parseYaml(text)
  if (config === undefined)
    throw invalid('is not YAML with a mapping', 'kubectl config view shows what kubectl makes of it.')
  const name = options.context ?? textIn(config, 'current-context')
  if (name === undefined) throw invalid('has no current-context', 'Set context in the store configuration.')
  const chosen = entryIn(config, 'contexts', name, 'context')
  const cluster = entryIn(config, 'clusters', textIn(chosen, 'cluster'), 'cluster')
  const user = entryIn(config, 'users', textIn(chosen, 'user'), 'user')
  if (chosen === undefined || cluster === undefined || user === undefined)
    throw invalid(
      `has no whole context ${name}`,
      'A context names a cluster and a user, and both are to be there.',
    )
  refuseWhatIsNotDone(cluster, user, invalid)
  const fileAt = (file: string): string => (isAbsolute(file) ? file : join(dirname(path), file))
  const pem = (of: Fields, field: string): string | undefined => {
    const data = textIn(of, `${field}-data`)
    if (data !== undefined) return Buffer.from(data, 'base64').toString()
    const file = textIn(of, field)
    return file === undefined ? undefined : readText(fileAt(file))
  }
  const ca = pem(cluster, 'certificate-authority')
  const cert = pem(user, 'client-certificate')
  const key = pem(user, 'client-key')
  const serverName = textIn(cluster, 'tls-server-name')
  const tls: StoreTls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { serverName }),
  }
  const inline = textIn(user, 'token')
  const tokenFile = textIn(user, 'tokenFile')
  return {
    server: serverIn(cluster, invalid),
    namespace: textIn(chosen, 'namespace') ?? 'default',
    ...kept(context, async () => {
      if (tokenFile !== undefined) {
        const file = fileAt(tokenFile)
        return { tls, token: tokenIn((await readSmallFile(file, fileBytesMax, context.system)) ?? '', file) }
      }
      return inline === undefined ? { tls } : { tls, token: tokenIn(inline, path) }
    }),
  }
}

/** Each of them would be ignored in silence otherwise, and the first two weaken what the rest relies on. */
function refuseWhatIsNotDone(
  cluster: Fields,
  user: Fields,
  invalid: (what: string, fix: string) => KeyturnError,
): void {
  if (cluster['insecure-skip-tls-verify'] === true)
    throw invalid(
      'switches the check of the certificate off',
      'Give certificate-authority instead: keys travel there.',
    )
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined)
    throw invalid(
      'gets its credentials from a plugin (exec or auth-provider), and Keyturn runs no programs',
      'Use a service account: kubectl create token NAME, in a user with tokenFile.',
    )
  if (cluster['proxy-url'] !== undefined)
    throw invalid(
      'sends through a proxy (proxy-url), which Keyturn does not',
      'Give a server that can be reached directly.',
    )
  if (user['username'] !== undefined)
    throw invalid(
      'has a user with a password, which Kubernetes gave up',
      'Use a token or a client certificate.',
    )
}

function serverIn(cluster: Fields, invalid: (what: string, fix: string) => KeyturnError): string {
  const server = textIn(cluster, 'server') ?? ''
  const url = URL.canParse(server) ? new URL(server) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname))
  if (url !== undefined && isSafe && url.username === '' && url.search === '')
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
  throw invalid('has no server that is safe to use', 'Use https:// (http:// only to this machine).')
}

/** The package that reads keyturn.yaml; loaded only where a kubeconfig is configured. */
async function parseYaml(text: string): Promise<Fields | undefined> {
  const { parse } = await import('yaml')
  try {
    const value: unknown = parse(text, { maxAliasCount: 100 })
    return isRecord(value) ? value : undefined
  } catch {
    // The parser's message quotes lines, and a kubeconfig holds tokens and private keys.
    return undefined
  }
}

function entryIn(config: Fields, list: string, name: string | undefined, part: string): Fields | undefined {
  const entries = config[list]
  if (!Array.isArray(entries) || name === undefined) return undefined
  const found = (entries as readonly unknown[]).find((entry) => isRecord(entry) && entry['name'] === name)
  const inner = isRecord(found) ? found[part] : undefined
  return isRecord(inner) ? inner : undefined
}

function textIn(fields: Fields | undefined, name: string): string | undefined {
  const value = fields?.[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw fileError(thrown, path, 'read')
  }
}
