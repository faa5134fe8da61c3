import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { buildProgram } from '../../src/cli/program.ts'
import { documentedPolicy } from '../emulators/suites/documented.ts'
import { configProblems } from './config-check.ts'
import { looseIn, podOf } from './manifest-rules.ts'
import { exampleFiles, ownFiles, persistentSet, readManifests, repository } from './manifests.ts'
import { type Manifest, schemaProblems } from './schemas.ts'

const all = [...ownFiles, ...exampleFiles].flatMap((file) =>
  readManifests(file).map((manifest) => ({
    at: `${file}: ${manifest.kind} ${manifest.metadata.name}`,
    manifest,
  })),
)
const of = (file: string, kind: string): Manifest => {
  const found = readManifests(file).find((one) => one.kind === kind)
  if (found === undefined) throw new Error(`${file} has no ${kind}`)
  return found
}
const configuration = (): string =>
  (of('config.yaml', 'ConfigMap')['data'] as Record<string, string>)['keyturn.yaml'] ?? ''

/** A copy with one value changed, as `path` leads to it; `undefined` takes it out. */
function changed(manifest: Manifest, path: string, value: unknown): Manifest {
  const copy = structuredClone(manifest)
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const place = keys.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], copy)
  if (value === undefined) delete (place as Record<string, unknown>)[last]
  else (place as Record<string, unknown>)[last] = value
  return copy
}

describe('the manifests', () => {
  it.each(all)(
    '$at is as the published schema has it, and no more open than it has to be',
    ({ manifest }) => {
      expect(schemaProblems(manifest)).toEqual([])
      expect(looseIn(manifest)).toEqual([])
    },
  )

  it('are all in kustomization.yaml', () => {
    const text = readFileSync(join(repository, 'deploy/kubernetes/kustomization.yaml'), 'utf8')
    const { resources } = parse(text) as { readonly resources: readonly string[] }
    expect([...resources].sort()).toEqual([...ownFiles].sort())
  })

  it('have a configuration that is valid, and paths in it that are mounted', () => {
    const text = configuration()
    expect(configProblems(text)).toEqual([])
    const [first] = podOf(of('deployment.yaml', 'Deployment'))?.containers ?? []
    const mounts = (first?.volumeMounts ?? []).map(({ mountPath }) => mountPath)
    const paths = [...text.matchAll(/: (\/[\w./-]+)/g)].map(([, path = '']) => path)
    expect(paths.length).toBeGreaterThan(3)
    expect(paths.filter((path) => !mounts.some((mount) => path.startsWith(`${mount}/`)))).toEqual([])
  })

  it('keep the audit journal within the volume of the home, whose pod would be evicted otherwise', () => {
    const { audit } = parse(configuration()) as { readonly audit: { readonly keepMegabytes: number } }
    const home = podOf(of('deployment.yaml', 'Deployment'))?.volumes?.find(({ name }) => name === 'home')
    expect(home?.['emptyDir']).toEqual({ sizeLimit: '1Gi' })
    expect(audit.keepMegabytes).toBeLessThan(1_000)
  })

  it('let Keyturn do to Secrets what the manual says, and nothing else', () => {
    const documented = parseAllDocuments(documentedPolicy('kubernetes', 'yaml', 'name: openai-keyturn'))
    const role = documented.map((one) => one.toJS() as Manifest).find(({ kind }) => kind === 'Role')
    expect(of('store.yaml', 'Role')['rules']).toEqual(role?.['rules'])
  })

  it('have apps that ask as those whom the configuration lets in', () => {
    const { access } = parse(configuration()) as {
      access: { jwt: [{ audience: string; claims: { sub: readonly string[] } }] }
    }
    const [rule] = access.jwt
    for (const file of ['examples/app.yaml', 'examples/sidecar.yaml']) {
      const app = of(file, 'Deployment')
      const account = of(file, 'ServiceAccount').metadata
      expect(rule.claims.sub).toContain(`system:serviceaccount:${account.namespace}:${account.name}`)
      expect(JSON.stringify(podOf(app)?.volumes)).toContain(`"audience":"${rule.audience}"`)
      expect(JSON.stringify(app['spec'])).toContain('"keyturn/client":"true"')
    }
  })

  it('give Keyturn commands and options that it has', async () => {
    const io = { stdout: { write: () => true }, stderr: { write: () => true }, version: () => '0' }
    const containers = all.flatMap(({ manifest }) => {
      const pod = podOf(manifest)
      return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])]
    })
    const given = containers
      .filter(({ image = '' }) => image.includes('/keyturn@'))
      .map(({ args }) => args ?? ['serve'])
    expect(new Set(given.map(([name]) => name))).toEqual(new Set(['file', 'serve', 'tick']))
    for (const args of given) {
      const program = buildProgram(io as unknown as Parameters<typeof buildProgram>[0], () =>
        Promise.resolve(),
      )
      await program.parseAsync([...args], { from: 'user' })
    }
  })

  it('ask at names that the service answers under', () => {
    const { allowedHosts } = parse(configuration()) as { readonly allowedHosts: readonly string[] }
    for (const file of exampleFiles)
      for (const [, host = ''] of readFileSync(join(repository, 'deploy/kubernetes', file), 'utf8').matchAll(
        /https:\/\/(keyturn[\w.]*):7420/g,
      ))
        expect(allowedHosts).toContain(host)
  })

  it('spread two replicas over nodes and zones, let one go at a time, and ask each whether it is well', () => {
    const deployment = of('deployment.yaml', 'Deployment')
    expect(deployment['spec']).toMatchObject({
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
    })
    const pod = podOf(deployment)
    expect(pod?.topologySpreadConstraints).toHaveLength(2)
    expect(pod?.containers[0]?.livenessProbe?.httpGet?.path).toBe('/healthz')
    expect(pod?.containers[0]?.readinessProbe?.httpGet?.path).toBe('/readyz?scope=replica')
    expect(of('pod-disruption-budget.yaml', 'PodDisruptionBudget')['spec']).toMatchObject({ minAvailable: 1 })
  })
})

