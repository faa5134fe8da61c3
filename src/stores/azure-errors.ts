import { KeyturnError, type KeyturnErrorOptions } from '../core/errors.ts'

export type AzurePermission = 'get' | 'list' | 'set' | 'update'

export interface AzureCall {
  readonly permission: AzurePermission
  /** The name of the secret, which may be that of the sibling. */
  readonly name: string
  /** The vault's address. */
  readonly vault: string
}

/** As role definitions and access policies name it. Changing tags is an action of its own in roles only. */
export const permissionNames: Readonly<
  Record<AzurePermission, { readonly role: string; readonly policy: string }>
> = {
  get: { role: 'Microsoft.KeyVault/vaults/secrets/getSecret/action', policy: 'Get' },
  list: { role: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action', policy: 'List' },
  set: { role: 'Microsoft.KeyVault/vaults/secrets/setSecret/action', policy: 'Set' },
  update: { role: 'Microsoft.KeyVault/vaults/secrets/update/action', policy: 'Set' },
}

/** What can be told of an answer that is no success. Azure's messages are left out: some quote what was sent. */
export interface AzureFailure {
  readonly status: number | undefined
  /** Azure's own words for it, the innermost last; also the network's, e.g. ECONNREFUSED. */
  readonly codes: readonly string[]
  readonly retryAfterMs: number | undefined
}

/** One of ours for whatever the SDK threw. The error itself is not kept as cause: it holds the request and its body. */
export function azureError(thrown: unknown, call: AzureCall): KeyturnError {
  if (thrown instanceof KeyturnError) return thrown
  const failure = failureOf(thrown)
  const what = describeCall(call, failure)
  const { status } = failure
  const has = (code: string): boolean => failure.codes.includes(code)
  if (status === undefined) return isNetwork(failure) ? noAnswer(what, call, failure) : malformed(what)
  if (status === 401) return badCredentials(what)
  if (status === 403) return forbidden(what, call, failure)
  if (status === 404 && has('SecretNotFound'))
    return new KeyturnError('store_absent', `Key Vault has no such secret or version: ${what}.`, {
      fix: `Check the name and the vault: az keyvault secret list-versions --name ${call.name} --vault-name ${vaultName(call.vault)}`,
    })
  if (status === 409) return conflict(what, call, failure)
  if (status === 429)
    return retryable('store_throttled', `Key Vault throttled ${what}.`, {
      fix: 'Nothing is to be done: it is tried again.',
      ...asked(failure),
    })
  if (status >= 500)
    return retryable('store_unreachable', `Key Vault failed: ${what}.`, {
      fix: 'Look at the status of Azure Key Vault in the region, and whether a proxy answers in its place.',
      ...asked(failure),
    })
  if (status >= 300 && status <= 399)
    return new KeyturnError('store_unreachable', `Key Vault redirected, which is not followed: ${what}.`, {
      fix: 'Configure the address of the vault itself, such as https://NAME.vault.azure.net.',
    })
  if (status === 400 && has('BadParameter'))
    return new KeyturnError('store_malformed', `Key Vault refused the request itself: ${what}.`, {
      fix: 'Check the size of the value and the tags of the secret; report it where they are nothing special.',
    })
  return malformed(what)
}

// ------------------------------------------------------------------ one rule per class

function forbidden(what: string, call: AzureCall, { codes }: AzureFailure): KeyturnError {
  const { name, vault, permission } = call
  if (codes.includes('SecretDisabled')) return disabledError(call)
  if (codes.includes('ForbiddenByFirewall') || codes.includes('ForbiddenByConnection'))
    return new KeyturnError('store_denied', `The vault's network rules refused ${what}.`, {
      fix: `Let Keyturn's address or its private endpoint in: az keyvault network-rule list --name ${vaultName(vault)}`,
    })
  const { role, policy } = permissionNames[permission]
  const isChange = permission === 'set' || permission === 'update'
  const failover = isChange ? ' A vault that failed over to another region takes no changes at all.' : ''
  return new KeyturnError('store_denied', `Key Vault refused ${what}.`, {
    fix: `Allow ${role} (in access policies: ${policy}) on ${name} to the identity that Keyturn runs as.${failover}`,
  })
}

export function disabledError({ name, vault }: Pick<AzureCall, 'name' | 'vault'>): KeyturnError {
  const where = `--name ${name} --vault-name ${vaultName(vault)}`
  return new KeyturnError(
    'store_disabled',
    `The newest version of ${name} in ${vault} is disabled: nobody can read the secret.`,
    {
      fix: `az keyvault secret set-attributes ${where} --enabled true, or set the key again: az keyvault secret set ${where}`,
    },
  )
}

export function deletedError({ name, vault }: Pick<AzureCall, 'name' | 'vault'>): KeyturnError {
  return new KeyturnError(
    'store_disabled',
    `The secret ${name} in ${vault} is deleted and can be recovered.`,
    {
      fix: `az keyvault secret recover --name ${name} --vault-name ${vaultName(vault)}`,
    },
  )
}

/** Azure refuses writes to one secret that come at once; the next one is taken. */
function conflict(what: string, call: AzureCall, { codes }: AzureFailure): KeyturnError {
  const isDeleted = ['ObjectIsDeletedButRecoverable', 'ObjectIsBeingDeleted'].some((code) =>
    codes.includes(code),
  )
  if (isDeleted) return deletedError(call)
  return retryable('store_conflict', `Key Vault was changing the secret already: ${what}.`, {
    fix: 'Nothing is to be done: it is tried again.',
  })
}

function badCredentials(what: string): KeyturnError {
  return new KeyturnError('store_denied', `Key Vault did not take the credentials for ${what}.`, {
    fix: 'Check that the identity belongs to the tenant of the vault, and the clock: az account show, or tenantId of the store.',
  })
}

function noAnswer(what: string, { vault }: AzureCall, { codes }: AzureFailure): KeyturnError {
  if (codes.some((code) => tlsPattern.test(code)))
    return retryable('store_unreachable', `The certificate of the vault could not be trusted: ${what}.`, {
      fix: `Configure caFile where a proxy inspects what goes to ${vault}.`,
    })
  return retryable('store_unreachable', `Key Vault gave no answer that tells the outcome of ${what}.`, {
    fix: `Check the name of the vault and the network to ${vault} (private endpoint, firewall, proxy).`,
  })
}

function malformed(what: string): KeyturnError {
  return retryable('store_malformed', `The answer to ${what} was none that Key Vault gives.`, {
    fix: 'Check the address of the vault, and whether a proxy answers in its place.',
  })
}

function retryable(
  code: 'store_throttled' | 'store_unreachable' | 'store_malformed' | 'store_conflict',
  message: string,
  options: KeyturnErrorOptions,
): KeyturnError {
  return new KeyturnError(code, message, { ...options, retryable: true })
}

function asked({ retryAfterMs }: AzureFailure): KeyturnErrorOptions {
  return retryAfterMs === undefined ? {} : { retryAfterMs }
}

// ------------------------------------------------------------------ what the SDK threw

const words: Readonly<Record<AzurePermission, string>> = {
  get: 'reading',
  list: 'listing the versions of',
  set: 'setting',
  update: 'changing the tags of',
}

function describeCall({ permission, name, vault }: AzureCall, { status, codes }: AzureFailure): string {
  const told = [...(status === undefined ? [] : [String(status)]), ...codes].join(', ')
  return `${words[permission]} ${name} in ${vault} (${told === '' ? 'no code' : told})`
}

function vaultName(vault: string): string {
  return new URL(vault).hostname.split('.')[0] ?? 'NAME'
}

const tlsPattern =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/
/** Without an answer only what the network or a limit of ours says; all else is an answer that could not be read. */
const networkPattern =
  /^(?:E[A-Z]{3,20}(?:_[A-Z]+)*|REQUEST_SEND_ERROR|AbortError|TimeoutError|ERR_[A-Z0-9_]+|[A-Z]+_[A-Z_]+)$/

function isNetwork({ codes }: AzureFailure): boolean {
  return codes.some((code) => code !== 'PARSE_ERROR' && (networkPattern.test(code) || tlsPattern.test(code)))
}

export function failureOf(thrown: unknown): AzureFailure {
  const codes: string[] = []
  const add = (code: unknown): void => {
    if (typeof code === 'string' && codePattern.test(code) && !codes.includes(code)) codes.push(code)
  }
  const error = fieldsOf(thrown)
  if (error['name'] === 'AbortError' || error['name'] === 'TimeoutError') add(error['name'])
  add(error['code'])
  add(fieldsOf(error['cause'])['code'])
  const told = fieldsOf(fieldsOf(error['details'])['error'])
  add(told['code'])
  add(fieldsOf(told['innerError'] ?? told['innererror'])['code'])
  const status = error['statusCode']
  return {
    status: typeof status === 'number' ? status : undefined,
    codes,
    retryAfterMs: retryAfterOf(fieldsOf(error['response'])['headers']),
  }
}

/** Only what looks like a name: a proxy can make the SDK take anything for one. */
const codePattern = /^[A-Za-z][A-Za-z0-9_]{1,60}$/

function retryAfterOf(headers: unknown): number | undefined {
  const get = fieldsOf(headers)['get']
  if (typeof get !== 'function') return undefined
  const value: unknown = get.call(headers, 'retry-after')
  return typeof value === 'string' && /^\d{1,9}$/.test(value)
    ? Math.min(Number(value) * 1_000, retryAfterMsMax)
    : undefined
}

const retryAfterMsMax = 30_000

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}
