import { defaultAlerts } from '../../src/config/default-alerts.ts'
import type { Severity } from '../../src/core/alert-codes.ts'
import type { DeliveryOutcome } from '../../src/core/alert-deliveries.ts'
import type { AlertNotice } from '../../src/core/alert-notice.ts'
import type { Alert } from '../../src/core/alerts.ts'
import type { Ledger, System } from '../../src/core/ports.ts'
import { type Alerting, createAlerting, type LocalMemory } from '../../src/engine/alerting.ts'
import type { World } from './world.ts'

export const delivered: DeliveryOutcome = { kind: 'delivered' }
/** A channel that keeps what it is told. */
export class Inbox {
  readonly tried: AlertNotice[] = []
  answer: () => DeliveryOutcome | Promise<DeliveryOutcome> = () => delivered

  rule(name = 'ops') {
    return {
      name,
      severities: new Set<Severity>(['critical', 'warning']),
      takes: () => true,
      isQuiet: () => false,
      channel: {
        kind: 'inbox',
        deliver: async (notice: AlertNotice) => {
          this.tried.push(notice)
          return await this.answer()
        },
        close: async () => undefined,
      },
    }
  }

  said(): readonly string[] {
    return this.tried.map(({ kind, code }) => `${code} ${kind}`)
  }
}

interface Over {
  readonly documents?: Pick<Ledger, 'document' | 'putDocument'>
  readonly owner?: string
  readonly own?: () => readonly Alert[]
  readonly memory?: LocalMemory
  readonly service?: World['service']
}

export function memory(): LocalMemory {
  let text: string | undefined
  return {
    read: () => (text === undefined ? undefined : (JSON.parse(text) as unknown)),
    write: (value) => void (text = JSON.stringify(value)),
  }
}

export function alertingOf(world: World, inbox: Inbox, over: Over = {}): Alerting {
  const { thresholds, clearMs, groupMs, remindMs, perMinute } = defaultAlerts
  const system: System = world.time
  return createAlerting({
    service: world.service,
    documents: world.ledger,
    channels: [inbox.rule()],
    thresholds,
    step: { installation: 'inst', clearMs, groupMs },
    delivery: { remindMs, perMinute },
    linkBase: 'https://keyturn.example.com',
    own: () => [],
    memory: memory(),
    owner: 'one',
    system,
    log: (level, message, fields) => void world.logs.push({ level, message, fields: fields ?? {} }),
    ...over,
  })
}
