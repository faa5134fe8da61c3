/** GET /v1/alerts: what fires, and who has been told. */
export interface AlertsAnswer {
  /** Worst first; what is over stays until every channel has been told. */
  readonly items: readonly AlertSummary[]
  /** None: nobody is told. */
  readonly channels: readonly AlertChannelSummary[]
}

export interface AlertSummary {
  /** Of the incident: alerts of one code that began together. */
  readonly id: string
  readonly code: string
  readonly severity: string
  readonly title: string
  readonly summary: string
  readonly fix: string
  /** The first of them; `credentialsCount` says how many there are. */
  readonly credentials: readonly string[]
  readonly credentialsCount: number
  readonly apps: readonly string[]
  readonly since: string
  readonly isOver: boolean
  readonly told: readonly AlertTold[]
}

export interface AlertTold {
  readonly channel: string
  /** null: nothing was told yet. */
  readonly toldAt: string | null
  /** What waits to be told; null: nothing does. */
  readonly waiting: string | null
  readonly tries: number
  readonly nextTryAt: string | null
  /** Why the last try failed. */
  readonly failure: string | null
}

export interface AlertChannelSummary {
  readonly name: string
  readonly kind: string
  readonly severities: readonly string[]
  readonly deliveredAt: string | null
  readonly failingSince: string | null
  readonly failure: string | null
  /** Trying again does not help as long as nobody changes anything. */
  readonly isRefusing: boolean
}

/** POST /v1/alerts/tests. */
export interface AlertTestRequest {
  /** Default: every channel. */
  readonly channel?: string
}

export interface AlertTestResult {
  readonly channel: string
  readonly kind: string
  readonly isDelivered: boolean
  readonly failure: string | null
}
