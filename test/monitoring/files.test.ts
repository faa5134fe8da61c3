import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { errorCodes } from '../../src/core/errors.ts'
import { retirementPhases, rotationPhases } from '../../src/core/types.ts'
import { type MetricFamily, metricFamilies } from '../../src/server/metric-families.ts'
import { anchorsIn } from '../docs/markdown.ts'
import { repository } from '../docs/pages.ts'
import { toldCodes } from '../docs/told-codes.ts'
import { readExpression } from './promql.ts'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[]
  readonly panels?: readonly Panel[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] }
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

const folder = join(repository, 'monitoring')
const text = (...path: string[]): string => readFileSync(join(folder, ...path), 'utf8')
const { groups } = parse(text('prometheus', 'keyturn.rules.yml')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}
const rules = groups.flatMap((group) => group.rules)
const alerts = rules.filter((rule) => rule.alert !== undefined)
const dashboard = JSON.parse(text('grafana', 'keyturn.json')) as Dashboard
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
const variables = dashboard.templating.list

/** Labels that Prometheus adds of itself. */
const ofPrometheus = ['job', 'instance']
const known = knownMetrics()

function knownMetrics(): ReadonlyMap<string, readonly string[]> {
  const metrics = new Map<string, readonly string[]>([
    ['up', []],
    ['ALERTS', ['alertname', 'alertstate', 'severity', 'credential']],
  ])
  for (const { name, type, labels } of Object.values<MetricFamily>(metricFamilies)) {
    if (type === 'histogram') {
      metrics.set(`${name}_bucket`, [...labels, 'le'])
      metrics.set(`${name}_sum`, labels)
      metrics.set(`${name}_count`, labels)
    } else metrics.set(name, labels)
  }
  return metrics
}

/** What is named and does not exist. */
function unknownIn(expression: string): readonly string[] {
  const { selectors, groupings } = readExpression(expression)
  const labelsOf = (metric: string) => [...(known.get(metric) ?? []), ...ofPrometheus]
  const all = new Set(selectors.flatMap(({ metric }) => labelsOf(metric)))
  return [
    ...selectors.filter(({ metric }) => !known.has(metric)).map(({ metric }) => metric),
    ...selectors.flatMap(({ metric, labels }) =>
      labels.filter((label) => !labelsOf(metric).includes(label)).map((label) => `${metric}{${label}}`),
    ),
    ...groupings.filter((label) => !all.has(label)),
  ]
}

const inDashboard = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr }))),
  ...dashboard.annotations.list.flatMap(({ expr }) =>
    expr === undefined ? [] : [{ title: 'annotations', expr }],
  ),
]

describe('what is read out of an expression', () => {
  it.each([
    ['sum by (a, b) (rate(x_total{c=~"d|e", f!=""}[5m])) > 0', ['x_total'], ['c', 'f'], ['a', 'b']],
    ['x == 0 and on (a) max by (a) (y) == bool 1', ['x', 'y'], [], ['a', 'a']],
    ['abs(x - timestamp(x)) > 30', ['x', 'x'], [], []],
    ['x:y:z{q="a, b={}"} / ignoring (r) sum(x:y:z)', ['x:y:z', 'x:y:z'], ['q'], ['r']],
    ['sum by (a) (x unless x offset 15m)', ['x', 'x'], [], ['a']],
    ['time() - x{job=~"$job"}[$__rate_interval]', ['x'], ['job'], []],
  ])('%s', (expression, metrics, labels, groupings) => {
    const read = readExpression(expression)
    expect(read.selectors.map((one) => one.metric)).toEqual(metrics)
    expect(read.selectors.flatMap((one) => one.labels)).toEqual(labels)
    expect(read.groupings).toEqual(groupings)
  })

  it('finds what does not exist', () => {
    expect(unknownIn('sum by (credential) (keyturn_no_such_total)')).toEqual([
      'keyturn_no_such_total',
      'credential',
    ])
    expect(unknownIn('keyturn_credential_ready{version="1"}')).toEqual(['keyturn_credential_ready{version}'])
  })
})

