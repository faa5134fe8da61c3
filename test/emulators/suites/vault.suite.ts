import { beforeAll, expect } from 'vitest'
import { raceSuite } from '../../conformance/race-suite.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { until } from '../processes.ts'
import { emulatorSuite, fromEnvironment } from './deviations.ts'
import { documentedPolicy } from './documented.ts'
import { askVault, newVaultRef, vaultHarness } from './vault-harness.ts'

const admin = {
  address: fromEnvironment('KEYTURN_SUITE_VAULT'),
  token: fromEnvironment('KEYTURN_SUITE_VAULT_TOKEN'),
}
const mountedMs = 60_000

beforeAll(async () => {
  const mounts = await askVault(admin, 'GET', 'sys/mounts')
  if (!('secret/' in mounts.body))
    await askVault(admin, 'POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  const auths = await askVault(admin, 'GET', 'sys/auth')
  if (!('approle/' in auths.body)) await askVault(admin, 'POST', 'sys/auth/approle', { type: 'approle' })
  // A KV engine becomes one of version 2 a moment after it was mounted.
  await until(async () => (await askVault(admin, 'GET', 'secret/config')).status === 200, {
    timeoutMs: mountedMs,
  })
})

/** With a role of its own that may do what the manual says, and no more; absence may be asked for under a second name. */
async function leastPrivilege(): Promise<StoreHarness> {
  const ref = newVaultRef()
  const policy = documentedPolicy('vault', 'hcl', 'secret/destroy')
  const rules = [ref, `${ref}-nowhere`].map((name) => policy.replaceAll('team/openai', name)).join('\n')
  expect((await askVault(admin, 'PUT', `sys/policies/acl/${ref}`, { policy: rules })).status).toBe(204)
  const role = `auth/approle/role/${ref}`
  await askVault(admin, 'POST', role, { token_policies: [ref], token_ttl: '10m' })
  const roleId = dataOf(await askVault(admin, 'GET', `${role}/role-id`))['role_id'] ?? ''
  const secretId = dataOf(await askVault(admin, 'POST', `${role}/secret-id`, {}))['secret_id'] ?? ''
  return vaultHarness(admin, {
    ref,
    token: secretId,
    options: { auth: { kind: 'approle', roleId, secretId: { env: 'VAULT_TOKEN' } } },
  })
}

function dataOf({
  body,
}: {
  readonly body: Readonly<Record<string, unknown>>
}): Readonly<Record<string, string>> {
  return body['data'] as Readonly<Record<string, string>>
}

emulatorSuite('vault', () => vaultHarness(admin))

emulatorSuite("vault (a field of other people's document)", () =>
  vaultHarness(admin, {
    document: { openai: '', host: 'db.example.com', port: 5432, nested: { deep: ['kept'] } },
    options: { field: 'openai' },
  }),
)

emulatorSuite('vault (AppRole, with the policy of the manual)', leastPrivilege)

raceSuite('vault', () => vaultHarness(admin), { races: 300 })
