/** A metric as Prometheus knows it. */
export interface MetricFamily {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** When it is there, where that is not always. */
  readonly when?: string
}

export interface HistogramFamily extends MetricFamily {
  readonly type: 'histogram'
  /** Upper bounds of the buckets, in the unit that the name ends in. */
  readonly bounds: readonly number[]
}

/** Calls over a network that end within a timeout of ten to thirty seconds, as within a millisecond where they stay here. */
const callSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** From a phase that is over at once to one that waits for a person over the weekend. */
const phaseSeconds = [0.1, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 259_200]
/** Draining takes days, or weeks where an app does not move on. */
const retirementSeconds = [1, 15, 60, 300, 3_600, 14_400, 86_400, 259_200, 604_800, 2_592_000]

const withCalls = 'after the first call of its kind'
const byThis = 'By this replica.'

/** What is counted as it happens; everything else is read when it is asked for. */
export const recordedFamilies = {
  verifications: {
    name: 'keyturn_verifications_total',
    type: 'counter',
    help: `Verifications of keys, by what was concluded and why. ${byThis}`,
    labels: ['verdict', 'cause'],
    when: 'after the first verification',
  },
  verificationSeconds: {
    name: 'keyturn_verification_duration_seconds',
    type: 'histogram',
    help: `How long OpenAI took to say something of a key. ${byThis}`,
    labels: ['verdict'],
    bounds: callSeconds,
    when: 'after the first verification',
  },
  issuerSeconds: {
    name: 'keyturn_issuer_call_duration_seconds',
    type: 'histogram',
    help: `Calls of the issuer; an outcome of ours, or the code of an error. ${byThis}`,
    labels: ['operation', 'outcome'],
    bounds: callSeconds,
    when: withCalls,
  },
  storeSeconds: {
    name: 'keyturn_store_call_duration_seconds',
    type: 'histogram',
    help: `Calls of stores and mirrors; an outcome of ours, or the code of an error. ${byThis}`,
    labels: ['store', 'operation', 'outcome'],
    bounds: callSeconds,
    when: withCalls,
  },
  ledgerSeconds: {
    name: 'keyturn_ledger_call_duration_seconds',
    type: 'histogram',
    help: `Calls of the ledger; an outcome of ours, or the code of an error. ${byThis}`,
    labels: ['operation', 'outcome'],
    bounds: callSeconds,
    when: withCalls,
  },
  rotations: {
    name: 'keyturn_rotations_total',
    type: 'counter',
    help: `Rotations that ended, by mode and outcome. ${byThis}`,
    labels: ['mode', 'outcome'],
    when: 'after the first end of one',
  },
  rotationHalts: {
    name: 'keyturn_rotation_halts_total',
    type: 'counter',
    help: `Rotations that halted, by the phase in which they did. ${byThis}`,
    labels: ['phase'],
    when: 'after the first halt',
  },
  rotationSeconds: {
    name: 'keyturn_rotation_duration_seconds',
    type: 'histogram',
    help: `Whole rotations, from when they were asked for to their end. ${byThis}`,
    labels: ['mode', 'outcome'],
    bounds: phaseSeconds,
    when: 'after the first end of one',
  },
  rotationPhaseSeconds: {
    name: 'keyturn_rotation_phase_duration_seconds',
    type: 'histogram',
    help: `Phases of rotations that are over. ${byThis}`,
    labels: ['phase'],
    bounds: phaseSeconds,
    when: 'after the first phase',
  },
  retirements: {
    name: 'keyturn_retirements_total',
    type: 'counter',
    help: `Retirements that ended: the old key is proven dead, or was kept. ${byThis}`,
    labels: ['outcome'],
    when: 'after the first end of one',
  },
  retirementPhaseSeconds: {
    name: 'keyturn_retirement_phase_duration_seconds',
    type: 'histogram',
    help: `Phases of retirements that are over. ${byThis}`,
    labels: ['phase'],
    bounds: retirementSeconds,
    when: 'after the first phase',
  },
  events: {
    name: 'keyturn_events_total',
    type: 'counter',
    help: `What was told to apps and operators; alerts by their code, promotions by schedule, failover, start or person. ${byThis}`,
    labels: ['kind', 'code'],
  },
  keysLost: {
    name: 'keyturn_keys_lost_total',
    type: 'counter',
    help: `Keys that OpenAI rejected or no longer lists, by credential; beyond 500 series under \`other\`. ${byThis}`,
    labels: ['credential', 'code'],
    when: 'after the first one',
  },
  orphansRevoked: {
    name: 'keyturn_orphans_revoked_total',
    type: 'counter',
    help: `Keys of ours that nobody had and that were revoked. ${byThis}`,
    labels: [],
  },
} as const satisfies Readonly<Record<string, MetricFamily | HistogramFamily>>
