import type { OperationId } from '../api/operations.ts'
import { alertTestRequest } from '../api/validators.ts'
import { KeyturnError } from '../core/errors.ts'
import type { ServerContext } from './context.ts'
import { parseBody } from './json-body.ts'
import type { Handler } from './routes.ts'

export function alertHandlers({ alerting }: Pick<ServerContext, 'alerting'>) {
  const there = (): NonNullable<typeof alerting> => {
    if (alerting !== undefined) return alerting
    throw new KeyturnError('not_found', 'This service tells nobody of alerts.', {
      fix: 'Ask a service that was started with keyturn serve.',
    })
  }
  return {
    listAlerts: async () => there().list(),
    testAlerts: async ({ request }) => {
      const { channel } = parseBody(alertTestRequest, request.body, false)
      if (channel !== undefined) request.about = channel
      return { items: await there().test(channel) }
    },
  } satisfies Partial<Record<OperationId, Handler>>
}