const container = 'spec.template.spec.containers.0'

describe('with volumes that outlive the pods', () => {
  it('the pods are the same, each with a claim for its home that no other node takes', () => {
    const set = persistentSet()
    expect(schemaProblems(set)).toEqual([])
    expect(looseIn(set)).toEqual([])
    const plain = podOf(of('deployment.yaml', 'Deployment'))
    const volumes = (plain?.volumes ?? []).filter(({ name }) => name !== 'home')
    expect(podOf(set)).toEqual({ ...plain, volumes })
    expect(set).toMatchObject({ kind: 'StatefulSet', spec: { replicas: 2, serviceName: 'keyturn' } })
    expect(JSON.stringify(set['spec'])).toContain('"volumeClaimTemplates":[{"metadata":{"name":"home"')
  })
})

describe('a manifest that is wrong', () => {
  it.each([
    ['spec.replicaz', 2, '/spec has no field replicaz'],
    [
      `${container}.readOnlyRootFilesystem`,
      true,
      '/spec/template/spec/containers/0 has no field readOnlyRootFilesystem',
    ],
    ['spec.replicas', 'two', '/spec/replicas must be integer'],
    ['spec.selector', undefined, "/spec must have required property 'selector'"],
    ['metadata.label', {}, '/metadata has no field label'],
    ['apiVersion', 'apps/v1beta1', 'there is no Deployment in apps/v1beta1'],
  ])('is refused by the schema: %s made %j', (path, value, problem) => {
    expect(schemaProblems(changed(of('deployment.yaml', 'Deployment'), path, value))).toEqual([problem])
  })

  it.each([
    [
      'examples/service-monitor.yaml',
      'ServiceMonitor',
      'spec.endpoints.0.intervall',
      '/spec/endpoints/0 has no field intervall',
    ],
    [
      'examples/external-secrets.yaml',
      'SecretStore',
      'spec.provider.webhook.uri',
      '/spec/provider/webhook has no field uri',
    ],
    ['examples/external-secrets.yaml', 'ExternalSecret', 'spec.refresh', '/spec has no field refresh'],
    [
      'examples/tick.yaml',
      'CronJob',
      'spec.jobTemplate.spec.limit',
      '/spec/jobTemplate/spec has no field limit',
    ],
    ['network-policy.yaml', 'NetworkPolicy', 'spec.ingress.0.form', '/spec/ingress/0 has no field form'],
  ])('is refused by the schema: %s %s with %s', (file, kind, path, problem) => {
    expect(schemaProblems(changed(of(file, kind), path, 1))).toEqual([problem])
  })

  it.each([
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.securityContext.runAsNonRoot',
      false,
      'it may run as root',
    ],
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.securityContext.seccompProfile',
      undefined,
      'every system call is open',
    ],
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.automountServiceAccountToken',
      true,
      'it gets a token that it was not asked for',
    ],
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.hostNetwork',
      true,
      "it has the node's network or processes",
    ],
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.volumes.0',
      { name: 'config', hostPath: { path: '/' } },
      'it has a folder of the node',
    ],
    [
      'deployment.yaml',
      'Deployment',
      'spec.template.spec.securityContext.runAsUser',
      0,
      'keyturn: no user other than 0',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.securityContext.privileged`,
      true,
      'keyturn: it is privileged',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.securityContext.allowPrivilegeEscalation`,
      undefined,
      'keyturn: it may gain privileges',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.securityContext.readOnlyRootFilesystem`,
      false,
      'keyturn: its file system can be written',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.securityContext.capabilities.add`,
      ['NET_RAW'],
      'keyturn: it keeps capabilities',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.image`,
      'keyturn:latest',
      'keyturn: its image is not named by digest',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.resources.limits`,
      undefined,
      'keyturn: it may take all memory of its node',
    ],
    [
      'deployment.yaml',
      'Deployment',
      `${container}.env.0`,
      { name: 'OPENAI_ADMIN_KEY', value: 'x' },
      'keyturn: OPENAI_ADMIN_KEY holds a secret',
    ],
    [
      'examples/sidecar.yaml',
      'Deployment',
      'spec.template.spec.initContainers.0.securityContext.runAsUser',
      0,
      'keyturn-file: no user other than 0',
    ],
    [
      'examples/tick.yaml',
      'CronJob',
      'spec.jobTemplate.spec.template.spec.securityContext.runAsNonRoot',
      false,
      'it may run as root',
    ],
    ['store.yaml', 'Role', 'rules.0.verbs', ['*'], 'a rule has a wildcard'],
    ['store.yaml', 'Role', 'rules.0.resourceNames', undefined, 'a rule is for all names'],
    ['store.yaml', 'Role', 'rules.0.resources', ['pods'], 'a rule is for more than Secrets'],
    ['store.yaml', 'Role', 'rules.0.verbs', ['create'], 'a rule allows create'],
    ['store.yaml', 'Role', 'kind', 'ClusterRole', 'it reaches beyond its namespace'],
    ['store.yaml', 'Secret', 'stringData', { api_key: 'x' }, 'a secret stands in it'],
    [
      'service-account.yaml',
      'ServiceAccount',
      'automountServiceAccountToken',
      undefined,
      'its pods get tokens unasked',
    ],
    ['service.yaml', 'Service', 'spec.type', 'LoadBalancer', 'it is open beyond the cluster'],
    ['network-policy.yaml', 'NetworkPolicy', 'spec.policyTypes', ['Ingress'], 'Egress is open'],
    ['network-policy.yaml', 'NetworkPolicy', 'spec.ingress.0.from', undefined, 'anybody may come in'],
    [
      'network-policy.yaml',
      'NetworkPolicy',
      'spec.ingress.0.from.0.podSelector',
      {},
      'pods without a label may come in',
    ],
    ['network-policy.yaml', 'NetworkPolicy', 'spec.egress.1.to', undefined, 'anything may be reached'],
    [
      'network-policy.yaml',
      'NetworkPolicy',
      'spec.egress.1.to.0.ipBlock.except',
      undefined,
      'the metadata service of a cloud may be reached',
    ],
    [
      'network-policy.yaml',
      'NetworkPolicy',
      'spec.egress.1.to.1.ipBlock.except',
      ['fe80::/10', 'fd00:ec2::254/128'],
      'the metadata service of a cloud may be reached',
    ],
  ])('is caught by the rules: %s %s, %s made %j', (file, kind, path, value, problem) => {
    const found = looseIn(changed(of(file, kind), path, value))
    // A wildcard among the verbs is also a verb that is not allowed.
    expect(found).toContain(problem)
    expect(found.length).toBeLessThanOrEqual(2)
  })
})

it.each([
  ['StatefulSet', { volumeClaimTemplates: [{ spec: { accessModes: ['ReadWriteMany'] } }] }],
  ['PersistentVolumeClaim', { accessModes: ['ReadWriteOnce', 'ReadWriteMany'] }],
])('a %s whose volume several nodes may write is caught by the rules', (kind, spec) => {
  const found = looseIn({ apiVersion: 'v1', kind, metadata: { name: 'home' }, spec })
  expect(found).toEqual(['nodes share its volume'])
})
