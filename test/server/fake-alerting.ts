import type { AlertChannelSummary, AlertSummary } from '../../src/api/types.ts'
import { KeyturnError } from '../../src/core/errors.ts'
import type { Alerting } from '../../src/engine/alerting.ts'

const at = '2026-11-26T00:00:00.000Z'

export const alertSample: AlertSummary = {
  id: 'keyturn-inst-1',
  code: 'store_unusable',
  severity: 'warning',
  title: 'A store refuses, or holds no usable key',
  summary: 'The store refuses to read the key of openai.',
  fix: 'Give the role secretsmanager:GetSecretValue.',
  credentials: ['openai'],
  credentialsCount: 1,
  apps: ['checkout'],
  since: at,
  isOver: false,
  told: [
    { channel: 'ops', toldAt: at, waiting: null, tries: 0, nextTryAt: null, failure: null },
    {
      channel: 'pager',
      toldAt: null,
      waiting: 'opened',
      tries: 3,
      nextTryAt: at,
      failure: 'it answered with status 503',
    },
  ],
}

export const channelSample: AlertChannelSummary = {
  name: 'ops',
  kind: 'slack',
  severities: ['critical', 'warning'],
  deliveredAt: at,
  failingSince: null,
  failure: null,
  isRefusing: false,
}

/** One channel, `ops`, that takes everything. */
export const fakeAlerting: Pick<Alerting, 'list' | 'test'> = {
  list: async () => ({ items: [alertSample], channels: [channelSample] }),
  async test(channel) {
    if (channel === undefined || channel === 'ops')
      return [{ channel: 'ops', kind: 'slack', isDelivered: true, failure: null }]
    throw new KeyturnError('not_found', 'There is no such channel for alerts.', { fix: 'There are: ops.' })
  },
}
