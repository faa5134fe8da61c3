/**
 * Whether a failed request is held against Keyturn. Pure, and apart from everything that is judged: it knows what the apps
 * saw, what OpenAI's log says, and who killed which key when.
 */

/** A request of an app that brought no answer, or no key to begin with. */
export interface Failure {
  readonly app: string
  /** options: the SDK with openAIOptions(). bare: the SDK with nothing but `apiKey: getOpenAIKey`. plain: HTTP by hand. */
  readonly caller: 'options' | 'bare' | 'plain'
  readonly startedAt: number
  readonly endedAt: number
  /** What OpenAI answered last. Absent: nothing, or there was no key to ask with. */
  readonly status?: number | undefined
  readonly code?: string | undefined
  readonly requestId?: string | undefined
  /** The code with which no key was given; waited: it was given late. */
  readonly noKey?: string | undefined
  /** The app had a key before, and was not told since then that none is left. */
  readonly isWarm: boolean
  readonly what: string
}

/** The end of a key that nobody planned. A key that Keyturn retired by plan has none. */
export interface Death {
  readonly at: number
  /** somebody: deleted in the dashboard. compromised: an operator said that it is in the wrong hands. */
  readonly by: 'somebody' | 'compromised'
}

export interface Facts {
  /** What OpenAI's log says of the last request. */
  readonly record: { readonly keyId: string | null; readonly faults: readonly string[] } | undefined
  /** The key was refused where OpenAI did not know it yet. */
  readonly isActivating: boolean
  /** Of the key that was refused or, where there was none, of the one handed out last. */
  readonly death: Death | undefined
  /** Since when there was another key: alive at the end, handed out before, and named by nobody as not to be used. */
  readonly otherSince: number | undefined
  /** Until when OpenAI gave no clear answer to Keyturn, which must not conclude anything from that. */
  readonly troubledUntil: number
  /** The longest time in a row, in milliseconds, that the service was there between the two instants. */
  readonly upMs: (from: number, to: number) => number
}

export type Judgement = { readonly isOurs: boolean; readonly why: string }

/** A dead key is replaced within this: docs/client.md gives a refused request as long. */
const takeoverMs = 5_000
/** A first key needs the service for this long: a try that failed is repeated after two seconds at most, and a bit. */
const coldStartMs = 4_000

const ours = (why: string): Judgement => ({ isOurs: true, why })
const excused = (why: string): Judgement => ({ isOurs: false, why })

export function judge(failure: Failure, facts: Facts): Judgement {
  if (failure.noKey !== undefined) return judgeNoKey(failure, failure.noKey, facts)
  const { status, code } = failure
  const { record } = facts
  if (status === undefined)
    return (record?.faults.length ?? 0) > 0 ? excused('a fault at OpenAI') : ours('no answer from OpenAI')
  if (status === 429 || status >= 500) return excused(`OpenAI answered ${status}, whatever the key`)
  if (status !== 401 || code !== 'invalid_api_key') return ours(`OpenAI answered ${status} ${code ?? ''}`)
  if (record === undefined) return ours('refused, and OpenAI does not know the request')
  return judgeDeath(failure, facts)
}

/** A key was refused, or taken out because it is dead. */
function judgeDeath(failure: Failure, facts: Facts): Judgement {
  const { death, otherSince, troubledUntil, upMs } = facts
  // Where nothing else is left, a key is handed out that not all of OpenAI knows yet.
  if (facts.isActivating && otherSince === undefined)
    return excused('a first key, unknown at an edge, and no other')
  if (death === undefined || death.at > failure.endedAt)
    return ours('refused, and nobody but Keyturn could have ended the key')
  // docs/client.md: without the refreshing fetch a key that dies without warning is not replaced within the request.
  if (failure.caller === 'bare')
    return excused(`the key was ended by ${death.by}, and this caller sends nothing twice`)
  if (otherSince === undefined) return excused('no other key was alive')
  const up = upMs(Math.max(death.at, otherSince, troubledUntil), failure.endedAt)
  return up < takeoverMs
    ? excused(
        `the key was ended by ${death.by}, and since there was another the service, with OpenAI to ask, was not there for ${takeoverMs} ms`,
      )
    : ours(`another key was alive, and the service there for ${Math.round(up)} ms`)
}

function judgeNoKey(failure: Failure, code: string, facts: Facts): Judgement {
  if (code === 'no_verified_key') return judgeDeath({ ...failure, caller: 'options' }, facts)
  if (failure.isWarm) {
    // Its key was proven dead a moment ago, and it waits for the next as at its start.
    const isLeft = facts.otherSince !== undefined && facts.otherSince < failure.startedAt
    return isLeft
      ? ours(`${code}: an app that has a key goes on with it`)
      : excused(`${code}, and no key was left when it began`)
  }
  const up = facts.upMs(failure.startedAt, failure.endedAt)
  return up < coldStartMs
    ? excused(`a first key, and the service was not there for ${coldStartMs} ms`)
    : ours(`${code}: a first key, and the service was there for ${Math.round(up)} ms`)
}
