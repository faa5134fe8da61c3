import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { chartCopies } from './chart-copies.ts'
import { configProblems } from './config-check.ts'
import { repository } from './manifests.ts'

const chart = join(repository, 'deploy/helm/keyturn')
const read = (name: string): string => readFileSync(join(chart, name), 'utf8')
const schema = JSON.parse(read('values.schema.json')) as object
const validate = new Ajv({ strict: false }).compile(schema)
type Values = Readonly<Record<string, unknown>>
const defaults = parse(read('values.yaml')) as Values

/** As helm lays what is given over what the chart has. */
function over(below: unknown, above: unknown): unknown {
  const isMap = (one: unknown): one is Values =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
  if (!isMap(below) || !isMap(above)) return above
  return {
    ...below,
    ...Object.fromEntries(Object.entries(above).map(([key, one]) => [key, over(below[key], one)])),
  }
}

describe.each(readdirSync(join(chart, 'ci')))('the values %s', (name) => {
  const values = parse(read(`ci/${name}`)) as Values & { readonly config: object }

  it('are as the schema of the chart has them', () => {
    expect(validate(over(defaults, values)), JSON.stringify(validate.errors)).toBe(true)
  })

  it('hold a configuration that is valid once the chart has said how it listens', () => {
    expect(configProblems(JSON.stringify({ allowPlaintext: true, ...values.config }))).toEqual([])
  })
})

it.each(chartCopies)('$to is what $from is (npm run docs)', ({ from, to }) => {
  expect(readFileSync(to, 'utf8')).toBe(readFileSync(from, 'utf8'))
})

describe('the values of the chart', () => {
  const good = over(defaults, parse(read('ci/cluster-values.yaml'))) as Values

  it('need an image by digest and a configuration', () => {
    expect(validate(defaults)).toBe(false)
    expect(validate(good)).toBe(true)
  })

  it.each<readonly [string, object]>([
    ['a section that was set to nothing', { tls: undefined }],
    ['a label by which the Service finds its pods', { podLabels: { 'app.kubernetes.io/name': 'web' } }],
    ['the checksum of the configuration', { podAnnotations: { 'checksum/config': 'x' } }],
    ['a secret as a variable', { env: [{ name: 'OPENAI_ADMIN_KEY', value: 'x' }] }],
    ['a folder of the node', { volumes: [{ name: 'node', hostPath: { path: '/' } }] }],
    ['a volume in place of one of the chart', { volumes: [{ name: 'config', emptyDir: {} }] }],
    ['names that are no list', { config: { allowedHosts: 'keys.example.com' } }],
    ['a configuration as one text', { config: 'credentials: {}' }],
    ['replicas as text', { replicas: '2' }],
    ['a volume that is too small for a journal', { homeSize: '64Mi' }],
    ['pages of alerts that are nowhere', { prometheusRule: { runbookBase: 'wiki' } }],
    ['a share of pods that is none', { podDisruptionBudget: { minAvailable: 'half' } }],
  ])('are refused: %s', (_what, change) => {
    expect(validate(JSON.parse(JSON.stringify(over(good, change))))).toBe(false)
  })

  it('take a variable whose secret is elsewhere', () => {
    const env = [{ name: 'VAULT_TOKEN', valueFrom: { secretKeyRef: { name: 'vault', key: 'token' } } }]
    expect(validate(over(good, { env })), JSON.stringify(validate.errors)).toBe(true)
  })

  it('are refused wherever one is misspelt', () => {
    const misspelt: string[] = []
    const walk = (value: unknown, path: readonly string[]): void => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return
      const isFree = [
        'config',
        'podLabels',
        'podAnnotations',
        'nodeSelector',
        'annotations',
        'clientLabels',
        'labels',
      ]
      const isAmounts = path[0] === 'resources' && path.length === 2
      if (isFree.includes(path.at(-1) ?? '') || isAmounts) return
      const wrong = [...path, 'misspelt'].reduceRight<unknown>((inner, key) => ({ [key]: inner }), true)
      if (validate(over(good, wrong))) misspelt.push(path.join('.'))
      for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
    }
    walk(defaults, [])
    expect(misspelt).toEqual([])
  })
})
