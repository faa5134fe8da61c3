import { Secret } from '../../src/core/secret.ts'
import { openIssuer } from '../../src/issuers/index.ts'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { type IssuerFault, type IssuerUnderTest, issuerSuite } from '../conformance/issuer-suite.ts'
import { issuerContext, mintingIssuer, sandbox } from './support.ts'

function underTest(place: Sandbox, issuer: IssuerUnderTest['issuer']): IssuerUnderTest {
  const dead = place.createServiceAccountKey()
  place.deleteKey(dead.id)
  const faults: Record<IssuerFault, () => void> = {
    hang: () => place.set({ hang: true }),
    server_error: () => place.set({ errorStatus: 500 }),
    proxy_page: () => place.set({ proxyPage: 403 }),
    redirect: () => place.set({ redirectTo: 'http://127.0.0.1:9/' }),
  }
  return {
    issuer,
    good: new Secret(place.createServiceAccountKey().value),
    dead: new Secret(dead.value),
    breakWith: (fault) => faults[fault](),
    isAlive: (secret) => place.isAlive(secret.reveal()),
  }
}

issuerSuite('openai, keys on one service account', true, async (timeoutMs) => {
  const place = await sandbox()
  return underTest(place, mintingIssuer(place, { timeoutMs }))
})

issuerSuite('openai, the service account by its name', true, async (timeoutMs) => {
  const place = await sandbox()
  const { adminKey, projectId } = {
    adminKey: async () => new Secret(place.adminKey()),
    projectId: place.project,
  }
  const serviceAccountName = 'app'
  return underTest(
    place,
    openIssuer(
      { kind: 'openai', baseUrl: place.baseUrl, adminKey, projectId, serviceAccountName, timeoutMs },
      issuerContext(),
    ),
  )
})

issuerSuite('openai, a service account per key', true, async (timeoutMs) => {
  const place = await sandbox()
  return underTest(place, mintingIssuer(place, { mode: 'new_service_account', timeoutMs }))
})

issuerSuite('openai without an admin key', false, async (timeoutMs) => {
  const place = await sandbox()
  return underTest(place, openIssuer({ kind: 'openai', baseUrl: place.baseUrl, timeoutMs }, issuerContext()))
})

issuerSuite('manual', false, async (timeoutMs) => {
  const place = await sandbox()
  return underTest(place, openIssuer({ kind: 'manual', baseUrl: place.baseUrl, timeoutMs }, issuerContext()))
})

issuerSuite(
  'openai, admin keys',
  { canMint: true, probe: 'scope:api.management.read', canSetExpiry: false, owner: 'user' },
  async (timeoutMs) => {
    const place = await sandbox()
    const dead = place.createAdminKey()
    place.deleteKey(dead.id)
    const adminKey = async () => new Secret(place.adminKey())
    const settings = { kind: 'openai-admin-keys', baseUrl: place.baseUrl, adminKey, timeoutMs } as const
    return {
      ...underTest(place, openIssuer(settings, issuerContext())),
      good: new Secret(place.createAdminKey().value),
      dead: new Secret(dead.value),
    }
  },
)
