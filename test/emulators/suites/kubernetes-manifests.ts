import { beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { type PodSpec, podOf } from '../../deploy/manifest-rules.ts'
import { exampleFiles, ownFiles, persistentSet, readManifests } from '../../deploy/manifests.ts'
import { type CustomDefinition, customDefinitions, type Manifest } from '../../deploy/schemas.ts'
import { until } from '../processes.ts'
import { ask, type KubernetesAdmin } from './kubernetes-admin.ts'

/** What the API server calls the kinds that the manifests have. */
const plurals: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  ...Object.fromEntries(customDefinitions.map(({ spec }) => [spec.names.kind, spec.names.plural])),
}
const effectiveMs = 60_000

function addressOf({ apiVersion, kind, metadata }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const plural = plurals[kind] ?? `${kind.toLowerCase()}s`
  const place = metadata.namespace === undefined ? root : `${root}/namespaces/${metadata.namespace}`
  return `${place}/${plural}/${metadata.name}`
}

/** `kubectl apply --server-side`, and with `isTried` `--dry-run=server`: a field that is not known is an error. */
function apply(admin: KubernetesAdmin, manifest: Manifest, isTried: boolean) {
  const query = `fieldManager=keyturn&force=true&fieldValidation=Strict${isTried ? '&dryRun=All' : ''}`
  return ask(admin, 'PATCH', `${addressOf(manifest)}?${query}`, stringify(manifest))
}

/** The pod as the controller of a StatefulSet makes it: what is claimed for each is a volume of it. */
function withClaims(manifest: Manifest): PodSpec {
  const { volumeClaimTemplates = [] } = manifest['spec'] as {
    readonly volumeClaimTemplates?: readonly Pick<Manifest, 'metadata'>[]
  }
  const claimed = volumeClaimTemplates.map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: `${name}-0` },
  }))
  const pod = podOf(manifest) ?? { containers: [] }
  return { ...pod, volumes: [...(pod.volumes ?? []), ...claimed] }
}

async function define(admin: KubernetesAdmin, definition: CustomDefinition): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const made = await ask(admin, 'POST', path, definition as unknown as Readonly<Record<string, unknown>>)
  expect([201, 409], made.body).toContain(made.status)
  const { group, names, versions } = definition.spec
  const served = `/apis/${group}/${versions[0]?.name}/${names.plural}`
  await until(async () => (await ask(admin, 'GET', served)).status === 200, { timeoutMs: effectiveMs })
}

/** The manifests of deploy/kubernetes as an API server takes them, with those of the operators that publish a definition. */
export function manifestsSuite(admin: KubernetesAdmin): void {
  const files = [...ownFiles, ...exampleFiles].map((file) => ({ file, manifests: readManifests(file) }))
  const persistent = { file: '../kubernetes-persistent', manifests: [persistentSet()] }
  const all = [...files, persistent].flatMap(({ file, manifests }) =>
    manifests.map((manifest) => ({ at: `${file}: ${manifest.kind} ${manifest.metadata.name}`, manifest })),
  )

  describe('the manifests', () => {
    beforeAll(async () => {
      for (const definition of customDefinitions) await define(admin, definition)
      const strict = readManifests('namespace.yaml')[0]
      for (const name of ['keyturn', 'apps'])
        expect(
          (await apply(admin, { ...strict, metadata: { ...strict?.metadata, name } } as Manifest, false))
            .status,
        ).toBeLessThan(300)
      const accounts = all.filter(({ manifest }) => manifest.kind === 'ServiceAccount')
      for (const { manifest } of accounts)
        expect((await apply(admin, manifest, false)).status).toBeLessThan(300)
    })

    it.each(all)('$at is taken', async ({ manifest }) => {
      const { status, body } = await apply(admin, manifest, true)
      expect([200, 201], body).toContain(status)
    })

    it.each(all.filter(({ manifest }) => podOf(manifest) !== undefined))(
      '$at makes pods that a namespace with restricted pod security admits',
      async ({ manifest }) => {
        const { namespace = '' } = manifest.metadata
        const pod = (labels: object, spec: object) =>
          ask(admin, 'POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All&fieldValidation=Strict`, {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name: 'tried', labels },
            spec,
          })
        const spec = withClaims(manifest)
        const admitted = await pod({}, spec)
        expect(admitted.status, admitted.body).toBe(201)
        const loose = await pod({}, { ...spec, hostNetwork: true })
        expect(loose.status).toBe(403)
        expect(loose.body).toContain('violates PodSecurity')
      },
    )

    it('are refused with a field that is not known', async () => {
      const [deployment] = readManifests('deployment.yaml')
      const wrong = {
        ...deployment,
        spec: { ...(deployment?.['spec'] as object), replicaz: 2 },
      } as unknown as Manifest
      const { status, body } = await apply(admin, wrong, true)
      expect(status, body).toBeGreaterThanOrEqual(400)
      expect(body).toContain('replicaz')
    })
  })
}
