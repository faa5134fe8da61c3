import { afterAll, beforeAll, expect, it } from 'vitest'
import { defaultAlerts } from '../../src/config/default-alerts.ts'
import type { Severity } from '../../src/core/alert-codes.ts'
import type { AlertNotice } from '../../src/core/alert-notice.ts'
import type { Ledger } from '../../src/core/ports.ts'
import { type Alerting, createAlerting } from '../../src/engine/alerting.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { createSystem } from '../../src/system.ts'
import { summaryOf } from '../cli/samples.ts'
import { createDatabase, sharedPostgres, type TestDatabase } from '../postgres/database.ts'

let database: TestDatabase
const ledgers: Ledger[] = []

beforeAll(async () => {
  database = await createDatabase(await sharedPostgres())
})
afterAll(async () => {
  for (const ledger of ledgers) await ledger.close()
  await database.drop()
})

const trouble = {
  code: 'store_denied',
  summary: 'The store refuses.',
  fix: 'Give it the permission.',
  since: null,
}

it('three replicas on one PostgreSQL tell once, also when those that tell end one after another', async () => {
  const told: AlertNotice[] = []
  let now = Date.UTC(2026, 10, 26)
  let isWrong = true
  const real = createSystem()
  const { thresholds, clearMs, groupMs, remindMs, perMinute } = defaultAlerts
  const replica = (owner: string): Alerting => {
    const ledger = openPostgresLedger({
      target: database.target('alerts'),
      system: real,
      log: () => undefined,
    })
    ledgers.push(ledger)
    return createAlerting({
      service: {
        names: ['openai', 'other'],
        summary: async (name) =>
          summaryOf(name, {
            rotation: null,
            rotatesAt: null,
            current: null,
            versions: [],
            troubles: isWrong ? [trouble] : [],
          }),
        leases: async () => [{ app: 'checkout' }],
        onEvent: () => () => undefined,
        onHandOut: () => () => undefined,
      },
      documents: ledger,
      channels: [
        {
          name: 'ops',
          severities: new Set<Severity>(['critical', 'warning']),
          takes: () => true,
          isQuiet: () => false,
          channel: {
            kind: 'inbox',
            deliver: async (notice) => {
              told.push(notice)
              return { kind: 'delivered' }
            },
            close: async () => undefined,
          },
        },
      ],
      thresholds,
      step: { installation: 'inst', clearMs, groupMs },
      delivery: { remindMs, perMinute },
      own: () => [],
      memory: { read: () => undefined, write: () => undefined },
      owner,
      system: { ...real, now: () => now },
      log: () => undefined,
    })
  }
  const all = ['one', 'two', 'three'].map(replica)
  const beats = async (count: number): Promise<void> => {
    for (let beat = 0; beat < count; beat += 1) {
      now += 5_000
      await Promise.all(all.map((one) => one.beat()))
    }
  }
  await beats(40)
  expect(
    told.map(({ kind, code, credentialsCount, apps }) => ({ kind, code, credentialsCount, apps })),
  ).toEqual([{ kind: 'opened', code: 'store_unusable', credentialsCount: 2, apps: ['checkout'] }])
  for (let left = 2; left > 0; left -= 1) {
    await all.shift()?.stop()
    await beats(20)
  }
  isWrong = false
  await beats(40)
  expect(told.map(({ kind }) => kind)).toEqual(['opened', 'resolved'])
  await all.shift()?.stop()
})
