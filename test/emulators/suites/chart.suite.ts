import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { configProblems } from '../../deploy/config-check.ts'
import { looseIn, podOf } from '../../deploy/manifest-rules.ts'
import { documentsOf, persistentSet, readManifests, repository } from '../../deploy/manifests.ts'
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

function rendered(values: string, ...args: readonly string[]): readonly Manifest[] {
  const { code, out, err } = template('--values', values, ...args)
  if (code !== 0) throw new Error(err)
  return documentsOf(out)
}

/** What `helm install` says last. It asks a cluster first; here the same text is rendered as a file. */
function notesWith(values: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-chart-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  cpSync(chart, folder, { recursive: true })
  renameSync(join(folder, 'templates/NOTES.txt'), join(folder, 'notes.txt'))
  writeFileSync(join(folder, 'templates/notes.yaml'), 'notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}')
  const args = ['--namespace', 'keyturn', '--kube-version', '1.36.0', '--values', values]
  const { out } = helm('template', 'keyturn', folder, ...args, '--show-only', 'templates/notes.yaml')
  return (parse(out) as { readonly notes: string }).notes
}

type Data = Readonly<Record<string, string>>

/** keyturn.yaml as the chart makes it. */
function configurationOf(manifests: readonly Manifest[]): string {
  const maps = manifests.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'keyturn')
  return (only(maps, 'ConfigMap')['data'] as Data)['keyturn.yaml'] ?? ''
}

type Json = Readonly<Record<string, unknown>>

interface StatefulSpec {
  readonly volumeClaimTemplates: readonly {
    readonly metadata: Manifest['metadata']
    readonly spec: { readonly resources: { readonly requests: object } }
  }[]
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
    const text = configurationOf(manifests)
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

  describe('with persistence', () => {
    const kept = join(chart, 'ci/replicas-with-volumes-values.yaml')
    const homeOf = (manifest: Manifest) => (manifest['spec'] as StatefulSpec).volumeClaimTemplates[0]

    it('makes the same pods, with a volume of its own for the home of each', () => {
      const set = only(rendered(kept), 'StatefulSet')
      expect(homeOf(set)?.metadata.name).toBe('home')
      expect(homeOf(set)?.spec.resources.requests).toEqual({ storage: '2Gi' })
      const plain = podOf(only(rendered(kept, '--set', 'persistence.enabled=false'), 'Deployment'))
      const withoutHome = (plain?.volumes ?? []).filter(({ name }) => name !== 'home')
      expect(podOf(set)).toEqual({ ...plain, volumes: withoutHome })
      expect(rendered(kept).map(({ kind }) => kind)).not.toContain('Deployment')
    })

    it('makes what the plain manifests make with volumes', () => {
      const [set, plain] = [
        only(rendered(cluster, '--set', 'persistence.enabled=true'), 'StatefulSet'),
        persistentSet(),
      ]
      const { topologySpreadConstraints: _spread, ...pod } = podOf(set) ?? { containers: [] }
      const { topologySpreadConstraints: _plainSpread, ...plainPod } = podOf(plain) ?? { containers: [] }
      expect(pod).toEqual(plainPod)
      expect(homeOf(set)?.spec).toEqual(homeOf(plain)?.spec)
      for (const field of ['replicas', 'serviceName', 'podManagementPolicy'])
        expect((set['spec'] as Json)[field]).toBe((plain['spec'] as Json)[field])
    })

    it('claims volumes that an upgrade to another version leaves as they are, as a StatefulSet has to', () => {
      const labels = homeOf(only(rendered(kept), 'StatefulSet'))?.metadata.labels
      expect(Object.keys(labels ?? {})).toEqual(['app.kubernetes.io/name', 'app.kubernetes.io/instance'])
    })

    it('gives the CronJob one volume, which stays when the release goes', () => {
      const made = rendered(join(chart, 'ci/tick-with-volume-values.yaml'))
      const claim = only(made, 'PersistentVolumeClaim')
      const home = podOf(only(made, 'CronJob'))?.volumes?.find(({ name }) => name === 'home')
      expect(home?.['persistentVolumeClaim']).toEqual({ claimName: claim.metadata.name })
      expect(JSON.stringify(claim.metadata)).toContain('"helm.sh/resource-policy":"keep"')
    })
  })

