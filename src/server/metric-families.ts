export interface MetricFamily {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly labels: readonly string[]
  /** When it is there, where that is not always. */
  readonly when?: string
}

const ofCredential = ['credential']
const withAudit = 'with an audit journal'

/** Every metric of the service, once: /metrics and docs/reference/metrics.md are made of it. */
export const metricFamilies = {
  ready: {
    name: 'keyturn_credential_ready',
    type: 'gauge',
    help: '1 while a verified key is handed out.',
    labels: ofCredential,
  },
  lastKnownGood: {
    name: 'keyturn_last_known_good',
    type: 'gauge',
    help: '1 while the key comes from the last-known-good file.',
    labels: ofCredential,
  },
  internalReady: {
    name: 'keyturn_internal_ready',
    type: 'gauge',
    help: '1 while an internal credential (an admin key) works.',
    labels: ofCredential,
    when: 'where an admin key is looked after',
  },
  generation: {
    name: 'keyturn_credential_generation',
    type: 'gauge',
    help: 'Rises with every change of what is handed out.',
    labels: ofCredential,
  },
  verifiedAge: {
    name: 'keyturn_credential_verified_age_seconds',
    type: 'gauge',
    help: 'Since the key last proved itself.',
    labels: ofCredential,
    when: 'while a key is handed out',
  },
  standbyReady: {
    name: 'keyturn_standby_ready',
    type: 'gauge',
    help: 'Spare keys that could take over now.',
    labels: ofCredential,
    when: 'where a spare is kept',
  },
  requests: {
    name: 'keyturn_http_requests_total',
    type: 'counter',
    help: 'Answered requests.',
    labels: ['route', 'status'],
  },
  streams: { name: 'keyturn_event_streams', type: 'gauge', help: 'Open event streams.', labels: [] },
  waiters: {
    name: 'keyturn_long_polls',
    type: 'gauge',
    help: 'Requests that wait for a change.',
    labels: [],
  },
  auditRow: {
    name: 'keyturn_audit_row',
    type: 'gauge',
    help: 'The number of the last row of the audit journal.',
    labels: [],
    when: withAudit,
  },
  auditUnsealed: {
    name: 'keyturn_audit_unsealed',
    type: 'gauge',
    help: 'Rows that no signed head seals yet.',
    labels: [],
    when: withAudit,
  },
  auditRefused: {
    name: 'keyturn_audit_refused_total',
    type: 'counter',
    help: 'Replies refused for want of a row.',
    labels: [],
    when: withAudit,
  },
  auditLost: {
    name: 'keyturn_audit_lost_total',
    type: 'counter',
    help: 'Reads without a row; only where nobody waits.',
    labels: [],
    when: withAudit,
  },
  sinkTaking: {
    name: 'keyturn_audit_sink_taking',
    type: 'gauge',
    help: '1 while this place takes rows.',
    labels: ['sink'],
    when: withAudit,
  },
  sinkBehind: {
    name: 'keyturn_audit_sink_behind',
    type: 'gauge',
    help: 'Rows that this place still waits for.',
    labels: ['sink'],
    when: withAudit,
  },
} as const satisfies Readonly<Record<string, MetricFamily>>
