import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configProblems } from '../../deploy/config-check.ts'
import { looseIn, podOf } from '../../deploy/manifest-rules.ts'
import { documentsOf, readManifests, repository } from '../../deploy/manifests.ts'
import { type Manifest, schemaProblems } from '../../deploy/schemas.ts'
import { tried } from '../../image/programs.ts'
import { fromEnvironment } from './deviations.ts'

const program = fromEnvironment('KEYTURN_SUITE_HELM')
const chart = join(repository, 'deploy/helm/keyturn')
const valuesFiles = readdirSync(join(chart, 'ci')).map((name) => join(chart, 'ci', name))
const cluster = join(chart, 'ci/cluster-values.yaml')

const helm = (...args: readonly string[]) => tried([program, ...args])

function template(...args: readonly string[]) {
  return helm('template', 'keyturn', chart, '--namespace', 'keyturn', '--kube-version', '1.36.0', ...args)
}

function rendered(values: string): readonly Manifest[] {
  const { code, out, err } = template('--values', values)
  if (code !== 0) throw new Error(err)
  return documentsOf(out)
}

const only = (manifests: readonly Manifest[], kind: string): Manifest => {
  const found = manifests.filter((one) => one.kind === kind)
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} of ${kind}`)
  return found[0]
}

describe.each(valuesFiles)('the chart with %s', (values) => {
  it('is what helm lint wants', () => {
    const { code, out } = helm('lint', '--strict', chart, '--values', values)
    expect(out).toContain('0 chart(s) failed')
    expect(code, out).toBe(0)
  })

  it('makes what the published schemas have, no more open than it has to be', () => {
    const manifests = rendered(values)
    expect(manifests.length).toBeGreaterThan(3)
    for (const manifest of manifests) {
      expect(schemaProblems(manifest), `${manifest.kind} ${manifest.metadata.name}`).toEqual([])
      expect(looseIn(manifest), `${manifest.kind} ${manifest.metadata.name}`).toEqual([])
      expect(manifest.metadata.labels?.['app.kubernetes.io/instance']).toBe('keyturn')
    }
  })

  it('makes a valid configuration, with the names of its Service and paths that are mounted', () => {
    const manifests = rendered(values)
    const { 'keyturn.yaml': text = '' } = only(manifests, 'ConfigMap')['data'] as Record<string, string>
    expect(configProblems(text)).toEqual([])
    const { allowedHosts } = parse(text) as { readonly allowedHosts: readonly string[] }
    expect(allowedHosts).toContain('keyturn.keyturn.svc')
    const pod = manifests.map(podOf).find((one) => one !== undefined)
    const mounts = (pod?.containers[0]?.volumeMounts ?? []).map(({ mountPath }) => mountPath)
    const paths = [...text.matchAll(/: (\/[\w./-]+)/g)].map(([, path = '']) => path)
    expect(paths.filter((path) => !mounts.some((mount) => path.startsWith(`${mount}/`)))).toEqual([])
  })
})

describe('the chart', () => {
  it('makes the pods of the plain manifests', () => {
    const plain = only(readManifests('deployment.yaml'), 'Deployment')
    const made = only(rendered(cluster), 'Deployment')
    const { topologySpreadConstraints: spread, ...pod } = podOf(made) ?? { containers: [] }
    const { topologySpreadConstraints: plainSpread, ...plainPod } = podOf(plain) ?? { containers: [] }
    expect(spread).toHaveLength(plainSpread?.length ?? 0)
    expect(pod).toEqual(plainPod)
  })

  it('makes the Role of the plain manifests', () => {
    expect(only(rendered(cluster), 'Role')['rules']).toEqual(
      only(readManifests('store.yaml'), 'Role')['rules'],
    )
  })

  it('makes other pods where the configuration is another', () => {
    const checksum = (...args: readonly string[]) =>
      /checksum\/config: (\w+)/.exec(template('--values', cluster, ...args).out)?.[1]
    expect(checksum()).toBe(checksum())
    expect(checksum('--set', 'config.log.level=debug')).not.toBe(checksum())
  })

  it('has pods that keep their name for apps, and no service, where only a CronJob is wanted', () => {
    const kinds = rendered(join(chart, 'ci/tick-values.yaml')).map(({ kind }) => kind)
    expect(kinds).toContain('CronJob')
    for (const kind of ['Deployment', 'Service', 'PodDisruptionBudget']) expect(kinds).not.toContain(kind)
  })

  it.each([
    ['replicaCount=3', 'replicaCount'],
    ['image.tag=latest', 'tag'],
    ['image.digest=latest', 'digest'],
    ['image.digest=', 'digest'],
    ['replicas=0', 'replicas'],
    ['networkPolicy.enable=false', 'enable'],
    ['store.names=', 'names'],
    ['readinessPath=/ready', 'readinessPath'],
    ['config=', 'config'],
  ])('refuses --set %s and names the value', (setting, name) => {
    const { code, err } = template('--values', cluster, '--set', setting)
    expect(code).not.toBe(0)
    expect(err).toContain(name)
    expect(err).toMatch(/values don't meet the specifications|failed/)
  })

  it('refuses to be installed without an image', () => {
    const { code, err } = template('--set-json', 'config={"credentials":{}}')
    expect(code).not.toBe(0)
    expect(err).toContain('digest')
  })

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      version: string
    }
    const { appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')) as { appVersion: string }
    expect(appVersion).toBe(version)
  })
})