  it.each([
    [[], 768],
    [['--set', 'homeSize=8Gi'], 6_144],
    [['--set', 'homeSize=100Mi'], 128],
    [['--set', 'persistence.enabled=true', '--set', 'persistence.size=1Ti'], 786_432],
    [['--set', 'config.audit.keepMegabytes=200'], 200],
  ])('keeps the audit journal within the volume of the home: %j', (args, megabytes) => {
    const text = configurationOf(rendered(cluster, ...args))
    const { audit } = parse(text) as { readonly audit: { readonly keepMegabytes: number } }
    expect(audit.keepMegabytes).toBe(megabytes)
  })

  it('gives the pod what further volumes are named', () => {
    const pod = podOf(only(rendered(join(chart, 'ci/everything-values.yaml')), 'Deployment'))
    expect(pod?.volumes?.map(({ name }) => name)).toContain('vault')
    expect(pod?.containers[0]?.volumeMounts).toContainEqual({
      name: 'vault',
      mountPath: '/run/vault',
      readOnly: true,
    })
  })

  it('lets the node of a single replica be drained', () => {
    const kinds = rendered(cluster, '--set', 'replicas=1').map(({ kind }) => kind)
    expect(kinds).toContain('Deployment')
    expect(kinds).not.toContain('PodDisruptionBudget')
  })

  it('asks nobody for metrics where no service answers, and has no rules for them', () => {
    const args = ['serviceMonitor.enabled=true', 'prometheusRule.enabled=true'].flatMap((one) => [
      '--set',
      one,
    ])
    const kinds = rendered(join(chart, 'ci/tick-values.yaml'), ...args).map(({ kind }) => kind)
    expect(kinds).not.toContain('ServiceMonitor')
    expect(kinds).not.toContain('PrometheusRule')
  })

  it('makes the rules of monitoring, for the job as a ServiceMonitor calls it, with pages where they are kept', () => {
    const rules = parse(
      readFileSync(join(repository, 'monitoring/prometheus/keyturn.rules.yml'), 'utf8'),
    ) as Json
    const on = ['--set', 'prometheusRule.enabled=true']
    const made = only(rendered(cluster, ...on), 'PrometheusRule')
    expect(made['spec']).toEqual(rules)
    const { out } = helm('template', 'keys', chart, '--values', cluster, ...on, '--kube-version', '1.36.0')
    const named = only(documentsOf(out), 'PrometheusRule')['spec']
    expect(JSON.stringify(named)).toBe(
      JSON.stringify(rules).replaceAll(String.raw`job=\"keyturn\"`, String.raw`job=\"keys\"`),
    )
    const wiki = only(rendered(join(chart, 'ci/everything-values.yaml')), 'PrometheusRule')
    expect(wiki.metadata.labels?.['release']).toBe('prometheus')
    expect(JSON.stringify(wiki['spec'])).toBe(
      JSON.stringify(rules).replaceAll(
        '"runbook_url":"docs/',
        '"runbook_url":"https://wiki.example.com/keyturn/docs/',
      ),
    )
  })

  it('makes the dashboard of monitoring, for a sidecar of Grafana', () => {
    const made = rendered(cluster, '--set', 'grafanaDashboard.enabled=true')
    const map = made.find(({ metadata }) => metadata.name === 'keyturn-dashboard')
    expect(map?.metadata.labels?.['grafana_dashboard']).toBe('1')
    const { 'keyturn.json': text = '' } = (map?.['data'] ?? {}) as Data
    const own = readFileSync(join(repository, 'monitoring/grafana/keyturn.json'), 'utf8')
    expect(JSON.parse(text)).toEqual(JSON.parse(own))
    expect(rendered(cluster).map(({ kind }) => kind)).not.toContain('PrometheusRule')
    expect(rendered(cluster).filter(({ kind }) => kind === 'ConfigMap')).toHaveLength(1)
  })

