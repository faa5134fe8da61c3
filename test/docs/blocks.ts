import { eventKinds } from '../../src/api/events.ts'
import { statusOf } from '../../src/api/status.ts'
import { errorCodes } from '../../src/core/errors.ts'
import { type MetricFamily, metricFamilies } from '../../src/server/metric-families.ts'
import { alertRows } from './alert-meanings.ts'
import { messageSections, routeSections } from './api-routes.ts'
import { cliSections } from './cli-sections.ts'
import { configTables } from './config-tables.ts'
import { table } from './markdown.ts'
import { toldCodes } from './told-codes.ts'

/**
 * What pages hold between `<!-- generated: NAME -->` and `<!-- end -->`, by that name, each made of the code it documents.
 * The prose around the marks is written by hand.
 */
export const blocks: Readonly<Record<string, () => string>> = {
  ...configTables,
  'cli commands': cliSections,
  'api routes': routeSections,
  'api messages': messageSections,
  'error statuses': statusTable,
  metrics: metricTable,
  'event kinds': () => pairs(['event', 'what it says'], eventKinds),
  'alert codes': () => table(['code', 'severity', 'told after', 'what it means', 'what to do'], alertRows()),
  'told codes': () => pairs(['code', 'what it says'], toldCodes),
}

function pairs(head: readonly string[], texts: Readonly<Record<string, string>>): string {
  return table(
    head,
    Object.entries(texts).map(([name, text]) => [`\`${name}\``, text]),
  )
}

/** The other way round than docs/errors.md: from what an HTTP client sees first. */
function statusTable(): string {
  const statuses = [...new Set(errorCodes.map(statusOf))].toSorted((a, b) => a - b)
  const rows = statuses.map((status) => [
    String(status),
    errorCodes
      .filter((code) => statusOf(code) === status)
      .map((code) => `\`${code}\``)
      .join(', '),
  ])
  return table(['HTTP', 'codes'], rows)
}

function metricTable(): string {
  const rows = Object.values<MetricFamily>(metricFamilies).map((one) => [
    `\`${one.name}\``,
    one.type,
    one.labels.map((label) => `\`${label}\``).join(', '),
    one.help,
    one.when ?? 'always',
  ])
  return table(['metric', 'type', 'labels', 'what it says', 'there'], rows)
}
