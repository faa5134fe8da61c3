import { describe, expect, it } from 'vitest'
import {
  type AzureIdentityModule,
  type AzureIdentityOptions,
  azureCredential,
  boundedCredential,
} from '../../src/stores/azure-credential.ts'
import { canary, failure } from '../conformance/store-suite-support.ts'
import { testContext } from './fakes/system.ts'

/** Which credential of the package is made, and with what. */
function chosen(
  env: Readonly<Record<string, string>>,
  options: AzureIdentityOptions = {},
): readonly [name: string, ...given: unknown[]] {
  let made: readonly [string, ...unknown[]] = ['none']
  const recording = (name: string): unknown =>
    function record(...given: unknown[]): void {
      made = [name, ...given]
    }
  const sdk = {
    ClientSecretCredential: recording('secret'),
    WorkloadIdentityCredential: recording('workload'),
    DefaultAzureCredential: recording('default'),
  } as unknown as AzureIdentityModule
  azureCredential(sdk, options, { context: testContext('.', env), ca: undefined })
  return made
}

const principal = { AZURE_TENANT_ID: 'tenant', AZURE_CLIENT_ID: 'client', AZURE_CLIENT_SECRET: canary }
const once = { retryOptions: { maxRetries: 0 } }

describe('who Keyturn is with Key Vault', () => {
  it('is the service principal of the environment that was handed in, where it is there in full', () => {
    expect(chosen(principal)).toEqual(['secret', 'tenant', 'client', canary, once])
    expect(chosen(principal, { tenantId: 'other' })[1]).toBe('other')
  })

  it('is not that principal where another client is configured: its secret is none of its own', () => {
    const managed = { managedIdentityClientId: 'mine', workloadIdentityClientId: 'mine' }
    expect(chosen(principal, { clientId: 'mine' })).toEqual([
      'default',
      { ...once, tenantId: 'tenant', ...managed },
    ])
  })

  it('is a workload identity where the environment has a federated token', () => {
    const { AZURE_CLIENT_SECRET: _secret, ...rest } = principal
    const env = { ...rest, AZURE_FEDERATED_TOKEN_FILE: '/var/run/token' }
    const given = { ...once, tenantId: 'tenant', clientId: 'client', tokenFilePath: '/var/run/token' }
    expect(chosen(env)).toEqual(['workload', given])
  })

  it('is found by the package where the environment says nothing', () => {
    expect(chosen({})).toEqual(['default', once])
  })

  it.each([
    ['https://login.microsoftonline.us', false],
    ['https://login.partner.example.com', true],
  ])('is asked of %s without asking Microsoft about it: %s', (AZURE_AUTHORITY_HOST, isUnknown) => {
    expect(chosen({ ...principal, AZURE_AUTHORITY_HOST })[4]).toEqual({
      ...once,
      authorityHost: AZURE_AUTHORITY_HOST,
      disableInstanceDiscovery: isUnknown,
    })
  })
})

describe('a token that cannot be had', () => {
  const cases: readonly (readonly [what: string, thrown: unknown, code: string])[] = [
    ['no credential', { name: 'CredentialUnavailableError', message: `nothing, ${canary}` }, 'store_denied'],
    [
      'a wrong secret',
      { name: 'AuthenticationRequiredError', cause: { name: 'ServerError', errorCode: 'invalid_client' } },
      'store_denied',
    ],
    ['a refusal', { name: 'AuthenticationError', statusCode: 400 }, 'store_denied'],
    ['a failure', { name: 'AuthenticationError', statusCode: 503 }, 'store_unreachable'],
    ['throttling', { name: 'AuthenticationError', statusCode: 429 }, 'store_unreachable'],
    ['the network', { cause: { errorCode: 'network_error' } }, 'store_unreachable'],
    ['a refused connection', { code: 'ECONNREFUSED' }, 'store_unreachable'],
    [
      'one of many that failed',
      { errors: [{ name: 'CredentialUnavailableError' }, { statusCode: 500 }] },
      'store_unreachable',
    ],
    ['many that are not there', { errors: [{ name: 'CredentialUnavailableError' }] }, 'store_denied'],
    ['something else', 'text', 'store_denied'],
  ]
  it.each(cases)('for %s is told as what it is, without what was said', async (_what, thrown, code) => {
    const getToken = async (): Promise<never> => {
      throw typeof thrown === 'object' ? Object.assign(new Error(canary), thrown) : thrown
    }
    const given = { context: testContext('.'), vault: 'https://v.vault.azure.net' }
    const error = await failure(
      boundedCredential({ getToken }, given).getToken('https://vault.azure.net/.default'),
    )
    expect([error.code, error.retryable]).toEqual([code, code === 'store_unreachable'])
    expect(error.message).toContain('https://v.vault.azure.net')
  })
})
