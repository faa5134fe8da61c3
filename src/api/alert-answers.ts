import { z } from 'zod'
import type { AlertsAnswer, AlertTestResult } from './alert-types.ts'
import type { List } from './types.ts'

const text = z.string()
const instant = z.iso.datetime()
const count = z.int().min(0)
const severity = z.enum(['critical', 'warning', 'note'])

const told = z
  .object({
    channel: text,
    toldAt: instant.nullable().describe('null: nothing was told yet.'),
    waiting: text.nullable().describe('What waits to be told; null: nothing does.'),
    tries: count,
    nextTryAt: instant.nullable(),
    failure: text.nullable().describe('Why the last try failed.'),
  })
  .meta({ id: 'AlertTold' })

const alert = z
  .object({
    id: text.describe('Of the incident: alerts of one code that began together.'),
    code: text,
    severity,
    title: text,
    summary: text,
    fix: text,
    credentials: z.array(text).describe('The first of them.'),
    credentialsCount: count,
    apps: z.array(text).describe('Apps that hold the keys in question, as far as is known.'),
    since: instant,
    isOver: z.boolean().describe('It stays until every channel has been told.'),
    told: z.array(told),
  })
  .meta({ id: 'AlertSummary' })

const channel = z
  .object({
    name: text,
    kind: text,
    severities: z.array(severity),
    deliveredAt: instant.nullable(),
    failingSince: instant.nullable(),
    failure: text.nullable(),
    isRefusing: z.boolean().describe('Trying again does not help as long as nobody changes anything.'),
  })
  .meta({ id: 'AlertChannelSummary' })

export const alertsAnswer = z
  .object({ items: z.array(alert), channels: z.array(channel).describe('None: nobody is told.') })
  .meta({ id: 'AlertsAnswer' }) satisfies z.ZodType<AlertsAnswer>

const result = z
  .object({ channel: text, kind: text, isDelivered: z.boolean(), failure: text.nullable() })
  .meta({ id: 'AlertTestResult' })

export const alertTestResults = z
  .object({ items: z.array(result) })
  .meta({ id: 'AlertTestResultList' }) satisfies z.ZodType<List<AlertTestResult>>
