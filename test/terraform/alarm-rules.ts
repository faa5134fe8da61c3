import { type Block, type Body, type Expression, partsIn, textOf } from './hcl.ts'
import { inner, type Module, ofType, placeOf, textIn, valueOf } from './modules.ts'
import type { Rule } from './policy.ts'

/** An alarm on a metric that there is not is taken by every cloud, and is silent for ever. */
export const alarmRules: readonly Rule[] = [
  {
    name: 'alarms look at metrics that the clouds have',
    types: ['aws_cloudwatch_metric_alarm', 'google_monitoring_alert_policy', 'azurerm_monitor_metric_alert'],
    check: unknownMetrics,
  },
]

/** With the dimensions or labels that they are told apart by, as the clouds list them (read 2026-11-26). */
const known: Readonly<Record<string, readonly string[]>> = {
  'ECS/ContainerInsights RunningTaskCount': ['ClusterName', 'ServiceName'],
  'AWS/ApplicationELB UnHealthyHostCount': ['LoadBalancer', 'TargetGroup'],
  'AWS/ApplicationELB HTTPCode_Target_5XX_Count': ['LoadBalancer'],
  'AWS/RDS FreeStorageSpace': ['DBInstanceIdentifier'],
  'AWS/Lambda Errors': ['FunctionName'],
  'run.googleapis.com/container/instance_count': ['service_name'],
  'run.googleapis.com/request_count': ['service_name', 'response_code_class'],
  'cloudsql.googleapis.com/database/disk/utilization': ['database_id'],
  'Microsoft.App/containerApps Replicas': [],
  'Microsoft.App/containerApps Requests': ['statusCodeCategory'],
  'Microsoft.DBforPostgreSQL/flexibleServers storage_percent': [],
}

interface Asked {
  readonly metric: string
  readonly by: readonly string[]
}

function unknownMetrics(module: Module): readonly string[] {
  return ofType(module, 'resource').flatMap((block) =>
    askedBy(block, module)
      .filter(
        ({ metric, by }) => [...by].toSorted().join() !== [...(known[metric] ?? ['?'])].toSorted().join(),
      )
      .map(({ metric, by }) => `${placeOf(block)}: ${metric} by ${by.join(', ')}`),
  )
}

function askedBy(block: Block, module: Module): readonly Asked[] {
  switch (block.labels[0]) {
    case 'aws_cloudwatch_metric_alarm':
      return isOwn(block, module)
        ? []
        : [
            {
              metric: `${textIn(block, 'namespace') ?? ''} ${textIn(block, 'metric_name') ?? ''}`,
              by: keysOf(valueOf(block, 'dimensions')),
            },
          ]
    case 'google_monitoring_alert_policy':
      return inner(block, 'conditions')
        .flatMap((one) => [...inner(one, 'condition_threshold'), ...inner(one, 'condition_absent')])
        .map((one) => googleFilter(written(valueOf(one, 'filter'))))
    case 'azurerm_monitor_metric_alert':
      return inner(block, 'criteria').map((one) => ({
        metric: `${textIn(one, 'metric_namespace') ?? ''} ${textIn(one, 'metric_name') ?? ''}`,
        by: inner(one, 'dimension').map((dimension) => textIn(dimension, 'name') ?? ''),
      }))
    default:
      return []
  }
}

/** One that a filter over lines of the log makes, under the same name. */
function isOwn(block: Block, module: Module): boolean {
  const made = ofType(module, 'resource')
    .flatMap((one) => inner(one, 'metric_transformation'))
    .map((one) => nameOf(one, 'name'))
  return made.includes(nameOf(block, 'metric_name'))
}

function nameOf(body: Body, name: string): string {
  const own = written(valueOf(body, 'namespace'))
  return own.startsWith('Keyturn/') ? `${own} ${written(valueOf(body, name))}` : ''
}

function googleFilter(filter: string): Asked {
  const labels = [...filter.matchAll(/(?:resource|metric)\.labels\.(\w+)=/g)].map(([, name = '']) => name)
  return { metric: /metric\.type="([^"]*)"/.exec(filter)?.[1] ?? filter, by: labels }
}

function keysOf(value: Expression | undefined): readonly string[] {
  return value?.kind === 'object'
    ? value.entries.map(({ key }) => {
        const [first = ''] = key.kind === 'reference' ? key.steps : []
        return textOf(key) ?? (typeof first === 'string' ? first : '')
      })
    : []
}

/** A text without what is put into it. */
function written(value: Expression | undefined): string {
  if (value === undefined) return ''
  return [...partsIn(value)].map((part) => (part.kind === 'literal' ? String(part.value) : '')).join('')
}