describe('the rules', () => {
  it.each(rules.map((rule) => [rule.alert ?? rule.record ?? '', rule.expr]))(
    '%s names only metrics and labels that exist',
    (_name, expression) => {
      expect(unknownIn(expression)).toEqual([])
    },
  )

  it('have names of their own', () => {
    const names = rules.map((rule) => rule.alert ?? rule.record)
    expect(new Set(names).size).toBe(names.length)
  })

  it.each(alerts.map((rule) => [rule.alert ?? '', rule] as const))(
    '%s says what happened, why, what to do and where to read on',
    (_name, { expr, labels, annotations }) => {
      expect(['critical', 'warning', 'info']).toContain(labels?.['severity'])
      expect(annotations?.['summary']).toMatch(/^[^\n]{10,120}\.$/)
      expect(annotations?.['description']).toMatch(/^Cause: .+ Fix: .+\.$/)
      const [page = '', anchor = ''] = (annotations?.['runbook_url'] ?? '').split('#')
      expect([page, existsSync(join(repository, page))]).toEqual([page, true])
      expect([...anchorsIn(readFileSync(join(repository, page), 'utf8'))]).toContain(anchor)
      const shown = Object.values(annotations ?? {}).flatMap((one) =>
        [...one.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label),
      )
      const { selectors } = readExpression(expr)
      const there = selectors.flatMap(({ metric }) => [...(known.get(metric) ?? []), ...ofPrometheus])
      expect(there).toEqual(expect.arrayContaining(shown))
    },
  )

  it('look for codes, phases and verdicts that there are', () => {
    const words: Readonly<Record<string, readonly string[]>> = {
      code: [...Object.keys(toldCodes), ...errorCodes],
      phase: [...rotationPhases, ...retirementPhases],
      verdict: [
        'valid',
        'restricted',
        'throttled',
        'exhausted',
        'blocked',
        'misconfigured',
        'rejected',
        'unknown',
      ],
    }
    for (const { expr } of rules)
      for (const [, label = '', value = ''] of expr.matchAll(/(code|phase|verdict)=~?"([^"]*)"/g))
        expect(words[label]).toEqual(expect.arrayContaining(value.split('|')))
  })
})

describe('the dashboard', () => {
  it.each(inDashboard.map(({ title, expr }) => [title, expr]))(
    '%s: names only metrics and labels that exist',
    (_title, expression) => {
      expect(unknownIn(expression)).toEqual([])
    },
  )

  it('has panels with ids of their own, none over another, each with a question to ask', () => {
    expect(panels.length).toBeGreaterThan(40)
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const taken = new Set<string>()
    for (const { type, title, gridPos, targets = [] } of panels) {
      expect(title).not.toBe('')
      expect(targets.length > 0, title).toBe(type !== 'row')
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), `${title} lies over another`).toBe(false)
          taken.add(`${x} ${y}`)
        }
    }
  })

  it('uses the variables that it has', () => {
    const used = new Set(
      [...text('grafana', 'keyturn.json').matchAll(/\$\{?([a-z]\w*)\}?/g)].map(([, name = '']) => name),
    )
    expect([...used].toSorted()).toEqual(variables.map(({ name }) => name).toSorted())
    for (const { definition } of variables) {
      const [, selector] = /^label_values\((.*), \w+\)$/.exec(definition ?? '') ?? []
      if (selector !== undefined) expect(unknownIn(selector)).toEqual([])
    }
  })
})

const promtool = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((one) => join(one, 'promtool'))
  .find((path) => existsSync(path))

it('promtool takes the rules, and sees each alert fire where it has to', ({ skip }) => {
  if (promtool === undefined) return skip('promtool is not here (Debian: apt-get install prometheus)')
  const run = (...args: string[]): string =>
    execFileSync(promtool, args, { cwd: join(folder, 'prometheus'), encoding: 'utf8', stdio: 'pipe' })
  expect(run('check', 'rules', 'keyturn.rules.yml')).toContain('SUCCESS')
  expect(run('test', 'rules', 'keyturn.rules.test.yml')).toContain('SUCCESS')
})

it('promtool can read what the dashboard asks', ({ skip }) => {
  if (promtool === undefined) return skip('promtool is not here (Debian: apt-get install prometheus)')
  const asked = inDashboard.map(({ expr }, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
  }))
  const at = mkdtempSync(join(tmpdir(), 'keyturn-dashboard-'))
  onTestFinished(() => rmSync(at, { recursive: true, force: true }))
  // JSON is YAML.
  writeFileSync(join(at, 'asked.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules: asked }] }))
  const told = execFileSync(promtool, ['check', 'rules', join(at, 'asked.yml')], { encoding: 'utf8' })
  expect(told).toContain(`SUCCESS: ${asked.length} rules found`)
})

it('each alert has a unit test', () => {
  const tests = text('prometheus', 'keyturn.rules.test.yml')
  const tested = new Set([...tests.matchAll(/alertname: (\w+)/g)].map(([, name]) => name))
  expect(tested).toEqual(new Set(alerts.map(({ alert }) => alert)))
})
