import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { errnoOf } from '../core/errno.ts'
import { KeyturnError } from '../core/errors.ts'
import type { StoreContext } from './context.ts'
import { parseJson } from './plain-text.ts'

/** What the driver uses of the SDK's client. */
export type SecretManagerClient = Pick<
  SecretManagerServiceClient,
  | 'getSecret'
  | 'createSecret'
  | 'updateSecret'
  | 'addSecretVersion'
  | 'accessSecretVersion'
  | 'listSecretVersions'
  | 'destroySecretVersion'
  | 'testIamPermissions'
  | 'getProjectId'
  | 'close'
>

type Stub = Awaited<ReturnType<SecretManagerServiceClient['initialize']>>
type ClientOptions = NonNullable<ConstructorParameters<typeof SecretManagerServiceClient>[0]>

export interface GoogleSdk {
  readonly SecretManagerServiceClient: new (options: ClientOptions) => SecretManagerClient
  /** What takes the place of Google's credentials for an endpoint on this machine. */
  withoutCredentials(transport: 'rest' | 'grpc'): Pick<ClientOptions, 'authClient' | 'sslCreds'>
}

export interface GoogleClientOptions {
  readonly project?: string
  readonly location?: string
  readonly endpoint?: string
  readonly transport?: 'rest' | 'grpc'
}

const packageName = '@google-cloud/secret-manager'

export async function loadGoogleSdk(): Promise<GoogleSdk> {
  const { SecretManagerServiceClient } = await import('@google-cloud/secret-manager')
  return {
    SecretManagerServiceClient: class extends SecretManagerServiceClient {
      constructor(options: ClientOptions) {
        super(options)
        refuseRedirects(this.auth)
      }

      /**
       * Each call begins with this one and lets its rejection go unhandled (7.2.0), which ends the process: without
       * credentials all credentials of other stores would go down with this one. The call itself says what is wrong. It
       * would say so for ever, also when there are credentials again, if the stub that failed were kept.
       */
      override async initialize(): Promise<Stub> {
        try {
          return await super.initialize()
        } catch {
          delete (this as { secretManagerServiceStub?: Promise<Stub> }).secretManagerServiceStub
          return {}
        }
      }
    },
    withoutCredentials(transport) {
      // Both are the SDK's own dependencies and not ours: found from where it is, whatever the package manager does.
      const fromSdk = createRequire(createRequire(import.meta.url).resolve(packageName))
      const gax = fromSdk('google-gax') as {
        readonly grpc: { readonly credentials: { createInsecure(): ClientOptions['sslCreds'] } }
        readonly googleAuthLibrary: {
          readonly PassThroughClient: new () => NonNullable<ClientOptions['authClient']>
        }
      }
      const authClient = new gax.googleAuthLibrary.PassThroughClient()
      const sslCreds = transport === 'grpc' ? gax.grpc.credentials.createInsecure() : undefined
      // gRPC sends nothing of the former, but would ask the metadata server without it.
      return { authClient, ...(sslCreds === undefined ? {} : { sslCreds }) }
    },
  }
}

/**
 * All of REST goes through this one method, whatever the credentials are. Left to itself it sends a request on, with the key
 * in it, to wherever an answer points.
 */
function refuseRedirects(auth: SecretManagerServiceClient['auth']): void {
  const send: typeof fetch = auth.fetch.bind(auth)
  const sendHere: typeof fetch = (input, init) => send(input, { ...init, redirect: 'error' })
  Object.defineProperty(auth, 'fetch', { value: sendHere })
}

/** Error codes: `package_missing`, `config_invalid`. */
export async function openGoogleClient(
  options: GoogleClientOptions,
  context: StoreContext,
  load: () => Promise<GoogleSdk>,
): Promise<{ readonly client: SecretManagerClient; readonly project: () => Promise<string> }> {
  const sdk = await loadOrExplain(load)
  const { transport = 'rest' } = options
  const { env } = context
  const configured = options.project ?? env['GOOGLE_CLOUD_PROJECT'] ?? env['GCLOUD_PROJECT']
  const keyFilename = env['GOOGLE_APPLICATION_CREDENTIALS']
  const place = endpointOf(options)
  if (!place.isOpen && keyFilename !== undefined && keyFilename !== '') assertCredentialsFile(keyFilename)
  const credentials = place.isOpen
    ? sdk.withoutCredentials(transport)
    : keyFilename === undefined || keyFilename === ''
      ? {}
      : { keyFilename }
  const client = new sdk.SecretManagerServiceClient({
    ...place.options,
    ...credentials,
    ...(transport === 'rest' ? { fallback: true } : {}),
    // Where it is known, the SDK asks no metadata server for it.
    ...(configured !== undefined || place.isOpen ? { projectId: configured ?? 'unknown' } : {}),
  })
  return {
    client,
    async project() {
      if (configured !== undefined && configured !== '') return configured
      const found = place.isOpen ? undefined : await projectOf(client)
      if (found !== undefined) return found
      throw new KeyturnError('config_missing', 'No project is known for the google-secret-manager store.', {
        fix: 'Set project in the store configuration, or GOOGLE_CLOUD_PROJECT, or name secrets as projects/PROJECT/secrets/NAME.',
      })
    },
  }
}

/** The SDK says of such a file that Google cannot be reached. */
function assertCredentialsFile(path: string): void {
  let text: string | undefined
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    if (errnoOf(thrown) === undefined) throw thrown
  }
  if (text !== undefined && parseJson(text) !== undefined) return
  throw new KeyturnError(
    'config_invalid',
    `GOOGLE_APPLICATION_CREDENTIALS names ${path}, which ${text === undefined ? 'cannot be read' : 'is not JSON'}.`,
    {
      fix: 'Name the JSON file of a service account or a workload identity, or unset it to use what is attached.',
    },
  )
}

/** The SDK's only failure here is that it knows of none. */
async function projectOf(client: SecretManagerClient): Promise<string | undefined> {
  try {
    return await client.getProjectId()
  } catch (thrown) {
    if (thrown instanceof TypeError) throw thrown
    return undefined
  }
}

/** Without TLS only to this machine, and then without credentials: there is nobody to show them to. */
function endpointOf({ endpoint, location }: GoogleClientOptions): {
  readonly isOpen: boolean
  readonly options: ClientOptions
} {
  if (endpoint === undefined) {
    const apiEndpoint = location === undefined ? undefined : `secretmanager.${location}.rep.googleapis.com`
    return { isOpen: false, options: apiEndpoint === undefined ? {} : { apiEndpoint } }
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const isOpen = url?.protocol === 'http:'
  const isBare = url !== undefined && url.username === '' && url.password === '' && url.search === ''
  const isLoopback = url !== undefined && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (!isBare || url.pathname !== '/' || (isOpen ? !isLoopback : url.protocol !== 'https:'))
    throw new KeyturnError('config_invalid', 'The endpoint of the google-secret-manager store is not one.', {
      fix: 'Configure https://HOST, or http://127.0.0.1:PORT, without user, path or query.',
    })
  const port = url.port === '' ? (isOpen ? 80 : 443) : Number(url.port)
  return {
    isOpen,
    options: { apiEndpoint: url.hostname, port, ...(isOpen ? { protocol: 'http' } : {}) },
  }
}

async function loadOrExplain(load: () => Promise<GoogleSdk>): Promise<GoogleSdk> {
  try {
    return await load()
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ERR_MODULE_NOT_FOUND') throw thrown
    throw new KeyturnError(
      'package_missing',
      `The google-secret-manager store needs the package ${packageName}.`,
      { fix: `npm install ${packageName}@7` },
    )
  }
}