  it('says after the install what is left to do, and how', () => {
    const notes = notesWith(cluster)
    expect(notes).toContain('https://keyturn.keyturn.svc:7420')
    expect(notes).toContain('exec deployment/keyturn -- keyturn token create NAME --role operator --local')
    expect(notes).toContain('keyturn bring openai')
    expect(notes).toContain('persistence.enabled')
    const kept = notesWith(join(chart, 'ci/replicas-with-volumes-values.yaml'))
    expect(kept).toContain('exec statefulset/keyturn')
    expect(kept).not.toContain('persistence.enabled')
    expect(notesWith(join(chart, 'ci/tick-values.yaml'))).toContain('--from=cronjob/keyturn')
  })

  it.each([
    [['config.ledger.kind=sqlite', 'replicas=1'], 'persistence.enabled: true'],
    [['config.ledger.kind=sqlite', 'persistence.enabled=true'], 'replicas: 1'],
    [['podDisruptionBudget.minAvailable=2'], 'podDisruptionBudget.minAvailable'],
    [['replicas=3', 'podDisruptionBudget.minAvailable=67%'], 'podDisruptionBudget.minAvailable'],
    [['config.listen=0.0.0.0:9000'], 'config.listen'],
    [['config.home=/data'], 'config.home'],
    [['tls.secretName=', 'config.tls.cert=/x', 'config.tls.key=/y'], 'tls.secretName'],
    [['config.tls.clientCertificates=required'], 'clientCertificates'],
    [['config.credentials.other.store=cluster'], 'store.names: the Secret other'],
    [['config.credentials.openai.ref=prod'], 'store.names: the Secret prod'],
    [['store.kubernetes=false'], 'store.kubernetes'],
    [['jwks.configMap='], 'jwks.configMap'],
    [['secrets.name='], 'secrets.name'],
    [['config.stores.cluster.kind=local'], 'a store of kind local'],
  ])('refuses %j, which could not work, and says what to do', (settings, text) => {
    const { code, err } = template('--values', cluster, ...settings.flatMap((setting) => ['--set', setting]))
    expect(code).not.toBe(0)
    expect(err).toContain(text)
  })

  const secret = ['hidden', 'in', 'a', 'test', 'of', 'the', 'chart'].join('')
  it.each([
    [`config.issuers.main.adminKey=${secret}`, 'adminKey'],
    [`config.ledger.password=${secret}`, 'password'],
    [
      `config.ledger.url=postgres://keyturn:${secret}@db.example.com/keyturn`,
      'a password stands in an address',
    ],
    [`config.alerts.channels.mail.note=${['sk', 'proj', secret].join('-')}`, 'looks like a secret'],
  ])('makes no ConfigMap with a secret in it (%#), and does not show it', (setting, text) => {
    const { code, out, err } = template('--values', cluster, '--set', setting)
    expect(code).not.toBe(0)
    expect(err).toContain(text)
    expect(err).toContain('secrets.name')
    expect(out + err).not.toContain(secret)
  })

  it.each(['1keys', 'team.keys', 'k'.repeat(53)])(
    'refuses to be called %s, as a Service cannot be',
    (name) => {
      const { code, err } = helm('template', name, chart, '--values', cluster, '--kube-version', '1.36.0')
      expect(code).not.toBe(0)
      expect(err).toContain('the release name')
    },
  )

  it('takes the values that the manual shows', () => {
    const manual = readFileSync(join(repository, 'docs/kubernetes.md'), 'utf8')
    const [, shown = ''] = /```yaml\n(image: .*?)```/s.exec(manual) ?? []
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-values-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const values = join(folder, 'values.yaml')
    writeFileSync(values, shown.replace('sha256:…', `sha256:${'0'.repeat(64)}`))
    const text = configurationOf(rendered(values))
    expect(configProblems(text)).toEqual([])
    expect(parse(text)).toMatchObject({ ledger: { kind: 'postgres' } })
  })

  it('may have a name of 52 letters in another namespace', () => {
    const name = 'k'.repeat(52)
    const args = ['--namespace', 'team-a', '--kube-version', '1.36.0']
    const { code, out, err } = helm('template', name, chart, '--values', cluster, ...args)
    expect(code, err).toBe(0)
    for (const manifest of documentsOf(out)) {
      expect(manifest.metadata.namespace).toBe('team-a')
      expect(schemaProblems(manifest)).toEqual([])
    }
    expect(out).toContain(`https://${name}.team-a.svc:7420`)
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
