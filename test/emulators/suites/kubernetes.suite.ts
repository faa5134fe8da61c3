import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { SecretStore } from '../../../src/core/ports.ts'
import { openStore } from '../../../src/stores/index.ts'
import { raceSuite } from '../../conformance/race-suite.ts'
import type { StoreHarness } from '../../conformance/store-suite.ts'
import { makeFolder } from '../../stores/fakes/folder.ts'
import { testContext } from '../../stores/fakes/system.ts'
import { until } from '../processes.ts'
import { emulatorSuite, fromEnvironment } from './deviations.ts'
import { documentedPolicy } from './documented.ts'
import { ask, type KubernetesAdmin } from './kubernetes-admin.ts'
import { manifestsSuite } from './kubernetes-manifests.ts'

const admin: KubernetesAdmin = {
  url: fromEnvironment('KEYTURN_SUITE_KUBERNETES'),
  token: fromEnvironment('KEYTURN_SUITE_KUBERNETES_TOKEN'),
  caFile: fromEnvironment('KEYTURN_SUITE_KUBERNETES_CA'),
}
const namespace = 'apps'
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/apps'
const effectiveMs = 10_000

type Body = Readonly<Record<string, unknown>>

async function make(path: string, body: Body): Promise<string> {
  const answer = await ask(admin, 'POST', path, body)
  expect([201, 409], answer.body).toContain(answer.status)
  return answer.body
}

beforeAll(async () => {
  await make('/api/v1/namespaces', { metadata: { name: namespace } })
})

/** As a pod has it: a service account of its own with a token of the API server's, and a role that was bound to it. */
async function podHarness(documents: readonly Body[], ref: string): Promise<StoreHarness> {
  const account = `keyturn-${randomUUID()}`
  await make(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: account } })
  for (const document of documents)
    await make(
      document['kind'] === 'Role' ? `${rbac}/roles` : `/api/v1/namespaces/${namespace}/secrets`,
      document['kind'] === 'Role' ? { ...document, metadata: { name: account } } : document,
    )
  await make(`${rbac}/rolebindings`, {
    metadata: { name: account },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  })
  const made = await make(`/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
    spec: { expirationSeconds: 3_600 },
  })
  const { token } = (JSON.parse(made) as { readonly status: { readonly token: string } }).status
  await until(() => mayRead(token, ref), { timeoutMs: effectiveMs })
  return harnessOf(token, ref)
}

/** Roles become effective a moment after they were made. */
async function mayRead(token: string, name: string): Promise<boolean> {
  const resourceAttributes = { namespace, verb: 'get', resource: 'secrets', name: `${name}-keyturn` }
  const answer = await ask(
    { ...admin, token },
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } },
  )
  return (
    (JSON.parse(answer.body) as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true
  )
}

async function harnessOf(token: string, ref: string): Promise<StoreHarness> {
  const { path, remove } = await makeFolder()
  const pod = join(path, 'pod')
  await mkdir(pod)
  await writeFile(join(pod, 'token'), token, { mode: 0o600 })
  await writeFile(join(pod, 'namespace'), namespace)
  await writeFile(join(pod, 'ca.crt'), readFileSync(admin.caFile))
  const { hostname, port } = new URL(admin.url)
  const context = testContext(path, { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port })
  const opened: SecretStore[] = []
  const another = async (): Promise<SecretStore> => {
    const store = await openStore({ kind: 'kubernetes', serviceAccountFolder: pod }, context)
    opened.push(store)
    return store
  }
  return {
    store: await another(),
    ref,
    absentRef: 'nowhere',
    another,
    logged: () => context.lines.join('\n'),
    async cleanUp() {
      for (const store of opened) await store.close()
      for (const name of [ref, `${ref}-keyturn`])
        await ask(admin, 'DELETE', `/api/v1/namespaces/${namespace}/secrets/${name}`)
      await remove()
    },
  }
}

const newRef = (): string => `keyturn-${randomUUID()}`

const anySecret: Body = {
  kind: 'Role',
  rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch', 'create', 'update'] }],
}

/** The manifests of the manual, with both Secrets made beforehand; absence can be told only where it may be asked for. */
function documented(ref: string): readonly Body[] {
  const manifest = documentedPolicy('kubernetes', 'yaml', 'name: openai-keyturn')
  const text = manifest
    .replaceAll(/\bopenai\b/g, ref)
    .replaceAll('resourceNames: [', 'resourceNames: [nowhere, nowhere-keyturn, ')
  const documents = parseAllDocuments(text).map((document) => document.toJS() as Body)
  return [...documents, { kind: 'Secret', metadata: { name: ref } }]
}

emulatorSuite('kubernetes', () => podHarness([anySecret], newRef()))

emulatorSuite('kubernetes (with the manifests of the manual)', () => {
  const ref = newRef()
  return podHarness(documented(ref), ref)
})

raceSuite('kubernetes', () => podHarness([anySecret], newRef()), { races: 200 })

manifestsSuite(admin)
