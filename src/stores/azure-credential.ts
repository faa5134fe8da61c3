import type * as IdentitySdk from '@azure/identity'
import { KeyturnError } from '../core/errors.ts'
import type { StoreContext } from './context.ts'

export type AzureIdentityModule = typeof IdentitySdk
export type AzureCredential = IdentitySdk.TokenCredential

export interface AzureIdentityOptions {
  readonly clientId?: string
  readonly tenantId?: string
}

/** The command line of Azure needs a second or two; a metadata service that is not there, one. */
const tokenTimeoutMs = 10_000
const publicAuthorities = ['login.microsoftonline.com', 'login.microsoftonline.us', 'login.chinacloudapi.cn']

/**
 * Whom Keyturn is with. What the environment that was handed in says in full is used as it stands (a service principal
 * with a secret, a federated token); all else is found by DefaultAzureCredential, which also reads the process's own.
 */
export function azureCredential(
  sdk: AzureIdentityModule,
  options: AzureIdentityOptions,
  { context, ca }: { readonly context: StoreContext; readonly ca: readonly string[] | undefined },
): AzureCredential {
  const { env } = context
  const clientId = options.clientId ?? env['AZURE_CLIENT_ID']
  const tenantId = options.tenantId ?? env['AZURE_TENANT_ID']
  const secret = env['AZURE_CLIENT_SECRET']
  const tokenFilePath = env['AZURE_FEDERATED_TOKEN_FILE']
  const authority = env['AZURE_AUTHORITY_HOST']
  const shared = {
    ...(authority ? { authorityHost: authority, disableInstanceDiscovery: isPrivate(authority) } : {}),
    ...(ca === undefined ? {} : { tlsOptions: { ca: [...ca] } }),
    // Keyturn tries again by itself, and within its own limits.
    retryOptions: { maxRetries: 0 },
  }
  // The secret belongs to the client of the environment; another one that is configured is a managed identity.
  const isOfEnvironment = clientId !== undefined && clientId === env['AZURE_CLIENT_ID']
  if (tenantId && clientId && secret && isOfEnvironment)
    return new sdk.ClientSecretCredential(tenantId, clientId, secret, shared)
  if (tenantId && clientId && tokenFilePath)
    return new sdk.WorkloadIdentityCredential({ ...shared, tenantId, clientId, tokenFilePath })
  return new sdk.DefaultAzureCredential({
    ...shared,
    ...(tenantId ? { tenantId } : {}),
    ...(clientId ? { managedIdentityClientId: clientId, workloadIdentityClientId: clientId } : {}),
  })
}

/** Microsoft's own service is not asked about an authority that it does not know. */
function isPrivate(authority: string): boolean {
  return URL.canParse(authority) && !publicAuthorities.includes(new URL(authority).hostname)
}

/** Of the clouds that there are (learn.microsoft.com, 2026-11-20). */
const vaultResources = [
  'vault.azure.net',
  'vault.azure.cn',
  'vault.usgovcloudapi.net',
  'vault.microsoftazure.de',
]

/**
 * A vault says itself what a token it wants. One that is not what it is said to be could ask for a token to something
 * else, and go there with it: only tokens to key vaults are asked for, and to those of the vault's own cloud.
 */
function isForVault(scope: string, vault: string): boolean {
  if (!URL.canParse(scope)) return false
  const { protocol, hostname: resource } = new URL(scope)
  const { hostname } = new URL(vault)
  const isOwn = hostname.endsWith(`.${resource}`) && resource.includes('.')
  const cloud = vaultResources.find((each) => hostname.endsWith(`.${each}`))
  return (
    protocol === 'https:' &&
    (cloud === undefined ? isOwn || vaultResources.includes(resource) : cloud === resource)
  )
}

/**
 * The same with an end: no credential of the package has one. Its errors quote what Entra ID and the command line of
 * Azure said, and are left out.
 */
export function boundedCredential(
  credential: AzureCredential,
  { context, vault }: { readonly context: StoreContext; readonly vault: string },
): AzureCredential {
  return {
    async getToken(scopes, options) {
      if ([scopes].flat().some((scope) => !isForVault(scope, vault))) throw foreignToken(vault)
      const over = Promise.withResolvers<never>()
      const cancel = context.system.after(tokenTimeoutMs, () => over.reject(tokenUnreachable(vault)), {
        background: true,
      })
      try {
        const token = await Promise.race([credential.getToken(scopes, options), over.promise])
        if (token === null) throw tokenDenied(vault)
        return token
      } catch (thrown) {
        if (thrown instanceof KeyturnError) throw thrown
        throw isUnreachable(thrown) ? tokenUnreachable(vault) : tokenDenied(vault)
      } finally {
        cancel()
      }
    },
  }
}

function foreignToken(vault: string): KeyturnError {
  return new KeyturnError(
    'store_malformed',
    `${vault} asked for a token to something that is no key vault of its cloud.`,
    {
      fix: 'Check the address of the vault, and whether a proxy answers in its place; nothing was given to it.',
    },
  )
}

function tokenDenied(vault: string): KeyturnError {
  return new KeyturnError('store_denied', `No token for ${vault} could be had from Microsoft Entra ID.`, {
    fix: 'Give Keyturn an identity: a managed identity (clientId where it is user-assigned), a workload identity, AZURE_TENANT_ID with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or, on a desk, az login.',
  })
}

function tokenUnreachable(vault: string): KeyturnError {
  return new KeyturnError('store_unreachable', `Microsoft Entra ID gave no token for ${vault} in time.`, {
    fix: 'Check the network to https://login.microsoftonline.com (or AZURE_AUTHORITY_HOST) or to the metadata service of the machine, the id of the tenant, and caFile where a proxy inspects.',
    retryable: true,
  })
}

/**
 * Nobody said no: Entra ID failed, or was not reached. By the codes of @azure/identity 4.14 and the MSAL beneath it; where
 * the address of the tokens could not be found out, a code is nowhere but at the beginning of the message.
 */
function isUnreachable(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null) return false
  const { name, message, statusCode, code, errorCode, errors, cause } = thrown as Readonly<
    Record<string, unknown>
  >
  if (Array.isArray(errors)) return errors.some(isUnreachable)
  if (typeof statusCode === 'number') return statusCode === 429 || statusCode >= 500
  if (code === 'REQUEST_SEND_ERROR' || (typeof code === 'string' && /^E[A-Z]+$/.test(code))) return true
  if (name === 'ServerError') return typeof errorCode !== 'string' || passingCodes.includes(errorCode)
  if (typeof errorCode === 'string' && passingCodes.includes(errorCode)) return true
  if (typeof message === 'string' && message.startsWith('endpoints_resolution_error')) return true
  return cause !== undefined && isUnreachable(cause)
}

const passingCodes = ['network_error', 'server_error', 'temporarily_unavailable', 'request_timeout']
