// node test/deploy/write-schemas.ts: takes what the manifests use out of the published schemas, into test/deploy/schemas.json.
// Needs Go, which brings the modules that hold them; run again for a newer version of any.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'

type Json = { readonly [key: string]: unknown }

const kubernetes = 'k8s.io/kubernetes@v1.36.3'
const kinds = [
  'apps.v1.Deployment',
  'apps.v1.StatefulSet',
  'batch.v1.CronJob',
  'core.v1.ConfigMap',
  'core.v1.Namespace',
  'core.v1.PersistentVolumeClaim',
  'core.v1.Secret',
  'core.v1.Service',
  'core.v1.ServiceAccount',
  'networking.v1.NetworkPolicy',
  'policy.v1.PodDisruptionBudget',
  'rbac.v1.Role',
  'rbac.v1.RoleBinding',
]
const operators = 'github.com/prometheus-operator/prometheus-operator@v0.85.0'
const secrets = 'github.com/external-secrets/external-secrets@v1.3.2'
const definitionsOfOthers = [
  [operators, 'example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml'],
  [operators, 'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml'],
  [secrets, 'config/crds/bases/external-secrets.io_secretstores.yaml'],
  [secrets, 'config/crds/bases/external-secrets.io_externalsecrets.yaml'],
] as const

function folderOf(module: string): string {
  const out = execFileSync('go', ['mod', 'download', '-json', module], { cwd: tmpdir(), encoding: 'utf8' })
  return (JSON.parse(out) as { readonly Dir: string }).Dir
}

/** Descriptions are three quarters of it, and nothing is checked by them. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(
    ([key, one]) => key !== 'description' || typeof one !== 'string',
  )
  return Object.fromEntries(entries.map(([key, one]) => [key, bare(one)]))
}

function ofKubernetes(): Json {
  const text = readFileSync(join(folderOf(kubernetes), 'api/openapi-spec/swagger.json'), 'utf8')
  const { definitions } = JSON.parse(text) as { readonly definitions: Json }
  const found = new Map<string, unknown>()
  const open = kinds.map((kind) => `io.k8s.api.${kind}`)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue
    found.set(name, bare(definitions[name]))
    open.push(
      ...[...JSON.stringify(definitions[name]).matchAll(/#\/definitions\/([^"]+)/g)].map(
        ([, one = '']) => one,
      ),
    )
  }
  return Object.fromEntries([...found].toSorted(([one], [other]) => one.localeCompare(other, 'en')))
}

/** As CustomResourceDefinitions that an API server takes: of each its stored version, and of a store's providers the one that is used. */
function ofOthers(): readonly unknown[] {
  return definitionsOfOthers.map(([module, file]) => {
    const { spec, metadata, ...rest } = bare(parse(readFileSync(join(folderOf(module), file), 'utf8'))) as {
      readonly metadata: { readonly name: string }
      readonly spec: Json & { readonly versions: readonly (Json & { readonly storage: boolean })[] }
    }
    const versions = spec.versions.filter(({ storage }) => storage).map(withOneProvider)
    const { conversion: _conversion, ...kept } = spec
    return { ...rest, metadata: { name: metadata.name }, spec: { ...kept, versions } }
  })
}

function withOneProvider(version: Json): Json {
  const copy = structuredClone(version) as {
    schema: { openAPIV3Schema: { properties: { spec: { properties: { provider?: { properties: Json } } } } } }
  }
  const { provider } = copy.schema.openAPIV3Schema.properties.spec.properties
  if (provider !== undefined) provider.properties = { webhook: provider.properties['webhook'] }
  return copy
}

const lines = Object.entries(ofKubernetes()).map(
  ([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`,
)
const others = ofOthers().map((one) => JSON.stringify(one))
const text = `{"from":${JSON.stringify([kubernetes, operators, secrets])},\n"definitions":{\n${lines.join(',\n')}\n},\n"custom":[\n${others.join(',\n')}\n]}\n`
writeFileSync(join(import.meta.dirname, 'schemas.json'), text)
