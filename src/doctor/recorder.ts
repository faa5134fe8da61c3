import { fieldOf, parseJson } from '../core/json.ts'
import type { Observation } from '../core/types.ts'
import type { DoctorContext } from './context.ts'
import type { Attempt, Network, RawAnswer } from './network.ts'
import { type Proven, withoutCredentials } from './report.ts'

/** One call that was made, as far as support needs it. */
export interface RecordedCall {
  readonly at: string
  /** `GET https://api.openai.com/v1/models`, or the probe of an issuer: `verify models`. */
  readonly what: string
  readonly tookMs: number | null
  readonly status: number | null
  readonly type: string | null
  readonly code: string | null
  readonly requestId: string | null
  readonly failure: string | null
  /** The operating system's own name of a failure. */
  readonly detail: string | null
  readonly isOverProxy: boolean
  /** Those of an answer that say who answered and what is left; none that may hold a secret. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Recorder {
  readonly network: Network
  readonly openIssuer: DoctorContext['openIssuer']
  readonly calls: readonly RecordedCall[]
  /** What the answers said of the key; `asked`: the models that the app needs. */
  proven(asked: readonly string[]): Proven
}

const callsMax = 200

/** Stands between the checks and the network, and writes down what was seen. */
export function createRecorder(parts: Pick<DoctorContext, 'network' | 'openIssuer' | 'system'>): Recorder {
  const { network, openIssuer, system } = parts
  const calls: RecordedCall[] = []
  const models = new Set<string>()
  let organization: string | null = null
  let project: string | null = null
  const note = (call: Partial<RecordedCall> & Pick<RecordedCall, 'what'>): void => {
    if (calls.length < callsMax) calls.push({ ...noCall, at: new Date(system.now()).toISOString(), ...call })
  }
  const belongs = (seen: { readonly organization?: string; readonly project?: string }): void => {
    organization ??= seen.organization ?? null
    project ??= seen.project ?? null
  }
  return {
    network: {
      resolve: (...args) => network.resolve(...args),
      connect: (...args) => network.connect(...args),
      tls: (...args) => network.tls(...args),
      async request(request, timeoutMs) {
        const attempt = await network.request(request, timeoutMs)
        const what = `${request.method} ${withoutCredentials(request.url)}`
        note({ what, isOverProxy: request.proxy !== undefined, ...seenOf(attempt) })
        if (attempt.kind === 'done' && attempt.answer.status < 300) {
          belongs(belongingOf(attempt.answer))
          for (const model of modelsOf(attempt.answer)) models.add(model)
        }
        return attempt
      },
    },
    openIssuer(address) {
      const issuer = openIssuer(address)
      return {
        ...issuer,
        async verify(secret, expectation) {
          const observations = await issuer.verify(secret, expectation)
          for (const observation of observations) {
            note({ what: `verify ${observation.probe ?? 'models'}`, ...seenBy(observation) })
            if (observation.kind !== 'answer' || !observation.isIssuers || observation.status >= 300) continue
            belongs(observation)
            for (const model of observation.models ?? []) models.add(model)
            const [, named] = /^model:(.+)$/.exec(observation.probe ?? '') ?? []
            if (named !== undefined) models.add(named)
          }
          return observations
        },
      }
    },
    calls,
    proven: (asked) => ({ organization, project, models: asked.filter((model) => models.has(model)) }),
  }
}

const noCall = {
  tookMs: null,
  status: null,
  type: null,
  code: null,
  requestId: null,
  failure: null,
  detail: null,
  isOverProxy: false,
  headers: {},
}

function seenOf(attempt: Attempt<RawAnswer>): Partial<RecordedCall> {
  const tookMs = Math.round(attempt.tookMs)
  if (attempt.kind === 'failed') return { tookMs, failure: attempt.failure, detail: attempt.detail ?? null }
  const { status, headers, body } = attempt.answer
  return {
    tookMs,
    status,
    ...errorOf(body),
    requestId: headers['x-request-id'] ?? null,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => isTold(name))),
  }
}

function seenBy(observation: Observation): Partial<RecordedCall> {
  if (observation.kind === 'no_answer') return { failure: observation.failure }
  const { status, type, code, requestId } = observation
  return { status, type: type ?? null, code: code ?? null, requestId: requestId ?? null }
}

const toldHeaders = [
  'server',
  'via',
  'date',
  'content-type',
  'retry-after',
  'openai-version',
  'cf-ray',
  'age',
]

function isTold(name: string): boolean {
  return toldHeaders.includes(name) || name.startsWith('x-ratelimit-') || name === 'openai-processing-ms'
}

/** Names of errors are words of the issuer's; a sentence in their place is not taken. */
const word = /^[a-z0-9_.-]{1,64}$/i

function errorOf(body: string): Partial<RecordedCall> {
  const error = fieldOf(parseJson(body), 'error')
  const type = fieldOf(error, 'type')
  const code = fieldOf(error, 'code')
  return {
    type: typeof type === 'string' && word.test(type) ? type : null,
    code: typeof code === 'string' && word.test(code) ? code : null,
  }
}

function belongingOf({ headers }: RawAnswer): { organization?: string; project?: string } {
  const organization = headers['openai-organization']
  const project = headers['openai-project']
  return {
    ...(organization === undefined ? {} : { organization }),
    ...(project === undefined ? {} : { project }),
  }
}

/** Of a list of models, or of one. */
function modelsOf({ body }: RawAnswer): readonly string[] {
  const value = parseJson(body)
  const data = fieldOf(value, 'data')
  const items: readonly unknown[] = Array.isArray(data) ? data : [value]
  return items.map((item) => fieldOf(item, 'id')).filter((id) => typeof id === 'string')
}
