import { type MetricFamily, recordedFamilies } from '../telemetry/families.ts'

export type { MetricFamily } from '../telemetry/families.ts'

const ofCredential = ['credential']
const withAudit = 'with an audit journal'
const ofNode = 'after the first scrape'

/** Read from what the service knows of each credential. */
const credentialFamilies = {
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
  keyAge: {
    name: 'keyturn_credential_key_age_seconds',
    type: 'gauge',
    help: 'Since the current key was made, or found where nobody knows when it was.',
    labels: ofCredential,
    when: 'while there is a key',
  },
  keyExpiry: {
    name: 'keyturn_credential_key_expires_in_seconds',
    type: 'gauge',
    help: 'Until the current key expires; below 0: it has.',
    labels: ofCredential,
    when: 'where the key expires',
  },
  rotationDue: {
    name: 'keyturn_credential_rotation_due_in_seconds',
    type: 'gauge',
    help: 'Until the key is turned by itself; below 0: that is overdue.',
    labels: ofCredential,
    when: 'where keys are turned by themselves',
  },
  verdict: {
    name: 'keyturn_credential_verdict',
    type: 'gauge',
    help: '1 for what the last check of the current key concluded.',
    labels: ['credential', 'verdict'],
    when: 'after the first check',
  },
  trouble: {
    name: 'keyturn_credential_trouble',
    type: 'gauge',
    help: '1 for each thing that is wrong now, by its code.',
    labels: ['credential', 'code'],
    when: 'while something is wrong',
  },
  rotationPhase: {
    name: 'keyturn_credential_rotation_phase',
    type: 'gauge',
    help: '1 for the phase of the rotation that is under way or halted.',
    labels: ['credential', 'mode', 'phase'],
    when: 'during a rotation',
  },
  retirementPhase: {
    name: 'keyturn_credential_retirements',
    type: 'gauge',
    help: 'Old keys on their way out, by phase.',
    labels: ['credential', 'phase'],
    when: 'during a retirement',
  },
  mirrorsBehind: {
    name: 'keyturn_credential_mirrors_out_of_line',
    type: 'gauge',
    help: 'Mirrors that do not have the current key, and all that is to be there besides.',
    labels: ofCredential,
    when: 'where there are mirrors',
  },
  leases: {
    name: 'keyturn_credential_leases',
    type: 'gauge',
    help: 'Instances of apps that asked this replica within the last ten minutes.',
    labels: ofCredential,
    when: 'while instances ask',
  },
  leaseLag: {
    name: 'keyturn_credential_lease_lag',
    type: 'gauge',
    help: 'How many generations the instance that is furthest behind is behind.',
    labels: ofCredential,
    when: 'while instances ask',
  },
} as const satisfies Readonly<Record<string, MetricFamily>>

/** Of the process and what passes through it. */
const serverFamilies = {
  build: {
    name: 'keyturn_build_info',
    type: 'gauge',
    help: 'Always 1; what runs here.',
    labels: ['version', 'sandbox'],
  },
  clock: {
    name: 'keyturn_clock_seconds',
    type: 'gauge',
    help: 'The clock of this replica, since 1970.',
    labels: [],
  },
  credentials: {
    name: 'keyturn_credentials',
    type: 'gauge',
    help: 'Credentials that this replica looks after, internal ones among them.',
    labels: [],
  },
  handOuts: {
    name: 'keyturn_hand_outs_total',
    type: 'counter',
    help: 'Answers with a key, or that it is unchanged, by the name of who asked; beyond 100 names: other.',
    labels: ['app'],
    when: 'after the first one',
  },
  suspects: {
    name: 'keyturn_orphan_suspects',
    type: 'gauge',
    help: 'Keys of ours at the issuer that nobody seems to have, as the last look of this replica left it.',
    labels: [],
    when: 'after the first look',
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

/** Of prom-client's own metrics of a process, under the names that dashboards for Node.js know. */
export const processFamilies = {
  cpu: {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Total user and system CPU time spent in seconds.',
    labels: [],
  },
  resident: {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory size in bytes.',
    labels: [],
  },
  started: {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'Start time of the process since unix epoch in seconds.',
    labels: [],
  },
  openFiles: {
    name: 'process_open_fds',
    type: 'gauge',
    help: 'Number of open file descriptors.',
    labels: [],
    when: 'on Linux',
  },
  maxFiles: {
    name: 'process_max_fds',
    type: 'gauge',
    help: 'Maximum number of open file descriptors.',
    labels: [],
    when: 'on Linux',
  },
  heap: {
    name: 'nodejs_heap_size_used_bytes',
    type: 'gauge',
    help: 'Process heap size used from Node.js in bytes.',
    labels: [],
  },
  lag50: {
    name: 'nodejs_eventloop_lag_p50_seconds',
    type: 'gauge',
    help: 'The 50th percentile of the recorded event loop delays.',
    labels: [],
    when: ofNode,
  },
  lag99: {
    name: 'nodejs_eventloop_lag_p99_seconds',
    type: 'gauge',
    help: 'The 99th percentile of the recorded event loop delays.',
    labels: [],
    when: ofNode,
  },
  lagMax: {
    name: 'nodejs_eventloop_lag_max_seconds',
    type: 'gauge',
    help: 'The maximum recorded event loop delay.',
    labels: [],
    when: ofNode,
  },
} as const satisfies Readonly<Record<string, MetricFamily>>

/** Every metric of the service, once: /metrics and docs/reference/metrics.md are made of it. */
export const metricFamilies = {
  ...credentialFamilies,
  ...serverFamilies,
  ...recordedFamilies,
  ...processFamilies,
} as const satisfies Readonly<Record<string, MetricFamily>>

/** Those that the service itself gives the values of. */
export type OwnFamily = Exclude<keyof typeof metricFamilies, keyof typeof processFamilies>
