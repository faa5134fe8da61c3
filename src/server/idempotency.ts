import { KeyturnError } from '../core/errors.ts'
import type { Ledger, System } from '../core/ports.ts'

export interface Answer {
  readonly status: number
  readonly body: string
  /** A refusal that can end otherwise without anybody changing anything is not the last word under its key. */
  readonly isRetryable: boolean
}

export interface IdempotentRequest {
  /** Who, where and the key itself; unique to the token, so that no caller meets the answers of another. */
  readonly scope: string
  readonly key: string
  /** All that makes the request what it is. */
  readonly content: string
}

/** Runs the work once per key, however often and at how many replicas it is asked for, and gives all the same answer. */
export type Once = (request: IdempotentRequest, work: () => Promise<Answer>) => Promise<Answer>

const attemptsMax = 8
const rememberedMax = 1_000

/**
 * The ledger's `remember` keeps the first value under a name. So the claim comes first, under one name, and the answer
 * after the work under another. A claim without an answer belongs to a process that died in between, or that is still
 * at it: whether its rotation began is then unknown, and unknown is never taken for "no".
 */
export function createOnce(system: System, remember: Ledger['remember'] = createMemory()): Once {
  const running = new Map<string, Promise<Answer>>()

  const claimAndRun = async (
    name: string,
    requestHash: string,
    work: () => Promise<Answer>,
  ): Promise<Answer> => {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const put = (part: string, answer: string) =>
        remember({ key: `${name}:${attempt}:${part}`, requestHash, answer, at: system.now() })
      const nonce = system.uuid()
      const claim = await put('claim', nonce)
      if (claim.requestHash !== requestHash) throw mismatch()
      if (claim.answer === nonce) {
        const answer = await work()
        await put('answer', JSON.stringify(answer))
        return answer
      }
      const kept = await put('answer', 'lost')
      if (kept.answer === 'lost') throw lost()
      const answer = JSON.parse(kept.answer) as Answer
      if (!answer.isRetryable) return answer
    }
    throw lost()
  }

  return async (request, work) => {
    const name = `idempotency:${system.sha256Hex(`${request.scope}\n${request.key}`)}`
    const requestHash = system.sha256Hex(request.content)
    const id = `${name}:${requestHash}`
    const same = running.get(id)
    if (same !== undefined) return same
    const answer = claimAndRun(name, requestHash, work)
    running.set(id, answer)
    try {
      return await answer
    } finally {
      running.delete(id)
    }
  }
}

/** Where no ledger is given: remembers the latest keys for as long as the process lives. */
function createMemory(): Ledger['remember'] {
  const kept = new Map<string, { readonly requestHash: string; readonly answer: string }>()
  return async ({ key, requestHash, answer }) => {
    const first = kept.get(key)
    if (first !== undefined) return first
    if (kept.size >= rememberedMax)
      for (const oldest of [...kept.keys()].slice(0, rememberedMax / 2)) kept.delete(oldest)
    const entry = { requestHash, answer }
    kept.set(key, entry)
    return entry
  }
}

function mismatch(): KeyturnError {
  return new KeyturnError('idempotency_mismatch', 'This Idempotency-Key was used for another request.', {
    fix: 'Use a new key for a new request; repeat the same body under the same key.',
  })
}

function lost(): KeyturnError {
  return new KeyturnError('conflict', 'The first request under this Idempotency-Key has left no answer.', {
    fix: 'Look at the rotations of the credential, then use a new key where another rotation is wanted.',
  })
}
